import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type EventEmitter, once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import type { GapError } from '../../lib/errors.ts';
import type { Server } from '../../lib/server/server.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { WhenBehind } from '../../lib/topics/topic-reader.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { Hub } from '../topics/faulty-broker.ts';

interface WsSocket extends EventEmitter {
  send(data: string | Buffer): void;
  close(): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

// It has no types of its own.
const { WebSocket } = (await import('ws' as string)) as {
  WebSocket: new (url: string, protocols: string[], options: object) => WsSocket;
};

afterEach(cleanUp);

async function connect(port: number, path: string, protocols: string[] = [], options: object = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { perMessageDeflate: false, ...options });
  onCleanUp(() => socket.terminate());
  socket.on('error', () => {});
  const got: string[] = [];
  socket.on('message', (data: Buffer) => got.push(String(data)));
  const closed = once(socket, 'close') as Promise<[code: number]>;
  await soon('the opening', once(socket, 'open'));
  return { socket, got, closed };
}

const SUBPROTOCOL = 'positions.hyperlane';

/** What somebody may come back with; `own` is the epoch of the topic. */
function afters(own: string): string[] {
  const offsets = [
    '0',
    '1',
    '3',
    '4',
    '007',
    '-1',
    'Infinity',
    'NaN',
    '1e3',
    '0x1',
    '9007199254740991',
    '9007199254740992',
  ];
  return [
    ...offsets.map((offset) => `${own}.${offset}`),
    ...offsets.map((offset) => `other.${offset}`),
    ...['', '.', '..', '.1', `${own}.`, own, `${own}.1.1`, `${own}.1 `, ` ${own}.1`, `${own}.${'9'.repeat(400)}`],
    ...[
      '\0',
      '\n',
      '\r\nX: y',
      '=',
      '!',
      '\ud83d\ude00.1',
      'é.1',
      '__proto__',
      '__proto__.1',
      'constructor.1',
      '*',
      '>',
      '$',
      '{}',
      '%',
    ],
    'x'.repeat(10_240),
    `${'x'.repeat(10_240)}.1`,
    `${'x'.repeat(128)}.1`,
    `${own}.${'0'.repeat(10_240)}`,
  ];
}

describe('a client that comes back with anything', () => {
  for (const [what, makeTopics] of [
    ['in one process', () => ({ historyMessages: 3 })],
    ['over a broker', () => ({ historyMessages: 3, broker: new Hub().broker() })],
  ] as const) {
    for (const protocols of [[], [SUBPROTOCOL]]) {
      it(`is told of a gap, or gets what is behind it, ${what}, ${protocols[0] ?? 'plain'}`, async () => {
        const { server, errors } = makeServer({
          subprotocols: [SUBPROTOCOL],
          topics: makeTopics(),
          maxHeaderBytes: 64 * 1024,
        });
        const gaps: GapError[] = [];
        server.route('/', () => {}, {
          connected: (ctx) =>
            ctx.subscribe('a', { after: ctx.getRequestQuery('after'), onGap: (gap) => void gaps.push(gap) }),
        });
        const port = await run(server);
        let last = '';
        for (const body of ['1', '2', '3', '4']) last = await server.publish('a', body);
        const all = afters(last.slice(0, last.lastIndexOf('.')));
        const clients = await Promise.all(
          all.map((after) => connect(port, `/?after=${encodeURIComponent(after)}`, protocols)),
        );
        await until('all are in', () => server.topics.size('a') === all.length);
        await server.publish('a', 'last');
        await until('all got it', () => clients.every(({ got }) => got.at(-1)?.endsWith('last') === true));
        for (const [i, { got }] of clients.entries()) {
          const bodies = got.filter((one) => !/^[=!]/.test(one)).map((one) => one.slice(one.indexOf('\n') + 1));
          const kept = ['1', '2', '3', '4', 'last'];
          assert.deepEqual(bodies, kept.slice(kept.length - bodies.length), `what is behind ${JSON.stringify(all[i])}`);
          const hasGap = got.some((one) => one.startsWith('!'));
          if (protocols.length > 0 && bodies.length < 2 && all[i] !== last)
            assert.ok(hasGap, `no gap behind ${all[i]}`);
        }
        assert.deepEqual(errors, []);
        assert.ok(gaps.length > all.length / 2);
      });
    }
  }
});

