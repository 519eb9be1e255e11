import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { LimitError } from '../../lib/errors.ts';
import type { Broker } from '../../lib/topics/broker.ts';
import type { TopicConnection } from '../../lib/topics/connection-subscription.ts';
import type { Presence } from '../../lib/topics/presence.ts';
import { MAX_MEMBERS } from '../../lib/topics/presence-limits.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { MemoryHub } from '../support/memory-hub.ts';

afterEach(cleanUp);

class FakeConnection implements TopicConnection {
  readonly canSend = true;
  offer(): boolean {
    return true;
  }
  hasRoom(): boolean {
    return true;
  }
  drained(): Promise<void> {
    return Promise.resolve();
  }
  closedError(): Error {
    return new Error('closed');
  }
  fail(): void {}
}

function makeTopics(broker?: Broker): Topics {
  const topics = new Topics({ broker });
  onCleanUp(() => topics.close());
  return topics;
}

/** Has something be referred to until the test ends: what nobody refers to leaves its topic when it is collected. */
function hold(value: unknown): void {
  held.add(value);
  onCleanUp(() => held.delete(value));
}

const held = new Set<unknown>();

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !isSo(); i++) await sleep(10);
  assert.ok(isSo());
}

/** Waits until the members are these. */
function becomes(presence: Presence, ...keys: string[]): Promise<void> {
  return until(() => [...presence.members().keys()].sort().join() === keys.join());
}

describe('presence of topics in one process', () => {
  it('has a member as long as a subscription lasts', async () => {
    const topics = makeTopics();
    const presence = topics.presence('t');
    const subscription = await topics.subscribe('t', { presence: { key: 'ann', info: { n: 1 } } });
    assert.deepEqual([...presence.members()], [['ann', { n: 1 }]]);
    assert.equal(topics.size('t'), 1);
    subscription.unsubscribe();
    assert.equal(presence.size, 0);
    assert.deepEqual(topics.stats().presence, { processes: 0, topics: 0, watched: 1, ignored: 0 });
  });

  it('has a connection as a member, however it leaves, and takes another info of it', async () => {
    const topics = makeTopics();
    const presence = topics.presence('t');
    const connection = new FakeConnection();
    await topics.join(connection, 't', { presence: { key: 'ann', info: 1 } });
    await topics.join(new FakeConnection(), 't', { presence: { key: 'ann', info: 0 } });
    await topics.join(connection, 't', { presence: { key: 'ann', info: 2 } });
    await topics.join(connection, 't');
    assert.deepEqual([...presence.members()], [['ann', 2]]);
    topics.part(connection, 't');
    assert.deepEqual([...presence.members()], [['ann', 0]]);
    await topics.join(connection, 't', { presence: { key: 'bob' } });
    await topics.join(connection, 'u', { presence: { key: 'bob' } });
    topics.forget(connection);
    assert.deepEqual([...presence.members()], [['ann', 0]]);
  });

  it('subscribes nobody whose presence cannot be', async () => {
    const topics = makeTopics();
    const wrong = { keys: 'ann' } as unknown as { key: string };
    assert.throws(() => topics.subscribe('t', { presence: wrong }), /did you mean "key"/);
    assert.throws(() => topics.subscribe('t', { presence: { key: '' } }), TypeError);
    for (let i = 0; i < MAX_MEMBERS; i++) void topics.subscribe('t', { presence: { key: `k${i}` } });
    const connection = new FakeConnection();
    assert.throws(() => topics.join(connection, 't', { presence: { key: 'more' } }), LimitError);
    assert.deepEqual(topics.topicsOf(connection), []);
    assert.equal(topics.size('t'), MAX_MEMBERS);
  });

  it('ends with the topics', async () => {
    const topics = makeTopics();
    const presence = topics.presence('t');
    await topics.close();
    assert.equal(presence.unsubscribe(), false);
    assert.throws(() => topics.presence('t'), { code: 'WS_ERR_TOPICS_CLOSED' });
  });
});

describe('presence of topics in many processes', () => {
  it('is told from process to process, and says when one closes', async () => {
    const hub = new MemoryHub();
    const [a, b] = [makeTopics(hub.makeBroker()), makeTopics(hub.makeBroker())];
    const inA = await a.subscribe('t', { presence: { key: 'ann' } });
    hold(await b.subscribe('t', { presence: { key: 'bob', info: { n: 1 } } }));
    const both = [a.presence('t'), b.presence('t')];
    for (const presence of both) {
      await becomes(presence, 'ann', 'bob');
      assert.deepEqual(presence.members().get('bob'), { n: 1 });
    }
    inA.unsubscribe();
    for (const presence of both) await becomes(presence, 'bob');
    assert.equal(a.stats().presence.processes, 1);
    await b.close();
    await becomes(both[0]!);
    assert.equal(a.size('t'), 0);
  });

  it('hears of a topic that nobody here is subscribed to, and stops when nobody looks', async () => {
    const hub = new MemoryHub();
    const [a, b] = [makeTopics(hub.makeBroker()), makeTopics(hub.makeBroker())];
    const presence = a.presence('t');
    await until(() => a.stats().topics === 1);
    hold(await b.subscribe('t', { presence: { key: 'bob' } }));
    await becomes(presence, 'bob');
    assert.equal(a.size('t'), 0, 'to look who is there is no subscription');
    assert.equal(a.stats().topics, 1);
    presence.unsubscribe();
    assert.equal(a.stats().topics, 0);
    // One that is left before the broker has answered.
    a.presence('u').unsubscribe();
    await until(() => a.stats().topics === 0);
  });

  it('tells what has changed while the broker was away, as soon as it is back', async () => {
    const hub = new MemoryHub();
    const brokers = [hub.makeBroker(), hub.makeBroker()] as const;
    const [a, b] = [makeTopics(brokers[0]), makeTopics(brokers[1])];
    hold(await b.subscribe('t', { presence: { key: 'bob' } }));
    const presence = a.presence('t');
    await becomes(presence, 'bob');
    hold(await b.subscribe('u'));
    brokers[1].disconnect();
    const connection = new FakeConnection();
    void b.join(connection, 't', { presence: { key: 'cat' } });
    await nextTurn();
    assert.deepEqual([...presence.members().keys()], ['bob']);
    brokers[1].reconnect();
    await becomes(presence, 'bob', 'cat');
  });

  it('begins to hear of a topic when the broker can be reached again', async () => {
    const hub = new MemoryHub();
    const broker = hub.makeBroker();
    const [a, b] = [makeTopics(broker), makeTopics(hub.makeBroker())];
    hold(await a.subscribe('other'));
    broker.disconnect();
    const [presence, forgotten] = [a.presence('t'), a.presence('u')];
    hold(presence);
    await nextTurn();
    forgotten.unsubscribe();
    broker.reconnect();
    hold(await b.subscribe('t', { presence: { key: 'bob' } }));
    await becomes(presence, 'bob');
    await until(() => a.stats().topics === 2);
  });
});
