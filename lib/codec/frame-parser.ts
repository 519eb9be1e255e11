import { Buffer } from 'node:buffer';
import type { ErrorCode } from '../errors.ts';
import {
  decodeFrameHeader,
  FrameHeader,
  type FrameRules,
  LENGTH_16,
  MASK_KEY_BYTES,
  MAX_HEADER_BYTES,
} from './frame-header.ts';
import { applyMask, readMaskKey, rotateMaskKey } from './mask.ts';
import { CONTROL_BIT, FIN, MASK_BIT, OpCode } from './opcode.ts';

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

/** What `decodeFrameHeader` found, for all parsers of the thread: it is read at once, before anybody else is called. */
const header = new FrameHeader();

/** First bytes of the usual frames: messages that are one frame. */
const WHOLE_TEXT = FIN | OpCode.Text;
const WHOLE_BINARY = FIN | OpCode.Binary;
/** The longest header that is read on the short road: a length of 16 bits and a masking key. */
const MAX_PLAIN_HEADER_BYTES = 8;

const READING = 0;
const PAUSED = 1;
const STOPPED = 2;

/** A frame that was cut by the end of a chunk: its header so far, or its header and what is missing of its payload. */
class CutFrame {
  /** Bytes of an unfinished header, of which `scratchLength` are there; 0 once it is whole. */
  scratch: Buffer = EMPTY;
  scratchLength = 0;
  bits = 0;
  maskKey = 0;
  length = 0;
  /** Bytes of the payload that have not arrived. */
  remaining = 0;
  /** The payload of a control frame; `undefined` for a data frame, which is handed on in pieces. */
  control: Buffer | undefined = undefined;

