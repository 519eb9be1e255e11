import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { referenceMask } from '../support/reference-codec.ts';

// Before the library is loaded: a process without WebAssembly, as with `--jitless` or under a policy that forbids it.
Reflect.deleteProperty(globalThis, 'WebAssembly');
const { applyMask, readMaskKey } = await import('../../lib/codec/mask.ts');
const { applyMaskSimd, receiveBuffer } = await import('../../lib/codec/mask-simd.ts');

describe('applyMask without WebAssembly', () => {
  it('masks in JavaScript', () => {
    const key = hex('37fa213d');
    for (const memory of [Buffer.alloc(70_000), receiveBuffer]) {
      for (const length of [0, 5, 16, 255, 256, 60_001]) {
        const original = bytesOf(length, length);
        memory.set(original, 1);
        if (memory !== receiveBuffer || length > 100) assert.equal(applyMaskSimd(memory, 1, 1 + length, 7), false);
        applyMask(memory, 1, 1 + length, readMaskKey(key, 0));
        assert.ok(memory.subarray(1, 1 + length).equals(referenceMask(original, key)));
      }
    }
  });

  it('has a receive buffer all the same', () => {
    assert.equal(receiveBuffer.length, 256 * 1024);
  });
});
