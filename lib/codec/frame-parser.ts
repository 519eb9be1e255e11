import type { ErrorCode } from '../errors.ts';
import { decodeFrameHeader, FrameHeader, type FrameRules, MAX_HEADER_BYTES } from './frame-header.ts';
import { applyMask, rotateMaskKey } from './mask.ts';
import { CONTROL_BIT } from './opcode.ts';

/**
 * What a parser tells of the bytes it reads. The bytes of a payload are unmasked and lie in the receive buffer:
 * they are valid during the call only, copy to keep.
 */
export interface FrameSink {
  /**
   * A frame whose payload is whole: `bytes[start, end)`.
   *
   * @param bits - first byte of the frame: FIN, RSV1 and opcode
   */
  onFrame(bits: number, bytes: Buffer, start: number, end: number): void;
  /**
   * A piece of a data frame whose payload did not arrive at once. The first call comes as soon as the header is
   * whole, perhaps with no byte of payload, and the last with `remaining` 0. Control frames never come in pieces.
   *
   * @param remaining - bytes of the payload that are still to come
   */
  onFramePiece(bits: number, bytes: Buffer, start: number, end: number, remaining: number): void;
  /** The peer broke a rule of framing. The parser has stopped, and ignores all further bytes. */
  onFrameError(code: ErrorCode): void;
}

const EMPTY = Buffer.alloc(0);

/**
 * Reads frames from bytes that arrive in any pieces. RFC 6455 §5.2.
 *
 * A cursor over the received chunk: a header that is whole in it is read in place, a payload that is whole in it is
 * used where it lies. What is cut by the end of a chunk goes to a scratch of 14 bytes (header), to one of 125 bytes
 * (payload of a control frame), or is handed on in pieces (payload of a data frame); so at most 139 bytes are
 * buffered here, and no byte is looked at twice. Never throws for what a peer sent.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #rules: FrameRules;
  readonly #header = new FrameHeader();
  /** Bytes of an unfinished header, of which `#scratchLength` are there. Made when first needed. */
  #scratch: Buffer = EMPTY;
  #scratchLength = 0;
  /** Bytes of the current payload that have not arrived; the frame is described by `#header`. */
  #remaining = 0;
  /** The payload of a control frame that did not arrive at once, else empty. */
  #control: Buffer = EMPTY;
  #stopped = false;
  #paused = false;

  constructor(sink: FrameSink, rules: FrameRules) {
    this.#sink = sink;
    this.#rules = rules;
  }

  /** Bytes held back until more arrive. */
  get bufferedBytes(): number {
    return this.#scratchLength + (this.#control.length === 0 ? 0 : this.#control.length - this.#remaining);
  }

  /** Makes `push` ignore all bytes from now on, also those of the chunk that is being read. */
  stop(): void {
    this.#stopped = true;
    this.#control = EMPTY;
    this.#scratchLength = 0;
    this.#remaining = 0;
  }

  /** Makes `push` return after the frame that is being reported. */
  pause(): void {
    this.#paused = true;
  }

  /** Lets `push` read on; the caller pushes what was left again. */
  resume(): void {
    this.#paused = false;
  }

  /**
   * Reads `bytes[start, end)` and reports what is in it. Masked payloads are unmasked in place: the bytes must be
   * the caller's own, and are not kept after the call.
   *
   * @returns the offset of the first byte that was not read: `end`, or less when the sink called `pause`
   */
  push(bytes: Buffer, start: number = 0, end: number = bytes.length): number {
    let position = start;
    while (position < end && !this.#paused && !this.#stopped) {
      if (this.#remaining !== 0) position = this.#readPayload(bytes, position, end);
      else if (this.#scratchLength !== 0) position = this.#readCutHeader(bytes, position, end);
      else position = this.#readFrame(bytes, position, end);
    }
    return this.#stopped ? end : position;
  }

  /** Reads a frame from its first byte on: the fast path, for headers that are whole in the chunk. */
  #readFrame(bytes: Buffer, start: number, end: number): number {
    const header = this.#header;
    const headerLength = decodeFrameHeader(header, bytes, start, end, this.#rules);
    if (headerLength < 0) return this.#fail(end);
    if (headerLength === 0) {
      if (this.#scratch.length === 0) this.#scratch = Buffer.alloc(MAX_HEADER_BYTES);
      this.#scratchLength = bytes.copy(this.#scratch, 0, start, end);
      return end;
    }
    return this.#beginPayload(bytes, start + headerLength, end);
  }

  /** Adds bytes to a header that was cut by the end of a chunk. */
  #readCutHeader(bytes: Buffer, start: number, end: number): number {
    const held = this.#scratchLength;
    const available = held + bytes.copy(this.#scratch, held, start, end);
    const headerLength = decodeFrameHeader(this.#header, this.#scratch, 0, available, this.#rules);
    if (headerLength < 0) return this.#fail(end);
    if (headerLength === 0) {
      this.#scratchLength = available;
      return end;
    }
    this.#scratchLength = 0;
    return this.#beginPayload(bytes, start + headerLength - held, end);
  }

  /** Reports the payload at `start` at once if it is whole, and otherwise what there is of it. */
  #beginPayload(bytes: Buffer, start: number, end: number): number {
    const { bits, maskKey, length } = this.#header;
    const payloadEnd = start + length;
    if (payloadEnd <= end) {
      if (maskKey !== 0) applyMask(bytes, start, payloadEnd, maskKey);
      this.#sink.onFrame(bits, bytes, start, payloadEnd);
      return payloadEnd;
    }
    this.#remaining = length;
    if ((bits & CONTROL_BIT) !== 0) this.#control = Buffer.alloc(length);
    return this.#readPayload(bytes, start, end);
  }

  /** Reads on in a payload that does not lie in one chunk. */
  #readPayload(bytes: Buffer, start: number, end: number): number {
    const { bits, maskKey, length } = this.#header;
    const done = length - this.#remaining;
    const pieceEnd = Math.min(end, start + this.#remaining);
    if (maskKey !== 0) applyMask(bytes, start, pieceEnd, rotateMaskKey(maskKey, done));
    this.#remaining -= pieceEnd - start;
    const control = this.#control;
    if (control.length === 0) {
      this.#sink.onFramePiece(bits, bytes, start, pieceEnd, this.#remaining);
    } else {
      bytes.copy(control, done, start, pieceEnd);
      if (this.#remaining === 0) {
        this.#control = EMPTY;
        this.#sink.onFrame(bits, control, 0, control.length);
      }
    }
    return pieceEnd;
  }

  #fail(end: number): number {
    const { error } = this.#header;
    this.stop();
    this.#sink.onFrameError(error);
    return end;
  }
}
