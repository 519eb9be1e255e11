import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { Context } from '../../lib/server/context.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import type { RequestHead } from '../../lib/server/request-head.ts';
import { Response } from '../../lib/server/response.ts';
import type { Server } from '../../lib/server/server.ts';
import { UpgradeExchange } from '../../lib/server/upgrade-exchange.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import {
  clientFrame,
  type HeaderLines,
  httpRequest,
  SAMPLE_KEY,
  upgradeRequest,
  WsClient,
} from '../support/ws-client.ts';

afterEach(cleanUp);

/** A socket that sends nothing, and says what is done to it. */
class StillSocket extends EventEmitter {
  readonly calls: string[] = [];
  isFailing = false;
  destroyed = false;
  closed = false;
  writable = true;

  write(text: string, encoding: BufferEncoding): void {
    if (this.isFailing) throw new Error('cannot write');
    this.calls.push(`write ${text} ${encoding}`);
  }

  end(bytes: Uint8Array): void {
    if (this.isFailing) throw new Error('cannot end');
    this.writable = false;
    this.calls.push(`end ${Buffer.from(bytes)}`);
  }

  resume(): void {
    this.calls.push('resume');
  }

  destroy(): void {
    this.destroyed = true;
    this.calls.push('destroy');
  }
}

describe('UpgradeExchange, by itself', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  function make() {
    const socket = new StillSocket();
    const told: string[] = [];
    const refusals: unknown[] = [];
    const exchange = new UpgradeExchange({ method: 'GET' } as RequestHead, socket as unknown as Duplex, {
      topics: new Topics(),
      onUpgradeWaiting: (which) => told.push(which === exchange ? 'waiting' : 'another'),
      onUpgradeOver: (which) => told.push(which === exchange ? 'over' : 'another'),
      onUpgradeRefused: (which, ...refusal) => void (which === exchange && refusals.push(refusal)),
    });
    /** The first line of the answer, and its last. */
    const answer = () => {
      const lines = (socket.calls.find((call) => call.startsWith('end ')) ?? 'end ').slice(4).split('\r\n');
      return [lines[0], lines.at(-1)];
    };
    return { socket, exchange, told, refusals, answer };
  }

  it('is over once it is answered, and when the client is gone or will read nothing', () => {
    assert.equal(make().exchange.isOver, false);
    const answered = make();
    answered.exchange.accept('head');
    assert.equal(answered.exchange.isOver, true);
    const destroyed = make();
    destroyed.socket.destroyed = true;
    assert.equal(destroyed.exchange.isOver, true);
    const ended = make();
    ended.socket.writable = false;
    assert.equal(ended.exchange.isOver, true);
  });

  it('is accepted by its head alone, and nobody is told of what did not wait', () => {
    const { exchange, socket, told } = make();
    exchange.accept('hé');
    assert.deepEqual([socket.calls, told, socket.eventNames()], [['write hé latin1'], [], []]);
    const failing = make();
    failing.socket.isFailing = true;
    failing.exchange.accept('head');
    assert.deepEqual(failing.socket.calls, ['destroy']);
  });

  it('waits no longer once it is accepted', () => {
    const { exchange, socket, told } = make();
    exchange.expireAfter(100);
    assert.deepEqual(told, ['waiting']);
    exchange.accept('head');
    assert.deepEqual([told, socket.eventNames()], [['waiting', 'over'], []]);
    mock.timers.tick(100);
    assert.deepEqual(socket.calls, ['write head latin1']);
    exchange.destroy();
    assert.deepEqual(told, ['waiting', 'over'], 'once');
  });

  it('is refused with 408 in time, and then cut unless the client leaves', () => {
    const { exchange, socket, told, answer } = make();
    exchange.expireAfter(100);
    mock.timers.tick(99);
    assert.deepEqual(socket.calls, []);
    mock.timers.tick(1);
    assert.equal(answer()[0], 'HTTP/1.1 408 Request Timeout');
    assert.notEqual(answer()[1], '');
    assert.deepEqual([socket.calls.at(-1), socket.listenerCount('data'), told], ['resume', 1, ['waiting']]);
    socket.emit('data');
    mock.timers.tick(1999);
    assert.equal(socket.destroyed, false);
    mock.timers.tick(1);
    assert.equal(socket.destroyed, true);
    assert.deepEqual([told, socket.listenerCount('close')], [['waiting', 'over'], 0]);
  });

  it('is over when its client leaves, and cut no more', () => {
    const { exchange, socket, told } = make();
    exchange.refuseWith(403, '');
    assert.deepEqual(told, ['waiting']);
    socket.emit('close');
    mock.timers.tick(2000);
    assert.deepEqual([told, socket.calls.at(-1)], [['waiting', 'over'], 'resume']);
  });

  it('does not wait for what is over, nor for what is gone already', () => {
    const answered = make();
    answered.exchange.accept('head');
    answered.exchange.expireAfter(100);
    assert.deepEqual(answered.told, []);
    const gone = make();
    gone.socket.closed = true;
    gone.exchange.expireAfter(100);
    assert.deepEqual([gone.told, gone.socket.eventNames()], [[], []]);
    mock.timers.tick(100);
    assert.deepEqual(gone.socket.calls, []);
  });

  it('is refused once; where there can be no answer it is cut', () => {
    const { exchange, socket, refusals } = make();
    exchange.refuseWith(403, 'first');
    exchange.refuseWith(404, 'second');
    exchange.giveUp();
    assert.equal(socket.calls.length, 2);
    assert.deepEqual(refusals, [[403, 'middleware', 'first']]);
    const head = ['HTTP/1.1 403 Forbidden', 'Connection: close', 'Content-Length: 5'];
    const lines = [...head, 'Content-Type: text/plain; charset=utf-8', '', 'first'];
    assert.equal(socket.calls[0], `end ${lines.join('\r\n')}`);
    const mute = make();
    mute.socket.writable = false;
    mute.exchange.refuseWith(403, '');
    assert.deepEqual([mute.socket.calls, mute.refusals], [['destroy'], []]);
    const failing = make();
    failing.socket.isFailing = true;
    failing.exchange.refuseWith(403, '');
    assert.deepEqual([failing.socket.calls, failing.told, failing.refusals], [['destroy'], [], []]);
  });

  it('sends what was set, else 403; and a status of its own where one is given', async () => {
    const cases: [name: string, refuse: (exchange: UpgradeExchange) => unknown, status: string, body: string][] = [
      ['all', (exchange) => exchange.refuse(new Response().setStatusCode(404).setBody('no')), '404 Not Found', 'no'],
      ['a body', (exchange) => exchange.refuse(new Response().setBody('no')), '403 Forbidden', 'no'],
      ['a fallback', (exchange) => exchange.refuse(new Response(), 404), '404 Not Found', ''],
      ['sendResponse', (exchange) => exchange.sendResponse(new Response().setBody('no')), '403 Forbidden', 'no'],
      ['send', (exchange) => exchange.send(new Response().setBody('no')), '403 Forbidden', 'no'],
      ['close', (exchange) => exchange.close(new Response().setStatusCode(404)), '404 Not Found', ''],
      ['close alone', (exchange) => exchange.close(undefined), '403 Forbidden', ''],
    ];
    for (const [name, refuse, status, body] of cases) {
      const { exchange, answer } = make();
      await refuse(exchange);
      assert.deepEqual(answer(), [`HTTP/1.1 ${status}`, body], name);
    }
    const { exchange, socket } = make();
    exchange.refuse(new Response().setHeader('X-A', '1'));
    assert.match(socket.calls[0]!, /\r\nX-A: 1\r\n/);
  });

  it('sends nothing where nothing was set, nothing twice, and no message', async () => {
    const { exchange, socket } = make();
    await exchange.send(new Response().setHeader('X-A', '1'));
    await exchange.flush();
    assert.deepEqual(socket.calls, []);
    await assert.rejects(exchange.sendBody(), { name: 'InvalidStateError', code: 'WS_ERR_SERVER_STATE' });
    await exchange.sendResponse(new Response());
    await assert.rejects(exchange.sendResponse(new Response()), { code: 'WS_ERR_RESPONSE_SENT' });
  });

  it('is cut, and over by that: what is no socket may never say that it is closed', () => {
    const { exchange, socket, told } = make();
    exchange.expireAfter(100);
    exchange.destroy();
    assert.deepEqual([socket.calls, told, socket.eventNames()], [['destroy'], ['waiting', 'over'], []]);
    socket.emit('close');
    assert.deepEqual(told, ['waiting', 'over']);
    const open = make();
    open.exchange.giveUp();
    assert.deepEqual(open.socket.calls, ['destroy']);
  });
});

