import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { afterEach, describe, it } from 'node:test';
import { BrokerError, ChannelClosedError, type GapError, type InvalidStateError } from '../../lib/errors.ts';
import type { Broker } from '../../lib/topics/broker.ts';
import { BrokerBackend } from '../../lib/topics/broker-backend.ts';
import type { TopicConnection } from '../../lib/topics/connection-subscription.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { TopicsOptions } from '../../lib/topics/topics-options.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { Hub, type HubBroker } from './faulty-broker.ts';
import { Log } from './log.ts';
import { TestConnection } from './test-connection.ts';

afterEach(cleanUp);

/** What nobody refers to leaves its topic when it is collected. */
const kept: unknown[] = [];

/** Two processes at one hub. */
function makeTwo(options: TopicsOptions = { historyMessages: 100 }) {
  const hub = new Hub();
  const make = (): [Topics, HubBroker] => {
    const broker = hub.broker();
    const topics = new Topics({ broker, ...options });
    onCleanUp(() => topics.close());
    return [topics, broker];
  };
  const [here, broker] = make();
  const [there, otherBroker] = make();
  return { hub, here, broker, there, otherBroker };
}

/** What a broker can do, to be replaced in part. */
function methodsOf(broker: HubBroker): Broker {
  return {
    name: broker.name,
    open: (...args) => broker.open(...args),
    subscribe: (...args) => broker.subscribe(...args),
    unsubscribe: (...args) => broker.unsubscribe(...args),
    publish: (...args) => broker.publish(...args),
    read: (...args) => broker.read(...args),
    signal: (...args) => broker.signal(...args),
    close: () => broker.close(),
  };
}

/** Publishes numbers from the other process. */
async function publish(topics: Topics, from: number, to: number): Promise<string[]> {
  const positions: string[] = [];
  for (let i = from; i <= to; i++) positions.push(await topics.publish('a', String(i)));
  return positions;
}

