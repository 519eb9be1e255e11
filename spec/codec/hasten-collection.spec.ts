import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { garbage, hastenCollection } from '../../lib/codec/hasten-collection.ts';

const KIB = 1024;

describe('hastenCollection', () => {
  it('makes lists of half the length of the buffers, none of which is long', () => {
    const before = garbage;
    for (const bytes of [0, 1, 768]) for (let i = 0; i < 100; i++) hastenCollection(bytes);
    assert.equal(garbage, before);
    for (const [bytes, lastEntries] of [
      [16 * KIB + 768, 1024],
      [128 * KIB + 768, 8192],
      [128 * KIB + 768 + 160, 10],
      [16 * KIB * KIB + 768, 8192],
    ] as const) {
      hastenCollection(bytes);
      assert.equal(garbage.length, lastEntries);
    }
  });

  it('makes one for several that are smaller', () => {
    const before = garbage;
    for (let i = 0; i < 31; i++) hastenCollection(KIB);
    assert.equal(garbage, before);
    hastenCollection(KIB);
    assert.equal(garbage.length, 512);
    const one = garbage;
    hastenCollection(7 * KIB + 768);
    assert.equal(garbage, one);
    hastenCollection(2 * KIB + 768);
    assert.equal(garbage.length, (9 * KIB) / 16);
  });
});
