import type { Duplex } from 'node:stream';

/** What a socket of node:net counts; nothing of it is certain to be there. */
interface CountingDuplex extends Duplex {
  readonly bytesWritten?: number;
  readonly _handle?: { readonly bytesWritten?: number; readonly writeQueueSize?: number } | null;
}

/**
 * A count of the bytes that have left a socket, as exact as it can tell; only differences mean anything. Of a plain socket
 * also those of a write that has not left as a whole. Not cheap.
 *
 * @param writtenBytes - how many were written to it, if it should not count them itself
 */
export function leftBytesOf(socket: Duplex, writtenBytes: number = 0): number {
  const { _handle, bytesWritten = writtenBytes, writableLength } = socket as CountingDuplex;
  const { bytesWritten: taken, writeQueueSize } = _handle ?? {};
  if (typeof taken === 'number' && typeof writeQueueSize === 'number') return taken - writeQueueSize;
  return bytesWritten - writableLength;
}
