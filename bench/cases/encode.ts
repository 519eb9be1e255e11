import { BINARY, TEXT } from '../e2e/frames.ts';
import { type CodecCase, type Env, SIZES, sizeName, sizeTitle, type Work } from './case.ts';
import { type Ws, wsSubjects } from './ws.ts';

type Encoder = typeof import('../../lib/codec/frame-encoder.ts');

/** How many messages leave at once. */
const PER_WRITE = 16;

interface Kind {
  readonly name: string;
  readonly title: string;
  readonly masked: boolean;
  readonly text: boolean;
}

const KINDS: readonly Kind[] = [
  { name: 'encode', title: 'encode', masked: false, text: false },
  { name: 'encode-text', title: 'encode text of', masked: false, text: true },
  { name: 'encode-masked', title: 'encode and mask', masked: true, text: false },
];

function makeData(bytes: number, { text }: Kind): string | Buffer {
  const data = Buffer.alloc(bytes, 'abcdefghijklmnopqrstuvwxyz');
  return text ? data.toString() : data;
}

async function encode({ lib }: Env, bytes: number, kind: Kind): Promise<Work> {
  const { FrameEncoder } = await lib<Encoder>('codec/frame-encoder.js');
  const encoder = new FrameEncoder(kind.masked);
  const data = makeData(bytes, kind);
  return (count) => {
    let sum = 0;
    for (let i = 0; i < count; i += PER_WRITE) {
      for (let j = 0; j < PER_WRITE; j++) {
        if (typeof data === 'string') encoder.addTextFrame(TEXT, data);
        else encoder.addFrame(BINARY, data);
      }
      for (const chunk of encoder.take()) sum += chunk.length;
      encoder.released();
    }
    return sum;
  };
}

function wsEncode({ peer }: Env, bytes: number, kind: Kind): Work {
  const { Sender } = peer<Ws>('ws');
  let sum = 0;
  const socket = {
    cork: () => {},
    uncork: () => {},
    write: (chunk: string | Uint8Array) => {
      sum += chunk.length;
    },
  };
  const sender = new Sender(socket);
  const data = makeData(bytes, kind);
  const options = { fin: true, compress: false, binary: !kind.text, mask: kind.masked };
  return (count) => {
    for (let i = 0; i < count; i++) sender.send(data, options);
    return sum;
  };
}

export const encodeCases: readonly CodecCase[] = KINDS.flatMap((kind) =>
  SIZES.map((bytes) => ({
    name: `${kind.name}-${sizeName(bytes)}`,
    title: `${kind.title} ${sizeTitle(bytes)}`,
    bytes,
    subjects: [
      { name: 'hyperlane', prepare: (env: Env) => encode(env, bytes, kind) },
      ...wsSubjects((env) => wsEncode(env, bytes, kind)),
    ],
  })),
);
