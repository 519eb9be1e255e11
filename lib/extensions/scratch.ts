import { Buffer } from 'node:buffer';

/**
 * Memory that every compression and decompression of the thread works in, one after the other: a message is written
 * here, and only what it comes to is copied out at its right size.
 */

/** The largest message, compressed or not, that is handled at once rather than off the event loop, in bytes. */
export const MAX_IN_PLACE_BYTES: number = 64 * 1024;

/** Room behind a message for what is added to its end, and removed again. */
const MARGIN_BYTES = 16;

/** A character of a JavaScript string takes at most this many bytes of UTF-8. */
export const MAX_BYTES_PER_CHARACTER = 3;

/** Bytes to be read; any text of `MAX_IN_PLACE_BYTES` characters fits in. */
export const inputScratch: Buffer = Buffer.alloc(MAX_IN_PLACE_BYTES * MAX_BYTES_PER_CHARACTER);
/** Bytes that were written. */
export const outputScratch: Buffer = Buffer.alloc(MAX_IN_PLACE_BYTES + MARGIN_BYTES);
