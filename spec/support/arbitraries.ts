import fc from 'fast-check';
import type { WireFrame } from './reference-codec.ts';

/** Where a length changes its form, and the neighbours. */
export const BOUNDARY_LENGTHS: readonly number[] = [0, 1, 125, 126, 127, 65535, 65536, 65537];

/** A payload length: mostly small, often on a boundary, seldom one of the large boundaries. */
export function lengths(): fc.Arbitrary<number> {
  return fc.oneof(
    { arbitrary: fc.nat({ max: 24 }), weight: 12 },
    { arbitrary: fc.constantFrom(0, 1, 125, 126, 127), weight: 6 },
    { arbitrary: fc.constantFrom(65535, 65536, 65537), weight: 1 },
  );
}

/** `length` bytes that look random and cost the shrinker nothing. */
export function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed ^ 0x9e3779b9) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

export function payloads(length: fc.Arbitrary<number> = lengths()): fc.Arbitrary<Buffer> {
  return fc.tuple(length, fc.integer()).map(([size, seed]) => bytesOf(size, seed));
}

/** The four bytes of a masking key; zero bytes among them are common. */
export function maskKeys(): fc.Arbitrary<Buffer> {
  return fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.constantFrom(new Uint8Array(4), Uint8Array.of(0, 0, 0, 1)))
    .map((key) => Buffer.from(key));
}

/** A frame that breaks no rule of its own; in what order they come is left to chance. */
export function frames(masked: boolean, length: fc.Arbitrary<number> = lengths()): fc.Arbitrary<WireFrame> {
  const maskKey = masked ? maskKeys() : fc.constant(undefined);
  const rsv1 = fc.constant(false);
  const data = fc.record({
    fin: fc.boolean(),
    rsv1,
    opcode: fc.constantFrom(0, 1, 2),
    payload: payloads(length),
    maskKey,
  });
  const control = fc.record({
    fin: fc.constant(true),
    rsv1,
    opcode: fc.constantFrom(9, 10),
    payload: payloads(length.map((size) => Math.min(size, 125))),
    maskKey,
  });
  return fc.oneof({ arbitrary: data, weight: 3 }, { arbitrary: control, weight: 1 });
}

/** Text of all planes, with characters of 1 to 4 bytes and lone surrogates. */
export function texts(maxLength: number = 40): fc.Arbitrary<string> {
  const unit = fc.oneof(
    { arbitrary: fc.string({ minLength: 1, maxLength: 1 }), weight: 6 },
    { arbitrary: fc.constantFrom('é', 'ß', '€', '한', '\ufeff', '\u0000', '\u07ff', '\u0800', '\uffff'), weight: 3 },
    { arbitrary: fc.constantFrom('😀', '\u{10000}', '\u{10ffff}'), weight: 2 },
    { arbitrary: fc.constantFrom('\ud800', '\udfff'), weight: 1 },
  );
  return fc.array(unit, { maxLength, size: 'max' }).map((units) => units.join(''));
}

/** Text without lone surrogates, which survives a way over the wire. */
export function wellFormedTexts(maxLength: number = 40): fc.Arbitrary<string> {
  return texts(maxLength).map((text) => Buffer.from(text).toString());
}

/** Where to cut: a chunking of bytes of any length, see `applyChunking`. */
export type Chunking = readonly number[];

/** Chunk sizes, used over and over; 0 makes an empty chunk. Small sizes are common, and so is no cut at all. */
export function chunking(): fc.Arbitrary<Chunking> {
  const size = fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 16 }), weight: 4 },
    { arbitrary: fc.constantFrom(125, 126, 127, 1448, 65536), weight: 2 },
    { arbitrary: fc.constant(1 << 24), weight: 1 },
  );
  return fc.array(size, { minLength: 1, maxLength: 6, size: 'max' }).filter((sizes) => sizes.some((one) => one > 0));
}

/** Cuts bytes into chunks of the given sizes; tiny sizes grow after the first 300 chunks, to keep runs short. */
export function applyChunking(bytes: Buffer, sizes: Chunking): Buffer[] {
  const chunks: Buffer[] = [];
  let position = 0;
  for (let i = 0; position < bytes.length; i++) {
    const size = sizes[i % sizes.length]! * (i < 300 ? 1 : 64);
    chunks.push(bytes.subarray(position, position + size));
    position += size;
  }
  return chunks;
}
