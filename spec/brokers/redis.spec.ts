import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisBrokerOptions, redisBroker } from '../../lib/brokers/redis.ts';
import type { BrokerPage, BrokerSettings } from '../../lib/topics/broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { LIBRARIES } from '../support/redis-clients.ts';
import { RedisServer, skipWithoutRedis } from '../support/redis-server.ts';
import { Follower, GAP } from '../support/topic-follower.ts';
import { until } from '../support/watchdog.ts';

function textsOf({ messages }: BrokerPage): string[] {
  return messages.map(({ data }) => Buffer.from(data).toString());
}

/** What is this broker's own; what all brokers do is in the contract. */
for (const { name, client } of LIBRARIES) {
  describe(`Redis by ${name}`, skipWithoutRedis(), () => {
    let server: RedisServer;

    before(async () => {
      server = await RedisServer.start();
    });
    afterEach(async () => {
      await cleanUp();
      server.command('flushall');
    });
    after(() => server.stop());

    async function open(options: Partial<RedisBrokerOptions> = {}, settings?: BrokerSettings): Promise<Follower> {
      const broker = redisBroker({ client: client(server.port), ...options });
      onCleanUp(() => broker.close());
      return Follower.open(broker, 'room', settings);
    }

    function ttl(key: string): number {
      return Number(server.command('pttl', key));
    }

    it('keeps a hash, a stream and the ids of a topic, each for its time', async () => {
      const day = 86_400_000;
      const { broker } = await open({}, { historyMessages: 5, historyMs: 60_000 });
      for (let i = 0; i < 20; i++) await broker.publish('room', Buffer.from('x'), i === 0 ? 'an id' : undefined);
      const [top, messages, id] = ['top', 'messages', 'id:an id'].map((part) => `hyperlane{t:room}:${part}`);
      assert.deepEqual(server.command('keys', '*').split('\n').sort(), [id, messages, top]);
      assert.ok(ttl(top!) > 6.9 * day && ttl(top!) <= 7 * day);
      assert.ok(ttl(messages!) > 50_000 && ttl(messages!) <= 60_000);
      assert.ok(ttl(id!) > 290_000 && ttl(id!) <= 300_000);
      assert.equal(server.command('xlen', messages!), '5', 'exactly as many as are to be kept');
    });

    it('keeps nothing but the top without history and ids', async () => {
      const { broker } = await open({ prefix: 'app', forgetAfterMs: 1000 }, { historyMessages: 0, historyMs: 0 });
      await broker.publish('room', Buffer.from('x'), undefined);
      assert.equal(server.command('keys', '*'), 'app{t:room}:top');
      assert.ok(ttl('app{t:room}:top') <= 1000);
    });

    it('remembers a topic for no less time than its messages, which may be for ever', async () => {
      for (const historyMs of [50_000.5, Number.POSITIVE_INFINITY]) {
        const { broker } = await open({ forgetAfterMs: 1000 }, { historyMessages: 1, historyMs });
        await broker.publish('room', Buffer.from('x'), undefined);
        assert.ok(ttl('hyperlane{t:room}:top') > 40_000);
        assert.ok(ttl('hyperlane{t:room}:messages') > 40_000);
        assert.deepEqual(textsOf(await broker.read('room', 0, 1)), ['x']);
      }
    });

    it('leaves out messages that are too old, though others have come since', async () => {
      const { broker } = await open({}, { historyMessages: 100, historyMs: 500 });
      for (let i = 0; i < 10; i++) await broker.publish('room', Buffer.from(`old ${i}`), undefined);
      await sleep(501);
      for (let i = 0; i < 5; i++) await broker.publish('room', Buffer.from(`new ${i}`), undefined);
      const page = await broker.read('room', 0, 3);
      // On a machine that stands still for that long, the new ones are old as well.
      assert.ok(!textsOf(page).some((text) => text.startsWith('old')));
      assert.equal(page.offset, 15);
    });

    it('begins another epoch when a topic was forgotten, and does not take up what was kept', async () => {
      const a = await open();
      await a.publish('before');
      await until('it is told', () => a.log.length === 1);
      server.command('del', 'hyperlane{t:room}:top');
      assert.equal((await a.publish('after')).offset, 1);
      await until('it is told', () => a.log.length === 3);
      assert.deepEqual(a.log, ['before', GAP, 'after']);
      assert.deepEqual(textsOf(await a.broker.read('room', 0, 10)), ['after']);
    });

    it('keeps prefixes and databases apart', async () => {
      const others = [{ prefix: 'other' }, { client: client(server.port, { database: 1 }) }];
      const a = await open();
      for (const options of others) {
        const b = await open(options);
        await b.publish('theirs');
        await b.broker.signal(undefined, Buffer.from('theirs'));
        await b.broker.signal('room', Buffer.from('theirs'));
        await until('they come there', () => b.log.length === 1 && b.signals.length === 2);
      }
      await a.publish('ours');
      await until('it is told', () => a.log.length === 1);
      assert.deepEqual([a.log, a.signals], [['ours'], []]);
    });

    it('ignores what others publish on its channels', async () => {
      const a = await open();
      server.command('publish', 'hyperlane@0{t:room}', 'hello');
      server.command('publish', 'hyperlane@0', 'hello');
      server.command('eval', "redis.call('publish', 'hyperlane@0', '\\1\\1e.1\\nx')", '0');
      await a.publish('ours');
      await until('it is told', () => a.log.length === 1);
      assert.deepEqual([a.log, a.signals, a.downs], [['ours'], [], []]);
    });

    it('rejects what Redis does not do, and says why, without giving up the connection', async () => {
      const a = await open();
      server.command('set', 'hyperlane{t:taken}:top', 'by somebody');
      const expected = { name: 'BrokerError', message: /^Redis did not do it: .*WRONGTYPE/ };
      await assert.rejects(a.broker.publish('taken', Buffer.from('x'), undefined), expected);
      await assert.rejects(a.broker.subscribe('taken'), expected);
      await assert.rejects(a.broker.read('taken', 0, 1), expected);
      await a.publish('ours');
      await until('it is told', () => a.log.length === 1);
      assert.equal(a.downs.length, 0);
      server.command('set', 'hyperlane{t:odd}:id:x', 'by somebody');
      await assert.rejects(a.broker.publish('odd', Buffer.from('x'), 'x'), /it answered by somebody/);
    });

    it('says what is missing when it may not do what it needs', async () => {
      server.command('acl', 'setuser', 'default', '-info');
      try {
        await assert.rejects(open(), /^BrokerError: cannot connect to Redis: NOPERM .*info/);
      } finally {
        server.command('acl', 'setuser', 'default', '+@all');
      }
    });

    it('needs no more than the commands that the reference names', async () => {
      const page = readFileSync(new URL('../../docs/reference/brokers.md', import.meta.url), 'utf8');
      const commands = /needs `(\+eval [^`]*)`/.exec(page)![1]!.split(' ');
      server.command('acl', 'log', 'reset');
      server.command('acl', 'setuser', 'topics', 'on', '>secret', '~app*', '&app*', ...commands);
      onCleanUp(() => server.command('acl', 'deluser', 'topics'));
      const user = { username: 'topics', password: 'secret' };
      const a = await open({ prefix: 'app', client: client(server.port, user), timeoutMs: 2000 });
      await a.publish('ours');
      await until('it is told', () => a.log.length === 1);
      await a.broker.signal(undefined, Buffer.from('to all'));
      await until('it is told', () => a.signals.length === 1);
      assert.deepEqual(textsOf(await a.broker.read('room', 0, 10)), ['ours']);
      // Until it has been asked whether it is there.
      await sleep(600);
      await a.broker.unsubscribe('room');
      const refused = server.command('acl', 'log').match(/(?<=object\n)\S+/g) ?? [];
      // The libraries say their names, and do not mind if that is refused.
      assert.deepEqual(
        refused.filter((command) => !command.startsWith('client')),
        [],
      );
    });

    it('has no subscription, no connection and no timer left when it is closed', async () => {
      const before = server.command('client', 'list').split('\n').length;
      const a = await open();
      assert.equal(server.command('client', 'list').split('\n').length, before + 2, 'two connections a process');
      await a.broker.close();
      await until('they are gone', () => server.command('client', 'list').split('\n').length === before);
      await assert.rejects(a.broker.publish('room', Buffer.from('x'), undefined), /the broker was closed/);
      assert.equal(a.downs.length, 0, 'that is not a loss');
    });

    it('has one subscription a topic, however often it is subscribed', async () => {
      const { broker } = await open();
      await Promise.all([broker.subscribe('room'), broker.subscribe('room')]);
      assert.equal(server.command('pubsub', 'numsub', 'hyperlane@0{t:room}').split('\n')[1], '1');
      await broker.unsubscribe('room');
      assert.equal(server.command('pubsub', 'channels').trim(), 'hyperlane@0');
    });
  });
}
