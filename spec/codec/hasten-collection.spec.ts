import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { garbage, hastenCollection } from '../../lib/codec/hasten-collection.ts';

describe('hastenCollection', () => {
  it('makes garbage of half the length of a large buffer, and of 8 KiB at the most', () => {
    const before = garbage;
    for (const bytes of [0, 1, 4095]) hastenCollection(bytes);
    assert.equal(garbage, before);
    for (const [bytes, entries] of [
      [4096, 256],
      [4097, 257],
      [16_384, 1024],
      [1 << 24, 1024],
    ] as const) {
      hastenCollection(bytes);
      assert.equal(garbage.length, entries);
    }
  });
});
