import { Buffer } from 'node:buffer';

/**
 * What core NATS carries for a message that nothing keeps: who sent it, the how manyth of this topic it is there, and how long
 * before it the one before was sent. So whoever subscribes sees what has been lost on the way.
 *
 *     byte 0       1, the version
 *     byte 1       1: has an id; 2: is no message, but says which was the last
 *     bytes 2-9    the sender: random, for each process and topic
 *     bytes 10-15  the number, from 1 on, big-endian; of the last message where it is none
 *     bytes 16-19  milliseconds since the message before it, or since the last one; 2^32 - 1 for more, and for none
 *     bytes 20-35  where it has an id: the hash of it
 *     then         the message
 */
export interface CoreMessage {
  /** 16 hexadecimal digits. */
  readonly sender: string;
  readonly number: number;
  readonly ageMs: number;
  readonly idHash: string | undefined;
  /** A view. `undefined` where it only says which message was the last. */
  readonly data: Uint8Array | undefined;
}

const VERSION = 1;
const HAS_ID = 1;
const IS_MARK = 2;
const HEAD = 20;
const ID = 16;
const MAX_AGE = 0xffff_ffff;

export function encodeCoreMessage(
  sender: string,
  number: number,
  ageMs: number,
  idHash: Uint8Array | undefined,
  data: Uint8Array | undefined,
): Buffer {
  const start = HEAD + (idHash === undefined ? 0 : ID);
  const bytes = Buffer.alloc(start + (data?.length ?? 0));
  bytes[0] = VERSION;
  bytes[1] = (idHash === undefined ? 0 : HAS_ID) | (data === undefined ? IS_MARK : 0);
  bytes.write(sender, 2, 'hex');
  bytes.writeUIntBE(number, 10, 6);
  bytes.writeUInt32BE(Math.min(Math.round(ageMs), MAX_AGE), 16);
  if (idHash !== undefined) bytes.set(idHash, HEAD);
  if (data !== undefined) bytes.set(data, start);
  return bytes;
}

/** @returns `undefined` for what is no such message: whoever may publish to the subject may be anyone */
export function decodeCoreMessage(bytes: Uint8Array): CoreMessage | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEAD || view[0] !== VERSION) return undefined;
  const flags = view[1]!;
  const start = HEAD + ((flags & HAS_ID) === 0 ? 0 : ID);
  const number = view.readUIntBE(10, 6);
  if (view.length < start || number === 0) return undefined;
  const ageMs = view.readUInt32BE(16);
  return {
    sender: view.toString('hex', 2, 10),
    number,
    ageMs: ageMs === MAX_AGE ? Number.POSITIVE_INFINITY : ageMs,
    idHash: start === HEAD ? undefined : view.toString('hex', HEAD, start),
    data: (flags & IS_MARK) === 0 ? bytes.subarray(start) : undefined,
  };
}
