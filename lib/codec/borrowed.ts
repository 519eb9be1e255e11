import { Buffer } from 'node:buffer';
import { receiveBuffer } from './mask-simd.ts';
import { copyBytes } from './message-assembler.ts';
import { isLent, takeOver } from './message-memory.ts';

/**
 * Bytes that are lent to a handler for the time of one call, and where they lie: in the receive buffer, where the next read
 * goes, or in memory in which the next message is put together. Whoever keeps them has somebody else's message a little later; so they are copied wherever they are to outlive the
 * call. In development they are spoiled after it, so that this is noticed at once.
 */

/** Whether views are spoiled. Asked once: reading the environment takes longer than a message. */
const isSpoiling = process.env.NODE_ENV !== 'production';
const SPOILED = 0xdb;

/** What memory of its own a view lies in, where it is spoiled. */
const spoilt = new WeakSet<ArrayBufferLike>();

/** Whether bytes are only lent, and what keeps them must copy them. */
export function isBorrowed(bytes: Uint8Array): boolean {
  return bytes.buffer === receiveBuffer.buffer || isLent(bytes) || (isSpoiling && spoilt.has(bytes.buffer));
}

/** Makes `bytes[start, end)`, which are lent, somebody's own. */
export function own(bytes: Buffer, start: number, end: number): Buffer {
  // To look for the receive buffer among what is lent would cost a small message a twentieth of its time.
  const isAlone = bytes.buffer !== receiveBuffer.buffer && isLent(bytes);
  return isAlone ? takeOver(bytes, start, end) : copyBytes(bytes, start, end);
}

/** Calls `read` with `bytes[start, end)` as they lie there, and returns what it returns. */
export function lend<T>(bytes: Uint8Array, start: number, end: number, read: (bytes: Buffer) => T): T {
  if (!isSpoiling) return read(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start));
  const view = Buffer.from(new ArrayBuffer(end - start));
  view.set(bytes.subarray(start, end));
  spoilt.add(view.buffer);
  try {
    return read(view);
  } finally {
    view.fill(SPOILED);
  }
}