describe('Topics over a broker', () => {
  it('brings what one process publishes to both, in the same order', async () => {
    const { here, there, broker } = makeTwo();
    const logs = [
      new Log(await here.subscribe('a')),
      new Log(await here.subscribe('a')),
      new Log(await there.subscribe('a')),
    ];
    const first = await here.publish('a', 'text');
    const second = await there.publish('a', Buffer.of(0x41));
    await settle();
    for (const log of logs) {
      assert.deepEqual(log.texts, ['text', 'A']);
      assert.deepEqual(
        log.got.map((one) => 'position' in one && one.position),
        [first, second],
      );
    }
    assert.equal(broker.calls.filter((call) => call === 'subscribe').length, 1, 'one subscription a topic a process');
    assert.deepEqual(here.stats(), {
      isConnected: true,
      topics: 1,
      subscriptions: 2,
      published: 1,
      failed: 0,
      received: 2,
      gaps: 0,
      dropped: 0,
      ended: 0,
      recovered: 0,
      presence: { processes: 0, topics: 0, watched: 0, ignored: 0 },
    });
  });

  it('passes the id on, and encodes a body at once', async () => {
    const { here } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    const bytes = Buffer.from('1');
    const published = here.publish('a', bytes, { id: 'x' });
    bytes.fill('x');
    assert.equal(await published, await here.publish('a', 'again', { id: 'x' }));
    await settle();
    assert.deepEqual(log.texts, ['1']);
  });

  it('ignores what comes twice', async () => {
    const { here, there, broker } = makeTwo();
    broker.fate = 'twice';
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 3);
    await settle();
    assert.deepEqual(log.texts, ['1', '2', '3']);
  });

  it('reads what was left out when the next message shows it', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 1000 });
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 1);
    broker.fate = 'drop';
    await publish(there, 2, 200);
    broker.fate = 'now';
    await publish(there, 201, 201);
    await settle(20);
    assert.deepEqual(
      log.texts,
      Array.from({ length: 201 }, (_, i) => String(i + 1)),
    );
    assert.equal(here.stats().gaps, 0);
    assert.ok(here.stats().recovered >= 199);
  });

  it('puts in order what comes in another', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 0 });
    const log = new Log(await here.subscribe('a'));
    broker.fate = 'hold';
    await publish(there, 1, 5);
    const held = defer();
    broker.before = () => held.promise;
    broker.release(true);
    await settle();
    assert.deepEqual(log.texts, []);
    held.resolve();
    await settle();
    assert.deepEqual(log.texts, ['1', '2', '3', '4', '5']);
  });

  it('has a gap exactly there where the broker no longer has what was left out', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 2 });
    const log = new Log(await here.subscribe('a'));
    const [first] = await publish(there, 1, 1);
    broker.fate = 'drop';
    const positions = await publish(there, 2, 5);
    broker.fate = 'now';
    await publish(there, 6, 6);
    await settle();
    assert.deepEqual(log.texts, ['1', 'gap: history', '5', '6']);
    const { gap } = log.got[1] as { gap: GapError };
    assert.deepEqual([gap.topic, gap.position, Number.isNaN(gap.missed)], ['a', positions[2], true]);
    assert.equal(here.stats().gaps, 1);
    assert.ok(first);
  });

  it('keeps what came behind a gap where there is no history', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 0 });
    const log = new Log(await here.subscribe('a'));
    broker.fate = 'drop';
    await publish(there, 1, 2);
    broker.fate = 'now';
    await publish(there, 3, 4);
    await settle();
    assert.deepEqual(log.texts, ['gap: history', '3', '4']);
  });

  it('reads again what came while it was reading, and was too much to wait', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 100, capacity: 3 });
    const log = new Log(await here.subscribe('a', { whenBehind: 'catchUp' }));
    const held = defer();
    broker.before = () => held.promise;
    broker.fate = 'drop';
    await publish(there, 1, 1);
    broker.fate = 'now';
    await publish(there, 2, 20);
    await settle();
    assert.deepEqual(log.texts, []);
    held.resolve();
    await until('all has come', () => log.texts.length === 20);
    assert.deepEqual(
      log.texts,
      Array.from({ length: 20 }, (_, i) => String(i + 1)),
    );
  });

  it('fetches what was missed as soon as the broker is back, and not with the next message', async () => {
    const { here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    broker.down();
    assert.equal(here.isConnected, false);
    await publish(there, 1, 3);
    broker.up();
    assert.equal(here.isConnected, true);
    await settle();
    assert.deepEqual(log.texts, ['1', '2', '3']);
  });

  it('says so at once where it has missed something for good while the broker was away', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 0 });
    const log = new Log(await here.subscribe('a'));
    broker.down();
    await publish(there, 1, 3);
    broker.up();
    await settle();
    assert.deepEqual(log.texts, ['gap: history']);
    await publish(there, 4, 4);
    await settle();
    assert.deepEqual(log.texts, ['gap: history', '4']);
  });

  it('goes on behind a gap when the order has begun anew', async () => {
    const { hub, here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 3);
    broker.down();
    hub.forgetAll();
    await publish(there, 4, 5);
    broker.up();
    await settle();
    await publish(there, 6, 6);
    await settle();
    assert.deepEqual(log.texts, ['1', '2', '3', 'gap: epoch', '6']);
    assert.match((log.got[3] as { gap: GapError }).gap.position, /^e2\.2$/);
  });

  it('loses nothing of what comes of a new epoch', async () => {
    const { hub, here, there } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 3);
    hub.forgetAll();
    await publish(there, 4, 5);
    await settle();
    assert.deepEqual(log.texts, ['1', '2', '3', 'gap: epoch', '4', '5']);
  });

  it('is not taken in by what comes of an old epoch', async () => {
    const { hub, here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 2);
    hub.forgetAll();
    await publish(there, 3, 3);
    await settle();
    broker.tell('a', 'e1', { offset: 3, previous: 2, data: Buffer.from([1, 1, 0x78]) });
    await publish(there, 4, 4);
    await settle();
    assert.deepEqual(log.texts, ['1', '2', 'gap: epoch', '3', '4']);
  });

  it('drops what is too much to wait of a new epoch, and reads it', async () => {
    const { hub, here, there, broker } = makeTwo({ historyMessages: 100, capacity: 2 });
    const log = new Log(await here.subscribe('a', { whenBehind: 'catchUp' }));
    const held = defer();
    broker.before = () => held.promise;
    hub.forgetAll();
    await publish(there, 1, 6);
    held.resolve();
    await until('all has come', () => log.texts.length === 7);
    assert.deepEqual(log.texts, ['gap: epoch', '1', '2', '3', '4', '5', '6']);
  });

  it('asks again when the broker fails at that, until it answers', async () => {
    const { here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    broker.fate = 'drop';
    await publish(there, 1, 1);
    broker.fate = 'now';
    let failures = 3;
    broker.before = async (method) => {
      if (method !== 'publish' && failures-- > 0) throw new Error('not now');
    };
    await publish(there, 2, 2);
    await until('all has come', () => log.texts.length === 2);
    assert.deepEqual(log.texts, ['1', '2']);
    assert.ok(failures <= 0);
  });

  it('asks at once, and not in a while, when the broker is back', async () => {
    const { here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    broker.fate = 'drop';
    await publish(there, 1, 1);
    broker.fate = 'now';
    broker.before = async (method) => {
      if (method === 'read') broker.down();
    };
    await publish(there, 2, 2);
    await settle();
    broker.before = undefined;
    broker.up();
    await settle();
    assert.deepEqual(log.texts, ['1', '2']);
  });

  it('finds out by a read that the order has begun anew', async () => {
    const { hub, here, there, broker } = makeTwo();
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 1);
    broker.fate = 'drop';
    await publish(there, 2, 2);
    broker.fate = 'now';
    let isFirst = true;
    broker.before = async (method) => {
      if (method !== 'read' || !isFirst) return;
      isFirst = false;
      hub.forgetAll();
    };
    await publish(there, 3, 3);
    await until('it knows', () => log.texts.length === 2);
    await publish(there, 4, 4);
    await settle();
    assert.deepEqual(log.texts, ['1', 'gap: epoch', '4']);
  });

  it('tells what it cannot read as a gap, with a warning', async () => {
    const { here, there, hub } = makeTwo();
    const warnings: (Error & { code?: string })[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listen);
    onCleanUp(() => process.off('warning', listen));
    const log = new Log(await here.subscribe('a'));
    await publish(there, 1, 1);
    for (let i = 0; i < 2; i++) hub.publish('a', Buffer.from([9, 9, 9]), undefined);
    await publish(there, 2, 2);
    await settle();
    assert.deepEqual(log.texts, ['1', 'gap: skipped', 'gap: skipped', '2']);
    assert.equal((log.got[1] as { gap: GapError }).gap.missed, 1);
    assert.match((log.got[1] as { gap: GapError }).gap.message, /^1 message of topic "a" were skipped|^1 message/);
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['WS_WARN_TOPIC_ENVELOPE'],
    );
    const page = await here.history('a', log.start);
    assert.deepEqual([page.messages.length, page.gap?.reason], [2, 'skipped']);
    const late = new Log(await here.subscribe('a', { after: log.start }));
    await settle();
    assert.deepEqual(late.texts, log.texts);
  });

  it('subscribes anew to a topic that it has left, behind that', async () => {
    const { here, there, broker } = makeTwo();
    const first = await here.subscribe('a');
    const held = defer();
    broker.before = (method) => (method === 'unsubscribe' ? held.promise : Promise.resolve());
    first.unsubscribe();
    await settle();
    const second = here.subscribe('a');
    const third = here.subscribe('a');
    await settle();
    assert.deepEqual(broker.calls.slice(-2), ['subscribe', 'unsubscribe']);
    held.resolve();
    const log = new Log(await second);
    (await third).unsubscribe();
    await publish(there, 1, 1);
    await settle();
    assert.deepEqual(log.texts, ['1']);
    // What comes for a topic that nobody is in is nobody's.
    broker.tell('b', 'e1', { offset: 1, previous: 0, data: Buffer.of(1, 0) });
  });

  it('is not subscribed to what was left before the broker was there, and asks no more where it was left', async () => {
    const { here, there, broker } = makeTwo();
    const held = defer();
    const late = new Topics({ broker: { ...methodsOf(broker), open: () => held.promise } });
    const connection = { canSend: true } as TopicConnection;
    const joined = late.join(connection, 'late');
    assert.equal(late.part(connection, 'late'), true);
    held.resolve();
    await assert.rejects(joined, ChannelClosedError);
    assert.equal(broker.calls.includes('subscribe'), false);

    const subscription = await here.subscribe('a');
    broker.fate = 'drop';
    await publish(there, 1, 1);
    broker.fate = 'now';
    broker.before = async () => {
      throw new Error('not now');
    };
    await publish(there, 2, 2);
    await settle();
    const { length } = broker.calls;
    subscription.unsubscribe();
    await settle();
    assert.deepEqual(broker.calls.slice(length), ['unsubscribe']);
    await late.close();
  });

  it('takes no topic that was left before the broker had it', async () => {
    const { here, broker } = makeTwo();
    const held = defer();
    broker.before = (method) => (method === 'subscribe' ? held.promise : Promise.resolve());
    const subscribing = here.subscribe('a');
    await settle();
    held.resolve();
    (await subscribing).unsubscribe();
    await until('it was left', () => broker.subscribed.size === 0);
    assert.deepEqual(broker.calls, ['open', 'subscribe', 'unsubscribe']);
  });

  it('sends a connection that comes back nothing again that it had, and that comes here late', async () => {
    const { here, broker, there } = makeTwo();
    const held = await here.subscribe('a');
    broker.fate = 'hold';
    const [, second] = await publish(there, 1, 3);
    const connection = new TestConnection();
    await here.join(connection, 'a', { after: second });
    await publish(there, 4, 4);
    await settle();
    broker.release();
    await settle();
    assert.deepEqual(connection.sent, ['3', '4']);
    broker.fate = 'now';
    await publish(there, 5, 5);
    await settle();
    assert.deepEqual(connection.sent, ['3', '4', '5']);
    assert.equal(held.unsubscribe(), true);
    here.part(connection, 'a');
  });

  it('misses nothing behind a position that the broker calls the top, of a topic of which it keeps nothing', async () => {
    const { hub } = makeTwo();
    const broker: Broker = {
      ...methodsOf(hub.broker()),
      subscribe: async () => ({ epoch: 'e', offset: 70 }),
      read: async (_topic, after) => ({ epoch: 'e', offset: after, messages: [] }),
    };
    const topics = new Topics({ broker, historyMessages: 100 });
    onCleanUp(() => topics.close());
    const log = new Log(await topics.subscribe('a', { after: 'e.50' }));
    await settle();
    assert.deepEqual(log.got, []);
  });

  it('rejects what the broker fails at, and works again with the next', async () => {
    const { here, broker } = makeTwo();
    await here.publish('a', '0');
    broker.down();
    await assert.rejects(here.subscribe('a'), (error: BrokerError) => {
      assert.match(error.message, /^the broker hub failed: the hub is away$/);
      assert.ok(error.cause instanceof Error);
      return error instanceof BrokerError && error.code === 'WS_ERR_BROKER';
    });
    await assert.rejects(here.publish('a', '1'), BrokerError);
    await assert.rejects(here.history('a'), BrokerError);
    assert.deepEqual([here.size('a'), here.stats().failed, here.stats().topics], [0, 1, 0]);
    broker.before = async () => {
      throw 'a string';
    };
    await assert.rejects(here.publish('a', '1'), /failed: a string$/);
    const own = new BrokerError('WS_ERR_BROKER_UNAVAILABLE', 'it says itself what is wrong');
    broker.before = () => Promise.reject(own);
    await assert.rejects(here.publish('a', '1'), (error) => error === own);
    broker.before = undefined;
    broker.up();
    const log = new Log(await here.subscribe('a'));
    await here.publish('a', '2');
    await settle();
    assert.deepEqual(log.texts, ['2']);
  });

  it('rejects all where the broker cannot be opened', async () => {
    const broker = new Hub().broker();
    broker.before = async () => {
      throw new Error('wrong client');
    };
    const topics = new Topics({ broker });
    await assert.rejects(topics.opened!, /the broker hub failed: wrong client/);
    assert.equal(topics.isConnected, false);
    await assert.rejects(topics.subscribe('a'), BrokerError);
    await assert.rejects(topics.publish('a', 'x'), BrokerError);
    await topics.close();
  });

  it('ends what waits for it when it is closed', async () => {
    const { here, broker } = makeTwo();
    const open = new Log(await here.subscribe('a'));
    const held = defer();
    broker.before = () => held.promise;
    const late = here.subscribe('b');
    const closed = here.close();
    await soon('its end', open.ended);
    held.resolve();
    await closed;
    await assert.rejects((await late).recv(), ChannelClosedError);
    broker.up();
    assert.equal(here.isConnected, false);
    assert.equal(broker.calls.at(-1) === 'close' || broker.calls.includes('close'), true);
    assert.throws(
      () => here.publish('a', 'x'),
      (error: InvalidStateError) => error.code === 'WS_ERR_TOPICS_CLOSED',
    );
  });
});

