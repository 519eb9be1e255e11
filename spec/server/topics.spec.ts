import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import { BrokerError, type GapError } from '../../lib/errors.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { soon, until } from '../support/watchdog.ts';
import { Hub } from '../topics/faulty-broker.ts';

interface WsSocket extends EventEmitter {
  send(data: string | Buffer): void;
  close(): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

// It has no types of its own.
const { WebSocket } = (await import('ws' as string)) as { WebSocket: new (url: string, options: object) => WsSocket };

afterEach(cleanUp);

/** A client, and the messages that it got: text as it is, bytes as `[bytes]`. */
async function connect(port: number, path: string, options: object = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false, ...options });
  onCleanUp(() => socket.terminate());
  const got: string[] = [];
  socket.on('message', (data: Buffer, isBinary: boolean) => got.push(isBinary ? `[${data}]` : String(data)));
  const closed = once(socket, 'close') as Promise<[code: number, reason: Buffer]>;
  await soon('the opening', once(socket, 'open'));
  return { socket, got, closed };
}

/** A server of rooms. */
async function serve(options: ServerOptions = {}) {
  const { server, errors } = makeServer(options);
  server.onWebsocketConnected((ctx) =>
    ctx.subscribe(`room/${ctx.getRouteParam('name')}`, {
      after: ctx.getRequestQuery('after'),
      onGap: ({ reason }) => void ctx.sendResponseBody(`gap: ${reason}`),
    }),
  );
  server.route('/:name', (ctx) => ctx.publish(`room/${ctx.getRouteParam('name')}`, ctx.getRequestBody()));
  return { server, errors, port: await run(server) };
}

/** Resolves when so many are in the room. */
function inRoom(topics: Topics, count: number): Promise<void> {
  return until(`${count} in the room`, () => topics.size('room/7') === count);
}

for (const [what, options] of [
  ['in one process', () => ({})],
  ['over a broker', () => ({ topics: { broker: new Hub().broker() } })],
] as const) {
  describe(`topics of a server, ${what}`, () => {
    it('bring a message to all in the room but its sender, and what the server publishes to all', async () => {
      const { server, port, errors } = await serve(options());
      const clients = [await connect(port, '/7'), await connect(port, '/7'), await connect(port, '/8')];
      await inRoom(server.topics, 2);
      clients[0]!.socket.send('text');
      clients[0]!.socket.send(Buffer.from('bytes'));
      await until('it came', () => clients[1]!.got.length === 2);
      const position = await server.publish('room/7', 'to everyone', { id: '1' });
      assert.equal(await server.publish('room/7', 'to everyone', { id: '1' }), position);
      await until('it came to all', () => clients[0]!.got.length === 1 && clients[1]!.got.length === 3);
      assert.deepEqual(
        clients.map(({ got }) => got),
        [['to everyone'], ['text', '[bytes]', 'to everyone'], []],
      );
      assert.deepEqual(errors, []);
    });

    it('are left by a connection that closes, however it closes', async () => {
      const { server, port } = await serve(options());
      for (const leave of [
        (socket: WsSocket) => socket.close(),
        (socket: WsSocket) => socket.terminate(),
        () => {
          for (const connection of server.connections) connection.close(1000);
        },
        () => {
          for (const connection of server.connections) connection.destroy();
        },
      ]) {
        const { socket, closed } = await connect(port, '/7');
        await inRoom(server.topics, 1);
        leave(socket);
        await soon('its end', closed);
        await inRoom(server.topics, 0);
        assert.equal(server.topics.stats().topics, 0);
      }
    });
  });
}