describe('a client that subscribes and unsubscribes without an end', () => {
  for (const [what, makeTopics] of [
    ['in one process', () => ({})],
    ['over a broker', () => ({ broker: new Hub().broker() })],
  ] as const) {
    it(`is in the topic or not, as it has said last, ${what}`, async () => {
      const { server, errors } = makeServer({ topics: makeTopics() });
      server.route('/', (ctx) => {
        const text = String(ctx.getRequestBody());
        if (text === '-') ctx.unsubscribe('a');
        // Whoever leaves before it has begun is told so.
        else void ctx.subscribe('a').catch(() => {});
      });
      const port = await run(server);
      const { socket, got } = await connect(port, '/');
      for (let i = 0; i < 5000; i++) socket.send(i % 3 === 0 ? '-' : '+');
      socket.send('+');
      await until('it is in', () => {
        void server.publish('a', 'x');
        return got.length > 0;
      });
      await until('nothing else is', () => server.topics.size('a') === 1);
      socket.send('-');
      await until('it is out', () => server.topics.size('a') === 0);
      assert.equal(server.topics.stats().topics, 0);
      assert.deepEqual(errors, []);
    });
  }
});

/** Publishes until the client that does not read is behind. */
async function publishUntil(server: Server, isDone: () => boolean): Promise<string[]> {
  const bodies: string[] = [];
  await until('it is done', () => {
    for (let i = 0; i < 4; i++) {
      bodies.push(`${bodies.length} `.padEnd(60_000, 'x'));
      void server.publish('a', bodies.at(-1)!);
    }
    return isDone();
  });
  return bodies;
}

describe('a client that reads nothing', () => {
  for (const perMessageDeflate of [false, true]) {
    for (const whenBehind of ['catchUp', 'skip', 'latest', 'end'] as WhenBehind[]) {
      it(`is no concern of others, with whenBehind ${whenBehind}${perMessageDeflate ? ', compressed' : ''}`, async () => {
        const { server, errors } = makeServer({
          perMessageDeflate,
          topics: { historyMessages: 8, capacity: 4 },
          closeTimeoutMs: 50,
        });
        let slow: { readonly isBehind: boolean; readonly dropped: number; readonly isOver: boolean } | undefined;
        server.route('/slow', () => {}, {
          connected: async (ctx) => {
            slow = await ctx.subscribe('a', {
              whenBehind,
              onGap: ({ reason }) => void ctx.sendResponseBody(`gap ${reason}`),
            });
          },
        });
        server.route('/', () => {}, { connected: (ctx) => ctx.subscribe('a') });
        const ends: string[] = [];
        server.onWebsocketClosed((_ctx, { cause }) => void ends.push(cause));
        const port = await run(server);
        const client = await connect(port, '/slow', [], { perMessageDeflate });
        const quick = [await connect(port, '/'), await connect(port, '/', [], { perMessageDeflate })];
        await until('all are in', () => server.topics.size('a') === 3);
        client.socket.pause();
        // What is compressed well fits into the buffers of the system for long.
        const noise = randomBytes(60_000).toString('base64');
        const random = (): string => noise.slice(bodies.length % 1000, 40_000);
        const bodies: string[] = [];
        await until('it is behind', () => {
          bodies.push(`${bodies.length} ${random()}`);
          void server.publish('a', bodies.at(-1)!);
          return slow!.isBehind || slow!.isOver;
        });
        for (let i = 0; i < 20; i++) {
          bodies.push(`${bodies.length} ${random()}`);
          await server.publish('a', bodies.at(-1)!);
          await settle(1);
        }
        await until('the others have all', () => quick.every(({ got }) => got.length === bodies.length));
        for (const { got } of quick) assert.deepEqual(got, bodies);
        if (whenBehind === 'end') {
          await until('it is ended', () => ends.includes('backpressure'));
          assert.equal(server.topics.size('a'), 2);
        } else {
          client.socket.resume();
          await until('it has the last', () => client.got.at(-1) === bodies.at(-1));
          const numbers = client.got.filter((one) => !one.startsWith('gap')).map((one) => Number(one.split(' ', 1)[0]));
          for (const [i, n] of numbers.entries()) if (i > 0) assert.ok(n > numbers[i - 1]!, 'in order, once');
          const holes = numbers.filter((n, i) => i > 0 && n !== numbers[i - 1]! + 1).length;
          const gaps = client.got.filter((one) => one.startsWith('gap')).length;
          assert.equal(holes, gaps, 'a gap for each hole');
          const dropped = bodies.length - numbers.length;
          if (whenBehind !== 'catchUp')
            assert.deepEqual([slow!.dropped, server.topics.stats().dropped], [dropped, dropped]);
        }
        assert.deepEqual(errors, []);
      });
    }
  }

  it('is left by a server that closes', async () => {
    const { server } = makeServer({ topics: { historyMessages: 8, capacity: 4 } });
    server.route('/', () => {}, { connected: (ctx) => ctx.subscribe('a', { after: '' }) });
    const port = await run(server);
    const clients = [await connect(port, '/'), await connect(port, '/')];
    await until('they are in', () => server.topics.size('a') === 2);
    clients[0]!.socket.pause();
    const { topics } = server;
    let seen = 0;
    await publishUntil(server, () => ++seen > 40);
    await soon('the end', server.close({ timeout: 100 }));
    assert.equal(topics.size('a'), 0);
  });
});

