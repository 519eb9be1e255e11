import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Ring } from '../../lib/broadcast/ring.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';

describe('Ring', () => {
  it('gives each cursor what was appended after it joined', () => {
    const ring = new Ring<string>(4);
    const first = ring.join();
    ring.append('a');
    const second = ring.join();
    ring.append('b');
    assert.deepEqual([ring.read(first), ring.read(first), ring.read(second)], ['a', 'b', 'b']);
    assert.equal(first.position, ring.end);
    assert.equal(second.position, ring.end);
  });

  it('keeps the newest values up to its capacity', () => {
    const ring = new Ring<number>(3);
    const cursor = ring.join();
    for (let i = 0; i < 8; i++) ring.append(i);
    assert.deepEqual([ring.start, ring.end], [5, 8]);
    cursor.position = ring.start;
    assert.deepEqual([ring.read(cursor), ring.read(cursor), ring.read(cursor)], [5, 6, 7]);
  });

  it('stores nothing and counts nothing without a cursor', () => {
    const ring = new Ring<number>(3);
    ring.append(1);
    assert.equal(ring.end, 0);
    const cursor = ring.join();
    ring.append(2);
    assert.equal(ring.read(cursor), 2);
    ring.leave(cursor);
    assert.deepEqual([ring.cursors, ring.start, ring.end], [0, 0, 0]);
  });

  it('lets go of a value when every cursor has passed it', async () => {
    const ring = new Ring<object>(4);
    const [first, second] = [ring.join(), ring.join()];
    const value = appendNew(ring);
    ring.read(first);
    await nextTurn();
    collectGarbage();
    assert.notEqual(value.deref(), undefined);
    ring.read(second);
    await nextTurn();
    collectGarbage();
    assert.equal(value.deref(), undefined);
  });

  it('lets go of what only a cursor that leaves had still to read', async () => {
    const ring = new Ring<object>(2);
    const [leaver, reader] = [ring.join(), ring.join()];
    // The first is overwritten before anybody reads it; the leaver is then behind the start of the ring.
    const values = [appendNew(ring), appendNew(ring), appendNew(ring)];
    reader.position = ring.start;
    ring.read(reader);
    ring.leave(leaver);
    await nextTurn();
    collectGarbage();
    assert.deepEqual(
      values.map((value) => value.deref() !== undefined),
      [false, false, true],
    );
    assert.notEqual(ring.read(reader), undefined);
  });

  it('keeps for the others what a cursor that leaves had not read, in a ring that is full', () => {
    const ring = new Ring<string>(2);
    const [leaver, ...readers] = [ring.join(), ring.join(), ring.join()];
    ring.append('a');
    ring.append('b');
    ring.leave(leaver!);
    assert.deepEqual(
      readers.map((reader) => [ring.read(reader), ring.read(reader)]),
      [
        ['a', 'b'],
        ['a', 'b'],
      ],
    );
  });

  it('shows a cursor what it would read, and leaves it there', () => {
    const ring = new Ring<string>(2);
    const cursor = ring.join();
    for (const value of ['a', 'b', 'c']) ring.append(value);
    cursor.position = ring.start;
    assert.deepEqual(
      [ring.peek(cursor), ring.peek(cursor), ring.read(cursor), ring.peek(cursor)],
      ['b', 'b', 'b', 'c'],
    );
  });

  it('lets go of everything when the last cursor leaves', async () => {
    const ring = new Ring<object>(4);
    const cursor = ring.join();
    const values = [appendNew(ring), appendNew(ring)];
    ring.leave(cursor);
    await nextTurn();
    collectGarbage();
    for (const value of values) assert.equal(value.deref(), undefined);
    assert.equal(ring.end, 0);
  });
});

function appendNew(ring: Ring<object>): WeakRef<object> {
  const value = {};
  ring.append(value);
  return new WeakRef(value);
}
