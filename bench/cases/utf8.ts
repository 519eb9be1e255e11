import { type CodecCase, type Env, sizeName, sizeTitle, type Work } from './case.ts';

type Utf8 = typeof import('../../lib/codec/utf8.ts');

const SIZES = [20, 125, 1024, 64 * 1024];
const KINDS = {
  ascii: { title: 'ASCII', sample: 'The quick brown fox jumps over the lazy dog. ' },
  mixed: { title: 'UTF-8 of two and three bytes', sample: 'Zürich – 東京, naïve café; ' },
} as const;

type Kind = keyof typeof KINDS;

/** Exactly `length` bytes of whole characters. */
function makeText(length: number, kind: Kind): Buffer {
  const sample = Buffer.from(KINDS[kind].sample);
  let end = length;
  // Not within a character: what is left of it is filled up.
  while (end % sample.length !== 0 && (sample[end % sample.length]! & 0xc0) === 0x80) end--;
  const bytes = Buffer.alloc(length, ' ');
  bytes.fill(sample, 0, end);
  return bytes;
}

function repeat(decode: () => number): Work {
  return (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += decode();
    return sum;
  };
}

async function ours({ lib }: Env, bytes: Buffer): Promise<Work> {
  const { decodeUtf8 } = await lib<Utf8>('codec/utf8.js');
  return repeat(() => decodeUtf8(bytes, 0, bytes.length)!.length);
}

/** Text that arrives in two pieces is checked piece by piece. */
async function inPieces({ lib }: Env, bytes: Buffer): Promise<Work> {
  const { Utf8Validator } = await lib<Utf8>('codec/utf8.js');
  const half = bytes.length >> 1;
  return repeat(() => {
    const validator = new Utf8Validator();
    validator.push(bytes, 0, half);
    validator.push(bytes, half, bytes.length);
    return validator.complete ? 1 : 0;
  });
}

function textDecoder(bytes: Buffer): Work {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return repeat(() => decoder.decode(bytes).length);
}

/** What ws does, and then its user. */
function ws({ peer }: Env, bytes: Buffer): Work {
  const { isValidUTF8 } = peer<{ isValidUTF8(bytes: Buffer): boolean }>('ws/lib/validation.js');
  return repeat(() => (isValidUTF8(bytes) ? bytes.toString().length : 0));
}

export const utf8Cases: readonly CodecCase[] = (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
  SIZES.map((bytes) => ({
    name: `utf8-${kind}-${sizeName(bytes)}`,
    title: `decode ${sizeTitle(bytes)} of ${KINDS[kind].title}`,
    bytes,
    subjects: [
      { name: 'hyperlane', prepare: (env: Env) => ours(env, makeText(bytes, kind)) },
      { name: 'hyperlane in pieces', prepare: (env: Env) => inPieces(env, makeText(bytes, kind)) },
      { name: 'ws', needs: 'ws', prepare: (env: Env) => ws(env, makeText(bytes, kind)) },
      { name: 'TextDecoder', prepare: () => textDecoder(makeText(bytes, kind)) },
    ],
  })),
);
