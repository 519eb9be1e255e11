import { type CodecCase, type Env, sizeName, sizeTitle, type Work } from './case.ts';
import { wsSubjects } from './ws.ts';

type Mask = typeof import('../../lib/codec/mask.ts');
type MaskSimd = typeof import('../../lib/codec/mask-simd.ts');

const KEY = 0x1234_5678;
/** More is never read at once, so more is never unmasked at once in the receive buffer. */
const READ_BYTES = 64 * 1024;
/** Payloads begin at any byte. */
const ALIGNMENTS = 8;
const SIZES = [1, 4, 16, 20, 48, 125, 256, 1024, 16 * 1024, 64 * 1024, 1024 * 1024];

/** Unmasks where the bytes were received: as many reads as it takes. */
async function inReceiveBuffer({ lib }: Env, bytes: number): Promise<Work> {
  const { applyMask } = await lib<Mask>('codec/mask.js');
  const { receiveBuffer } = await lib<MaskSimd>('codec/mask-simd.js');
  const reads = Math.ceil(bytes / READ_BYTES);
  const each = Math.min(bytes, READ_BYTES);
  return (count) => {
    for (let i = 0; i < count; i++) {
      const start = each === READ_BYTES ? 0 : i % ALIGNMENTS;
      for (let read = 0; read < reads; read++) applyMask(receiveBuffer, start, start + each, KEY);
    }
    return receiveBuffer[0]!;
  };
}

/** Unmasks bytes that lie in memory of their own, as those of a TLS socket do. */
async function elsewhere({ lib }: Env, bytes: number): Promise<Work> {
  const { applyMask } = await lib<Mask>('codec/mask.js');
  const buffer = Buffer.alloc(bytes + ALIGNMENTS);
  return (count) => {
    for (let i = 0; i < count; i++) applyMask(buffer, i % ALIGNMENTS, (i % ALIGNMENTS) + bytes, KEY);
    return buffer[0]!;
  };
}

/** The oracle of the specs, and what every implementation begins as. */
function naive(bytes: number): Work {
  const buffer = Buffer.alloc(bytes + ALIGNMENTS);
  const key = [0x78, 0x56, 0x34, 0x12];
  return (count) => {
    for (let i = 0; i < count; i++) {
      const start = i % ALIGNMENTS;
      for (let j = 0; j < bytes; j++) buffer[start + j]! ^= key[j & 3]!;
    }
    return buffer[0]!;
  };
}

function viewsOf(bytes: number): Buffer[] {
  const buffer = Buffer.alloc(bytes + ALIGNMENTS);
  return Array.from({ length: ALIGNMENTS }, (_, start) => buffer.subarray(start, start + bytes));
}

function withUnmask(unmask: (buffer: Buffer, key: Buffer) => void, bytes: number): Work {
  const views = viewsOf(bytes);
  const key = Buffer.from([0x78, 0x56, 0x34, 0x12]);
  return (count) => {
    for (let i = 0; i < count; i++) unmask(views[i % ALIGNMENTS]!, key);
    return views[0]![0]!;
  };
}

type Unmask = { unmask(buffer: Buffer, key: Buffer): void };

export const maskCases: readonly CodecCase[] = SIZES.map((bytes) => ({
  name: `mask-${sizeName(bytes)}`,
  title: `unmask ${sizeTitle(bytes)}, at every alignment`,
  bytes,
  subjects: [
    { name: 'hyperlane', prepare: (env: Env) => inReceiveBuffer(env, bytes) },
    { name: 'hyperlane elsewhere', prepare: (env: Env) => elsewhere(env, bytes) },
    ...wsSubjects(({ peer }) => withUnmask(peer<Unmask>('ws/lib/buffer-util.js').unmask, bytes)),
    {
      name: 'bufferutil',
      needs: 'bufferutil',
      prepare: ({ peer }: Env) => withUnmask(peer<Unmask>('bufferutil').unmask, bytes),
    },
    { name: 'naive loop', prepare: () => naive(bytes) },
  ],
}));
