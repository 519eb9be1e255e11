import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { ClusterTopics } from '../../lib/brokers/cluster-topics.ts';

/** What a primary keeps, and how it stays within its limits. */

const LIMITS = { maxHistoryBytes: 1_000_000, maxTopics: 100, maxIds: 100 };
const KEEP = { historyMessages: 5, historyMs: 60_000 };
const NOTHING = { historyMessages: 0, historyMs: 0 };

function textsOf(topics: ClusterTopics<string>, name: string, after: number = 0, limit: number = 1000): unknown[] {
  return topics.read(name, after, limit).messages.map(([, , data]) => data);
}

/** Runs with a clock of its own, that is moved by `pass`. */
function withClock(run: (pass: (ms: number) => void) => void): void {
  let now = 1_000_000;
  const clock = mock.method(Date, 'now', () => now);
  try {
    run((ms) => {
      now += ms;
    });
  } finally {
    clock.mock.restore();
  }
}

describe('ClusterTopics', () => {
  it('counts each topic from 1, and tells whom to pass a message on to', () => {
    const topics = new ClusterTopics<string>(LIMITS);
    const [epoch, offset] = topics.subscribe('a', 'x');
    assert.equal(offset, 0);
    topics.subscribe('a', 'y');
    topics.unsubscribe('a', 'x');
    topics.unsubscribe('a', 'nobody');
    topics.unsubscribe('no such topic', 'x');
    const { place, message, subscribers } = topics.publish('a', 'one', null, KEEP);
    assert.deepEqual([place, message, [...subscribers]], [[epoch, 1], [1, 0, 'one'], ['y']]);
    assert.deepEqual(topics.publish('a', 'two', null, KEEP).message, [2, 1, 'two']);
    assert.deepEqual(topics.publish('b', 'one', null, KEEP).place, [epoch, 1]);
    assert.deepEqual([...topics.subscribersOf('a'), ...topics.subscribersOf('no such topic')], ['y']);
  });

  it('keeps the last messages of a topic, for a time, and none where there is no history', () => {
    withClock((pass) => {
      const topics = new ClusterTopics<string>(LIMITS);
      for (let i = 1; i <= 7; i++) topics.publish('a', `${i}`, null, KEEP);
      assert.deepEqual(textsOf(topics, 'a'), ['3', '4', '5', '6', '7']);
      assert.deepEqual(textsOf(topics, 'a', 4, 2), ['5', '6']);
      assert.deepEqual(textsOf(topics, 'a', 7), []);
      pass(30_000);
      topics.publish('a', '8', null, KEEP);
      pass(30_001);
      assert.deepEqual(textsOf(topics, 'a'), ['8']);
      pass(30_000);
      topics.publish('a', '9', null, KEEP);
      assert.deepEqual(textsOf(topics, 'a'), ['9']);
      topics.publish('a', '10', null, NOTHING);
      assert.deepEqual(topics.read('a', 0, 10).messages, []);
      assert.equal(topics.read('a', 0, 10).place[1], 10);
      assert.equal(topics.stats().historyBytes, 0);
    });
  });

  it('has a copy of its own of bytes that lie among others', () => {
    const topics = new ClusterTopics<string>(LIMITS);
    const all = new Uint8Array(1000);
    const { message } = topics.publish('a', all.subarray(10, 20), null, KEEP);
    const data = message![2] as Uint8Array;
    assert.equal(data.buffer.byteLength, 10);
  });

  it('makes pages of large messages shorter than was asked, though never empty', () => {
    const topics = new ClusterTopics<string>({ ...LIMITS, maxHistoryBytes: 100_000_000 });
    for (const size of [700_000, 700_000, 2_000_000, 10]) topics.publish('a', 'x'.repeat(size), null, KEEP);
    const lengths: number[] = [];
    for (let after = 0; after < 4; ) {
      const { messages } = topics.read('a', after, 10);
      lengths.push(messages.length);
      after = messages.at(-1)![0];
    }
    assert.deepEqual(lengths, [1, 1, 1, 1]);
  });

  it('keeps no more than maxHistoryBytes, and lets go of the oldest messages of the quietest topic first', () => {
    const topics = new ClusterTopics<string>({ ...LIMITS, maxHistoryBytes: 10_000 });
    for (const text of ['1', '2', '3']) topics.publish('quiet', text.repeat(1000), null, KEEP);
    for (const text of ['1', '2', '3', '4', '5']) topics.publish('busy', text.repeat(1000), null, KEEP);
    topics.publish('other', 'x'.repeat(1000), null, KEEP);
    assert.deepEqual(
      textsOf(topics, 'quiet').map((text) => String(text)[0]),
      ['2', '3'],
    );
    assert.equal(textsOf(topics, 'busy').length, 5);
    topics.publish('large', 'x'.repeat(20_000), null, KEEP);
    assert.equal(topics.stats().historyBytes, 0, 'a message that is larger than all that may be kept is not kept');
    topics.publish('other', 'y', null, KEEP);
    assert.deepEqual(textsOf(topics, 'other'), ['y']);
  });

  it('knows no more than maxTopics without subscribers, and begins anew with another epoch what it has forgotten', () => {
    const topics = new ClusterTopics<string>({ ...LIMITS, maxTopics: 2 });
    topics.subscribe('kept', 'x');
    const { place } = topics.publish('a', 'one', 'id', KEEP);
    topics.publish('b', 'one', null, KEEP);
    topics.publish('a', 'two', null, KEEP);
    topics.publish('c', 'one', null, KEEP);
    assert.equal(topics.stats().topics, 3, 'b is the one that was not used for longest');
    assert.deepEqual(topics.read('a', 1, 1).place, [place[0], 2]);
    topics.publish('d', 'one', null, KEEP);
    assert.notEqual(topics.read('a', 0, 1).place[0], place[0]);
    const again = topics.publish('a', 'anew', null, KEEP);
    assert.equal(again.place[1], 1);
    assert.notEqual(again.place[0], place[0]);
    assert.equal(topics.subscribe('kept', 'y')[0], place[0], 'those that were kept go on');
    topics.unsubscribe('kept', 'x');
    assert.equal(topics.stats().topics, 3);
    topics.unsubscribe('kept', 'y');
    assert.equal(topics.stats().topics, 2);
  });

  it('orders a message once that has the id of one of the last five minutes', () => {
    withClock((pass) => {
      const topics = new ClusterTopics<string>(LIMITS);
      topics.subscribe('a', 'x');
      const { place } = topics.publish('a', 'one', 'id', NOTHING);
      pass(299_999);
      const again = topics.publish('a', 'one', 'id', NOTHING);
      assert.deepEqual([again.place, again.message, [...again.subscribers]], [place, undefined, []]);
      assert.equal(topics.publish('ai', 'other', 'd', NOTHING).place[1], 1, 'a topic and an id are not run together');
      pass(1);
      assert.equal(topics.publish('a', 'one', 'id', NOTHING).place[1], 2);
      assert.equal(topics.stats().ids, 2);
      pass(300_000);
      topics.publish('a', 'two', 'another', NOTHING);
      assert.equal(topics.stats().ids, 1, 'old ids are forgotten');
    });
  });

  it('remembers no more than maxIds', () => {
    const topics = new ClusterTopics<string>({ ...LIMITS, maxIds: 3 });
    for (const id of ['1', '2', '3', '4']) topics.publish('a', id, id, NOTHING);
    assert.equal(topics.stats().ids, 3);
    assert.equal(topics.publish('a', '4', '4', NOTHING).place[1], 4);
    assert.equal(topics.publish('a', '1', '1', NOTHING).place[1], 5, 'the oldest is forgotten');
  });
});
