import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { afterEach, describe, it } from 'node:test';
import { clusterBroker } from '../../lib/brokers/cluster.ts';
import { type ClusterPrimaryOptions, setUpPrimary } from '../../lib/brokers/cluster-primary.ts';
import { BrokerError } from '../../lib/errors.ts';
import type { Broker } from '../../lib/topics/broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { InProcessChannel } from '../support/cluster-in-process.ts';
import { settle, soon, until } from '../support/watchdog.ts';

/** Both ends in this process, with a channel between them that can be held. */

const HISTORY = { historyMessages: 100, historyMs: 60_000 };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

afterEach(cleanUp);

/** What a broker has told, in words. */
function record(log: string[]) {
  return {
    message: (topic: string, _epoch: string, { offset, data }: { offset: number; data: Uint8Array }) =>
      log.push(`${topic} ${offset} ${Buffer.from(data)}`),
    signal: (topic: string | undefined, data: Uint8Array) => log.push(`signal ${topic} ${Buffer.from(data)}`),
    up: () => log.push('up'),
    down: (error: Error) => log.push(`down: ${error.message}`),
  };
}

function primaryOf(channel: InProcessChannel, options?: ClusterPrimaryOptions) {
  const primary = setUpPrimary(options);
  onCleanUp(() => primary.close());
  primary.attach(channel.child);
  return primary;
}

async function open(options: Parameters<typeof clusterBroker>[0] = {}): Promise<{ broker: Broker; log: string[] }> {
  const log: string[] = [];
  const broker = clusterBroker(options);
  onCleanUp(() => broker.close());
  await soon('the broker opens', broker.open(record(log), HISTORY));
  return { broker, log };
}

function unavailable(pattern: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof BrokerError);
    assert.equal(error.code, 'WS_ERR_BROKER_UNAVAILABLE');
    assert.match(error.message, pattern);
    return true;
  };
}

