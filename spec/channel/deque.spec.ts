import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Deque } from '../../lib/channel/deque.ts';
import { collectGarbage, heapBytes } from './collect-garbage.ts';

describe('Deque', () => {
  it('gives items back in the order they came, while it wraps and grows', () => {
    const deque = new Deque<number>();
    const expected: number[] = [];
    const taken: number[] = [];
    for (let i = 0; i < 100; i++) {
      deque.push(i);
      expected.push(i);
      if (i % 3 === 0) taken.push(deque.takeAt(0));
      assert.equal(deque.length, expected.length - taken.length);
    }
    while (deque.length > 0) taken.push(deque.takeAt(0));
    assert.deepEqual(taken, expected);
  });

  it('takes from the middle and keeps the order of the rest', () => {
    const deque = new Deque<string>();
    // Six out first, so that the items lie across the end of the eight slots.
    for (const item of 'xxxxxx') deque.push(item);
    for (let i = 0; i < 6; i++) deque.takeAt(0);
    for (const item of 'abcde') deque.push(item);
    assert.equal(deque.takeAt(3), 'd');
    assert.equal(deque.takeAt(1), 'b');
    assert.deepEqual([deque.takeAt(0), deque.takeAt(0), deque.takeAt(0)], ['a', 'c', 'e']);
  });

  it('does not pin an item that was taken', () => {
    const deque = new Deque<object>();
    const first = new WeakRef(pushNew(deque));
    const second = new WeakRef(pushNew(deque));
    deque.push({});
    deque.takeAt(1);
    deque.takeAt(0);
    // The turn ends before the check: a WeakRef keeps its target to the end of the turn it was made in.
    return new Promise((resolve) => setImmediate(resolve)).then(() => {
      collectGarbage();
      assert.equal(first.deref(), undefined);
      assert.equal(second.deref(), undefined);
      assert.equal(deque.length, 1);
    });
  });

  it('works on after it was emptied from thousands', () => {
    const deque = new Deque<number>();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5000; i++) deque.push(i);
      for (let i = 0; i < 5000; i++) assert.equal(deque.takeAt(0), i);
      assert.equal(deque.length, 0);
    }
  });

  it('gives its memory back when it was emptied from thousands', async () => {
    const deque = new Deque<number>();
    const before = await heapBytes();
    // An array of 262,144 slots: 1 MB at least.
    for (let i = 0; i < 200_000; i++) deque.push(i);
    while (deque.length > 0) deque.takeAt(0);
    const grown = (await heapBytes()) - before;
    assert.ok(grown < 500_000, `the heap grew by ${grown} bytes`);
    deque.push(1);
    assert.equal(deque.takeAt(0), 1);
  });

  it('replaces all items in their places, also around the end of its array', () => {
    const deque = new Deque<number>();
    deque.replaceAll(() => assert.fail('there is none'));
    for (let i = 0; i < 6; i++) deque.push(i);
    for (let i = 0; i < 5; i++) deque.takeAt(0);
    for (let i = 6; i < 12; i++) deque.push(i);
    deque.replaceAll((item) => item * 10);
    assert.deepEqual(
      Array.from({ length: deque.length }, () => deque.takeAt(0)),
      [50, 60, 70, 80, 90, 100, 110],
    );
  });

  it('drops everything when cleared', () => {
    const deque = new Deque<number>();
    deque.push(1);
    deque.push(2);
    deque.clear();
    assert.equal(deque.length, 0);
    deque.push(3);
    assert.equal(deque.takeAt(0), 3);
  });
});

function pushNew(deque: Deque<object>): object {
  const item = {};
  deque.push(item);
  return item;
}