/** The ways into a server: its own port, and the 'upgrade' event of node:http. All give the same answers. */
const ROADS: [name: string, listen: (server: Server) => Promise<number>][] = [
  ['its own port', run],
  [
    'an attached server',
    async (server) => {
      const http: HttpServer = createServer((_request, response) => void response.writeHead(404).end());
      server.attach(http);
      http.listen(0, '127.0.0.1');
      await once(http, 'listening');
      onCleanUp(() => {
        http.closeAllConnections();
        http.close();
      });
      onCleanUp(() => server.close({ timeout: 0 }));
      return (http.address() as AddressInfo).port;
    },
  ],
];

for (const [road, listen] of ROADS) {
  describe(`UpgradeExchange through ${road}`, () => {
    it('runs the middleware in order, before 101 is sent, and onWebsocketConnected behind it', async () => {
      const { server } = makeServer();
      const calls: string[] = [];
      const gate = defer();
      server.upgradeMiddleware((ctx) => {
        calls.push(`1 ${ctx.getRequestPath()} ${ctx.getRouteParam('id')} ${ctx.getRequestHeader('x-mine')}`);
        assert.equal(ctx.getStream(), undefined);
        assert.equal(ctx.isWebSocket(), false);
      });
      server.upgradeMiddleware(async (ctx) => {
        await gate.promise;
        calls.push('2');
        ctx.setResponseHeader('X-Session', 'abc');
      });
      server.onWebsocketConnected((ctx) => {
        calls.push(`connected ${ctx.getStream()?.state}`);
      });
      server.route('/room/:id', () => {});
      const client = await WsClient.connect(await listen(server));
      client.write(upgradeRequest('/room/7?x=1', { 'X-Mine': 'yes' }));
      await until('the first middleware', () => calls.length === 1);
      await settle();
      assert.equal(client.available, 0, 'nothing is sent before the middleware has run');
      gate.resolve();
      const head = await client.readHead();
      assert.equal(head.status, 101);
      assert.equal(head.headers.get('x-session'), 'abc');
      await until('all calls', () => calls.length === 3);
      assert.deepEqual(calls, ['1 /room/7 7 yes', '2', 'connected open']);
    });

    const refusals: [name: string, middleware: (ctx: Context) => unknown, status: number, body: string][] = [
      ['a status', (ctx) => ctx.setResponseStatusCode(401), 401, ''],
      ['a body', (ctx) => ctx.setResponseBody('no'), 403, 'no'],
      ['a status and a body', (ctx) => ctx.setResponseStatusCode(429).setResponseBody('slow'), 429, 'slow'],
      ['aborted()', (ctx) => ctx.aborted(), 403, ''],
      ['closed()', (ctx) => ctx.closed(), 403, ''],
      ['sendResponse', (ctx) => ctx.sendResponse(402, 'pay'), 402, 'pay'],
      ['send', (ctx) => ctx.setResponseStatusCode(410).send(), 410, ''],
      ['sendOnce', (ctx) => ctx.setResponseStatusCode(411).sendOnce(), 411, ''],
      ['close', (ctx) => ctx.close(), 403, ''],
      ['a status, and then an error', fail, 500, ''],
    ];
    function fail(ctx: Context): void {
      ctx.setResponseStatusCode(200).setResponseBody('secret');
      throw new Error('no');
    }
    for (const [name, middleware, status, body] of refusals) {
      it(`refuses by ${name}, synchronous or not`, async () => {
        for (const isAsync of [false, true]) {
          const { server, errors } = makeServer();
          server.upgradeMiddleware(async (ctx) => {
            if (isAsync) await settle(1);
            ctx.setResponseHeader('X-Why', 'because');
            await middleware(ctx);
          });
          server.route('/', () => assert.fail('does not run'));
          server.onWebsocketConnected(() => assert.fail('does not run'));
          const client = await WsClient.connect(await listen(server));
          const response = await client.write(upgradeRequest()).readResponse();
          assert.deepEqual([response.status, response.body], [status, body]);
          if (status !== 500) assert.equal(response.headers.get('x-why'), 'because');
          assert.equal(response.headers.get('connection'), 'close');
          await client.waitForEnd();
          assert.equal(errors.length, status === 500 ? 1 : 0);
        }
      });
    }

    it('writes headers of several lines, with the 101 and with a refusal', async () => {
      const { server } = makeServer();
      server.upgradeMiddleware((ctx) => {
        ctx.setResponseHeader('Set-Cookie', ['a=1', 'b=2']);
        if (ctx.getRequestPath() === '/refused') ctx.setResponseStatusCode(401);
      });
      server.route('/', () => {});
      const port = await listen(server);
      for (const path of ['/', '/refused']) {
        const client = await WsClient.connect(port);
        const { status, text } = await client.write(upgradeRequest(path)).readHead();
        assert.equal(status, path === '/' ? 101 : 401);
        assert.match(text, /\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
      }
    });

    it('sends no content with 204, 205 and 304, nor to HEAD', async () => {
      const { server } = makeServer();
      server.upgradeMiddleware((ctx) => {
        ctx.setResponseStatusCode(Number(ctx.getRequestQuery('status'))).setResponseBody('body');
      });
      const port = await listen(server);
      for (const status of [204, 205, 304]) {
        const client = await WsClient.connect(port);
        const head = await client.write(upgradeRequest(`/?status=${status}`)).readHead();
        assert.deepEqual([head.status, head.headers.get('content-length')], [status, status === 205 ? '0' : undefined]);
        assert.equal((await client.readToEnd()).length, 0);
      }
      const client = await WsClient.connect(port);
      client.write(upgradeRequest('/').replace('GET', 'HEAD'));
      assert.equal((await client.readHead()).status, 405);
      assert.equal((await client.readToEnd()).length, 0);
    });

    it('runs no middleware behind the one that refuses by aborted()', async () => {
      const { server } = makeServer();
      server.upgradeMiddleware((ctx) => void ctx.aborted());
      server.upgradeMiddleware(() => assert.fail('does not run'));
      server.route('/', () => {});
      const client = await WsClient.connect(await listen(server));
      assert.equal((await client.write(upgradeRequest()).readHead()).status, 403);
    });

    it('rejects a second answer, and a message before the WebSocket is open', async () => {
      const { server, errors } = makeServer();
      const done = defer();
      server.upgradeMiddleware(async (ctx) => {
        await assert.rejects(ctx.sendResponseBody('early'), { code: 'WS_ERR_SERVER_STATE' });
        await ctx.sendResponse(403, 'first');
        await assert.rejects(ctx.sendResponse(500, 'second'), { code: 'WS_ERR_RESPONSE_SENT' });
        await ctx.flush();
        await ctx.send();
        done.resolve();
      });
      server.route('/', () => {});
      const client = await WsClient.connect(await listen(server));
      assert.equal((await client.write(upgradeRequest()).readResponse()).body, 'first');
      await soon('the end', done.promise);
      assert.deepEqual(errors, []);
    });

    it('refuses an unknown route with 404, once the middleware has run', async () => {
      const { server } = makeServer();
      let asked = 0;
      server.upgradeMiddleware(() => void asked++);
      const client = await WsClient.connect(await listen(server));
      assert.equal((await client.write(upgradeRequest('/nowhere')).readHead()).status, 404);
      await client.waitForEnd();
      assert.equal(asked, 1);
    });

    it('answers 500 and reports when the choice of origin or subprotocol throws', async () => {
      const mine = () => {
        throw new Error('mine');
      };
      for (const options of [{ origins: mine }, { subprotocols: mine }, { subprotocols: () => 'made up' }]) {
        const { server, errors } = makeServer(options as ServerOptions);
        server.route('/', () => {});
        const client = await WsClient.connect(await listen(server));
        const response = await client.write(upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'a' })).readResponse();
        assert.deepEqual([response.status, response.body], [500, '']);
        assert.equal(errors.length, 1);
      }
    });

    it('agrees on a subprotocol, by option or by the middleware', async () => {
      const { server, errors } = makeServer({ subprotocols: ['v2', 'v1'] });
      server.upgradeMiddleware((ctx) => {
        const wish = ctx.getRequestQuery('wish');
        if (wish !== undefined) ctx.setResponseHeader('Sec-WebSocket-Protocol', wish);
      });
      server.onWebsocketConnected((ctx) => ctx.sendResponseBody(`[${ctx.getStream()!.subprotocol}]`));
      server.route('/', () => {});
      const port = await listen(server);
      const cases: [query: string, offered: string | undefined, agreed: string | undefined][] = [
        ['', 'v1, v2', 'v2'],
        ['', 'v1', 'v1'],
        ['', 'v3, constructor', undefined],
        ['', undefined, undefined],
        ['?wish=v3', 'v1, v3', 'v3'],
      ];
      for (const [query, offered, agreed] of cases) {
        const client = await WsClient.connect(port);
        const head = await client.upgrade(`/${query}`, { 'Sec-WebSocket-Protocol': offered });
        assert.equal(head.headers.get('sec-websocket-protocol'), agreed);
        assert.equal(await client.receive(), `[${agreed ?? ''}]`);
      }
      const client = await WsClient.connect(port);
      client.write(upgradeRequest('/?wish=v9', { 'Sec-WebSocket-Protocol': 'v1' }));
      assert.equal((await client.readHead()).status, 500);
      assert.equal((errors[0] as { code?: string }).code, 'WS_ERR_INVALID_SUBPROTOCOL');
    });

    it('writes no header of the handshake but its own', async () => {
      const { server } = makeServer();
      server.upgradeMiddleware((ctx) => {
        for (const name of ['Upgrade', 'Connection', 'Sec-WebSocket-Accept', 'Content-Length', 'Transfer-Encoding']) {
          ctx.setResponseHeader(name, '5');
        }
        assert.throws(() => ctx.setResponseHeader('X', 'a\r\nInjected: yes'), TypeError);
      });
      server.route('/', () => {});
      const client = await WsClient.connect(await listen(server));
      const { headers, text } = await client.upgrade();
      assert.deepEqual([...headers.keys()].sort(), ['connection', 'sec-websocket-accept', 'upgrade']);
      assert.ok(!text.includes('Injected'));
    });

    it('gives up quietly when the client leaves during the middleware', async () => {
      for (const leave of ['reset', 'end'] as const) {
        const { server, errors } = makeServer();
        const gate = defer();
        const asked = defer();
        const answered = defer();
        server.upgradeMiddleware(async () => {
          asked.resolve();
          await gate.promise;
          setImmediate(answered.resolve);
        });
        server.route('/', () => {});
        const client = await WsClient.connect(await listen(server));
        client.write(upgradeRequest());
        await asked.promise;
        client[leave]();
        await settle(20);
        gate.resolve();
        await answered.promise;
        await client.waitForEnd();
        await settle();
        assert.deepEqual(errors, []);
      }
    });

    it('refuses with 408 when the middleware takes too long, and never upgrades then', async () => {
      const { server, errors } = makeServer({ handshakeTimeoutMs: 10 });
      const gate = defer();
      server.upgradeMiddleware(() => gate.promise);
      server.route('/', () => {});
      const client = await WsClient.connect(await listen(server));
      client.write(upgradeRequest());
      assert.equal((await client.readHead()).status, 408);
      gate.resolve();
      await client.waitForEnd();
      assert.deepEqual(errors, []);
    });

    it('keeps messages that arrive with the request and during an asynchronous middleware', async () => {
      const { server } = makeServer();
      const gate = defer();
      server.upgradeMiddleware(() => gate.promise);
      server.onWebsocketConnected(() => settle(3));
      server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
      const client = await WsClient.connect(await listen(server));
      const messages = ['a', 'b', 'x'.repeat(100_000), 'c'];
      client.write(Buffer.concat([Buffer.from(upgradeRequest()), clientFrame(0x81, messages[0])]));
      for (const message of messages.slice(1)) {
        await settle(2);
        client.send(message);
      }
      await settle(20);
      gate.resolve();
      assert.equal((await client.readHead()).status, 101);
      assert.deepEqual(await client.receiveAll(4), messages);
      client.close(1000);
      assert.equal((await client.receiveClose(false)).code, 1000);
    });

    // What RFC 6455 §4 says of a request: spec/handshake has the whole table, spec/rfc the bytes.
    const requests: [what: string, method: string, headers: HeaderLines, status: number][] = [
      ['a request that is right', 'GET', {}, 101],
      ['lower case', 'GET', { Upgrade: 'WEBSOCKET', Connection: 'keep-alive, upgrade' }, 101],
      ['a page of the same origin', 'GET', { Origin: 'http://localhost' }, 101],
      ['a page of another origin', 'GET', { Origin: 'http://evil.com' }, 403],
      ['two origins', 'GET', { Origin: ['http://localhost', 'http://localhost'] }, 403],
      ['another method', 'POST', {}, 405],
      ['another version', 'GET', { 'Sec-WebSocket-Version': '8' }, 426],
      ['two versions', 'GET', { 'Sec-WebSocket-Version': ['8', '13'] }, 426],
      ['no version', 'GET', { 'Sec-WebSocket-Version': undefined }, 400],
      ['no key', 'GET', { 'Sec-WebSocket-Key': undefined }, 400],
      ['two keys', 'GET', { 'Sec-WebSocket-Key': [SAMPLE_KEY, SAMPLE_KEY] }, 400],
      ['no host', 'GET', { Host: undefined }, 400],
      ['an empty host', 'GET', { Host: '' }, 400],
      ['a host of spaces', 'GET', { Host: ' \t' }, 400],
      ['a host that is a port', 'GET', { Host: ':80' }, 400],
      ['a host that is more', 'GET', { Host: 'a/b' }, 400],
      ['two hosts', 'GET', { Host: ['localhost', 'localhost'] }, 400],
      ['a body', 'GET', { 'Content-Length': '5' }, 400],
      ['a body of no bytes', 'GET', { 'Content-Length': '0' }, 101],
      ['a body in chunks', 'GET', { 'Transfer-Encoding': 'chunked' }, 400],
      ['subprotocols that are none', 'GET', { 'Sec-WebSocket-Protocol': 'a b' }, 400],
      ['subprotocols on two lines', 'GET', { 'Sec-WebSocket-Protocol': ['a', 'b'] }, 101],
      ['a subprotocol twice', 'GET', { 'Sec-WebSocket-Protocol': ['a', 'a'] }, 400],
      ['names of the prototype', 'GET', { 'Sec-WebSocket-Protocol': '__proto__, constructor', constructor: 'x' }, 101],
      ['two protocols to upgrade to', 'GET', { Upgrade: ['websocket', 'h2c'] }, 400],
    ];
    for (const [what, method, headers, status] of requests) {
      it(`answers ${what} with ${status}`, async () => {
        const { server, errors } = makeServer();
        server.route('/', (ctx) => ctx.sendResponseBody('fine'));
        const port = await listen(server);
        const client = await WsClient.connect(port);
        client.write(upgradeRequest('/', headers).replace('GET', method));
        const head = await client.readHead();
        assert.equal(head.status, status, head.text);
        if (status === 426) assert.equal(head.headers.get('sec-websocket-version'), '13');
        if (status === 405) assert.equal(head.headers.get('allow'), 'GET');
        if (status === 101) assert.equal(await client.send('').receive(), 'fine');
        else await client.waitForEnd();
        assert.deepEqual(errors, []);
      });
    }

    it('is never harmed by what a client sends behind a refusal', async () => {
      const { server, errors } = makeServer();
      const client = await WsClient.connect(await listen(server), { allowHalfOpen: true });
      client.write(upgradeRequest('/nowhere'));
      assert.equal((await client.readHead()).status, 404);
      client.write(Buffer.alloc(100_000));
      await client.readToEnd();
      client.reset();
      await settle();
      assert.deepEqual(errors, []);
    });
  });
}