describe('clusterBroker', () => {
  it('says where it belongs in a process that is no worker', async () => {
    const broker = clusterBroker();
    await assert.rejects(
      broker.open(record([]), HISTORY),
      unavailable(/clusterBroker\(\) is for workers, create it in/),
    );
    await assert.rejects(broker.subscribe('a'), unavailable(/not open yet/));
    await broker.close();
  });

  it('says what to call where the primary does not answer', async () => {
    new InProcessChannel();
    await assert.rejects(
      open({ timeoutMs: 20 }),
      unavailable(/within 20 ms: call setUpPrimary\(\) of 'hyperlane-ws\/cluster'/),
    );
    assert.equal(process.listenerCount('message'), 0, 'and lets go of the channel');
  });

  it('opens once the primary is set up, though that came late', async () => {
    const channel = new InProcessChannel();
    const opening = open();
    await settle();
    assert.equal(channel.toPrimary.length, 0, 'the first hello is lost: nobody listens');
    primaryOf(channel);
    const { broker } = await opening;
    assert.equal((await broker.publish('a', bytes('1'), undefined)).offset, 1);
  });

  it('says when the channel closes while it opens', async () => {
    const channel = new InProcessChannel();
    const opening = assert.rejects(open(), unavailable(/the channel to the primary is closed/));
    await settle();
    channel.disconnect();
    await opening;
  });

  it('refuses options that do not exist or are no numbers', () => {
    assert.throws(
      () => clusterBroker({ timeout: 5 } as object),
      /"timeout" is no option of clusterBroker: did you mean "timeoutMs"/,
    );
    assert.throws(
      () => clusterBroker({ timeoutMs: 0 }),
      /the option timeoutMs is a whole number from 1 on, and this is 0/,
    );
    assert.throws(() => setUpPrimary({ maxTopic: 5 } as object), /did you mean "maxTopics"/);
    assert.throws(() => setUpPrimary({ maxIds: 1.5 }), /the option maxIds is a whole number/);
  });

  for (const serialization of ['json', 'advanced'] as const) {
    it(`leaves other messages of a channel alone: ${serialization}`, async () => {
      const channel = new InProcessChannel(serialization);
      const primary = primaryOf(channel);
      const { broker, log } = await open();
      await broker.subscribe('a');
      for (const other of [null, 'text', 1, {}, { cmd: 'x' }, [1]]) {
        process.emit('message', other, undefined);
        channel.child.emit('message', other);
      }
      await broker.signal('a', bytes('s'));
      await broker.publish('a', bytes('m'), undefined);
      assert.deepEqual(log, ['signal a s', 'a 1 m']);
      assert.equal(primary.stats().brokers, 1);
    });
  }

  it('tells a primary of another version, which understands nothing else', async () => {
    const channel = new InProcessChannel();
    channel.isWorkerHeld = true;
    const opening = assert.rejects(open(), unavailable(/the primary has another version of hyperlane-ws/));
    const hello = (): { broker: string } | undefined =>
      channel.toPrimary
        .map(({ message }) => message as { broker: string; frames: [string][] })
        .find(({ frames }) => frames[0]?.[0] === 'hello');
    await until('it says hello', () => hello() !== undefined);
    const { broker } = hello()!;
    process.emit('message', { 'hyperlane-ws/cluster': 2, broker: 'another' }, undefined);
    process.emit('message', { 'hyperlane-ws/cluster': 2, broker, frames: 'whatever' }, undefined);
    await opening;
  });

  it('answers a worker of another version with its own, and nothing else', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    channel.isPrimaryHeld = true;
    channel.child.emit('message', { 'hyperlane-ws/cluster': 2, broker: 'b', frames: [['hi']] });
    assert.deepEqual(
      channel.toWorker.map(({ message }) => message),
      [{ 'hyperlane-ws/cluster': 1, broker: 'b', frames: [] }],
    );
    channel.toWorker.pop()!.sent();
  });

  it('rejects what the primary does not answer in time, and takes what comes after that for nothing', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    const { broker, log } = await open({ timeoutMs: 1000 });
    await broker.subscribe('a');
    channel.isPrimaryHeld = true;
    const late = unavailable(/did not answer within 1000 ms: it is busy, or stopped/);
    const first = assert.rejects(broker.publish('a', bytes('1'), undefined), late);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const second = assert.rejects(broker.publish('a', bytes('2'), undefined), late);
    await soon('both are rejected', Promise.all([first, second]));
    channel.isPrimaryHeld = false;
    channel.deliver();
    const { offset } = await broker.publish('a', bytes('3'), undefined);
    assert.equal(offset, 3, 'they were published: a rejection does not say');
    assert.deepEqual(log, ['a 1 1', 'a 2 2', 'a 3 3']);
  });

  it('queues no more than maxQueuedBytes for a primary that does not read', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    const { broker } = await open({ maxQueuedBytes: 10_000 });
    await settle();
    channel.isWorkerHeld = true;
    const large = broker.publish('a', new Uint8Array(20_000), undefined);
    await settle();
    const calls = [large, broker.publish('a', new Uint8Array(5_000), undefined)];
    const full = unavailable(/too busy: \d+ bytes wait for it, and maxQueuedBytes is the limit/);
    await assert.rejects(broker.publish('a', new Uint8Array(5_000), undefined), full);
    await assert.rejects(broker.signal('a', new Uint8Array(5_000)), full);
    channel.isWorkerHeld = false;
    channel.deliver();
    assert.deepEqual(
      (await Promise.all(calls)).map(({ offset }) => offset),
      [1, 2],
    );
  });

  it('is down when the primary closes, and up when it is set up again', async () => {
    const channel = new InProcessChannel();
    const first = primaryOf(channel);
    const { broker, log } = await open();
    const { epoch } = await broker.subscribe('a');
    channel.isWorkerHeld = true;
    const waiting = assert.rejects(broker.read('a', 0, 1), unavailable(/set up anew/));
    first.close();
    await waiting;
    channel.isWorkerHeld = false;
    channel.toPrimary.splice(0).forEach(({ sent }) => {
      sent();
    });
    assert.deepEqual(log.splice(0), ['down: the primary was set up anew, or is no longer set up']);
    await assert.rejects(broker.publish('a', bytes('1'), undefined), unavailable(/set up anew/));
    await assert.rejects(broker.signal('a', bytes('1')), unavailable(/set up anew/));
    primaryOf(channel);
    await until('up is told', () => log.includes('up'));
    assert.notEqual((await broker.subscribe('a')).epoch, epoch);
  });

  it('says hello again to a primary that does not know it', async () => {
    const channel = new InProcessChannel();
    const first = primaryOf(channel);
    const { broker, log } = await open();
    // The word of the first that it closes is lost.
    channel.isPrimaryHeld = true;
    first.close();
    await settle();
    channel.toWorker.splice(0);
    channel.isPrimaryHeld = false;
    primaryOf(channel);
    await assert.rejects(broker.publish('a', bytes('1'), undefined), unavailable(/set up anew/));
    await until('up is told', () => log.includes('up'));
    assert.equal((await broker.publish('a', bytes('1'), undefined)).offset, 1);
  });

  it('passes signals to all, and messages to those that are subscribed', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    const one = await open();
    const other = await open();
    await one.broker.subscribe('a');
    await other.broker.subscribe('a');
    await other.broker.unsubscribe('a');
    await one.broker.signal(undefined, bytes('to all'));
    await one.broker.signal('a', bytes('to a'));
    await one.broker.publish('a', bytes('message'), undefined);
    assert.deepEqual(one.log, ['signal undefined to all', 'signal a to a', 'a 1 message']);
    assert.deepEqual(other.log, ['signal undefined to all']);
  });

  it('takes a second answer to its hello, and a second word of the end, for nothing', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    const { broker, log } = await open();
    await broker.subscribe('a');
    const { broker: id } = channel.lastOfPrimary as { broker: string };
    const tell = (...frames: unknown[][]): void => {
      process.emit('message', { 'hyperlane-ws/cluster': 1, broker: id, frames }, undefined);
    };
    tell(['welcome', false]);
    assert.equal(log.length, 0);
    tell(['bye'], ['bye']);
    assert.equal(log.length, 1);
    await until('it is up again', () => log.includes('up'));
  });

  it('has closed when all that it had to say has left, if the primary reads', async () => {
    const channel = new InProcessChannel();
    primaryOf(channel);
    const { broker } = await open();
    const other = await open();
    await broker.signal(undefined, bytes('bye'));
    await broker.close();
    // As if the process ended here.
    channel.isWorkerHeld = true;
    await settle(20);
    assert.deepEqual(other.log, ['signal undefined bye']);
    await soon('its end', other.broker.close());
  });

  it('is down for good when the channel closes', async () => {
    const channel = new InProcessChannel();
    const primary = primaryOf(channel);
    const { broker, log } = await open();
    await broker.subscribe('a');
    channel.disconnect();
    assert.deepEqual(log, ['down: the channel to the primary is closed: it has ended, or disconnected this worker']);
    await assert.rejects(broker.publish('a', bytes('1'), undefined), unavailable(/is closed/));
    assert.equal(primary.stats().brokers, 0, 'the primary has forgotten it');
    await broker.close();
    await broker.close();
  });

  it('has nothing arrive once it is closed, also what is on its way', async () => {
    const channel = new InProcessChannel();
    const primary = primaryOf(channel);
    const one = await open();
    const other = await open();
    await one.broker.subscribe('a');
    await other.broker.subscribe('a');
    const closed = one.broker.close();
    await other.broker.publish('a', bytes('1'), undefined);
    await closed;
    assert.deepEqual([one.log, other.log], [[], ['a 1 1']]);
    await until('the primary has forgotten it', () => primary.stats().brokers === 1);
  });
});

