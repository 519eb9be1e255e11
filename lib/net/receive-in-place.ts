import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { receiveBuffer } from '../codec/mask-simd.ts';

/**
 * Reading an accepted socket into the shared receive buffer, past Readable and without an allocation a read: a quarter
 * of the CPU time of a small message (measured: bench/e2e).
 *
 * `net.Socket` has this as its documented option `onread`, but only for sockets that one makes oneself. What the option
 * sets are three properties under symbols of node:net, and the handle's user buffer; so the same is set here on a socket
 * that was accepted. The symbols are found on a probe. Where any of this is not as expected, nothing is changed, and
 * the socket is read by its 'data' events as ever. It cannot be undone on a socket.
 *
 * One buffer serves all sockets since libuv asks for it only when there are bytes to be copied into it, and has them handled
 * before the next read. So it is on Windows, too: the reads that it posts there are of length zero (uv__tcp_queue_read; its
 * threshold for posting real ones, uv_active_tcp_streams_threshold, is 0 in every version).
 */

/** Is called with the number of bytes that were read into `receiveBuffer`; `this` is the socket. */
export type OnRead = (this: Duplex, bytesRead: number) => boolean;

interface OnReadSymbols {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

type SocketInternals = Record<symbol, unknown> & {
  readonly _handle?: { useUserBuffer?: (buffer: Uint8Array) => void } | null;
};

const symbols = findSymbols();

/**
 * Has `socket` read into `receiveBuffer` from now on, and `onRead` told in place of whoever was before.
 *
 * @returns false when it goes on by 'data' events
 */
export function receiveInPlace(socket: Duplex, onRead: OnRead): boolean {
  if (symbols === undefined) return false;
  const internals = socket as unknown as SocketInternals;
  const handle = internals._handle;
  if (typeof handle?.useUserBuffer !== 'function' || internals[symbols.generator] !== null) return false;
  const isFirst = internals[symbols.buffer] !== receiveBuffer;
  internals[symbols.buffer] = receiveBuffer;
  internals[symbols.callback] = onRead;
  if (isFirst) handle.useUserBuffer(receiveBuffer);
  return true;
}

/** Finds the symbols by what the documented option puts under them. */
function findSymbols(): OnReadSymbols | undefined {
  const buffer = Buffer.alloc(1);
  const callback = () => true;
  const probe = new Socket({ onread: { buffer, callback } });
  const internals = probe as unknown as SocketInternals;
  const named = (name: string, value: unknown) =>
    Object.getOwnPropertySymbols(probe).find((key) => key.description === name && internals[key] === value);
  const found = {
    buffer: named('kBuffer', buffer),
    callback: named('kBufferCb', callback),
    generator: named('kBufferGen', null),
  };
  probe.destroy();
  return Object.values(found).includes(undefined) ? undefined : (found as OnReadSymbols);
}
