import { constants, deflateRawSync } from 'node:zlib';
import { type ErrorCode, WebSocketError } from '../../lib/errors.ts';
import type { Inflated, Inflater } from '../../lib/extensions/inflate.ts';
import { bytesOf } from './arbitraries.ts';
import { hex } from './hex.ts';

const MIB = 1024 * 1024;

/** Inflates a payload that lies in the middle of other bytes, as one in a receive buffer does. */
export async function inflate(
  inflater: Inflater,
  payload: Buffer,
  { isText = false, maxBytes = 4 * MIB, error = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' as ErrorCode } = {},
): Promise<string | Buffer | ErrorCode> {
  const bytes = Buffer.concat([hex('aabbcc'), payload, hex('ddeeff')]);
  const result: Inflated | Promise<Inflated> = inflater.inflate(isText, bytes, 3, 3 + payload.length, {
    maxBytes,
    error,
  });
  bytes.fill(0);
  const message = await result;
  return message instanceof WebSocketError ? message.code : message;
}

/** The payload of a message that starts with an empty window, as a peer compresses it. */
export function deflate(data: Buffer | string): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** What compresses well. */
export const LARGE: Buffer = Buffer.from(
  JSON.stringify(Array.from({ length: 20_000 }, (_, id) => ({ id, name: `user ${id * 7919}` }))),
);
/** What does not compress. */
export const RANDOM: Buffer = bytesOf(300_000, 7);
