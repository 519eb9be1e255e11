import { Buffer } from 'node:buffer';

/**
 * Masking by Node itself, for versions that have it: `websocketUnmask` of node:http, which is on its way and in no release
 * yet. It is looked for when the first payload comes that it is worth for, so that it costs nothing to start; what is not
 * there, or does not do what it should, is never called again.
 */

/** Masks or unmasks all of `bytes` in place; byte `i` with byte `i % 4` of the key. */
export type NativeMask = (bytes: Uint8Array, key: Uint8Array) => void;

const keyBytes = Buffer.alloc(4);
/** `null` where there is none, `undefined` before it was looked for. */
let native: NativeMask | null | undefined;

/**
 * Masks or unmasks `bytes[start, end)` in place. Making the view that it takes costs some 40 ns: not for short payloads.
 *
 * @returns false when it did nothing, and the caller is to do it
 */
export function applyMaskNative(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  if (native === undefined) {
    const { websocketUnmask } = process.getBuiltinModule('node:http') as { websocketUnmask?: unknown };
    native = checkNativeMask(websocketUnmask);
  }
  if (native === null) return false;
  keyBytes.writeInt32LE(key);
  native(bytes.subarray(start, end), keyBytes);
  return true;
}

/** Returns `candidate` if it masks right, at every alignment and with every rest of a length, and else `null`. */
export function checkNativeMask(candidate: unknown): NativeMask | null {
  if (typeof candidate !== 'function') return null;
  try {
    const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
    for (let start = 0; start < 16; start++) {
      for (let end = 128; end < 160; end++) {
        const bytes = Buffer.alloc(176, 'The quick brown fox');
        const expected = Buffer.from(bytes);
        for (let i = start; i < end; i++) expected[i]! ^= key[(i - start) & 3]!;
        candidate(bytes.subarray(start, end), key);
        if (!bytes.equals(expected)) return null;
      }
    }
    return candidate as NativeMask;
  } catch {
    return null;
  }
}
