import { applyMaskSimd } from './mask-simd.ts';

/**
 * The masking of RFC 6455 §5.3: byte `i` of a payload is XORed with byte `i % 4` of the key. Masking twice is the
 * identity. A key is held as one 32-bit integer whose lowest byte is the first on the wire.
 */

/** Reads the masking key whose four bytes start at `offset`. */
export function readMaskKey(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);
}

/** Writes the four bytes of a masking key at `offset`. */
export function writeMaskKey(bytes: Uint8Array, offset: number, key: number): void {
  bytes[offset] = key;
  bytes[offset + 1] = key >>> 8;
  bytes[offset + 2] = key >>> 16;
  bytes[offset + 3] = key >>> 24;
}

/** Turns a key so that it fits the payload from its byte `position` on. */
export function rotateMaskKey(key: number, position: number): number {
  const bits = (position & 3) << 3;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
}

/** Masks or unmasks `bytes[start, end)` in place; the key belongs to the byte at `start`. */
export function applyMask(bytes: Uint8Array, start: number, end: number, key: number): void {
  if (!applyMaskSimd(bytes, start, end, key)) applyMaskScalar(bytes, start, end, key);
}

/** Four bytes a turn: 2 to 3 times faster than `key[i & 3]` from 16 bytes up. */
function applyMaskScalar(bytes: Uint8Array, start: number, end: number, key: number): void {
  const key1 = key >>> 8;
  const key2 = key >>> 16;
  const key3 = key >>> 24;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    bytes[i]! ^= key;
    bytes[i + 1]! ^= key1;
    bytes[i + 2]! ^= key2;
    bytes[i + 3]! ^= key3;
  }
  if (i < end) bytes[i]! ^= key;
  if (i + 1 < end) bytes[i + 1]! ^= key1;
  if (i + 2 < end) bytes[i + 2]! ^= key2;
}
