/**
 * Frames as the load generator needs them: made before the measurement, and counted by their headers alone. Written
 * apart from lib on purpose: the measure must not share the mistakes of what it measures.
 */
import { randomBytes } from 'node:crypto';

const MAX_HEADER_BYTES = 14;
const MASK_KEY_BYTES = 4;

export const TEXT = 0x81;
export const BINARY = 0x82;
export const RSV1 = 0x40;

/** A frame as a client sends it: masked with a random key. */
export function maskedFrame(bits: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const frame = Buffer.alloc(2 + lengthBytes + MASK_KEY_BYTES + length);
  frame[0] = bits;
  frame[1] = 0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const start = 2 + lengthBytes + MASK_KEY_BYTES;
  const key = randomBytes(MASK_KEY_BYTES);
  frame.set(key, start - MASK_KEY_BYTES);
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ key[i & 3]!;
  return frame;
}

/** What the headers of all frames that come back must say. */
export interface Expected {
  readonly bits: number;
  /** Length of the payload, -1 where it is the server's to choose (compression). */
  readonly payloadBytes: number;
}

/** Counts frames in bytes that arrive in any pieces, and checks their headers. */
export class FrameCounter {
  payloadBytes = 0;
  readonly #bits: number;
  readonly #expectedBytes: number;
  /** Bytes of the current payload that have not arrived. */
  #missing = 0;
  readonly #held: Buffer = Buffer.alloc(MAX_HEADER_BYTES);
  #heldLength = 0;

  constructor({ bits, payloadBytes }: Expected) {
    this.#bits = bits;
    this.#expectedBytes = payloadBytes;
  }

  /** Returns how many frames ended in `bytes[0, end)`. @throws {Error} when a header is not as expected */
  push(bytes: Buffer, end: number): number {
    let frames = 0;
    let position = 0;
    if (this.#missing > 0) {
      if (this.#missing > end) {
        this.#missing -= end;
        return 0;
      }
      position = this.#missing;
      this.#missing = 0;
      frames++;
    } else if (this.#heldLength > 0) {
      position = this.#readHeld(bytes, end);
      if (position < 0) return 0;
      if (position > end) {
        this.#missing = position - end;
        return 0;
      }
      frames++;
    }
    while (position < end) {
      const next = this.#headerEnd(bytes, position, end);
      if (next < 0) {
        this.#heldLength = bytes.copy(this.#held, 0, position, end);
        break;
      }
      if (next > end) {
        this.#missing = next - end;
        break;
      }
      position = next;
      frames++;
    }
    return frames;
  }

  /** Adds bytes to a header that was cut; returns the end of its frame, or -1 when the header is still cut. */
  #readHeld(bytes: Buffer, end: number): number {
    const held = this.#heldLength;
    const available = held + bytes.copy(this.#held, held, 0, end);
    const next = this.#headerEnd(this.#held, 0, available);
    if (next < 0) {
      this.#heldLength = available;
      return -1;
    }
    this.#heldLength = 0;
    return next - held;
  }

  /** Checks the header at `position`; returns the end of its frame, or -1 when the header is cut. */
  #headerEnd(bytes: Buffer, position: number, end: number): number {
    if (position + 1 >= end) return -1;
    const second = bytes[position + 1]!;
    let length = second & 0x7f;
    let start = position + 2 + (second >= 0x80 ? MASK_KEY_BYTES : 0);
    if (length === 126) {
      if (position + 4 > end) return -1;
      length = bytes.readUInt16BE(position + 2);
      start += 2;
    } else if (length === 127) {
      if (position + 10 > end) return -1;
      length = Number(bytes.readBigUInt64BE(position + 2));
      start += 8;
    }
    if (start > end) return -1;
    if (bytes[position] !== this.#bits) throw new Error(`a frame with the first byte ${bytes[position]} came back`);
    if (length !== this.#expectedBytes && this.#expectedBytes >= 0) {
      throw new Error(`a frame with ${length} bytes came back, where ${this.#expectedBytes} were expected`);
    }
    this.payloadBytes += length;
    return start + length;
  }
}

/** The payloads of the frames in `bytes`, unmasked; for the one exchange of which every byte is checked. */
export function payloadsOf(bytes: Buffer): { bits: number; payload: Buffer }[] {
  const frames: { bits: number; payload: Buffer }[] = [];
  let position = 0;
  while (position + 2 <= bytes.length) {
    const bits = bytes[position]!;
    const second = bytes[position + 1]!;
    let length = second & 0x7f;
    position += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(position);
      position += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(position));
      position += 8;
    }
    const key = second >= 0x80 ? bytes.subarray(position, position + MASK_KEY_BYTES) : undefined;
    if (key !== undefined) position += MASK_KEY_BYTES;
    const payload = Buffer.from(bytes.subarray(position, position + length));
    if (key !== undefined) for (let i = 0; i < length; i++) payload[i]! ^= key[i & 3]!;
    frames.push({ bits, payload });
    position += length;
  }
  return frames;
}
