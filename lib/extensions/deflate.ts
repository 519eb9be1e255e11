import { Buffer } from 'node:buffer';
import { constants, deflateRaw, type ZlibOptions } from 'node:zlib';
import { inputScratch, MAX_BYTES_PER_CHARACTER, MAX_IN_PLACE_BYTES, outputScratch } from './scratch.ts';
import { runInTurn } from './task-queue.ts';
import { canUseHandles, LiveZlib } from './zlib-handle.ts';

/**
 * Compression of messages. Section numbers are RFC 7692.
 */

/** How messages are compressed. */
export interface DeflateSettings {
  /** The base-2 logarithm of the window, 8 to 15, §7.1.2. */
  readonly windowBits: number;
  /** 1 (fast) to 9 (small). */
  readonly level: number;
  /** 1 (little memory) to 9 (fast). */
  readonly memLevel: number;
}

/** The payload of a compressed message, of one's own; or `undefined` where the message is to be sent as it is. */
export type Deflated = Buffer | undefined;

/** §7.2.1: the end of what a flush writes, `00 00 ff ff`, is left out. */
const TAIL_BYTES = 4;
/** zlib makes 9 of a window of 8 bits (or refuses it, since the other side would not know). */
const MIN_ZLIB_WINDOW_BITS = 9;

/**
 * Compresses the messages of one direction of a connection, one after the other; or, when each starts with an empty
 * window, of any number of connections.
 */
export class Deflater {
  readonly #options: ZlibOptions;
  /** Whether a message continues the window of the one before, §7.1.1. */
  readonly #takeover: boolean;
  #zlib: LiveZlib | undefined;
  #closed = false;
  /** The text that was compressed last, and what it came to. */
  #lastText: string | undefined;
  #lastTextBytes = 0;
  #lastResult: Deflated;
  /** The same of bytes: a copy of them, in memory that is used again. */
  #lastBytes: Buffer | undefined;
  #lastBytesLength = 0;
  #lastBytesResult: Deflated;
  /** The large message that was given to the thread pool last, until the end of the turn. */
  #lastLarge: string | Uint8Array | undefined;
  #lastLargeResult: Promise<Deflated> | undefined;

