import { Buffer } from 'node:buffer';
import { hastenCollection } from './hasten-collection.ts';

/**
 * Memory that messages which come in pieces are put together in. What a handler only reads where it lies is used again for
 * the next: new memory of 1 MiB costs more than to fill it, since the system gives it page by page.
 */

/** What is kept to be used again by all connections of a thread, at the most. */
const MAX_SPARE_BYTES = 8 * 1024 * 1024;
/** Smaller memory costs little, and would fill the list. */
const MIN_SPARE_BYTES = 8 * 1024;
const MAX_SPARE = 64;

/** Each with all its bytes: what lies in them is of messages that are gone. The one that was used last is at the end. */
const spare: Buffer[] = [];
let spareBytes = 0;

/** What handlers read at this moment, and may still take over. */
const lent = new Set<ArrayBufferLike>();
/** What handlers may read again that wait for something. They may never go on, and are forgotten then with the memory. */
const kept = new WeakSet<ArrayBufferLike>();

/** Gives memory of so many bytes. It is not empty: what is read of it must have been written before. */
export function takeMemory(bytes: number): Buffer {
  for (let i = spare.length - 1; i >= 0; i--) {
    // Those that send much send messages of one size: to look for what nearly fits would only loosen the bounds.
    if (spare[i]!.length !== bytes) continue;
    spareBytes -= bytes;
    return spare.splice(i, 1)[0]!;
  }
  hastenCollection(bytes);
  return Buffer.allocUnsafeSlow(bytes);
}

/** Takes memory back that nobody reads any more. Where there is too much, that goes which was not used for the longest time. */
export function returnMemory(memory: Buffer): void {
  if (memory.length < MIN_SPARE_BYTES || memory.length > MAX_SPARE_BYTES) return;
  spareBytes += memory.length;
  spare.push(memory);
  while (spareBytes > MAX_SPARE_BYTES || spare.length > MAX_SPARE) spareBytes -= spare.shift()!.length;
}

/** Marks memory as lent, until it is taken over or `endLoan` is called. */
export function lendMemory({ buffer }: Buffer): void {
  lent.add(buffer);
}

/** @returns whether nobody has taken the memory over, or keeps it, so that it may be used again */
export function endLoan({ buffer }: Buffer): boolean {
  return lent.delete(buffer);
}

/** Has memory stay lent behind `endLoan`, until `endKeptLoan`. @returns false if it is not lent */
export function keepLoan({ buffer }: Buffer): boolean {
  if (lent.delete(buffer)) kept.add(buffer);
  return kept.has(buffer);
}

/** Takes memory back that was kept, unless somebody has taken it over. */
export function endKeptLoan(memory: Buffer): void {
  if (kept.delete(memory.buffer)) returnMemory(memory);
}

/** Whether bytes lie in memory that is lent. */
export function isLent({ buffer }: Uint8Array): boolean {
  return lent.has(buffer) || kept.has(buffer);
}

/**
 * Makes `bytes[start, end)` somebody's own, in memory that is lent: as they lie there, or as a copy where they take but a
 * part of it, which would keep all of it alive.
 */
export function takeOver(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  if (isRoomy(bytes.length, length)) return Buffer.from(bytes.subarray(start, end));
  lent.delete(bytes.buffer);
  kept.delete(bytes.buffer);
  return bytes.subarray(start, end);
}

/** Whether memory has much room to spare beside a payload. */
export function isRoomy(memoryBytes: number, payloadBytes: number): boolean {
  return memoryBytes - payloadBytes > payloadBytes >> 3;
}
