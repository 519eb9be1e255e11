import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { ConnectionEnd } from '../../lib/net/connection-end.ts';
import type { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

describe('onWebsocketClosed', () => {
  it('is told once how a WebSocket ended, where its attributes, its path and its address are still known', async () => {
    const { server } = makeServer();
    const told: unknown[] = [];
    const ends: ConnectionEnd[] = [];
    server.upgradeMiddleware((ctx) => void ctx.setAttribute('user', 'Ada'));
    server.route('/room/:name', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    server.onWebsocketClosed((ctx, end) => {
      ends.push(end);
      told.push([ctx.getAttribute('user'), ctx.getRouteParam('name'), ctx.getSocketAddr(), ctx.getStream()]);
    });
    const port = await run(server);
    const client = await WsClient.open(port, '/room/7');
    const localPort = (client.socket as unknown as { localPort: number }).localPort;
    client.send('hello').send(Buffer.alloc(200));
    assert.deepEqual(await client.receiveAll(2), ['hello', Buffer.alloc(200)]);
    client.close(4000, 'bye');
    await client.receiveClose();
    await until('the hook', () => ends.length > 0);
    await settle();
    assert.deepEqual(told, [['Ada', '7', { address: '127.0.0.1', port: localPort }, undefined]]);
    const { durationMs, ...end } = ends[0]!;
    assert.ok(durationMs >= 0 && Number.isInteger(durationMs));
    assert.deepEqual(end, {
      code: 4000,
      reason: 'bye',
      wasClean: true,
      cause: 'peer',
      by: 'peer',
      sent: { code: 4000, reason: '' },
      received: { code: 4000, reason: 'bye' },
      error: undefined,
      // Frames: of a client with a key of 4 bytes.
      traffic: {
        messagesReceived: 2,
        messagesSent: 2,
        bytesReceived: 6 + 5 + 8 + 200 + 6 + 5,
        bytesSent: 2 + 5 + 4 + 200 + 2 + 2,
      },
    });
  });

  it('is told the same as `closed`', async () => {
    const { server } = makeServer();
    const told: unknown[] = [];
    server.onWebsocketConnected((ctx) => void ctx.getStream()!.closed.then((end) => told.push(end)));
    server.onWebsocketClosed((_ctx, end) => void told.push(end)).route('/', () => {});
    const client = await WsClient.open(await run(server));
    client.close();
    await until('both', () => told.length === 2);
    assert.equal(told[0], told[1]);
  });

  it('runs behind all other handlers, also of messages that wait', async () => {
    const { server } = makeServer();
    const seen: string[] = [];
    const gates = [defer(), defer(), defer()];
    let next = 0;
    const wait = async (what: string) => {
      seen.push(`${what} begins`);
      await gates[next++]!.promise;
      seen.push(`${what} ends`);
    };
    server.onWebsocketConnected(() => wait('connected'));
    server.route('/', (ctx) => wait(ctx.getRequestBodyString()));
    server.onWebsocketClosed(() => void seen.push('closed'));
    const client = await WsClient.connect(await run(server));
    await client.upgrade(
      '/',
      {},
      Buffer.concat([clientFrame(0x81, 'one'), clientFrame(0x81, 'two'), closeFrame(1000)]),
    );
    client.socket.destroy();
    await until('the end', () => server.stats().open === 0);
    for (const gate of gates) {
      assert.ok(!seen.includes('closed'));
      gate.resolve();
      await settle();
    }
    assert.deepEqual(seen, [
      'connected begins',
      'connected ends',
      'one begins',
      'one ends',
      'two begins',
      'two ends',
      'closed',
    ]);
  });

  it('runs behind a handler that owns its stream', async () => {
    const { server, errors } = makeServer();
    const seen: string[] = [];
    server.route('/', async (ctx) => {
      await assert.rejects(Request.websocketRequestFromStream(ctx.getStream()!).then());
      seen.push('owner');
    });
    server.enableInnerWebsocketHandle('/').onWebsocketClosed(() => void seen.push('closed'));
    const client = await WsClient.open(await run(server));
    client.socket.destroy();
    await until('both', () => seen.length === 2);
    assert.deepEqual([seen, errors], [['owner', 'closed'], []]);
  });

  it('runs for a client that is gone before the first handler, behind that', async () => {
    const { server } = makeServer();
    const seen: string[] = [];
    const gate = defer();
    server.upgradeMiddleware(() => gate.promise);
    server.onWebsocketConnected(() => void seen.push('connected'));
    server.onWebsocketClosed((_ctx, { cause }) => void seen.push(cause));
    server.route('/', () => {});
    const client = await WsClient.connect(await run(server));
    client.write(upgradeRequest());
    await settle(10);
    client.end();
    gate.resolve();
    await until('both', () => seen.length === 2);
    assert.deepEqual(seen, ['connected', 'hangup']);
  });

  it('runs several in order, and tells errorHandle of what they throw', async () => {
    const { server, errors } = makeServer();
    const seen: string[] = [];
    const gate = defer();
    server.onWebsocketClosed(() => {
      seen.push('first');
      throw new Error('thrown');
    });
    server.onWebsocketClosed(async () => {
      seen.push('second');
      await gate.promise;
      throw new Error('rejected');
    });
    server.onWebsocketClosed(() => void seen.push('third'));
    server.route('/', () => {});
    const client = await WsClient.open(await run(server));
    client.close();
    await until('the second', () => seen.length === 2);
    await settle();
    assert.deepEqual(seen, ['first', 'second']);
    gate.resolve();
    await until('the third', () => seen.length === 3);
    assert.deepEqual(errors.map(String), ['Error: thrown', 'Error: rejected']);
  });

  it('can send nothing, and hurts nobody by trying', async () => {
    const { server, errors } = makeServer();
    const done = defer<Context>();
    server.onWebsocketClosed(async (ctx) => {
      await assert.rejects(ctx.sendResponseBody('late'), { code: 'WS_ERR_CONNECTION_CLOSED' });
      await ctx.close();
      await ctx.flush();
      ctx.closed();
      done.resolve(ctx);
    });
    server.route('/', () => {});
    const client = await WsClient.open(await run(server));
    client.close();
    await soon('the hook', done.promise);
    assert.deepEqual(errors, []);
  });

  it('is refused where it is no function', () => {
    const { server } = makeServer();
    assert.throws(() => server.onWebsocketClosed(undefined as never), TypeError);
  });
});

describe('close, where there are handlers of onWebsocketClosed', () => {
  it('waits for their promises', async () => {
    const { server } = makeServer();
    const gate = defer();
    let isDone = false;
    server.onWebsocketClosed(async () => {
      await gate.promise;
      isDone = true;
    });
    server.route('/', () => {});
    const client = await WsClient.open(await run(server));
    const closing = server.close({ timeout: 60_000 });
    await client.receiveClose();
    let hasClosed = false;
    void closing.then(() => {
      hasClosed = true;
    });
    await until('the end', () => server.stats().open === 0);
    await settle();
    assert.equal(hasClosed, false);
    gate.resolve();
    assert.deepEqual(await soon('close', closing), { closed: 1, cut: 0 });
    assert.equal(isDone, true);
  });

  it('waits for those of a WebSocket that was over before', async () => {
    const { server } = makeServer();
    const gate = defer();
    server.onWebsocketClosed(() => gate.promise).route('/', () => {});
    const client = await WsClient.open(await run(server));
    client.close();
    await until('the end', () => server.stats().open === 0);
    let hasClosed = false;
    const closing = server.close({ timeout: 60_000 }).then((result) => {
      hasClosed = true;
      return result;
    });
    await settle();
    assert.equal(hasClosed, false);
    gate.resolve();
    assert.deepEqual(await soon('close', closing), { closed: 0, cut: 0 });
  });

  it('waits no longer than it may; those that return no promise are done by then', async () => {
    const { server } = makeServer();
    const seen: string[] = [];
    server.onWebsocketClosed((_ctx, { cause, error, sent }) => {
      seen.push(cause, error!.code, String(sent?.code));
      return new Promise(() => {});
    });
    server.route('/', () => {});
    const client = await WsClient.open(await run(server));
    assert.deepEqual(await soon('close', server.close({ timeout: 20 })), { closed: 0, cut: 1 });
    assert.deepEqual(seen, ['shutdown', 'WS_ERR_SHUTDOWN', '1001']);
    client.socket.destroy();
  });
});

describe('stats', () => {
  it('counts WebSockets that are open, that were opened, and that are over, by cause', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => {
      if (ctx.getRequestBody() === 'throw') throw new Error('thrown');
      return ctx.close();
    });
    const none = server.stats();
    assert.deepEqual([none.open, none.opened, Object.values(none.closed).every((count) => count === 0)], [0, 0, true]);
    const port = await run(server);
    for (const text of ['throw', 'close', 'throw']) {
      const client = await WsClient.open(port);
      await client.send(text).receiveClose();
    }
    const open = await WsClient.open(port);
    await until('three are over', () => server.stats().open === 1);
    const { closed, open: count, opened } = server.stats();
    assert.deepEqual([count, opened], [1, 4]);
    assert.deepEqual(
      Object.entries(closed).filter(([, count]) => count > 0),
      [
        ['application', 1],
        ['handler', 2],
      ],
    );
    open.close();
  });
});