  constructor({ windowBits, level, memLevel }: DeflateSettings, takeover: boolean) {
    this.#options = {
      level,
      memLevel,
      windowBits: Math.max(windowBits, MIN_ZLIB_WINDOW_BITS),
      // A peer with a window of 256 bytes gets repetitions of one byte only, and the Huffman code: no reference then
      // goes further back than it can see, whatever zlib takes the window for.
      strategy: windowBits < MIN_ZLIB_WINDOW_BITS ? constants.Z_RLE : constants.Z_DEFAULT_STRATEGY,
    };
    this.#takeover = takeover;
  }

  /**
   * Compresses a message, unless it is shorter than `minBytes`, or would not become smaller.
   *
   * @param data - must not change before a promise is fulfilled
   * @returns the payload, or a promise of it that never rejects; the next call must wait for it
   */
  deflate(data: string | Uint8Array, minBytes: number): Deflated | Promise<Deflated> {
    return typeof data === 'string' ? this.#deflateText(data, minBytes) : this.#deflateBytes(data, minBytes);
  }

  /** Frees the context, if one is kept; messages are sent as they are from now on. */
  close(): void {
    if (!this.#takeover) return;
    this.#closed = true;
    this.#zlib?.close();
  }

  /** A text that is sent to many connections in a row is compressed once: 5 µs for 1 KiB become 0.1. */
  #deflateText(text: string, minBytes: number): Deflated | Promise<Deflated> {
    if (text.length * MAX_BYTES_PER_CHARACTER < minBytes) return undefined;
    if (text.length > MAX_IN_PLACE_BYTES) return this.#deflateLarge(text, minBytes);
    if (!canUseHandles()) return this.#deflateBytes(Buffer.from(text), minBytes);
    if (text === this.#lastText && this.#lastTextBytes >= minBytes) return this.#lastResult;
    const length = inputScratch.write(text);
    if (length < minBytes || length === 0) return undefined;
    if (length > MAX_IN_PLACE_BYTES) return this.#deflateInPool(Buffer.from(inputScratch.subarray(0, length)));
    const result = this.#deflateInPlace(inputScratch, length);
    if (!this.#takeover) {
      this.#lastText = text;
      this.#lastTextBytes = length;
      this.#lastResult = result;
    }
    return result;
  }

  #deflateBytes(bytes: Uint8Array, minBytes: number): Deflated | Promise<Deflated> {
    const length = bytes.byteLength;
    if (length < minBytes || length === 0) return undefined;
    if (length > MAX_IN_PLACE_BYTES || !canUseHandles()) return this.#deflateLarge(bytes, minBytes);
    if (this.#takeover) return this.#deflateInPlace(bytes, length);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    if (this.#isLast(view)) return this.#lastBytesResult;
    this.#lastBytes ??= Buffer.alloc(MAX_IN_PLACE_BYTES);
    this.#lastBytes.set(view);
    this.#lastBytesLength = length;
    this.#lastBytesResult = this.#deflateInPlace(bytes, length);
    return this.#lastBytesResult;
  }

  /** Whether these bytes were compressed last. To compare them takes a hundredth of that. */
  #isLast(bytes: Buffer): boolean {
    const length = this.#lastBytesLength;
    return bytes.length === length && this.#lastBytes!.compare(bytes, 0, length, 0, length) === 0;
  }

  /** One that is sent to many connections in one turn is given to the thread pool once: it must not change meanwhile anyway. */
  #deflateLarge(data: string | Uint8Array, minBytes: number): Deflated | Promise<Deflated> {
    if (this.#lastLargeResult !== undefined && data === this.#lastLarge) return this.#lastLargeResult;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (bytes.byteLength < minBytes) return undefined;
    const result = this.#deflateInPool(bytes);
    // Of short bytes nobody is asked to leave them unchanged.
    const isSteady = typeof data === 'string' || bytes.byteLength > MAX_IN_PLACE_BYTES;
    if (this.#takeover || !isSteady) return result;
    if (this.#lastLarge === undefined) setImmediate(() => this.#forgetLarge());
    this.#lastLarge = data;
    this.#lastLargeResult = result;
    return result;
  }

  #forgetLarge(): void {
    this.#lastLarge = undefined;
    this.#lastLargeResult = undefined;
  }

  #deflateInPlace(bytes: Uint8Array, length: number): Deflated {
    if (this.#closed) return undefined;
    this.#zlib ??= LiveZlib.deflate(this.#options);
    const zlib = this.#zlib;
    const outputEnd = length + TAIL_BYTES;
    zlib.run(bytes, 0, length, outputScratch, 0, outputEnd);
    const { freeBytes } = zlib;
    // A message that the peer gets as it is never enters its window, and must not stay in this one either.
    if (!this.#takeover || freeBytes === 0) zlib.reset();
    return freeBytes === 0 ? undefined : Buffer.from(outputScratch.subarray(0, length - freeBytes));
  }

  /**
   * Compresses a large message in the thread pool, always with an empty window. It enters the peer's window and not this
   * one, which therefore starts again behind it: nothing that follows refers to what lies before.
   */
  async #deflateInPool(bytes: Uint8Array): Promise<Deflated> {
    if (this.#closed) return undefined;
    // A copy: bytes that somebody transfers must not be freed while another thread reads them.
    const result = await runInTurn(() => deflateStream(Buffer.from(bytes), this.#options));
    if (this.#takeover && result !== undefined) this.#zlib?.reset();
    return result;
  }
}

/** Compresses one message by itself; `undefined` if that makes it no smaller. */
function deflateStream(bytes: Uint8Array, options: ZlibOptions): Promise<Deflated> {
  return new Promise((resolve) => {
    const maxOutputLength = bytes.byteLength + TAIL_BYTES - 1;
    const { Z_SYNC_FLUSH } = constants;
    const poolOptions = { ...options, chunkSize: MAX_IN_PLACE_BYTES, finishFlush: Z_SYNC_FLUSH, maxOutputLength };
    deflateRaw(bytes, poolOptions, (error, result) => {
      resolve(error === null ? result.subarray(0, result.length - TAIL_BYTES) : undefined);
    });
  });
}
