import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError } from '../../lib/errors.ts';
import type { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/tls.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, WsClient } from '../support/ws-client.ts';

// A message is a request: a Close frame behind it is answered behind its handlers, RFC 6455 §5.5.1.

afterEach(cleanUp);

const KIB = 1024;

function texts(...messages: string[]): Buffer {
  return Buffer.concat(messages.map((text) => clientFrame(0x81, text)));
}

describe('the Close frame of a peer, behind messages', () => {
  it('is answered behind the answers of asynchronous handlers, of a message and of those that wait', async () => {
    const { server, errors } = makeServer();
    const seen: (string | undefined)[] = [];
    server.route('/', async (ctx) => {
      await settle();
      seen.push(ctx.getStream()?.state);
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    const port = await run(server);
    for (const head of [false, true]) {
      const client = await WsClient.connect(port);
      const large = Buffer.alloc(256 * KIB, 7);
      const bytes = Buffer.concat([clientFrame(0x82, large), texts('short', 'shorter'), closeFrame(4001, 'bye')]);
      if (head) await client.upgrade('/', {}, bytes);
      else {
        await client.upgrade('/');
        client.write(bytes);
      }
      assert.deepEqual(await client.receiveAll(3), [large, 'short', 'shorter']);
      assert.deepEqual(await client.receiveClose(false), { code: 4001, reason: '' });
    }
    assert.equal(seen.filter((state) => state === undefined).length, 0, 'the stream is still there');
    assert.equal(seen.at(-1), 'closing');
    assert.deepEqual(errors, []);
  });

  it('is answered behind the handlers although the peer ends its side too', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      await settle();
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    const client = await WsClient.connect(await run(server), { allowHalfOpen: true });
    await client.upgrade('/');
    client.write(Buffer.concat([texts('a', 'b'), closeFrame(1000)])).end();
    assert.deepEqual(await client.receiveAll(2), ['a', 'b']);
    assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' });
  });

  it('waits for handlers for no longer than closeTimeoutMs, and then refuses what they send', async () => {
    const { server, errors } = makeServer({ closeTimeoutMs: 100 });
    const [gate, done] = [defer(), defer<unknown>()];
    server.route('/', async (ctx) => {
      await gate.promise;
      assert.equal(ctx.getStream(), undefined);
      ctx.sendResponseBody('too late').catch(done.resolve);
    });
    const client = await WsClient.open(await run(server));
    client.write(Buffer.concat([texts('a'), closeFrame(1000)]));
    assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' });
    gate.resolve();
    assert.ok((await soon('the refusal', done.promise)) instanceof ConnectionClosedError);
    assert.deepEqual(errors, []);
  });

  it('is answered at once where nothing is being handled: by idle handlers, hooks, and those that wait for more', async () => {
    const forever = new Promise<void>(() => {});
    const handlers: Record<string, (ctx: Context) => Promise<void>> = {
      '/owner': async (ctx) => {
        const stream = ctx.getStream()!;
        try {
          for (;;) await ctx.sendResponseBody((await Request.websocketRequestFromStream(stream)).getBody());
        } catch {
          await forever;
        }
      },
      '/pusher': () => forever,
      '/taker': async (ctx) => {
        const stream = ctx.getStream()!;
        await ctx.sendResponseBody(ctx.getRequestBody());
        await Request.websocketRequestFromStream(stream).then(null, () => forever);
      },
      '/hook': async () => {},
    };
    const { server, errors } = makeServer({ closeTimeoutMs: 60_000 });
    server.onWebsocketConnected((ctx) => (ctx.getRequestPath() === '/hook' ? forever : undefined));
    for (const [path, handler] of Object.entries(handlers)) server.route(path, handler);
    server.enableInnerWebsocketHandle('/owner').enableInnerWebsocketHandle('/pusher');
    const port = await run(server);
    for (const [path, message] of [
      ['/owner', 'a'],
      ['/owner', undefined],
      ['/taker', 'a'],
      ['/taker', undefined],
      ['/pusher', undefined],
      ['/hook', undefined],
    ] as const) {
      const client = await WsClient.open(port, path);
      await settle();
      if (message !== undefined) assert.equal(await client.send(message).receive(), message);
      client.write(closeFrame(1000));
      assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' }, `${path} ${message}`);
    }
    assert.deepEqual(errors, []);
  });

  it('is answered when the owner of a stream has handled its last message and asks for more', async () => {
    const { server } = makeServer({ closeTimeoutMs: 60_000 });
    const ends: unknown[] = [];
    server.enableInnerWebsocketHandle('/').route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      try {
        for (;;) {
          const text = (await Request.websocketRequestFromStream(stream)).getBodyString();
          await settle();
          await ctx.sendResponseBody(`${text}!`);
        }
      } catch (error) {
        ends.push(error);
        await new Promise(() => {});
      }
    });
    const client = await WsClient.connect(await run(server));
    await client.upgrade('/', {}, Buffer.concat([texts('a', 'b', 'c'), closeFrame(4000, 'enough')]));
    assert.deepEqual(await client.receiveAll(3), ['a!', 'b!', 'c!']);
    assert.deepEqual(await client.receiveClose(false), { code: 4000, reason: '' });
    const [end] = ends as [ConnectionClosedError];
    assert.deepEqual([ends.length, end.closeCode, end.reason], [1, 4000, 'enough']);
  });

  it('is answered by its own code, whatever a handler does meanwhile', async () => {
    const acts: Record<string, (ctx: Context) => unknown> = {
      '/close': (ctx) => ctx.close(4999, 'mine'),
      '/closed': (ctx) => ctx.closed(),
      '/throw': () => {
        throw new Error('mine');
      },
      '/stop': () => server.close({ code: 4998, timeout: 60_000 }),
    };
    const { server, errors } = makeServer({ closeTimeoutMs: 60_000 });
    for (const [path, act] of Object.entries(acts)) {
      server.route(path, async (ctx) => {
        await settle();
        await ctx.sendResponseBody('before');
        void act(ctx);
      });
    }
    const port = await run(server);
    for (const path of Object.keys(acts)) {
      const client = await WsClient.open(port, path);
      client.write(Buffer.concat([texts('a', 'b'), closeFrame(4000)]));
      assert.equal(await client.receive(), 'before');
      const frames: number[] = [];
      for (let frame = await client.readFrame(); frame !== undefined; frame = await client.readFrame()) {
        frames.push(frame.opcode === 8 ? frame.payload.readUInt16BE() : frame.opcode);
      }
      assert.deepEqual(frames.slice(-1), [4000], path);
    }
    assert.deepEqual(errors.map(String), ['Error: mine']);
  });
});

