import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inbox } from '../../lib/net/inbox.ts';

const LIMITS = { maxQueuedMessages: 3, maxQueuedBytes: 100 };

function makeInbox(onTake: () => void = () => {}): Inbox {
  return new Inbox(LIMITS, onTake);
}

describe('Inbox', () => {
  it('counts the bytes that wait: characters of text, and bytes', async () => {
    const inbox = makeInbox();
    assert.equal(inbox.waitingBytes, 0);
    assert.equal(inbox.push('héllo'), true);
    assert.equal(inbox.push(Buffer.alloc(7)), true);
    assert.deepEqual([inbox.length, inbox.waitingBytes], [2, 12]);
    assert.equal(inbox.tryTake(), 'héllo');
    assert.deepEqual([inbox.length, inbox.waitingBytes], [1, 7]);
    await inbox.receive();
    assert.deepEqual([inbox.length, inbox.waitingBytes], [0, 0]);
  });

  it('is full from a number of messages on, and from a number of bytes on', () => {
    const many = makeInbox();
    for (const isFull of [false, false, true, true]) {
      many.push('');
      assert.equal(many.isFull, isFull);
    }
    many.tryTake();
    assert.equal(many.isFull, true);
    many.tryTake();
    assert.equal(many.isFull, false);

    const large = makeInbox();
    large.push(Buffer.alloc(99));
    assert.equal(large.isFull, false);
    large.push('a');
    assert.equal(large.isFull, true);
    large.tryTake();
    assert.equal(large.isFull, false);
  });

  it('knows whether somebody waits, and whether a message was ever taken', async () => {
    let taken = 0;
    const inbox = makeInbox(() => taken++);
    assert.deepEqual([inbox.hasReceivers, inbox.hasTaken], [false, false]);
    const receive = inbox.receive().then();
    assert.deepEqual([inbox.hasReceivers, inbox.hasTaken], [true, false]);
    inbox.push('a');
    assert.deepEqual([inbox.hasReceivers, inbox.hasTaken, taken], [false, true, 1]);
    assert.equal(await receive, 'a');
    inbox.push('b');
    inbox.receive();
    assert.equal(inbox.hasReceivers, false, 'a message is there for it');
    inbox.receive().withdraw();
  });

  it('takes what it is offered while there is room, and nothing behind what it did not take', () => {
    const inbox = makeInbox();
    for (const text of ['a', 'b', 'c', 'd']) inbox.offer(text);
    assert.deepEqual([inbox.length, inbox.waitingBytes], [3, 3]);
    for (const text of ['a', 'b', 'c']) assert.equal(inbox.tryTake(), text);
    inbox.offer('e');
    assert.deepEqual([inbox.length, inbox.tryTake()], [0, undefined], 'a gap in the middle is worse than an end');

    const other = makeInbox();
    for (const text of ['a', 'b', 'c']) other.offer(text);
    assert.equal(other.tryTake(), 'a');
    other.offer('d');
    assert.equal(other.length, 3, 'full it was, and turned away nothing');
  });

  it('takes and counts nothing once it has ended', async () => {
    const inbox = makeInbox();
    inbox.push('before');
    inbox.fail(new Error('over'));
    assert.equal(inbox.push('late'), false);
    assert.deepEqual([inbox.length, inbox.waitingBytes], [1, 6]);
    assert.equal(await inbox.receive(), 'before');
    await assert.rejects(inbox.receive().then(), { message: 'over' });
  });

  it('moves what waits longer than its turn out of memory that is shared, and leaves the rest where it is', async () => {
    const inbox = makeInbox();
    const shared = Buffer.alloc(1000, 1);
    const parts = [shared.subarray(0, 10), Buffer.from('text').toString(), shared.subarray(10, 510)] as const;
    for (const part of parts) inbox.push(part);
    await nextTurn();
    const [small, text, large] = [inbox.tryTake(), inbox.tryTake(), inbox.tryTake()] as [Buffer, string, Buffer];
    assert.deepEqual(small, parts[0]);
    assert.notEqual(small.buffer, shared.buffer);
    assert.equal(small.buffer.byteLength, 10);
    assert.equal(text, 'text');
    assert.equal(large, parts[2], 'of half the memory and more, no copy is made');
  });

  it('copies nothing that is taken in its turn', async () => {
    const inbox = makeInbox();
    const shared = Buffer.alloc(1000, 1);
    inbox.push(shared.subarray(0, 10));
    const taken = inbox.tryTake() as Buffer;
    assert.equal(taken.buffer, shared.buffer);
    await nextTurn();
    // And does so again for what comes later.
    inbox.push(shared.subarray(0, 10));
    await nextTurn();
    assert.notEqual((inbox.tryTake() as Buffer).buffer, shared.buffer);
  });

  it('looks for what is to be moved once a turn, and not for texts alone', async (t) => {
    const inbox = makeInbox();
    const flush = t.mock.method(inbox, 'flushOutput');
    inbox.push('text');
    await nextTurn();
    assert.equal(flush.mock.callCount(), 0);
    inbox.push(Buffer.alloc(1));
    inbox.push(Buffer.alloc(1));
    await nextTurn();
    assert.equal(flush.mock.callCount(), 1);
  });
});