  get bufferedBytes(): number {
    return this.scratchLength + (this.control === undefined ? 0 : this.control.length - this.remaining);
  }
}

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
  /** The largest message that is read on the short road; negative where frames are not masked. */
  readonly #maxPlainBytes: number;
  /** The frame that was begun and is not whole; `undefined` between frames, as it is while nothing comes. */
  #cut: CutFrame | undefined = undefined;
  #state = READING;

  constructor(sink: FrameSink, rules: FrameRules) {
    this.#sink = sink;
    this.#rules = rules;
    this.#maxPlainBytes = rules.expectMask ? rules.maxFrameBytes : -1;
  }

  /** Bytes held back until more arrive. */
  get bufferedBytes(): number {
    return this.#cut?.bufferedBytes ?? 0;
  }

  /** Makes `push` ignore all bytes from now on, also those of the chunk that is being read. */
  stop(): void {
    this.#state = STOPPED;
    this.#cut = undefined;
  }

  /** Makes `push` return after the frame that is being reported. */
  pause(): void {
    if (this.#state === READING) this.#state = PAUSED;
  }

  /** Lets `push` read on; the caller pushes what was left again. */
  resume(): void {
    if (this.#state === PAUSED) this.#state = READING;
  }

  /**
   * Reads `bytes[start, end)` and reports what is in it. Masked payloads are unmasked in place: the bytes must be
   * the caller's own, and are not kept after the call.
   *
   * @returns the offset of the first byte that was not read: `end`, or less when the sink called `pause`
   */
  push(bytes: Buffer, start: number = 0, end: number = bytes.length): number {
    let position = start;
    while (position < end && this.#state === READING) {
      if (this.#cut !== undefined) {
        position = this.#readCut(this.#cut, bytes, position, end);
      } else {
        position = this.#readPlainFrames(bytes, position, end);
        if (position < end && this.#state === READING) position = this.#readFrame(bytes, position, end);
      }
    }
    return this.#state === STOPPED ? end : position;
  }

  /**
   * The short road, at less than half the cost for a small frame (measured: bench/cases/parse.ts): masked messages of one
   * frame below 64 KiB that are whole in the chunk. It stops before whatever differs in any way, a fault included, and
   * leaves that to `#readFrame`.
   */
  #readPlainFrames(bytes: Buffer, start: number, end: number): number {
    const last = end - MAX_PLAIN_HEADER_BYTES;
    let position = start;
    while (position <= last && this.#state === READING) {
      const bits = bytes[position]!;
      // Negative where the frame is not masked.
      let length = bytes[position + 1]! - MASK_BIT;
      let key = position + 2;
      if (length >= LENGTH_16) {
        length = length === LENGTH_16 ? (bytes[key]! << 8) | bytes[key + 1]! : -1;
        if (length < LENGTH_16) break;
        key += 2;
      }
      const payload = key + MASK_KEY_BYTES;
      const payloadEnd = payload + length;
      if ((bits !== WHOLE_TEXT && bits !== WHOLE_BINARY) || length < 0) break;
      if (length > this.#maxPlainBytes || payloadEnd > end) break;
      applyMask(bytes, payload, payloadEnd, readMaskKey(bytes, key));
      this.#sink.onFrame(bits, bytes, payload, payloadEnd);
      position = payloadEnd;
    }
    return position;
  }

  /** Reads a frame from its first byte on, if its header is whole in the chunk. */
  #readFrame(bytes: Buffer, start: number, end: number): number {
    const headerLength = decodeFrameHeader(header, bytes, start, end, this.#rules);
    if (headerLength <= 0) return headerLength < 0 ? this.#fail(end) : this.#keepHeader(bytes, start, end);
    return this.#beginPayload(bytes, start + headerLength, end);
  }

  /** Keeps a header that is cut by the end of the chunk. */
  #keepHeader(bytes: Buffer, start: number, end: number): number {
    const cut = new CutFrame();
    cut.scratch = Buffer.alloc(MAX_HEADER_BYTES);
    cut.scratchLength = bytes.copy(cut.scratch, 0, start, end);
    this.#cut = cut;
    return end;
  }

  /** Reads on in a frame that was cut by the end of a chunk. */
  #readCut(cut: CutFrame, bytes: Buffer, start: number, end: number): number {
    if (cut.scratchLength === 0) return this.#readPayload(cut, bytes, start, end);
    const held = cut.scratchLength;
    const available = held + bytes.copy(cut.scratch, held, start, end);
    const headerLength = decodeFrameHeader(header, cut.scratch, 0, available, this.#rules);
    if (headerLength < 0) return this.#fail(end);
    if (headerLength === 0) {
      cut.scratchLength = available;
      return end;
    }
    this.#cut = undefined;
    return this.#beginPayload(bytes, start + headerLength - held, end);
  }

  /** Reports the payload of the header that was just decoded at once if it is whole, and otherwise what there is of it. */
  #beginPayload(bytes: Buffer, start: number, end: number): number {
    const { bits, maskKey, length } = header;
    const payloadEnd = start + length;
    if (payloadEnd <= end) {
      if (maskKey !== 0) applyMask(bytes, start, payloadEnd, maskKey);
      this.#sink.onFrame(bits, bytes, start, payloadEnd);
      return payloadEnd;
    }
    const cut = new CutFrame();
    cut.bits = bits;
    cut.maskKey = maskKey;
    cut.length = length;
    cut.remaining = length;
    if ((bits & CONTROL_BIT) !== 0) cut.control = Buffer.alloc(length);
    this.#cut = cut;
    return this.#readPayload(cut, bytes, start, end);
  }

  /** Reads on in a payload that does not lie in one chunk. */
  #readPayload(cut: CutFrame, bytes: Buffer, start: number, end: number): number {
    const { bits, maskKey, control } = cut;
    const done = cut.length - cut.remaining;
    const pieceEnd = Math.min(end, start + cut.remaining);
    if (maskKey !== 0) applyMask(bytes, start, pieceEnd, rotateMaskKey(maskKey, done));
    cut.remaining -= pieceEnd - start;
    if (cut.remaining === 0) this.#cut = undefined;
    if (control === undefined) {
      this.#sink.onFramePiece(bits, bytes, start, pieceEnd, cut.remaining);
    } else {
      bytes.copy(control, done, start, pieceEnd);
      if (cut.remaining === 0) this.#sink.onFrame(bits, control, 0, control.length);
    }
    return pieceEnd;
  }

  #fail(end: number): number {
    const { error } = header;
    this.stop();
    this.#sink.onFrameError(error);
    return end;
  }
}