describe('a Close frame that comes with the upgrade request', () => {
  it('is answered behind what onWebsocketConnected sends', async () => {
    const { server } = makeServer();
    server.onWebsocketConnected((ctx) => void ctx.sendResponseBody('welcome')).route('/', () => {});
    const client = await WsClient.connect(await run(server));
    await client.upgrade('/', {}, closeFrame(4000));
    assert.equal(await client.receive(), 'welcome');
    assert.deepEqual(await client.receiveClose(false), { code: 4000, reason: '' });
  });
});

describe('messages behind the Close frame of this side', () => {
  it('are not handled, whoever sent it', async () => {
    const got: string[] = [];
    for (const idleTimeoutMs of [0, 50]) {
      const { server } = makeServer({ idleTimeoutMs });
      server.route('/', (ctx) => void got.push(ctx.getRequestBodyString()));
      const client = await WsClient.open(await run(server));
      const closed = idleTimeoutMs === 0 ? server.close({ timeout: 5000 }) : undefined;
      assert.equal((await client.readFrame())?.opcode, 8);
      client.send('late').send(Buffer.from('late')).close(1001);
      await client.waitForEnd();
      await closed;
    }
    assert.deepEqual(got, []);
  });
});

describe('a client of a server of node:https', () => {
  it('gets the answers to its last messages although it ends its side', async () => {
    const https = createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE });
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      await settle();
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    const client = await WsClient.connect(await attached(server, https), { tls: true, allowHalfOpen: true });
    await client.upgrade('/');
    client.write(Buffer.concat([texts('a', 'b'), closeFrame(1000)])).end();
    assert.deepEqual(await client.receiveAll(2), ['a', 'b']);
    assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' });
  });
});

describe('the first messages of a WebSocket', () => {
  it('are handled one at a time when they come with the upgrade request', async () => {
    const { server } = makeServer();
    let running = 0;
    let most = 0;
    const order: string[] = [];
    server.route('/', async (ctx) => {
      most = Math.max(most, ++running);
      const text = ctx.getRequestBodyString();
      // The first takes longest.
      await settle(text === '1' ? 10 : 1);
      order.push(text);
      running--;
    });
    const client = await WsClient.connect(await run(server));
    await client.upgrade('/', {}, texts('1', '2', '3'));
    client.write(texts('4'));
    await until('the last', () => order.length === 4);
    assert.deepEqual([most, order], [1, ['1', '2', '3', '4']]);
  });

  for (const road of ['run', 'attach'] as const) {
    it(`come in order, and no more than may wait, when the first read has more than that: ${road}`, async () => {
      for (const delay of [0, 20]) {
        const { server } = makeServer({ maxQueuedMessages: 64, maxQueuedBytes: 1024 * KIB });
        const gate = defer();
        const got: string[] = [];
        let most = 0;
        if (delay > 0) server.upgradeMiddleware(() => settle(delay));
        server.enableInnerWebsocketHandle('/').route('/', async (ctx) => {
          const stream = ctx.getStream()!;
          await gate.promise;
          for (;;) {
            most = Math.max(most, stream.receivedBytes);
            got.push((await Request.websocketRequestFromStream(stream)).getBodyString());
          }
        });
        let port: number;
        if (road === 'run') port = await run(server);
        else port = await attached(server);
        const client = await WsClient.connect(port);
        const expected = Array.from({ length: 4000 }, (_, i) => `${i} `.padEnd(i < 100 ? 10 : 1000, String(i)));
        await client.upgrade('/', {}, texts(...expected.slice(0, 100)));
        for (let i = 100; i < 4000; i += 100) {
          client.write(texts(...expected.slice(i, i + 100)));
          await settle(1);
        }
        gate.resolve();
        await until('all of them', () => got.length === expected.length);
        assert.deepEqual(got, expected);
        // What waits, and what two reads may bring besides.
        assert.ok(most < 400 * KIB, `${most} bytes`);
      }
    });
  }
});

async function attached(
  server: ReturnType<typeof makeServer>['server'],
  http: HttpServer = createServer(),
): Promise<number> {
  server.attach(http);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onCleanUp(() => {
    void server.close({ timeout: 0 });
    http.close();
  });
  return (http.address() as AddressInfo).port;
}
