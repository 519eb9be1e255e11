import assert from 'node:assert/strict';
import type { FrameSink } from '../../lib/codec/frame-parser.ts';
import type { ErrorCode } from '../../lib/errors.ts';
import type { Frame } from './reference-codec.ts';

/** Records what a parser tells, with the pieces of a frame joined, and checks that the pieces fit together. */
export class FrameRecorder implements FrameSink {
  readonly frames: Frame[] = [];
  readonly errors: ErrorCode[] = [];
  /** How often a piece was told. */
  pieces = 0;
  /** Is called after each event. */
  after: (() => void) | undefined;
  #partial: { bits: number; payload: Buffer[]; remaining: number } | undefined;

  /** What there is of the frame that is not whole. */
  get partial(): Frame | undefined {
    return this.#partial && toFrame(this.#partial.bits, Buffer.concat(this.#partial.payload));
  }

  onFrame(bits: number, bytes: Buffer, start: number, end: number): void {
    assert.equal(this.#partial, undefined, 'no frame begins inside another');
    assert.ok(start >= 0 && start <= end && end <= bytes.length);
    this.frames.push(toFrame(bits, Buffer.from(bytes.subarray(start, end))));
    this.after?.();
  }

  onFramePiece(bits: number, bytes: Buffer, start: number, end: number, remaining: number): void {
    assert.equal(bits & 0x08, 0, 'a control frame never comes in pieces');
    assert.ok(start >= 0 && start <= end && end <= bytes.length);
    this.pieces++;
    const piece = Buffer.from(bytes.subarray(start, end));
    if (this.#partial === undefined) {
      this.#partial = { bits, payload: [piece], remaining };
    } else {
      assert.equal(bits, this.#partial.bits);
      assert.equal(remaining, this.#partial.remaining - piece.length);
      assert.notEqual(piece.length, 0, 'only the first piece may be empty');
      this.#partial.payload.push(piece);
      this.#partial.remaining = remaining;
    }
    if (remaining === 0) {
      this.frames.push(toFrame(bits, Buffer.concat(this.#partial.payload)));
      this.#partial = undefined;
    }
    this.after?.();
  }

  onFrameError(code: ErrorCode): void {
    this.errors.push(code);
    this.after?.();
  }
}

function toFrame(bits: number, payload: Buffer): Frame {
  return { fin: (bits & 0x80) !== 0, rsv1: (bits & 0x40) !== 0, opcode: bits & 0x0f, payload };
}
