import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Broadcast, type Context, Request, Response, Server, select } from 'hyperlane-ws';
import { NAMES_ELSEWHERE } from '../../lib/server/names-elsewhere.ts';
import { resolveOptions } from '../../lib/server/options.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { WsClient } from '../support/ws-client.ts';

/** What a newcomer gets wrong is said at once, in a sentence that names it and says what to do. */

afterEach(cleanUp);

/** Calls something as somebody without TypeScript could. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
const wrong = (value: unknown): any => value;

describe('a server that is given something else', () => {
  const mistakes: readonly [what: string, make: () => unknown, error: RegExp][] = [
    [
      'a misspelled option',
      () => new Server(wrong({ maxMesageBytes: 1 })),
      /^TypeError: "maxMesageBytes" is no option of Server: did you mean "maxMessageBytes"\? there are host, port/,
    ],
    [
      'an option of ws',
      () => new Server(wrong({ maxPayload: 1 })),
      /^TypeError: "maxPayload" is no option of Server: here it is the option maxMessageBytes; there are host,/,
    ],
    ['an optional parameter', () => new Server().route('/a/:b?', () => {}), /no parameter is optional: register both/],
    ['a port for the options', () => new Server(wrong(8080)), /^TypeError: Server takes its options as an object/],
    ['null for the options', () => new Server(wrong(null)), /^TypeError: Server takes its options as an object/],
    ['a port as text', () => new Server().port(wrong('60000')), /^RangeError: port is '60000': give a whole number/],
    ['a port that is none', () => new Server().port(70_000), /^RangeError: port is 70000/],
    ['a host as a number', () => new Server().host(wrong(127)), /^RangeError: host is 127: give an address/],
    [
      'one origin as text',
      () => new Server({ origins: wrong('https://a.example') }),
      /^RangeError: origins is 'https:/,
    ],
    ['an origin with a path', () => new Server({ origins: ['https://a.example/'] }), /give origins as browsers send/],
    [
      'an origin with a usual port',
      () => new Server({ origins: ['https://a.example:443'] }),
      /give origins as browsers/,
    ],
    ['an origin without a scheme', () => new Server({ origins: ['a.example'] }), /give origins as browsers send them/],
    ['an origin with a wildcard', () => new Server({ origins: ['https://*.a.example'] }), /give origins as browsers/],
    ['a subprotocol as text', () => new Server({ subprotocols: wrong('chat') }), /^RangeError: subprotocols is 'chat'/],
    [
      'a switch as text',
      () => new Server({ nodelay: wrong('no') }),
      /^RangeError: nodelay is 'no': give true or false/,
    ],
    ['a limit as text', () => new Server({ maxMessageBytes: wrong('1mb') }), /^RangeError: maxMessageBytes is '1mb'/],
    [
      'a limit of nothing',
      () => new Server({ maxQueuedBytes: 0 }),
      /^RangeError: maxQueuedBytes is 0: give a number above 0/,
    ],
    [
      'a time before now',
      () => new Server({ idleTimeoutMs: -1 }),
      /^RangeError: idleTimeoutMs is -1: give milliseconds, or 0/,
    ],
    ['a policy of its own', () => new Server({ backpressurePolicy: wrong('buffer') }), /give one of wait, drop, close/],
    [
      'text for a handler',
      () => new Server().route('/', wrong('hi')),
      /^TypeError: route\('\/', …\): a handler is a function/,
    ],
    [
      'no middleware',
      () => new Server().requestMiddleware(wrong(undefined)),
      /^TypeError: requestMiddleware: a handler is/,
    ],
    [
      'a wildcard',
      () => new Server().route('/files/*', () => {}),
      /"\/files\/\*" is not valid: write a parameter as ":name"/,
    ],
    ['braces', () => new Server().route('/{id}', () => {}), /nothing is written in braces/],
    ['no pattern', () => new Server().route(wrong(undefined), () => {}), /give a string such as "\/chat\/:room"/],
    ['a path without a slash', () => new Server().route('chat', () => {}), /"chat" is not valid: start it with "\/"/],
    [
      'an app to attach to',
      () => new Server().attach(wrong(() => {})),
      /^TypeError: attach takes a server of node:http/,
    ],
    [
      'no stream',
      () => Request.websocketRequestFromStream(wrong(undefined)),
      /but undefined: .* check it for undefined first/,
    ],
    [
      'a number for a stream',
      () => Request.websocketRequestFromStream(wrong(5)),
      /no WebSocket stream, but the number 5/,
    ],
    [
      'what a handler returned for the handler',
      () => new Server().route('/', wrong((async () => {})())),
      /and this one is a promise: give the function itself, and not what it returns/,
    ],
    [
      'a misspelled option of perMessageDeflate',
      () => new Server({ perMessageDeflate: wrong({ treshold: 1 }) }),
      /^TypeError: "treshold" is no option of perMessageDeflate: did you mean "thresholdBytes"\?/,
    ],
    [
      'a level as text',
      () => new Server({ perMessageDeflate: wrong({ level: '3' }) }),
      /^RangeError: perMessageDeflate.level is '3': give a whole number from 1 to 9/,
    ],
    ['a capacity as text', () => new Broadcast(wrong('9')), /^RangeError: the capacity of a channel is '9': give/],
    [
      'a misspelled option of a receive',
      () => new Broadcast().subscribe().recv(wrong({ timeout: 5 })),
      /^TypeError: "timeout" is no option of a receive: did you mean "timeoutMs"\?/,
    ],
    [
      'a number for the options of a receive',
      () => new Broadcast().subscribe().recv(wrong(5)),
      /^TypeError: options are an object: write \{ timeoutMs: 5 \}/,
    ],
    [
      'a time as text',
      () => new Broadcast().subscribe().recv({ timeoutMs: wrong('5s') }),
      /^RangeError: timeoutMs is '5s': give milliseconds/,
    ],
    ['a status as text', () => new Response().setStatusCode(wrong('200')), /^RangeError: the status code '200' cannot/],
  ];

  for (const [what, make, error] of mistakes) {
    it(`says so: ${what}`, () => {
      assert.throws(make, (thrown: Error) => {
        assert.match(`${thrown.name}: ${thrown.message}`, error);
        return true;
      });
    });
  }

  it('says so: a callback or a code for close', async () => {
    for (const value of [() => {}, 1001]) {
      await assert.rejects(
        new Server().close(wrong(value)),
        /^TypeError: close takes its options as an object with code, reason, timeout, and this is (a function|the number 1001)/,
      );
    }
  });

  it('says so: an option of close that does not exist, or cannot be', async () => {
    await assert.rejects(new Server().close(wrong({ timeoutMs: 5 })), {
      name: 'TypeError',
      message: '"timeoutMs" is no option of close: did you mean "timeout"? there are code, reason, timeout',
    });
    await assert.rejects(new Server().close({ timeout: wrong('5s') }), {
      name: 'RangeError',
      message: "timeout is '5s': give milliseconds from 0 on, where Infinity waits for ever",
    });
    await assert.rejects(new Server().close({ code: wrong('1000') }), {
      name: 'RangeError',
      message: /^close code '1000' may not be sent: use 1000/,
    });
    await assert.rejects(new Server().close({ reason: wrong(5) }), {
      name: 'TypeError',
      message: 'a close reason is a string, and this one is the number 5',
    });
  });

  it('says so: an inner handle without a route', async () => {
    const server = new Server().route('/chat', () => {}).enableInnerWebsocketHandle('/chta');
    await assert.rejects(server.run(), {
      code: 'WS_ERR_UNKNOWN_ROUTE',
      message: `enableInnerWebsocketHandle('/chta') fits no route: did you mean '/chat'?`,
    });
    await assert.rejects(
      new Server().enableInnerWebsocketHandle(wrong(undefined)).run(),
      /\(undefined\) fits no route/,
    );
  });

  it('says so: a port that is taken', async () => {
    const { server } = makeServer();
    const port = await run(server);
    await assert.rejects(new Server().host('127.0.0.1').port(port).run(), { code: 'WS_ERR_PORT_IN_USE' });
  });

  it('takes the origins that browsers send', () => {
    for (const origin of ['https://a.example', 'http://localhost:8080', 'http://[::1]', 'null', 'app://host']) {
      assert.doesNotThrow(() => new Server({ origins: [origin] }), origin);
    }
  });
});

describe('a handler that sends something else', () => {
  const handlers: Record<string, (ctx: Context) => unknown> = {
    '/object': (ctx) => ctx.sendResponseBody(wrong({ a: 1 })),
    '/nothing': (ctx) => ctx.sendResponseBody(wrong(undefined)),
    '/promise': (ctx) => ctx.sendResponseBody(wrong(Promise.resolve('a'))),
    '/set': (ctx) => ctx.setResponseBody(wrong({ a: 1 })),
  };

  const WHAT_THEY_SENT: Record<string, RegExp> = {
    '/object':
      /a (message|body) is a string or bytes \(a Uint8Array\), and this one is an object: send JSON.stringify\(value\)$/,
    '/nothing': /and this one is undefined: give '' if it is meant to be empty$/,
    '/promise': /and this one is a promise: await it first$/,
    '/set': /a body is a string or bytes \(a Uint8Array\), and this one is an object: send JSON.stringify\(value\)$/,
  };

  for (const [path, handler] of Object.entries(handlers)) {
    it(`is told so, and nobody else notices: ${path}`, async () => {
      const { server, errors } = makeServer();
      server.route(path, async (ctx) => void (await handler(ctx)));
      const port = await run(server);
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { Connection: 'close' } });
      assert.equal(response.status, 500);
      const client = await WsClient.open(port, path);
      assert.equal((await client.send('x').receiveClose()).code, 1011);
      assert.equal(errors.length, 2);
      for (const error of errors) {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, WHAT_THEY_SENT[path]!);
      }
    });
  }

  it('is told of options that do not exist', async () => {
    const { server, errors } = makeServer();
    server.route('/send', (ctx) => ctx.sendResponseBody('a', wrong({ compres: true })));
    server.route('/stream', (ctx) => ctx.getStream()!.send('a', wrong(true)));
    server.route('/ping', async (ctx) => void (await ctx.getStream()!.ping(undefined, wrong({ timeoutMs: 5 }))));
    const port = await run(server);
    for (const path of ['/send', '/stream', '/ping']) {
      const client = await WsClient.open(port, path);
      assert.equal((await client.send('x').receiveClose()).code, 1011);
    }
    assert.deepEqual(
      errors.map((error) => (error as Error).message),
      [
        '"compres" is no option of a send: did you mean "compress"? there are compress',
        'a send takes its options as an object with compress, and this is the boolean true',
        '"timeoutMs" is no option of ping: did you mean "timeout"? there are timeout',
      ],
    );
  });

  it('is told to use sendResponseBody on a WebSocket', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      await ctx.sendResponse(200, 'hi');
    });
    const client = await WsClient.open(await run(server), '/');
    assert.equal((await client.send('x').receiveClose()).code, 1011);
    assert.match(String(errors[0]), /use sendResponseBody/);
  });
});

describe('a path without a route', () => {
  it('is a 404, also when a response middleware ends every request with send', async () => {
    const { server } = makeServer();
    server.responseMiddleware(async (ctx) => {
      await ctx.send();
    });
    const response = await fetch(`http://127.0.0.1:${await run(server)}/`, { headers: { Connection: 'close' } });
    assert.equal(response.status, 404);
    assert.equal(await response.text(), 'no route has this path');
  });
});

describe('select that is given something else', () => {
  it('says so', async () => {
    await assert.rejects(select({}), /nothing to wait for/);
    await assert.rejects(select({ text: wrong('a') }), /cannot wait for "text"/);
    await assert.rejects(
      select(wrong(undefined)),
      /^TypeError: select takes what it waits for by key.*this is undefined$/,
    );
    await assert.rejects(
      select({ a: Promise.resolve() }, wrong({ baised: true })),
      /^TypeError: "baised" is no option of select: did you mean "biased"\?/,
    );
  });
});

describe('options of other libraries', () => {
  it('are refused with what is here in their place', () => {
    for (const [name, here] of Object.entries(NAMES_ELSEWHERE)) {
      assert.throws(
        () => new Server({ [name]: 1 }),
        (error: Error) => error.message.includes(`: here it is ${here}; `),
      );
      const option = /^the option (\w+)$/.exec(here)?.[1];
      if (option !== undefined) assert.ok(option in resolveOptions({}), option);
    }
  });
});
