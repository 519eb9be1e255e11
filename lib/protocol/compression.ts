import type { Buffer } from 'node:buffer';
import type { WebSocketError } from '../errors.ts';

/**
 * What a protocol asks of an extension that compresses messages, each by itself: permessage-deflate, RFC 7692. Such a
 * message carries RSV1 on its first frame. Calls of either method are made one after the other: the next when the
 * promise of the last, if it returned one, is fulfilled.
 */
export interface MessageCompression {
  /**
   * Compresses the payload of a message.
   *
   * @param always - whether the sender wishes it, whatever the size
   * @returns the compressed payload, which nobody changes any more; `undefined` when the message is to be sent as it is;
   * or a promise of either that never rejects
   */
  compress(data: string | Uint8Array, always: boolean): Compressed | Promise<Compressed>;
  /**
   * Decompresses the payload of a message, `bytes[start, end)`, which is not kept.
   *
   * @returns the message (text as a string, bytes as a buffer that is the caller's own), or the error that ends the
   * connection, or a promise of either that never rejects
   */
  decompress(
    isText: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    maxBytes: number,
  ): Decompressed | Promise<Decompressed>;
  /** Frees what is held for the connection. May come while a promise is pending. */
  close(): void;
}

export type Compressed = Uint8Array | undefined;
export type Decompressed = string | Buffer | WebSocketError;
