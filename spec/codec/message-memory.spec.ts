import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { isBorrowed, own } from '../../lib/codec/borrowed.ts';
import {
  endKeptLoan,
  endLoan,
  isLent,
  keepLoan,
  lendMemory,
  returnMemory,
  takeMemory,
} from '../../lib/codec/message-memory.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('memory for messages in pieces', () => {
  it('is used again, for what has its size', () => {
    const memory = takeMemory(90 * KIB);
    assert.equal(memory.length, 90 * KIB);
    returnMemory(memory);
    for (const bytes of [90 * KIB + 1, 90 * KIB - 1]) assert.equal(takeMemory(bytes).length, bytes);
    assert.equal(takeMemory(90 * KIB), memory);
    assert.notEqual(takeMemory(90 * KIB), memory);
  });

  it('is kept up to a bound, in bytes and in number: the latest', () => {
    for (const [bytes, kept] of [
      [MIB, 8],
      [8 * KIB, 64],
      [8 * KIB - 1, 0],
      [8 * MIB, 1],
      [8 * MIB + 1, 0],
    ] as const) {
      const all = Array.from({ length: kept + 1 }, () => Buffer.allocUnsafeSlow(bytes));
      for (const memory of all) returnMemory(memory);
      const again = all.map(() => takeMemory(bytes));
      assert.deepEqual(
        all.map((memory) => again.includes(memory)),
        all.map((_, i) => i >= all.length - kept),
        `of ${bytes} bytes`,
      );
    }
  });

  it('is lent, and taken over or not', () => {
    const memory = Buffer.alloc(100, 'x');
    lendMemory(memory);
    assert.ok(isLent(memory.subarray(3, 4)) && isBorrowed(memory.subarray(3, 4)));
    assert.equal(endLoan(memory), true);
    assert.ok(!isLent(memory) && !isBorrowed(memory));

    lendMemory(memory);
    const all = own(memory, 0, 95);
    assert.deepEqual([all.buffer === memory.buffer, all.length, isLent(memory)], [true, 95, false]);
    assert.equal(endLoan(memory), false);
  });

  it('stays lent to who keeps it, and is used again behind that, unless it was taken over', () => {
    const memory = Buffer.alloc(80_001, 'x');
    assert.equal(keepLoan(memory), false, 'nobody has lent it');
    for (const isTakenOver of [false, true]) {
      lendMemory(memory);
      for (let i = 0; i < 2; i++) assert.equal(keepLoan(memory), true);
      assert.equal(endLoan(memory), false);
      assert.ok(isLent(memory) && isBorrowed(memory));
      if (isTakenOver) assert.equal(own(memory, 0, 80_001).buffer, memory.buffer);
      endKeptLoan(memory);
      assert.ok(!isLent(memory));
      assert.equal(takeMemory(80_001) === memory, !isTakenOver);
    }
  });

  it('is copied from where little of it is to be kept', () => {
    const memory = Buffer.alloc(100, 'x');
    lendMemory(memory);
    const part = own(memory, 0, 80);
    assert.deepEqual([part.buffer === memory.buffer, part.toString()], [false, 'x'.repeat(80)]);
    assert.equal(endLoan(memory), true);
  });

  it('is not what others lend', () => {
    const bytes = Buffer.from('abc');
    const copy = own(bytes, 1, 3);
    bytes.fill(0);
    assert.equal(copy.toString(), 'bc');
  });
});
