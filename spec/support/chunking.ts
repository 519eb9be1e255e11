import assert from 'node:assert/strict';

/** Whatever takes bytes and returns how far it read: a parser's `push`, a protocol's `receiveData`. */
export type Push = (bytes: Buffer, start: number, end: number) => number;

const GUARD_BYTES = 8;
/** Longer inputs are cut only near their ends, where the headers are. */
const MAX_EVERY_CUT_BYTES = 400;

/** Cuts bytes at the given offsets; equal offsets make an empty chunk. */
export function cutAt(bytes: Buffer, ...cuts: number[]): Buffer[] {
  const offsets = [0, ...cuts, bytes.length];
  return offsets.slice(1).map((end, i) => bytes.subarray(offsets[i]!, end));
}

/**
 * Pushes a copy of a chunk, as the middle of a larger buffer: what lies around it must be neither read nor written.
 * The guards are valid frames' bytes of neither role, so that one that is read makes an error.
 */
export function feed(push: Push, chunk: Buffer): void {
  const guard = Buffer.alloc(GUARD_BYTES, 0xf7);
  const bytes = Buffer.concat([guard, chunk, guard]);
  const end = GUARD_BYTES + chunk.length;
  assert.equal(push(bytes, GUARD_BYTES, end), end, 'reads the whole chunk');
  assert.ok(bytes.subarray(0, GUARD_BYTES).equals(guard), 'leaves alone what lies before the chunk');
  assert.ok(bytes.subarray(end).equals(guard), 'leaves alone what lies behind the chunk');
}

export function feedAll(push: Push, chunks: Iterable<Buffer>): void {
  for (const chunk of chunks) feed(push, chunk);
}

/** All the ways in which an example is run: whole, byte by byte, and cut in two at every position. */
export function* chunkings(bytes: Buffer): Generator<{ how: string; chunks: Buffer[] }> {
  yield { how: 'whole', chunks: [bytes] };
  if (bytes.length < 2) return;
  if (bytes.length <= 4 * MAX_EVERY_CUT_BYTES) {
    yield { how: 'byte by byte', chunks: Array.from(bytes, (byte) => Buffer.of(byte)) };
  }
  for (let cut = 1; cut < bytes.length; cut++) {
    if (bytes.length > MAX_EVERY_CUT_BYTES && cut > 40 && cut < bytes.length - 10) continue;
    yield { how: `cut at ${cut}`, chunks: cutAt(bytes, cut) };
  }
}

/** Runs an example with every chunking, and says which one failed. */
export function eachChunking(bytes: Buffer, run: (chunks: Buffer[], how: string) => void): void {
  for (const { how, chunks } of chunkings(bytes)) {
    try {
      run(chunks, how);
    } catch (error) {
      if (error instanceof Error) error.message = `${how}: ${error.message}`;
      throw error;
    }
  }
}