describe('topics of a context', () => {
  it('are subscribed to, listed and left', async () => {
    const { server, errors } = makeServer();
    const said: unknown[] = [];
    server.route('/', async (ctx) => {
      const subscription = await ctx.subscribe('a');
      await ctx.subscribe('b', { whenBehind: 'latest' });
      said.push(subscription.topic, ctx.getTopics(), ctx.unsubscribe('a'), ctx.unsubscribe('a'), ctx.getTopics());
      await ctx.sendResponseBody('done');
    });
    const { socket, got } = await connect(await run(server), '/');
    socket.send('go');
    await until('it is done', () => got.length === 1);
    assert.deepEqual(said, ['a', ['a', 'b'], true, false, ['b']]);
    assert.deepEqual(errors, []);
  });

  it('are none of plain HTTP, which can publish', async () => {
    const { server, errors } = makeServer({ topics: { historyMessages: 1 } });
    const said: unknown[] = [];
    server.upgradeMiddleware(async (ctx) => {
      said.push(ctx.getTopics(), ctx.unsubscribe('a'));
      await ctx.publish('a', 'from an upgrade');
      await ctx.subscribe('a').catch((error) => said.push(error.code));
    });
    server.route('/', async (ctx) => {
      said.push(ctx.getTopics(), ctx.unsubscribe('a'));
      await ctx.subscribe('a').catch((error) => said.push(error.code));
      await ctx.publish('a', 'from HTTP');
    });
    const port = await run(server);
    await fetch(`http://127.0.0.1:${port}/`);
    assert.equal((await server.topics.history('a')).messages[0]!.body, 'from HTTP');
    await connect(port, '/');
    assert.equal((await server.topics.history('a')).messages[0]!.body, 'from an upgrade');
    assert.deepEqual(said, [[], false, 'WS_ERR_SUBSCRIBE_ON_HTTP', [], false, 'WS_ERR_SUBSCRIBE_ON_HTTP']);
    assert.deepEqual(errors, []);
  });

  it('send what was missed behind a position, and a gap at its place', async () => {
    const { server, port } = await serve({ topics: { historyMessages: 3 } });
    const positions: string[] = [];
    for (let i = 1; i <= 5; i++) positions.push(await server.publish('room/7', String(i)));
    const late = await connect(port, `/7?after=${positions[2]}`);
    const later = await connect(port, `/7?after=${positions[0]}`);
    const lost = await connect(port, '/7?after=lost');
    await inRoom(server.topics, 3);
    await server.publish('room/7', '6');
    await until('all have it', () => [late, later, lost].every(({ got }) => got.at(-1) === '6'));
    assert.deepEqual(late.got, ['4', '5', '6']);
    assert.deepEqual(later.got, ['gap: history', '3', '4', '5', '6']);
    assert.deepEqual(lost.got, ['gap: epoch', '6']);
  });

  it('end a connection whose handler of a gap throws, at once or later', async () => {
    for (const onGap of [
      () => {
        throw new Error('mistake');
      },
      async () => {
        throw new Error('mistake');
      },
    ]) {
      const { server, errors } = makeServer();
      server.onWebsocketConnected((ctx) => ctx.subscribe('a', { after: 'lost', onGap }));
      server.route('/', () => {});
      const { closed } = await connect(await run(server), '/');
      assert.equal((await soon('its end', closed))[0], 1011);
      assert.equal((errors[0] as Error).message, 'mistake');
    }
  });

  it('hold back a client that does not read, and close it where that is asked for, with 1013', async () => {
    const { server, errors } = makeServer({ topics: { capacity: 16 } });
    server.onWebsocketConnected((ctx) => ctx.subscribe('room/7', { whenBehind: 'end' }));
    server.route('/', () => {});
    const port = await run(server);
    const [slow, quick] = [await connect(port, '/'), await connect(port, '/')];
    await inRoom(server.topics, 2);
    slow.socket.pause();
    const body = 'x'.repeat(64 * 1024);
    let sent = 0;
    await until('it is held back', () => {
      void server.publish('room/7', body);
      sent++;
      const most = Math.max(...[...server.connections].map(({ bufferedBytes }) => bufferedBytes));
      assert.ok(most < 1024 * 1024, `no more than some messages wait, and ${most} bytes do`);
      return sent > 500;
    });
    slow.socket.resume();
    const [code, reason] = await soon('its end', slow.closed);
    assert.equal(code, 1013);
    assert.match(String(reason), /reads more slowly than a topic/);
    await until('the other has all', () => quick.got.length === sent);
    assert.equal(server.topics.stats().ended, 1);
    assert.deepEqual(errors, []);
  });

  it('reject where nobody is there any more', async () => {
    const { server, errors } = makeServer();
    let outcome: unknown;
    server.onWebsocketClosed(async (ctx) => {
      outcome = await ctx.subscribe('a').catch((error) => error.code);
      await ctx.publish('a', 'gone');
    });
    server.route('/', () => {});
    const { socket, closed } = await connect(await run(server), '/');
    socket.close();
    await soon('its end', closed);
    await until('it was told', () => outcome !== undefined);
    assert.equal(outcome, 'WS_ERR_CONNECTION_CLOSED');
    assert.equal(server.topics.stats().topics, 0);
    assert.deepEqual(errors, []);
  });
});

describe('the option topics', () => {
  it('takes a Topics, which the server does not close', async () => {
    const topics = new Topics();
    const { server } = makeServer({ topics });
    server.route('/', () => {});
    await run(server);
    assert.equal(server.topics, topics);
    await server.close();
    await topics.publish('a', 'still there');
    await topics.close();
  });

  it('has a server without a broker make new ones when it runs again', async () => {
    const { server } = makeServer();
    server.route('/', () => {});
    const before = server.topics;
    await run(server);
    await server.close();
    assert.throws(() => before.publish('a', 'x'), { code: 'WS_ERR_TOPICS_CLOSED' });
    assert.notEqual(server.topics, before);
    await run(server);
    await server.publish('a', 'x');
  });

  it('has run() reject where the broker cannot be used, and closes it with the server', async () => {
    const broker = new Hub().broker();
    broker.before = async () => {
      throw new Error('no such host');
    };
    const { server } = makeServer({ topics: { broker } });
    await assert.rejects(server.port(0).run(), BrokerError);
    assert.equal(server.address(), undefined);

    const other = new Hub().broker();
    const { server: second } = makeServer({ topics: { broker: other } });
    await second.port(0).run();
    await second.close();
    assert.equal(other.calls.at(-1), 'close');
    assert.throws(() => second.publish('a', 'x'), { code: 'WS_ERR_TOPICS_CLOSED' });
  });

  it('refuses what is none', () => {
    assert.throws(() => makeServer({ topics: 5 as never }), /topics is 5: give options of topics, such as/);
    assert.throws(() => makeServer({ topics: { history: 5 } as never }), /"history" is no option of Topics/);
  });

  it('gives code of the server a subscription', async () => {
    const { server } = makeServer({ topics: { capacity: 1 } });
    const subscription = await server.topics.subscribe('a');
    for (const body of ['1', '2']) await server.publish('a', body);
    await assert.rejects(subscription.recv(), (error: GapError) => error.code === 'WS_ERR_GAP' && error.missed === 1);
    await server.close();
  });
});
