import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { garbage, hastenCollection } from '../../lib/codec/hasten-collection.ts';

describe('hastenCollection', () => {
  it('makes lists of half the length of a large buffer, none of which is long', () => {
    const before = garbage;
    for (const bytes of [0, 1, 4095]) hastenCollection(bytes);
    assert.equal(garbage, before);
    for (const [bytes, lastEntries] of [
      [4096, 256],
      [16_384, 1024],
      [131_072, 8192],
      [131_072 + 160, 10],
      [1 << 24, 8192],
    ] as const) {
      hastenCollection(bytes);
      assert.equal(garbage.length, lastEntries);
    }
  });
});
