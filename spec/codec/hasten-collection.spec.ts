import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { garbage, hastenCollection } from '../../lib/codec/hasten-collection.ts';

const KIB = 1024;

describe('hastenCollection', () => {
  it('makes lists of half the length of the buffers, none of which is long', () => {
    const before = garbage;
    for (const bytes of [0, 1, 255]) for (let i = 0; i < 100; i++) hastenCollection(bytes);
    assert.equal(garbage, before);
    for (const [bytes, lastEntries] of [
      [16 * KIB, 1024],
      [128 * KIB, 8192],
      [128 * KIB + 160, 10],
      [16 * KIB * KIB, 8192],
    ] as const) {
      hastenCollection(bytes);
      assert.equal(garbage.length, lastEntries);
    }
  });

  it('makes one for several that are smaller', () => {
    const before = garbage;
    for (let i = 0; i < 63; i++) hastenCollection(256);
    assert.equal(garbage, before);
    hastenCollection(256);
    assert.equal(garbage.length, 1024);
    const one = garbage;
    hastenCollection(15 * KIB);
    assert.equal(garbage, one);
    hastenCollection(2 * KIB);
    assert.equal(garbage.length, (17 * KIB) / 16);
  });
});
