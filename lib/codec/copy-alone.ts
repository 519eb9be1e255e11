import { Buffer } from 'node:buffer';

/**
 * Copies bytes that are to be kept for long into memory of their own. `Buffer.from` cuts small copies out of a pool that
 * all share, of 8 or 64 KiB, and every one of them keeps all of it alive.
 */
export function copyAlone(bytes: Uint8Array): Buffer {
  const copy = Buffer.alloc(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