describe('a subscription behind a position, over a broker', () => {
  it('gets exactly what was missed, however much comes meanwhile', async () => {
    const { here, there, broker } = makeTwo({ historyMessages: 1000, capacity: 4 });
    const positions = await publish(there, 1, 300);
    const held = defer();
    broker.before = (method) => (method === 'read' ? held.promise : Promise.resolve());
    const log = new Log(await here.subscribe('a', { after: positions[9]! }));
    await publish(there, 301, 320);
    held.resolve();
    await until('all has come', () => log.texts.length === 310);
    assert.deepEqual(
      log.texts,
      Array.from({ length: 310 }, (_, i) => String(i + 11)),
    );
  });

  it('may be ahead of what has come here, and gets nothing twice', async () => {
    const { here, there, broker } = makeTwo();
    const first = await here.subscribe('a');
    broker.fate = 'hold';
    const positions = await publish(there, 1, 3);
    const log = new Log(await here.subscribe('a', { after: positions[1]! }));
    await settle();
    broker.fate = 'now';
    broker.release();
    await settle();
    assert.deepEqual(log.texts, ['3']);
    first.unsubscribe();
  });

  it('has no more of it wait than some, however large messages are', async () => {
    const { hub, here, broker } = makeTwo({ historyMessages: 100 });
    const limits: number[] = [];
    const read = broker.read.bind(broker);
    broker.read = (topic, after, limit) => {
      limits.push(limit);
      return read(topic, after, limit);
    };
    const sizes = [...Array(20).fill(100_000), ...Array(20).fill(300_000), ...Array(60).fill(10)];
    const first = await here.publish('a', 'first');
    for (const size of sizes) hub.publish('a', Buffer.concat([Buffer.from([1, 0]), Buffer.alloc(size, 7)]), undefined);
    const log = new Log(await here.subscribe('a', { after: first }));
    await until('all came', () => log.got.length === sizes.length);
    assert.deepEqual(
      log.got.map((one) => 'body' in one && one.body.length),
      sizes,
    );
    assert.equal(limits[0], 128);
    assert.ok(Math.max(...limits.slice(1, 20)) <= 4, `pages were of ${limits}`);
    assert.ok(limits.at(-1)! > 4, 'they grow again');
  });

  it('gets a message that has left the ring between the call of recv and the await', async () => {
    const { here, hub } = makeTwo({ historyMessages: 100, capacity: 2 });
    const subscription = await here.subscribe('a');
    await here.publish('a', '1');
    const receives = [subscription.recv(), subscription.recv()];
    for (let i = 2; i <= 5; i++) hub.publish('a', Buffer.from(`\x01\x01${i}`), undefined);
    assert.equal((await soon('the first', receives[0]!)).body, '1');
    assert.equal((await soon('the second', receives[1]!)).body, '2');
    assert.equal(subscription.waiting, 0);
  });

  it('reads again until the broker answers, and not when it has left', async () => {
    const { here, there, broker } = makeTwo();
    const positions = await publish(there, 1, 3);
    let reads = 0;
    broker.before = async (method) => {
      if (method === 'read' && ++reads <= 2) throw new Error('not now');
    };
    const log = new Log(await here.subscribe('a', { after: positions[0]! }));
    await until('it has come', () => log.texts.length === 2);
    assert.deepEqual(log.texts, ['2', '3']);

    reads = 0;
    const left = await here.subscribe('a', { after: positions[0]! });
    const receive = left.recv();
    await until('it has failed', () => reads === 1);
    left.unsubscribe();
    await assert.rejects(receive, ChannelClosedError);
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(reads, 1);

    const held = defer();
    broker.before = (method) => (method === 'read' ? held.promise : Promise.resolve());
    const gone = await here.subscribe('a', { after: positions[0]! });
    assert.ok(gone.recv());
    gone.unsubscribe();
    held.resolve();
    await settle();
  });

  it('finds out that the order has begun anew where its topic has not heard of it', async () => {
    const { hub, here, there, broker } = makeTwo();
    const positions = await publish(there, 1, 3);
    kept.push(await here.subscribe('a'));
    hub.forgetAll();
    const log = new Log(await here.subscribe('a', { after: positions[0]! }));
    await until('it knows', () => log.texts.length === 1);
    await publish(there, 4, 4);
    await settle();
    assert.deepEqual(log.texts, ['gap: epoch', '4']);
    assert.ok(broker);
  });

  it('goes on with what there is of the new epoch, where that is in the ring', async () => {
    for (const isGapThere of [true, false]) {
      const { hub, here, there, broker } = makeTwo({ historyMessages: 100, capacity: isGapThere ? 10 : 2 });
      const positions = await publish(there, 1, 3);
      kept.push(await here.subscribe('a'));
      const held = defer();
      broker.before = (method) => (method === 'read' ? held.promise : Promise.resolve());
      const log = new Log(await here.subscribe('a', { after: positions[0]! }));
      await settle();
      await publish(there, 3, 3);
      hub.forgetAll();
      for (let i = 4; i <= 7; i++) {
        await publish(there, i, i);
        await settle();
      }
      held.resolve();
      await until('it goes on', () => log.texts.at(-1) === '7');
      assert.deepEqual(log.texts, isGapThere ? ['gap: epoch', '4', '5', '6', '7'] : ['gap: epoch', '6', '7']);
    }
  });
});

describe('signals', () => {
  it('go to all processes, or to those in a topic, and are lost without a word', async () => {
    const hub = new Hub();
    const settings = { broker: undefined, historyMessages: 0, historyMs: 1000, capacity: 10 };
    const brokers = [hub.broker(), hub.broker()];
    const backends = brokers.map((broker) => new BrokerBackend(broker, settings));
    const told: string[] = [];
    backends[1]!.onSignal = (topic, data) => void told.push(`${topic} ${Buffer.from(data)}`);
    backends[0]!.signal(undefined, Buffer.from('all'));
    backends[0]!.signal('a', Buffer.from('nobody'));
    await settle();
    brokers[1]!.subscribed.add('a');
    backends[0]!.signal('a', Buffer.from('members'));
    await settle();
    brokers[0]!.down();
    backends[0]!.signal('a', Buffer.from('lost'));
    await settle();
    assert.deepEqual(told, ['undefined all', 'a members']);
    for (const backend of backends) await backend.close();
  });
});