describe('UpgradeExchange, other upgrades', () => {
  it('refuses an upgrade to anything else with 400, and ends the connection', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, 'plain'));
    const port = await run(server);
    for (const upgrade of ['h2c', 'TLS/1.2', 'websocket2']) {
      const client = await WsClient.connect(port);
      const headers = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: upgrade, 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };
      assert.equal((await client.write(httpRequest('GET', '/', headers)).readResponse()).status, 400);
      await client.waitForEnd();
    }
  });
});

describe('UpgradeExchange behind an answer that ends the connection', () => {
  const refuse = (ctx: Context): void => void ctx.sendResponse(403);
  const middleware: Record<string, (ctx: Context) => void | Promise<void>> = {
    'at once': () => {},
    later: () => settle(),
    'by a refusal': refuse,
    'by a refusal, later': async (ctx) => {
      await settle();
      refuse(ctx);
    },
    'by an error, later': async () => {
      await settle();
      throw new Error('mine');
    },
  };
  for (const [name, handler] of Object.entries(middleware)) {
    it(`cuts the connection, which node:http has let go of: decided ${name}`, async () => {
      const { server } = makeServer();
      server.upgradeMiddleware(handler).errorHandle(() => {});
      server.route('/', () => assert.fail('no message is read'));
      const http = createServer();
      server.attach(http);
      let upgrades = 0;
      http.on('upgrade', () => upgrades++);
      // Without Host: 400 and Connection: close. What comes behind it is read all the same.
      const requests = `GET / HTTP/1.1\r\n\r\n${upgradeRequest('/')}`;
      for (let cut = 1; cut < requests.length; cut += 9) {
        const [here, there] = duplexPair();
        there.on('error', () => {}).resume();
        const closed = once(here, 'close');
        http.emit('connection', here);
        for (const part of [requests.slice(0, cut), requests.slice(cut)]) {
          there.write(part);
          await settle();
        }
        there.end('more');
        await soon(`the end, when cut at ${cut}`, closed);
      }
      assert.ok(upgrades > 0, 'some were told as upgrades');
    });
  }
});
