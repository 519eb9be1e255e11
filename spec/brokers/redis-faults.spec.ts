import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisBroker } from '../../lib/brokers/redis.ts';
import { BrokerError } from '../../lib/errors.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { LIBRARIES, type RedisLibrary } from '../support/redis-clients.ts';
import { RedisServer, skipWithoutRedis } from '../support/redis-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { Follower, GAP } from '../support/topic-follower.ts';
import { until } from '../support/watchdog.ts';

// Each message is with the system before it is told of, so that it survives a kill.
const WITH_DATA = ['--appendonly', 'yes', '--appendfsync', 'no'];

/** A server, and what stands between it and one process. */
async function start(...args: string[]): Promise<{ server: RedisServer; proxy: TcpProxy }> {
  const server = await RedisServer.start(...args);
  onCleanUp(() => server.stop());
  const proxy = await TcpProxy.open(server.port);
  onCleanUp(() => proxy.close());
  return { server, proxy };
}

async function follow(library: RedisLibrary, port: number, timeoutMs?: number): Promise<Follower> {
  const broker = redisBroker({ client: library.client(port), ...(timeoutMs !== undefined && { timeoutMs }) });
  onCleanUp(() => broker.close());
  return Follower.open(broker, 'room');
}

/** Publishes numbers, one after the other, until `stop`, which returns them. Each is repeated until it is published. */
function publishNumbers(follower: Follower): { stop(): Promise<string[]>; count(): number } {
  const published: string[] = [];
  let isOver = false;
  const running = (async () => {
    while (!isOver) {
      await follower.publish(`${published.length}`);
      published.push(`${published.length}`);
      await sleep(1);
    }
  })();
  return {
    count: () => published.length,
    async stop() {
      isOver = true;
      await running;
      return published;
    },
  };
}

async function untilLogged(follower: Follower, text: string): Promise<void> {
  await until(`${text} is told`, () => follower.log.at(-1) === text);
}

