import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { redisBroker } from '../../lib/brokers/redis.ts';
import { slotOf } from '../../lib/brokers/redis-slots.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { LIBRARIES } from '../support/redis-clients.ts';
import { type RedisServer, skipWithoutRedis, startRedisCluster } from '../support/redis-server.ts';
import { Follower, GAP } from '../support/topic-follower.ts';
import { until } from '../support/watchdog.ts';

describe('a Redis Cluster', skipWithoutRedis(), () => {
  let servers: RedisServer[];
  let topics = 0;

  before(async () => {
    servers = await startRedisCluster(3);
  });
  afterEach(cleanUp);
  after(() => Promise.all(servers.map((server) => server.stop())));

  it('has slots as they are computed here', () => {
    for (const key of [
      '',
      'a',
      'hyperlane{t:room/7}:top',
      '{}x',
      'x{y}z{w}',
      '}{',
      '{',
      'x{',
      '房间{🙂}',
      'long'.repeat(99),
    ]) {
      assert.equal(slotOf(key), Number(servers[0]!.command('cluster', 'keyslot', key)), key);
    }
  });

  for (const { name, client, cluster } of LIBRARIES) {
    describe(`by ${name}`, () => {
      /** A topic that is new, and of which a server is the primary. */
      const topicOn = (server: number): string => {
        const found = Array.from({ length: 100 }, () => `${name} ${topics++}`).find(
          (topic) => Math.floor(slotOf(`{t:${topic}}`) / Math.ceil(16384 / 3)) === server,
        );
        return found!;
      };

      async function follow(topic: string, timeoutMs = 5000): Promise<Follower> {
        const broker = redisBroker({ client: cluster([servers[0]!.port, servers[1]!.port]), timeoutMs });
        onCleanUp(() => broker.close());
        return Follower.open(broker, topic);
      }

      it('spreads topics over the servers, and tells each process all of its own', async () => {
        for (const server of [0, 1, 2]) {
          const topic = topicOn(server);
          const [a, b] = [await follow(topic), await follow(topic)];
          for (let i = 0; i < 10; i++) await (i % 2 === 0 ? a : b).publish(`${i}`);
          for (const { log } of [a, b]) {
            await until('all are told', () => log.length === 10);
            assert.deepEqual(log.join(''), '0123456789');
          }
          const channel = `hyperlane@0{t:${topic}}`;
          assert.ok(servers[server]!.command('pubsub', 'shardchannels').includes(channel), 'by the server that has it');
          assert.ok(!servers[server]!.command('pubsub', 'channels').includes(channel), 'and by no other');
          await a.broker.signal(undefined, Buffer.from('to all'));
          await a.broker.signal(topic, Buffer.from('to a topic'));
          await until('signals come', () => b.signals.length === 2);
          await a.broker.unsubscribe(topic);
          await b.broker.unsubscribe(topic);
          assert.equal(servers[server]!.command('pubsub', 'shardchannels'), '');
        }
      });

      it('follows a topic to another server', async () => {
        const topic = topicOn(0);
        const a = await follow(topic, 2000);
        await a.publish('before');
        await until('it is told', () => a.log.length === 1);
        const slot = `${slotOf(`{t:${topic}}`)}`;
        const [from, to] = [servers[0]!, servers[1]!];
        const move = (source: RedisServer, target: RedisServer): void => {
          const [sourceId, targetId] = [source.command('cluster', 'myid'), target.command('cluster', 'myid')];
          target.command('cluster', 'setslot', slot, 'importing', sourceId);
          source.command('cluster', 'setslot', slot, 'migrating', targetId);
          const keys = source.command('cluster', 'getkeysinslot', slot, '100').split('\n');
          source.command('migrate', '127.0.0.1', `${target.port}`, '', '0', '1000', 'keys', ...keys);
          for (const server of [target, source, servers[2]!])
            server.command('cluster', 'setslot', slot, 'node', targetId);
        };
        move(from, to);
        onCleanUp(() => move(to, from));
        // Nobody publishes: it is found all the same.
        await a.untilUp(1);
        assert.equal((await a.publish('after')).offset, 2);
        await until('it is told', () => a.log.at(-1) === 'after');
        assert.deepEqual(a.log, ['before', GAP, 'after'], 'another server is another epoch');
      });

      it('is down while a part of the cluster is, and up with it', async () => {
        const topic = topicOn(2);
        const a = await follow(topic);
        await a.publish('before');
        await until('it is told', () => a.log.length === 1);
        await servers[2]!.kill();
        await until('it is down', () => a.downs.length === 1);
        await servers[2]!.begin();
        // It may be down once more, as the others do not take it back at once.
        let count = 0;
        while (!a.log.includes(`after ${count}`)) await a.publish(`after ${++count}`);
        assert.equal(a.log.indexOf(GAP), 1, 'it has lost its data');
      });

      it('refuses a client that is for one server of several', async () => {
        const broker = redisBroker({ client: client(servers[0]!.port) });
        await assert.rejects(
          broker.open({ message() {}, signal() {}, up() {}, down() {} }, { historyMessages: 0, historyMs: 0 }),
          {
            name: 'BrokerError',
            message: /\d+ of the 16384 slots.*createCluster\(\) or new Cluster\(\)/,
          },
        );
      });
    });
  }
});
