import { constants as bufferConstants } from 'node:buffer';
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

/** §7.2.2: what a sender leaves out of the end of a message, the length of an empty block. */
const TAIL: Buffer = Buffer.from('0000ffff', 'hex');
/**
 * The tail, an empty final block, and one byte more. Messages that end with a whole block, as they must, and only those
 * end the stream one byte before the end of all input: so a message that was cut short is found out. Only for a stream
 * that no other message continues.
 */
const FINAL_TAIL: Buffer = Buffer.from('0000ffff030000', 'hex');
const AFTER_FINAL_BLOCK = 1;

/** How many final blocks (BFINAL, §7.2.3.4) one message may have: each is a reset of zlib, for two bytes of the peer's. */
const MAX_FINAL_BLOCKS = 1000;

const WINDOW_BITS = 15;

type Status = 'done' | 'full' | 'bad';

/** One message on its way through zlib. */
class InflateRun {
  readonly #zlib: LiveZlib;
  readonly #input: Uint8Array;
  readonly #payloadEnd: number;
  readonly #inputEnd: number;
  /** Whether the input ends with `FINAL_TAIL`, rather than with `TAIL`. */
  readonly #isFinal: boolean;
  #position = 0;
  #finalBlocks = 0;
  /** Bytes that the last `advance` has written. */
  written = 0;

  constructor(zlib: LiveZlib, input: Uint8Array, payloadEnd: number, tail: Uint8Array) {
    this.#zlib = zlib;
    this.#input = input;
    this.#payloadEnd = payloadEnd;
    this.#inputEnd = payloadEnd + tail.length;
    this.#isFinal = tail === FINAL_TAIL;
  }

  /** Writes to the first `outputEnd` bytes of the scratch, until they are full or the message is done. */
  advance(outputEnd: number): Status {
    this.written = 0;
    const zlib = this.#zlib;
    const inputEnd = this.#inputEnd;
    while (this.#finalBlocks <= MAX_FINAL_BLOCKS) {
      if (!zlib.run(this.#input, this.#position, inputEnd, outputScratch, this.written, outputEnd)) return 'bad';
      const { unreadBytes, freeBytes } = zlib;
      this.#position = inputEnd - unreadBytes;
      this.written = outputEnd - freeBytes;
      if (freeBytes === 0) return 'full';
      if (unreadBytes === 0) return this.#isFinal ? 'bad' : 'done';
      // There was room, and input left: a block with BFINAL has ended the stream, §7.2.3.4. What follows it, if only the
      // padding that makes room for the tail, is a stream of its own.
      zlib.reset();
      if (this.#isFinal && unreadBytes === AFTER_FINAL_BLOCK) return 'done';
      // A sender that left out the padding; the message is whole all the same.
      if (this.#position === this.#payloadEnd) return 'done';
      this.#finalBlocks++;
    }
    return 'bad';
  }

  /** The same for what is left of an input that ends with `TAIL`, in memory of its own. */
  detach(): InflateRun {
    const rest = Buffer.from(this.#input.subarray(this.#position, this.#inputEnd));
    return new InflateRun(this.#zlib, rest, rest.length - TAIL.length, TAIL);
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
    const run = new InflateRun(shared, inputScratch, length, FINAL_TAIL);
    const status = run.advance(scratchEnd(limit.maxBytes));
    shared.reset();
    if (status === 'done') return readScratch(isText, run.written);
    if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
    if (run.written > limit.maxBytes) return peerError(limit.error);
    // It was worth a try: what is thrown away took some 0.1 ms.
    return inflateInPool(isText, bytes, start, end, limit);
  },
  close() {},
};

/** Decompresses messages that continue each other's window, §7.1.1: holds up to 50 KiB from the first one on. */
export class ContextInflater implements Inflater {
  readonly #windowBits: number;
  #zlib: LiveZlib | undefined;
  #closed = false;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  inflate(
    isText: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
    limit: InflateLimit,
  ): Inflated | Promise<Inflated> {
    const length = end - start;
    if (length === 0 || this.#closed) return peerError('WS_ERR_INFLATE_FAILED');
    this.#zlib ??= LiveZlib.inflate({ windowBits: this.#windowBits });
    const input = length > MAX_IN_PLACE_BYTES ? Buffer.alloc(length + TAIL.length) : inputScratch;
    input.set(bytes.subarray(start, end));
    input.set(TAIL, length);
    const run = new InflateRun(this.#zlib, input, length, TAIL);
    const status = run.advance(scratchEnd(limit.maxBytes));
    if (status === 'done') return readScratch(isText, run.written);
    if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
    if (run.written > limit.maxBytes) return peerError(limit.error);
    return inflateInSlices(isText, run.detach(), run.written, limit);
  }

  close(): void {
    this.#closed = true;
    this.#zlib?.close();
  }
}

/** How much of the scratch to fill: one byte more than is allowed, to see that it is too much. */
function scratchEnd(maxBytes: number): number {
  return Math.min(Math.floor(maxBytes) + 1, outputScratch.length);
}

/**
 * Goes on with a large message a scratch at a time, with the event loop in between. Not in the thread pool, since the
 * window is here, and must stay.
 */
async function inflateInSlices(
  isText: boolean,
  run: InflateRun,
  written: number,
  limit: InflateLimit,
): Promise<Inflated> {
  const slices = [Buffer.from(outputScratch.subarray(0, written))];
  let total = written;
  for (;;) {
    await new Promise(setImmediate);
    const status = run.advance(scratchEnd(limit.maxBytes - total));
    if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
    total += run.written;
    if (total > limit.maxBytes) return peerError(limit.error);
    slices.push(Buffer.from(outputScratch.subarray(0, run.written)));
    if (status === 'done') return readMessage(isText, Buffer.concat(slices, total));
  }
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
function readScratch(isText: boolean, length: number): Inflated {
  if (!isText) return Buffer.from(outputScratch.subarray(0, length));
  return decodeUtf8(outputScratch, 0, length) ?? peerError('WS_ERR_INVALID_UTF8');
}

/** The message in a buffer of its own. */
function readMessage(isText: boolean, bytes: Buffer): Inflated {
  if (!isText) return bytes;
  return decodeUtf8(bytes, 0, bytes.length) ?? peerError('WS_ERR_INVALID_UTF8');
}
