import { BINARY, maskedFrame } from '../e2e/frames.ts';
import type { CodecCase, Env, Work } from './case.ts';

type Header = typeof import('../../lib/codec/frame-header.ts');

const RULES = { expectMask: true, allowRsv1: false, maxFrameBytes: 16 * 1024 * 1024 };
/** One of each length of header. */
const PAYLOADS = { 6: 20, 8: 1024, 14: 100_000 } as const;
const COPIES = 64;

async function decode({ lib }: Env, payloadBytes: number): Promise<Work> {
  const { decodeFrameHeader, FrameHeader } = await lib<Header>('codec/frame-header.js');
  const header = new FrameHeader();
  const headers = Buffer.concat(
    Array.from({ length: COPIES }, () => {
      const frame = maskedFrame(BINARY, Buffer.alloc(payloadBytes));
      return frame.subarray(0, frame.length - payloadBytes);
    }),
  );
  return (count) => {
    let position = 0;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      if (position === headers.length) position = 0;
      position += decodeFrameHeader(header, headers, position, headers.length, RULES);
      sum += header.length + header.maskKey;
    }
    return sum;
  };
}

export const headerCases: readonly CodecCase[] = Object.entries(PAYLOADS).map(([headerBytes, payloadBytes]) => ({
  name: `header-${headerBytes}`,
  title: `decode a header of ${headerBytes} bytes`,
  bytes: 0,
  subjects: [{ name: 'hyperlane', prepare: (env: Env) => decode(env, payloadBytes) }],
}));