describe('messages to one connection', () => {
  for (const perMessageDeflate of [false, true]) {
    it(`come in the order in which they were sent, by a topic or not${perMessageDeflate ? ', compressed' : ''}`, async () => {
      const { server } = makeServer({ perMessageDeflate, highWaterMarkBytes: 1024 * 1024 });
      const expected: string[] = [];
      server.route('/', async (ctx) => {
        await ctx.subscribe('a');
        for (let i = 0; i < 30; i++) {
          const body = `${i} ${'ab'.repeat(i % 3 === 0 ? 20_000 : 10)}`;
          expected.push(body);
          if (i % 2 === 0) void ctx.sendResponseBody(body);
          else void server.publish('a', body);
        }
      });
      const { socket, got } = await connect(await run(server), '/', [], { perMessageDeflate });
      socket.send('go');
      await until('all came', () => got.length === 30);
      assert.deepEqual(got, expected);
    });
  }
});

describe('topics that two servers share', () => {
  it('outlive either, and lose the connections of the one that closes', async () => {
    const topics = new Topics({ historyMessages: 3 });
    onCleanUp(() => topics.close());
    const servers = [makeServer({ topics }).server, makeServer({ topics }).server];
    const ports: number[] = [];
    for (const server of servers) {
      server.route('/', (ctx) => ctx.publish('a', ctx.getRequestBody()), { connected: (ctx) => ctx.subscribe('a') });
      ports.push(await run(server));
    }
    const [one, two] = [await connect(ports[0]!, '/'), await connect(ports[1]!, '/')];
    await until('both are in', () => topics.size('a') === 2);
    one.socket.send('hello');
    await until('it came', () => two.got.length === 1);
    await servers[0]!.close();
    assert.equal(topics.size('a'), 1);
    await topics.publish('a', 'still there');
    await until('it came', () => two.got.length === 2);
    await topics.close();
    two.socket.send('into nothing');
    const [code] = await soon('a handler that throws', two.closed);
    assert.equal(code, 1011);
  });
});

describe('a server that is closed by a handler', () => {
  it('ends, with the subscriptions', async () => {
    const { server } = makeServer();
    let closed: Promise<unknown> | undefined;
    server.route('/', async (ctx) => {
      await ctx.subscribe('a');
      closed = server.close();
      await ctx.publish('a', 'x');
      ctx.unsubscribe('a');
      await ctx.subscribe('b');
    });
    const { topics } = server;
    const client = await connect(await run(server), '/');
    client.socket.send('go');
    await soon('its end', client.closed);
    await soon('the end of the server', closed!);
    assert.deepEqual([topics.size('a'), topics.size('b')], [0, 0]);
  });
});
