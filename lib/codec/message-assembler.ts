import { Buffer, isAscii } from 'node:buffer';
import type { ErrorCode } from '../errors.ts';
import { hastenCollection } from './hasten-collection.ts';
import { isRoomy, returnMemory, takeMemory } from './message-memory.ts';
import { decodeUtf8, Utf8Validator } from './utf8.ts';

/** What is reserved at once for a message whose end has not arrived, in bytes. */
const FIRST_RESERVE_BYTES = 4096;

/** How many times what has arrived is reserved at the most. Memory that no byte was written to is not even resident. */
const MAX_AHEAD = 16;
/** As many bytes of a large message must be there before more than twice as much is reserved. */
const AHEAD_FROM_BYTES = 64 * 1024;

/** Up to this many bytes a loop is faster than a view to copy from: 45 against 70 ns. */
const SHORT_BYTES = 48;

const EMPTY = Buffer.alloc(0);

/**
 * Puts a message together from the payloads of its frames. RFC 6455 §5.4.
 *
 * All pieces are copied into one buffer, which grows as bytes arrive towards the length that headers announce: a
 * header alone reserves next to nothing, and a thousand tiny fragments cost no more than one. Text is checked piece
 * by piece, so that a fault is found with the byte that makes it (§8.1).
 */
export class MessageAssembler {
  readonly #maxMessageBytes: number;
  #buffer: Buffer = EMPTY;
  #length = 0;
  #active = false;
  #text: Utf8Validator | undefined;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Whether a message was begun and not finished. */
  get active(): boolean {
    return this.#active;
  }

  /** Bytes reserved for the message in hand. */
  get bufferedBytes(): number {
    return this.#buffer.length;
  }

  begin(text: boolean): void {
    this.#active = true;
    this.#text = text ? new Utf8Validator() : undefined;
  }

  /**
   * Adds the next piece, which is copied.
   *
   * @param remaining - bytes of the same frame that are still to come, in bytes
   * @param isLast - whether the message ends with that frame
   * @returns the rule that the piece breaks, or `undefined`
   */
  append(bytes: Buffer, start: number, end: number, remaining: number, isLast: boolean = false): ErrorCode | undefined {
    const length = this.#length + end - start;
    // §10.4: by what the header announces, before anything is reserved.
    if (length + remaining > this.#maxMessageBytes) return 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    if (this.#text !== undefined && !this.#text.push(bytes, start, end)) return 'WS_ERR_INVALID_UTF8';
    if (length > this.#buffer.length) this.#grow(length, length + remaining, isLast);
    bytes.copy(this.#buffer, this.#length, start, end);
    this.#length = length;
    return undefined;
  }

  /** Whether the message in hand is text. */
  get isText(): boolean {
    return this.#text !== undefined;
  }

  /** Length of the message in hand, as far as it has arrived, in bytes. */
  get length(): number {
    return this.#length;
  }

  /**
   * Ends the message and gets ready for the next.
   *
   * @returns the text, or a buffer of the caller's own, or `undefined` for text that ends inside a character
   */
  finish(): string | Buffer | undefined {
    const { isText, length } = this;
    const isWhole = this.#text?.complete !== false;
    const memory = this.finishInPlace();
    if (!isText) return ownPayload(memory, length);
    const payload = memory.subarray(0, length);
    const text = isWhole ? decodeText(payload) : undefined;
    returnMemory(memory);
    return text;
  }

  /**
   * Ends the message and gets ready for the next.
   *
   * @returns the memory that it is in, with its first byte first, and perhaps room behind it. The caller's own: to be
   * kept, or given to `returnMemory`.
   */
  finishInPlace(): Buffer {
    const memory = this.#buffer;
    this.#buffer = EMPTY;
    this.reset();
    return memory;
  }

  /** Forgets the message in hand and lets go of its memory. */
  reset(): void {
    this.#active = false;
    this.#text = undefined;
    returnMemory(this.#buffer);
    this.#buffer = EMPTY;
    this.#length = 0;
  }

  /**
   * Makes room for `needed` bytes: at least twice as much each time, so that all copying together stays linear, and up
   * to the `announced` bytes of a frame of which a good part has come; and to no more than those, if it is the last.
   */
  #grow(needed: number, announced: number, isLast: boolean): void {
    const doubled = Math.max(needed, FIRST_RESERVE_BYTES, this.#buffer.length * 2);
    const ahead =
      needed < AHEAD_FROM_BYTES && announced > AHEAD_FROM_BYTES ? 0 : Math.min(announced, needed * MAX_AHEAD);
    const most = isLast ? announced : this.#maxMessageBytes;
    const grown = takeMemory(Math.min(Math.max(doubled, ahead), most));
    this.#buffer.copy(grown, 0, 0, this.#length);
    returnMemory(this.#buffer);
    this.#buffer = grown;
  }
}

/** Makes the first `length` bytes of memory somebody's own. Much room behind them would be kept for as long as they are. */
export function ownPayload(memory: Buffer, length: number): Buffer {
  if (!isRoomy(memory.length, length)) return memory.subarray(0, length);
  const payload = Buffer.from(memory.subarray(0, length));
  returnMemory(memory);
  return payload;
}

function decodeText(payload: Buffer): string {
  return isAscii(payload) ? payload.toString('latin1') : payload.toString('utf8');
}

/**
 * Decodes a message that came whole in one frame.
 *
 * @returns the text, or a copy of the bytes, or `undefined` for text that is not UTF-8
 */
export function decodeMessage(text: boolean, bytes: Buffer, start: number, end: number): string | Buffer | undefined {
  return text ? decodeUtf8(bytes, start, end) : copyBytes(bytes, start, end);
}

/** Copies `bytes[start, end)` into a buffer of the caller's own. */
export function copyBytes(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  const copy = Buffer.allocUnsafe(length);
  if (length > SHORT_BYTES) {
    copy.set(bytes.subarray(start, end));
    hastenCollection(length);
  } else {
    for (let i = 0; i < length; i++) copy[i] = bytes[start + i]!;
  }
  return copy;
}
