import { maskedFrame } from '../e2e/frames.ts';

/** Bytes of frames, and how they are cut into reads. */
export interface FrameStream {
  /** No longer than a receive buffer. */
  readonly bytes: Buffer;
  /** Where each read begins and ends in `bytes`. */
  readonly reads: readonly (readonly [start: number, end: number])[];
  /** Messages in all reads together. */
  readonly messages: number;
}

/** How the bytes of a stream arrive. */
export const CHUNKINGS = {
  '64k': '64 KiB reads',
  '1448': '1,448 B reads',
  frame: 'one frame a read',
  byte: 'one byte a read',
} as const;

export type Chunking = keyof typeof CHUNKINGS;

const READ_BYTES = 64 * 1024;
const SEGMENT_BYTES = 1448;

/** Frames of `payloadBytes` each, cut into reads. */
export function makeStream(bits: number, payloadBytes: number, chunking: Chunking): FrameStream {
  const frame = makeFrame(bits, payloadBytes);
  if (frame.length > READ_BYTES) return makeLongStream(frame, chunking);
  const messages = chunking === 'byte' ? Math.ceil(1024 / frame.length) : Math.floor(READ_BYTES / frame.length);
  const bytes = Buffer.concat(Array.from({ length: messages }, () => frame));
  return { bytes, reads: cut(bytes.length, stepOf(chunking, frame.length)), messages };
}

/**
 * One frame that is longer than the receive buffer. The first read begins with its header; what later ones hold does not
 * matter, since it is payload.
 */
function makeLongStream(frame: Buffer, chunking: Chunking): FrameStream {
  const reads = cut(frame.length, Math.min(READ_BYTES, stepOf(chunking, frame.length))).map(([start, end]) =>
    end <= READ_BYTES ? ([start, end] as const) : ([READ_BYTES - (end - start), READ_BYTES] as const),
  );
  return { bytes: frame.subarray(0, READ_BYTES), reads, messages: 1 };
}

/** A message of `fragments` frames. */
export function makeFragmentedStream(bits: number, fragmentBytes: number, fragments: number): FrameStream {
  const continuation = 0x80 | (bits & 0x40);
  const frames = Array.from({ length: fragments }, (_, i) => {
    const last = i === fragments - 1;
    return makeFrame(i === 0 ? bits & 0x7f : last ? continuation : 0, fragmentBytes);
  });
  const bytes = Buffer.concat(frames);
  return { bytes, reads: cut(bytes.length, READ_BYTES), messages: 1 };
}

function makeFrame(bits: number, payloadBytes: number): Buffer {
  const payload = Buffer.alloc(payloadBytes);
  for (let i = 0; i < payloadBytes; i++) payload[i] = 0x61 + (i % 26);
  return maskedFrame(bits, payload);
}

function stepOf(chunking: Chunking, frameBytes: number): number {
  if (chunking === 'frame') return frameBytes;
  return chunking === 'byte' ? 1 : chunking === '64k' ? READ_BYTES : SEGMENT_BYTES;
}

function cut(length: number, step: number): (readonly [number, number])[] {
  const reads: (readonly [number, number])[] = [];
  for (let start = 0; start < length; start += step) reads.push([start, Math.min(start + step, length)]);
  return reads;
}
