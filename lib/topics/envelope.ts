import { Buffer } from 'node:buffer';

/**
 * What a broker carries for a message: a few bytes in front of its body. docs/reference/topics-wire.md says the same byte by
 * byte, with examples.
 */

/** The first byte. Whoever reads another one does not know what follows. */
const VERSION = 1;
/** The second byte: whether the body is text; and whether it is said who published it. No other bit may be set. */
const TEXT = 0b01;
const ORIGIN = 0b10;

/** Bytes that name a process. */
export const PROCESS_BYTES = 8;
const SENDER_BYTES = 4;

/** A message, as it is published. */
export interface Envelope {
  readonly body: string | Buffer;
  /** The number of the connection that has published it, 0 for none or for one of another process. */
  readonly sender: number;
}

/**
 * Puts a body into an envelope, which shares no memory with it.
 *
 * @param origin - the process of the sender, of 8 bytes
 * @param sender - the number of the connection there, a whole number below 2 ** 32; 0 for none
 */
export function encodeEnvelope(body: string | Uint8Array, origin: Buffer, sender: number): Buffer {
  const isText = typeof body === 'string';
  const start = sender === 0 ? 2 : 2 + PROCESS_BYTES + SENDER_BYTES;
  const data = Buffer.alloc(start + (isText ? Buffer.byteLength(body) : body.byteLength));
  data[0] = VERSION;
  data[1] = (isText ? TEXT : 0) | (sender === 0 ? 0 : ORIGIN);
  if (sender !== 0) {
    data.set(origin, 2);
    data.writeUInt32BE(sender, 2 + PROCESS_BYTES);
  }
  if (isText) data.write(body, start);
  else data.set(body, start);
  return data;
}

/**
 * Opens an envelope. A binary body is a view of it.
 *
 * @param origin - this process: only senders of it are told
 * @returns `undefined` for what is none of this version
 */
export function decodeEnvelope(data: Uint8Array, origin: Buffer): Envelope | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const flags = bytes[1];
  if (bytes[0] !== VERSION || flags === undefined || flags > (TEXT | ORIGIN)) return undefined;
  let start = 2;
  let sender = 0;
  if ((flags & ORIGIN) !== 0) {
    start += PROCESS_BYTES + SENDER_BYTES;
    if (bytes.length < start) return undefined;
    const isOurs = bytes.compare(origin, 0, PROCESS_BYTES, 2, 2 + PROCESS_BYTES) === 0;
    if (isOurs) sender = bytes.readUInt32BE(2 + PROCESS_BYTES);
  }
  return { body: (flags & TEXT) !== 0 ? bytes.toString('utf8', start) : bytes.subarray(start), sender };
}