for (const library of LIBRARIES) {
  describe(`Redis by ${library.name}, when something breaks`, skipWithoutRedis(), () => {
    afterEach(cleanUp);

    it('misses nothing when Redis drops all that subscribe, again and again, under load', async () => {
      const { server } = await start();
      const [a, b] = [await follow(library, server.port), await follow(library, server.port)];
      const numbers = publishNumbers(a);
      for (let round = 1; round <= 5; round++) {
        const count = numbers.count();
        await server.commandLater('client', 'kill', 'type', 'pubsub');
        await until('both are up again', () => a.ups === round && b.ups === round);
        await until('more is published', () => numbers.count() > count + 20);
      }
      const published = await numbers.stop();
      for (const follower of [a, b]) {
        await untilLogged(follower, published.at(-1)!);
        assert.deepEqual(follower.log, published);
        assert.equal(follower.downs.length, 5, 'one down for each up');
        assert.ok(follower.downs[0] instanceof BrokerError);
      }
    });

    it('says that there may be a gap when Redis was killed and is back with what it had on its disk', async () => {
      const { server } = await start(...WITH_DATA);
      const a = await follow(library, server.port);
      await a.publish('before');
      await untilLogged(a, 'before');
      const { epoch } = a;
      await server.kill();
      await until('the loss is noticed', () => a.downs.length === 1);
      await server.begin();
      await a.untilUp(1);
      const place = await a.publish('after');
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', GAP, 'after'], 'the disk may lack the last messages: nobody can tell');
      assert.notEqual(a.epoch, epoch);
      assert.equal(place.offset, 2, 'the offset goes on');
      const kept = await a.broker.read('room', 0, 10);
      assert.deepEqual(
        kept.messages.map(({ data }) => String(Buffer.from(data))),
        ['before', 'after'],
        'and what is kept can be read',
      );
    });

    it('says that there is a gap when Redis was killed and is back without anything', async () => {
      const { server } = await start();
      const a = await follow(library, server.port);
      await a.publish('before');
      await untilLogged(a, 'before');
      await server.kill();
      await server.begin();
      await a.untilUp(1);
      assert.equal((await a.publish('after')).offset, 1);
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', GAP, 'after']);
    });

    it('says that there is a gap when all data is removed while the connection lasts', async () => {
      const { server } = await start();
      const a = await follow(library, server.port);
      await a.publish('before');
      server.command('flushall');
      await a.publish('after');
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', GAP, 'after']);
      assert.equal(a.downs.length, 0);
    });

    it('goes on when Redis has forgotten its scripts', async () => {
      const { server } = await start();
      const a = await follow(library, server.port);
      await a.publish('before');
      server.command('script', 'flush');
      await a.publish('after');
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', 'after']);
      assert.equal(a.downs.length, 0);
    });

    it('finds a connection that is dead and does not say so, and rejects what waits for it', async () => {
      const { server, proxy } = await start();
      const a = await follow(library, proxy.port, 1500);
      const b = await follow(library, server.port);
      await a.publish('before');
      proxy.forget();
      const lost = a.broker.publish('elsewhere', Buffer.from('lost'), undefined);
      await assert.rejects(lost, { name: 'BrokerError', code: 'WS_ERR_BROKER_UNAVAILABLE' });
      await b.publish('meanwhile');
      await a.untilUp(1);
      await a.publish('after');
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', 'meanwhile', 'after']);
      assert.match(a.downs[0]!.message, /no answer came .* within 1500 ms/);
    });

    it('misses nothing when Redis cuts it off because it does not read', async () => {
      const { server, proxy } = await start();
      server.command('config', 'set', 'client-output-buffer-limit', 'pubsub 64kb 0 0');
      const [a, b] = [await follow(library, proxy.port), await follow(library, server.port)];
      proxy.stall();
      const large = 'x'.repeat(100_000);
      const subscribers = (): string => server.command('client', 'list', 'type', 'pubsub');
      let count = 0;
      // What the network holds comes first, and then the buffer of Redis is filled.
      while (subscribers().split('\n').length > 1) await b.publish(`${count++} ${large}`);
      proxy.heal();
      await a.untilUp(1);
      await b.publish('after');
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, b.log);
      assert.equal(a.log.length, count + 1);
    });

    it('says that there may be a gap when a replica has taken over', async () => {
      const { server, proxy } = await start();
      const { server: replica } = await start();
      replica.command('replicaof', '127.0.0.1', `${server.port}`);
      const a = await follow(library, proxy.port);
      await a.publish('before');
      await untilLogged(a, 'before');
      await until('the replica has it', () => replica.command('hget', 'hyperlane{t:room}:top', 'offset') === '1');
      replica.command('replicaof', 'no', 'one');
      proxy.target = replica.port;
      await server.kill();
      await a.untilUp(1);
      assert.equal((await a.publish('after')).offset, 2);
      await untilLogged(a, 'after');
      assert.deepEqual(a.log, ['before', GAP, 'after']);
    });

    it('leaves a server that has become a replica, without anything being published', async () => {
      const { server, proxy } = await start();
      const { server: other } = await start();
      const a = await follow(library, proxy.port, 2000);
      server.command('replicaof', '127.0.0.1', `${other.port}`);
      await until('it is down', () => a.downs.length === 1);
      assert.match(a.downs[0]!.message, /is a replica/);
      await assert.rejects(
        redisBroker({ client: library.client(server.port) }).open(NO_EVENTS, { historyMessages: 0, historyMs: 0 }),
        /cannot connect to Redis: the server is a replica.*primary/,
      );
      proxy.target = other.port;
      await a.untilUp(1);
      await a.publish('after');
      await untilLogged(a, 'after');
    });

    it('leaves a server at once that says it is a replica', async () => {
      const { server } = await start();
      const { server: other } = await start();
      const a = await follow(library, server.port);
      server.command('replicaof', '127.0.0.1', `${other.port}`);
      await assert.rejects(a.broker.publish('room', Buffer.from('x'), undefined), /Redis did not do it: READONLY/);
      await until('it is down', () => a.downs.length === 1);
      server.command('replicaof', 'no', 'one');
      await a.untilUp(1);
    });

    it('publishes once what was under way when the connection broke, and is repeated with its id', async () => {
      const { server, proxy } = await start();
      const [a, b] = [await follow(library, proxy.port), await follow(library, server.port)];
      await a.publish('before');
      // Redis gets it, and the answer is lost.
      proxy.stallAnswers();
      const isRejected = assert.rejects(a.broker.publish('room', Buffer.from('once'), 'an id'), BrokerError);
      await untilLogged(b, 'once');
      proxy.cut();
      await isRejected;
      proxy.heal();
      await a.untilUp(1);
      assert.equal((await a.broker.publish('room', Buffer.from('once'), 'an id')).offset, 2);
      await b.publish('after');
      await untilLogged(b, 'after');
      await untilLogged(a, 'after');
      assert.deepEqual(b.log, ['before', 'once', 'after']);
      assert.deepEqual(a.log, ['before', 'once', 'after']);
    });

    it('has open reject where nobody answers, and leaves nothing open', async () => {
      const { proxy } = await start();
      proxy.stall();
      for (const client of [library.client(proxy.port), library.cluster([proxy.port])]) {
        const broker = redisBroker({ client, timeoutMs: 200 });
        await assert.rejects(
          broker.open(NO_EVENTS, { historyMessages: 0, historyMs: 0 }),
          /cannot connect to Redis: Redis did not answer within 200 ms/,
        );
      }
      proxy.heal();
      await until('all are closed', () => proxy.size === 0);
    });

    it('gives up an attempt to connect when it is closed', async () => {
      const { proxy } = await start();
      const a = await follow(library, proxy.port);
      proxy.cut();
      await until('it is down', () => a.downs.length === 1);
      proxy.stall();
      await until('it tries again', () => proxy.size > 0);
      await a.broker.close();
      proxy.heal();
      await until('all are closed', () => proxy.size === 0);
    });

    it('waits a second for the connection, and rejects at once from then on', async () => {
      const { server, proxy } = await start();
      const a = await follow(library, proxy.port);
      proxy.cut();
      await until('it is down', () => a.downs.length === 1);
      await assert.rejects(a.broker.subscribe('other'), { code: 'WS_ERR_BROKER_UNAVAILABLE' });
      const signalled = a.broker.signal(undefined, Buffer.from('x'));
      await assert.rejects(signalled, /the connection to Redis is lost/);
      await a.broker.unsubscribe('other');
      proxy.heal();
      await a.untilUp(1);
      await a.broker.signal(undefined, Buffer.from('hear'));
      await until('the signal comes', () => a.signals.includes('hear'));
      assert.equal(server.command('pubsub', 'numsub', 'hyperlane@0').split('\n')[1], '1');
    });
  });
}

const NO_EVENTS = { message() {}, signal() {}, up() {}, down() {} };
