import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeMaskKey } from '../../lib/codec/mask.ts';
import { randomMaskKey } from '../../lib/codec/mask-key.ts';

describe('randomMaskKey', () => {
  it('does not repeat keys when its pool is drawn anew', () => {
    const keys = new Set<number>();
    for (let i = 0; i < 10_000; i++) keys.add(randomMaskKey());
    // Of 10,000 draws from 2^32 about 0.01 collide: three or more are once in 10^7 runs.
    assert.ok(keys.size > 9997, `${keys.size} different keys`);
  });

  it('uses all bits evenly', () => {
    const ones = new Array<number>(32).fill(0);
    const bytes = Buffer.alloc(4);
    for (let i = 0; i < 10_000; i++) {
      writeMaskKey(bytes, 0, randomMaskKey());
      const key = bytes.readUInt32LE();
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (key >>> bit) & 1;
    }
    // The standard deviation is 50: eight of them never happen.
    for (const [bit, count] of ones.entries()) assert.ok(Math.abs(count - 5000) < 400, `bit ${bit}: ${count}`);
  });
});
