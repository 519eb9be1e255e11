import { Buffer, constants as bufferConstants } from 'node:buffer';
import { constants, inflateRaw, type ZlibOptions } from 'node:zlib';
import { decodeUtf8 } from '../codec/utf8.ts';
import { type ErrorCode, peerError, type WebSocketError } from '../errors.ts';
import { inputScratch, MAX_IN_PLACE_BYTES, outputScratch } from './scratch.ts';
import { runInTurn } from './task-queue.ts';
import { canUseHandles, LiveZlib } from './zlib-handle.ts';

/**
 * Decompression of messages. Section numbers are RFC 7692.
 */

/** A message, text as a string and binary as a buffer of the receiver's own; or the rule that it breaks. */
export type Inflated = string | Buffer | WebSocketError;

/** What a message may come to. */
export interface InflateLimit {
  readonly maxBytes: number;
  /** The error of a message that is larger. */
  readonly error: ErrorCode;
}

/** Decompresses the messages of one direction of a connection, one after the other. */
export interface Inflater {
  /**
   * Decompresses `bytes[start, end)`, which is copied where that takes longer than this call.
   *
   * @returns the message, or a promise of it that never rejects; the next call must wait for it
   */
  inflate(
    isText: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
    limit: InflateLimit,
  ): Inflated | Promise<Inflated>;
  /** Frees what is held. */
  close(): void;
}

/**
 * What a sender leaves out of the end of a message (§7.2.2), an empty final block, and one byte more. Messages that end with a whole block, as they must, and only those
 * end the stream one byte before the end of all input: so a message that was cut short is found out. Only for a stream
 * that no other message continues.
 */
const FINAL_TAIL: Buffer = Buffer.from('0000ffff030000', 'hex');
const AFTER_FINAL_BLOCK = 1;

/** How many final blocks (BFINAL, §7.2.3.4) one message may have: each is a reset of zlib, for two bytes of the peer's. */
export const MAX_FINAL_BLOCKS = 1000;

const WINDOW_BITS = 15;

export type Status = 'done' | 'full' | 'bad';

/** One message on its way through zlib: `input` ends with `FINAL_TAIL`, from `payloadEnd` on. */
class InflateRun {
  readonly #zlib: LiveZlib;
  readonly #input: Uint8Array;
  readonly #payloadEnd: number;
  #position = 0;
  #finalBlocks = 0;
  /** Bytes that were written. */
  written = 0;

  constructor(zlib: LiveZlib, input: Uint8Array, payloadEnd: number) {
    this.#zlib = zlib;
    this.#input = input;
    this.#payloadEnd = payloadEnd;
  }