describe('setUpPrimary', () => {
  it('is called once, in the primary', () => {
    const primary = setUpPrimary();
    onCleanUp(() => primary.close());
    assert.throws(() => setUpPrimary(), unavailable(/was called already/));
    primary.close();
    Object.assign(cluster, { isWorker: true });
    onCleanUp(() => Object.assign(cluster, { isWorker: false }));
    assert.throws(() => setUpPrimary(), unavailable(/call it where cluster.isPrimary/));
  });

  it('takes a child once, however often it is attached', async () => {
    const channel = new InProcessChannel();
    const primary = primaryOf(channel);
    primary.attach(channel.child);
    const { broker } = await open();
    assert.equal((await broker.publish('a', bytes('1'), undefined)).offset, 1);
    primary.close();
    assert.deepEqual(channel.child.eventNames(), [], 'and lets go of it when it closes');
  });

  it('leaves messages out for a worker that does not read, and tells it once it does', async () => {
    const channel = new InProcessChannel();
    const primary = primaryOf(channel, { maxQueuedBytes: 100_000 });
    const { broker, log } = await open();
    const other = await open();
    await broker.subscribe('a');
    await settle();
    channel.isPrimaryHeld = true;
    // The large one is on its way; what comes behind it waits.
    const published = [other.broker.publish('a', new Uint8Array(1000), undefined)];
    await settle();
    for (let i = 0; i < 300; i++) published.push(other.broker.publish('a', new Uint8Array(1000), undefined));
    await until('some are left out', () => primary.stats().overflows > 1);
    assert.ok(primary.stats().queuedBytes <= 200_000, `${primary.stats().queuedBytes} bytes wait for two brokers`);
    channel.isPrimaryHeld = false;
    channel.deliver();
    await soon('all are published', Promise.all(published));
    await until('it is told that it has missed some', () => log.includes('up'));
    assert.equal(log.filter((line) => line === 'up').length, 1);
    assert.equal((await broker.subscribe('a')).offset, 301);
    const missed = await broker.read('a', 1, 500);
    assert.equal(missed.messages.length, 100, 'what is kept can be read');
    assert.equal(primary.stats().queuedBytes, 0);
  });

  it('tells what it keeps', async () => {
    const channel = new InProcessChannel('advanced');
    const primary = primaryOf(channel);
    const { broker } = await open();
    await broker.publish('a', new Uint8Array(1000), 'id');
    const { brokers, topics, historyBytes, ids, queuedBytes, overflows } = primary.stats();
    assert.deepEqual(
      { brokers, topics, ids, queuedBytes, overflows },
      { brokers: 1, topics: 1, ids: 1, queuedBytes: 0, overflows: 0 },
    );
    assert.ok(historyBytes > 1000 && historyBytes < 2000, `${historyBytes} bytes`);
  });
});
