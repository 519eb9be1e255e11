/**
 * What windows may cost that are kept from message to message. The sizes are measured (RSS, Node 20 and 24, zlib with
 * SIMD, whose hash table has one size): within a tenth above what one takes.
 */

const KIB = 1024;
/** The state and the hash table of a deflate, in bytes. */
const DEFLATE_BASE_BYTES = 80 * KIB;
/** The state of an inflate. */
const INFLATE_BASE_BYTES = 20 * KIB;

/** How much memory a deflate holds that keeps its window, in bytes. */
export function deflateContextBytes(windowBits: number, memLevel: number): number {
  return DEFLATE_BASE_BYTES + (1 << (windowBits + 2)) + (1 << (memLevel + 9));
}

/** How much memory an inflate holds that keeps its window, in bytes. */
export function inflateContextBytes(windowBits: number): number {
  return INFLATE_BASE_BYTES + (1 << windowBits);
}

let reservedBytes = 0;

/** Bytes that are reserved on this thread, by all servers and clients. */
export function reservedContextBytes(): number {
  return reservedBytes;
}

/** Reserves memory for a connection; a negative number gives it back. */
export function reserveContextBytes(bytes: number): void {
  reservedBytes += bytes;
}
