import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { type Context, Server } from 'hyperlane-ws';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { WARNING_CODES } from '../../lib/warnings.ts';
import { GapError } from '../../lib/errors.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { Hub } from '../topics/faulty-broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { holdWheel, pass, TICK_MS } from '../support/held-wheel.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, until } from '../support/watchdog.ts';
import { upgradeRequest, WsClient } from '../support/ws-client.ts';

/**
 * What does nothing in silence is warned of, once a process; and what may well be meant is not. So the second comes first.
 */

holdWheel();

const warnings: (Error & { code?: string })[] = [];
process.on('warning', (warning) => warnings.push(warning));

afterEach(cleanUp);

// biome-ignore lint/suspicious/noExplicitAny: what somebody without TypeScript could do
const wrong = (value: unknown): any => value;

/** Has a handler run for a message, and then the end of it seen. */
async function say(handler: (ctx: Context) => unknown): Promise<void> {
  const { server, errors } = makeServer();
  server.route('/', handler as (ctx: Context) => void);
  server.route('/end', (ctx) => ctx.sendResponseBody('end'));
  server.responseMiddleware((ctx) => ctx.send());
  const port = await run(server);
  const client = await WsClient.open(port, '/');
  client.send('x').close(1000);
  await client.waitForEnd();
  const other = await WsClient.open(port, '/end');
  assert.equal(await other.send('x').receive(), 'end');
  assert.deepEqual(errors, []);
}

async function warned(code: string): Promise<string> {
  const found = () => warnings.filter((warning) => warning.code === code);
  while (found().length === 0) await once(process, 'warning');
  return found()[0]!.message;
}

describe('no warning', () => {
  const innocent: Record<string, (ctx: Context) => unknown> = {
    'of nothing': () => {},
    'of a send': (ctx) => ctx.sendResponseBody('a'),
    'of a context that is returned': (ctx) => ctx.setAttribute('a', 1),
    'of a number that is returned': () => 3,
    'of an object that is returned': () => ({ rows: 1 }),
    'of an object that is returned later': async () => ({ rows: 1 }),
    'of send and sendOnce, which end an HTTP request': async (ctx) => {
      await ctx.send();
      await ctx.sendOnce();
    },
    'of a body that is sent': async (ctx) => ctx.setResponseBody('a').sendBody(),
    'of a body for HTTP beside a message': async (ctx) => {
      ctx.setResponseBody('a');
      await ctx.sendResponseBody('b');
    },
    'of headers': (ctx) => ctx.setResponseHeader('a', 'b'),
    'of a send before the close': async (ctx) => {
      ctx.setResponseHeader('a', 'b');
      await ctx.sendResponseBody('a');
      await ctx.close();
    },
    'of a send before the end that was asked for': (ctx) => ctx.closed().sendResponseBody('a'),
    'of a send that meets the end of the connection': async (ctx) => {
      ctx.getStream()!.close();
      await ctx.sendResponseBody('late').catch(() => {});
    },
  };

  for (const [what, handler] of Object.entries(innocent)) {
    it(what, async () => {
      await say(handler);
      assert.deepEqual(warnings, []);
    });
  }
});

describe('a warning, once', () => {
  it('of a string that a handler returns', async () => {
    await say(() => 'hello');
    await say(async () => 'hello');
    assert.equal(
      await warned('WS_WARN_RETURNED_VALUE'),
      'a handler returned a string: nobody is sent what a handler returns: use ctx.sendResponseBody(value), or have the handler return nothing',
    );
  });

  it('of a body that nobody sends', async () => {
    await say((ctx) => void ctx.setResponseBody('hello'));
    await say(async (ctx) => void ctx.setResponseBody('hello'));
    assert.match(
      await warned('WS_WARN_BODY_NOT_SENT'),
      /^a body that was set with setResponseBody is not sent on a WebSocket/,
    );
  });

  it('of a message that send or sendOnce is given', async () => {
    await say((ctx) => wrong(ctx).send('hello'));
    await say((ctx) => wrong(ctx).sendOnce('hello'));
    assert.match(
      await warned('WS_WARN_SEND_ARGUMENT'),
      /^send was given something: send and sendOnce take no arguments: .* use sendResponseBody\(message\)$/,
    );
  });

  it('of a message behind the close of the same handlers', async () => {
    for (let i = 0; i < 2; i++) {
      await say(async (ctx) => {
        await ctx.close();
        ctx.sendResponseBody('late');
      });
    }
    assert.match(
      await warned('WS_WARN_SEND_AFTER_CLOSE'),
      /^a message that is sent behind ctx.close\(\) goes nowhere: send first/,
    );
  });

  it('of a path that another listener takes', async () => {
    const http = createServer().on('upgrade', (_request, socket) => socket.end());
    const { server } = makeServer();
    server.route('/', () => {}).attach(http);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    onCleanUp(() => http.close());
    for (let i = 0; i < 2; i++) {
      const client = await WsClient.connect((http.address() as AddressInfo).port);
      await client.write(upgradeRequest('/')).waitForEnd();
    }
    assert.match(await warned('WS_WARN_UPGRADE_TAKEN'), /^\/: another 'upgrade' listener/);
  });

  it('of a cookie on a WebSocket', async () => {
    for (let i = 0; i < 2; i++) await say((ctx) => ctx.setResponseCookie('a', '1').sendResponseBody('a'));
    assert.match(await warned('WS_WARN_COOKIE_ON_WEBSOCKET'), /^setResponseCookie does nothing on a WebSocket/);
  });

  it('of a refused upgrade that nobody is told of', async () => {
    const port = await run(new Server({ host: '127.0.0.1' }).route('/', () => {}));
    for (let i = 0; i < 2; i++) {
      const client = await WsClient.connect(port);
      assert.equal((await client.write(upgradeRequest('/missing')).readHead()).status, 404);
    }
    assert.match(await warned('WS_WARN_UPGRADE_REFUSED'), /^an upgrade to '\/missing' was refused with 404/);
  });

  it('of a hook that does not end', async () => {
    const { server } = makeServer({ heartbeatIntervalMs: 0 });
    const gate = defer();
    server.route('/', () => {}).onWebsocketConnected(() => gate.promise);
    const port = await run(server);
    for (let i = 0; i < 2; i++) await WsClient.open(port, '/');
    await until('both are watched', () => timerWheel.waiting === 2);
    pass(10_000 / TICK_MS);
    assert.match(await warned('WS_WARN_SLOW_HOOK'), /has not ended for 10 s: no message is handled/);
    gate.resolve();
  });

  it('of what a broker carries that nobody can read', async () => {
    const hub = new Hub();
    const topics = new Topics({ broker: hub.broker() });
    const subscription = await topics.subscribe('a');
    for (let i = 0; i < 2; i++) {
      hub.publish('a', Buffer.of(9), undefined);
      await assert.rejects(subscription.recv(), GapError);
    }
    await topics.close();
    assert.match(await warned('WS_WARN_TOPIC_ENVELOPE'), /^topic "a": a message that its broker carries is none/);
  });

  it('for each code, and for each once', () => {
    assert.deepEqual(warnings.map(({ code }) => code).sort(), [...WARNING_CODES].sort());
  });
});
