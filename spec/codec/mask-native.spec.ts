import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { referenceMask } from '../support/reference-codec.ts';

const KEY = hex('37fa213d');
let calls = 0;

/** What it will be in Node, in JavaScript. */
function nativeMask(bytes: Uint8Array, key: Uint8Array): void {
  calls++;
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= key[i & 3]!;
}

// Before the library looks for it.
Object.assign(process.getBuiltinModule('node:http'), { websocketUnmask: nativeMask });
const { applyMask, readMaskKey, rotateMaskKey } = await import('../../lib/codec/mask.ts');
const { checkNativeMask } = await import('../../lib/codec/mask-native.ts');
const { receiveBuffer } = await import('../../lib/codec/mask-simd.ts');

describe('applyMask where Node can mask', () => {
  beforeEach(() => {
    // Looked for, and checked, by now.
    applyMask(Buffer.alloc(1000), 0, 1000, 1);
    calls = 0;
  });

  it('equals the naive loop at every length around its threshold, offset and phase, and touches nothing else', () => {
    for (let length = 240; length <= 300; length++) {
      for (let offset = 0; offset < 8; offset++) {
        const phase = length & 3;
        const expected = bytesOf(offset + length + 8, length);
        const bytes = Buffer.from(expected);
        applyMask(bytes, offset, offset + length, rotateMaskKey(readMaskKey(KEY, 0), phase));
        const turned = Buffer.concat([KEY.subarray(phase), KEY.subarray(0, phase)]);
        expected.set(referenceMask(expected.subarray(offset, offset + length), turned), offset);
        assert.ok(bytes.equals(expected), `${length} at ${offset}, phase ${phase}`);
      }
    }
    assert.equal(calls, 8 * 45, 'from 256 bytes on');
  });

  it('leaves the receive buffer to what is faster there', () => {
    const original = bytesOf(receiveBuffer.length, 3);
    receiveBuffer.set(original);
    applyMask(receiveBuffer, 1, receiveBuffer.length, readMaskKey(KEY, 0));
    assert.ok(receiveBuffer.subarray(1).equals(referenceMask(original.subarray(1), KEY)));
    assert.equal(calls, 0);
  });
});

describe('checkNativeMask', () => {
  it('takes what masks right', () => {
    assert.equal(checkNativeMask(nativeMask), nativeMask);
  });

  it('takes nothing that is no function', () => {
    for (const candidate of [undefined, null, 'mask', {}]) assert.equal(checkNativeMask(candidate), null);
  });

  it('takes nothing that masks wrong, at one alignment or one length only', () => {
    const wrong = [
      () => {},
      (bytes: Uint8Array) => nativeMask(bytes, Buffer.alloc(4, 0x55)),
      (bytes: Uint8Array, key: Uint8Array) => nativeMask(bytes, Buffer.from(key).reverse()),
      (bytes: Uint8Array, key: Uint8Array) => nativeMask(bytes.byteOffset % 8 === 3 ? bytes.subarray(1) : bytes, key),
      (bytes: Uint8Array, key: Uint8Array) => nativeMask(bytes.length % 8 === 5 ? bytes.subarray(0, -1) : bytes, key),
      (bytes: Uint8Array, key: Uint8Array) => {
        nativeMask(bytes, key);
        new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length + 1)[bytes.length]! ^= 1;
      },
    ];
    for (const candidate of wrong) assert.equal(checkNativeMask(candidate), null, String(candidate));
  });

  it('takes nothing that throws', () => {
    const throwing = () => {
      throw new TypeError('not supported');
    };
    assert.equal(checkNativeMask(throwing), null);
  });
});
