/** What is sent in a case, and what is to come back. */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { EndToEndCase } from './cases.ts';
import { BINARY, type Expected, maskedFrame, RSV1, TEXT } from './frames.ts';

export function sentBits({ text, compressed }: EndToEndCase): number {
  return (text ? TEXT : BINARY) | (compressed ? RSV1 : 0);
}

export function expectedFrames(work: EndToEndCase): Expected {
  return { bits: sentBits(work), payloadBytes: work.compressed ? -1 : work.payloadBytes };
}

export function sentFrame(work: EndToEndCase, payload: Buffer): Buffer {
  return maskedFrame(sentBits(work), work.compressed ? deflate(payload) : payload);
}

/** RFC 7692 §7.2.1: the four bytes that end a flush are left out. */
function deflate(payload: Buffer): Buffer {
  const flushed = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
  return flushed.subarray(0, flushed.length - 4);
}

export function inflate(payload: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), {
    finishFlush: constants.Z_SYNC_FLUSH,
  });
}

/** A payload that is another one for each seed, so that no server does well by remembering the last one. */
export function makePayload({ payloadBytes, compressed, text }: EndToEndCase, seed: number): Buffer {
  if (compressed) return Buffer.from(jsonOf(payloadBytes, seed));
  const payload = Buffer.alloc(payloadBytes);
  for (let i = 0; i < payloadBytes; i++) payload[i] = text ? 0x61 + ((i + seed) % 26) : (i * 31 + seed * 7) & 0xff;
  if (text) payload.write(String(seed).padStart(4, '0'));
  return payload;
}

/** A list of records, such as an API sends, of exactly `length` bytes. */
function jsonOf(length: number, seed: number): string {
  const records: object[] = [];
  for (let id = 1000 + seed * 100; ; id++) {
    const record = {
      id,
      name: `user ${id * 7919}`,
      active: id % 3 === 0,
      score: (id * 104729) % 9973,
      tags: ['a', 'b'],
    };
    const next = JSON.stringify([...records, record]);
    if (next.length > length) break;
    records.push(record);
  }
  return JSON.stringify(records).padEnd(length, ' ');
}