  /** Writes to the first `outputEnd` bytes of the scratch, until they are full or the message is done. */
  run(outputEnd: number): Status {
    const zlib = this.#zlib;
    const inputEnd = this.#payloadEnd + FINAL_TAIL.length;
    while (this.#finalBlocks <= MAX_FINAL_BLOCKS) {
      if (!zlib.run(this.#input, this.#position, inputEnd, outputScratch, this.written, outputEnd)) return 'bad';
      const { unreadBytes, freeBytes } = zlib;
      this.#position = inputEnd - unreadBytes;
      this.written = outputEnd - freeBytes;
      if (freeBytes === 0) return 'full';
      if (unreadBytes === 0) return 'bad';
      // There was room, and input left: a block with BFINAL has ended the stream, §7.2.3.4. What follows it, if only the
      // padding that makes room for the tail, is a stream of its own.
      zlib.reset();
      if (unreadBytes === AFTER_FINAL_BLOCK) return 'done';
      // A sender that left out the padding; the message is whole all the same.
      if (this.#position === this.#payloadEnd) return 'done';
      this.#finalBlocks++;
    }
    return 'bad';
  }
}

/** The one raw inflate of this thread for messages that start with an empty window. */
let shared: LiveZlib | undefined;

/** Decompresses messages that start with an empty window, §7.1.1: nothing is held between them. */
export const sharedInflater: Inflater = {
  inflate(isText, bytes, start, end, limit) {
    const length = end - start;
    if (length === 0) return peerError('WS_ERR_INFLATE_FAILED');
    if (length > MAX_IN_PLACE_BYTES || !canUseHandles()) return inflateInPool(isText, bytes, start, end, limit);
    shared ??= LiveZlib.inflate({ windowBits: WINDOW_BITS });
    inputScratch.set(bytes.subarray(start, end));
    inputScratch.set(FINAL_TAIL, length);
    const run = new InflateRun(shared, inputScratch, length);
    const status = run.run(scratchEnd(limit.maxBytes));
    shared.reset();
    if (status === 'done') return readScratch(isText, run.written);
    if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
    if (run.written > limit.maxBytes) return peerError(limit.error);
    // It was worth a try: what is thrown away took some 0.1 ms.
    return inflateInPool(isText, bytes, start, end, limit);
  },
  close() {},
};

/** How much of the scratch to fill: one byte more than is allowed, to see that it is too much. */
export function scratchEnd(maxBytes: number): number {
  return Math.min(Math.floor(maxBytes) + 1, outputScratch.length);
}

/** Decompresses a large message, or any where handles cannot be used, in the thread pool. */
async function inflateInPool(
  isText: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
  limit: InflateLimit,
): Promise<Inflated> {
  const length = end - start;
  const input = Buffer.alloc(length + FINAL_TAIL.length);
  input.set(bytes.subarray(start, end));
  input.set(FINAL_TAIL, length);
  const parts: Buffer[] = [];
  let total = 0;
  let position = 0;
  // A turn for each final block, as above.
  for (let finalBlocks = 0; finalBlocks <= MAX_FINAL_BLOCKS; finalBlocks++) {
    const part = await runInTurn(() => inflateStream(input.subarray(position), Math.max(limit.maxBytes - total, 1)));
    if (part === 'bad') break;
    if (part === 'full' || total + part.output.length > limit.maxBytes) return peerError(limit.error);
    parts.push(part.output);
    total += part.output.length;
    position += part.readBytes;
    if (position === input.length - AFTER_FINAL_BLOCK || position === length) {
      return readMessage(isText, parts.length === 1 ? part.output : Buffer.concat(parts, total));
    }
  }
  return peerError('WS_ERR_INFLATE_FAILED');
}

interface StreamPart {
  readonly output: Buffer;
  readonly readBytes: number;
}

const POOL_OPTIONS: ZlibOptions = {
  windowBits: WINDOW_BITS,
  chunkSize: MAX_IN_PLACE_BYTES,
  finishFlush: constants.Z_SYNC_FLUSH,
  info: true,
};

/** Decompresses one deflate stream, up to its end or the end of the input. */
function inflateStream(input: Buffer, maxOutputLength: number): Promise<StreamPart | 'bad' | 'full'> {
  return new Promise((resolve) => {
    const options = { ...POOL_OPTIONS, maxOutputLength: Math.min(maxOutputLength, bufferConstants.MAX_LENGTH) };
    inflateRaw(input, options, (error, result) => {
      if (error !== null) {
        resolve((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'full' : 'bad');
        return;
      }
      // With the option `info`, which the types do not know.
      const { buffer, engine } = result as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      resolve({ output: buffer, readBytes: engine.bytesWritten });
    });
  });
}

/** The message in the first `length` bytes of the scratch. */
export function readScratch(isText: boolean, length: number): Inflated {
  if (!isText) return Buffer.from(outputScratch.subarray(0, length));
  return decodeUtf8(outputScratch, 0, length) ?? peerError('WS_ERR_INVALID_UTF8');
}

/** The message in a buffer of its own. */
export function readMessage(isText: boolean, bytes: Buffer): Inflated {
  if (!isText) return bytes;
  return decodeUtf8(bytes, 0, bytes.length) ?? peerError('WS_ERR_INVALID_UTF8');
}
