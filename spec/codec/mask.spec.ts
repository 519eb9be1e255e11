import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyMask, readMaskKey, rotateMaskKey, writeMaskKey } from '../../lib/codec/mask.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { referenceMask } from '../support/reference-codec.ts';

const KEYS = [hex('37fa213d'), hex('00000000'), hex('ffffffff'), hex('80000001'), hex('00ff8000')];

describe('applyMask', () => {
  it('masks the example of §5.7', () => {
    const bytes = Buffer.from('Hello');
    applyMask(bytes, 0, bytes.length, readMaskKey(hex('37fa213d'), 0));
    assert.deepEqual(bytes, hex('7f9f4d5158'));
  });

  it('equals the naive loop at every length, offset and phase, and touches nothing else', () => {
    for (const key of KEYS) {
      for (let length = 0; length <= 70; length++) {
        for (let offset = 0; offset < 8; offset++) {
          for (let phase = 0; phase < 4; phase++) {
            const original = bytesOf(offset + length + 8, length);
            const bytes = Buffer.from(original);
            applyMask(bytes, offset, offset + length, rotateMaskKey(readMaskKey(key, 0), phase));
            const turned = Buffer.concat([key.subarray(phase), key.subarray(0, phase)]);
            const masked = referenceMask(original.subarray(offset, offset + length), turned);
            const expected = Buffer.concat([original.subarray(0, offset), masked, original.subarray(offset + length)]);
            if (!bytes.equals(expected)) assert.deepEqual(bytes, expected, `${length} at ${offset}, phase ${phase}`);
          }
        }
      }
    }
  });

  it('is its own inverse on a large payload', () => {
    const original = bytesOf(65_537, 7);
    const bytes = Buffer.from(original);
    applyMask(bytes, 0, bytes.length, 0x3d21fa37);
    assert.ok(!bytes.equals(original));
    applyMask(bytes, 0, bytes.length, 0x3d21fa37);
    assert.ok(bytes.equals(original));
  });
});

describe('rotateMaskKey', () => {
  it('turns by the position modulo 4, also beyond 2^32', () => {
    const key = readMaskKey(hex('01828384'), 0);
    for (const position of [0, 1, 2, 3, 4, 5, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
      const bytes = Buffer.alloc(4);
      writeMaskKey(bytes, 0, rotateMaskKey(key, position));
      const at = position % 4;
      const wire = hex('01828384');
      assert.deepEqual(bytes, Buffer.concat([wire.subarray(at), wire.subarray(0, at)]), `${position}`);
    }
  });
});

describe('readMaskKey and writeMaskKey', () => {
  it('keep all four bytes in order, at any offset', () => {
    for (const key of KEYS) {
      for (let offset = 0; offset < 4; offset++) {
        const source = Buffer.concat([Buffer.alloc(offset, 0xaa), key]);
        const target = Buffer.alloc(offset + 5, 0xee);
        writeMaskKey(target, offset, readMaskKey(source, offset));
        assert.deepEqual(target.subarray(offset, offset + 4), key);
        assert.equal(target[offset + 4], 0xee);
      }
    }
  });
});
