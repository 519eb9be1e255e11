import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { receiveBuffer } from '../codec/mask-simd.ts';
import { leftBytesOf } from './left-bytes.ts';
import { receiveInPlace } from './receive-in-place.ts';

/** What a transport tells its connection. */
export interface TransportEvents {
  /** Bytes arrived: `bytes[start, end)` is the receiver's to change during the call, and must be copied to be kept. */
  onData(bytes: Buffer, start: number, end: number): void;
  /** The transport can take bytes again, after `write` made it `blocked`. */
  onDrain(): void;
  /** The peer will send no more. */
  onEnd(): void;
  /** The transport is gone, by itself or by an error. Told once, last. */
  onClose(): void;
}

const kTransport = Symbol('transport');

/** Whether what is in the receive buffer is being handled: a handler may write to a stream that brings the next bytes at once. */
let isReceiving = false;

interface AttachedDuplex extends Duplex {
  [kTransport]?: Transport;
}

/**
 * How bytes are read and written: the one place that touches a socket.
 *
 * Works over a `net.Socket`, a `tls.TLSSocket` and any `Duplex`. Listeners are shared functions: a connection costs no
 * closures. Errors of the socket are swallowed here, since `onClose` follows each.
 */
export class Transport {
  readonly #socket: AttachedDuplex;
  readonly #events: TransportEvents;
  /** Bytes of a plain TCP socket are in the kernel when `writableLength` is 0; others may still be read by somebody. */
  readonly #plain: boolean;
  #writtenBytes = 0;
  #paused = false;
  #hasLost = false;
  /** Who waits for writes to leave. Made when first needed. */
  #afterWrites: Set<() => void> | undefined;

  constructor(socket: Duplex, events: TransportEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#plain = socket instanceof Socket && !(socket instanceof TLSSocket);
  }

  get socket(): Duplex {
    return this.#socket;
  }

  /** Bytes that were written. They may not all have left. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** The error that the socket went with, `undefined` if there was none. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.#socket.errored ?? undefined;
  }

  /** Starts reading; `head` are bytes that were read from the socket before. */
  start(head: Buffer): void {
    const socket = this.#socket;
    socket[kTransport] = this;
    if (socket instanceof Socket) {
      socket.setTimeout(0);
      // That the peer ends its side ends only that: those of node:https would end ours too, before the answers leave.
      socket.allowHalfOpen = true;
    }
    // Until all that was read before is told: what is read in place would overtake it.
    socket.pause();
    const early = readAll(socket);
    if (this.#plain) receiveInPlace(socket, onRead);
    // Also when it is read in place, if that should not take effect.
    socket.on('data', onData);
    socket.on('drain', onDrain);
    dropIdleEndListener(socket);
    socket.on('end', onEnd);
    surviveErrors(socket);
    socket.on('close', onClose);
    if (head.length > 0) this.receive(head);
    for (const chunk of early) this.receive(chunk);
    if (socket.destroyed) this.close();
    // An end that came while nobody was listening is not told again.
    else if (socket.readableEnded) this.receiveEnd();
    if (!this.#paused) socket.resume();
  }

  /** Whether it is a socket of TCP or a pipe, and nothing else: nobody reads what has left. */
  get isPlain(): boolean {
    return this.#plain;
  }

  /** Bytes that were written and have not left. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** A count of the bytes that have left, of which the differences matter. Not cheap. */
  get leftBytes(): number {
    return leftBytesOf(this.#socket, this.#writtenBytes);
  }

  /** Whether the transport was cut, or went, with bytes that had not left. */
  get hasLost(): boolean {
    return this.#hasLost;
  }

  /** Whether the socket asked to wait for `onDrain` before more is written. */
  get blocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /**
   * Writes chunks in one go, by `writev` where there are several. They must not change until they have left.
   *
   * @returns whether they have left already, so that their memory may be used for others
   */
  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (!socket.writable) {
      this.#hasLost = true;
      return true;
    }
    for (const chunk of chunks) this.#writtenBytes += chunk.byteLength;
    try {
      if (chunks.length === 1) {
        socket.write(chunks[0]!);
      } else {
        socket.cork();
        for (const chunk of chunks) socket.write(chunk);
        socket.uncork();
      }
    } catch {
      // No stream of node:net throws; one that does must not stop the output of others.
      this.destroy();
      return false;
    }
    return this.#plain && socket.writableLength === 0;
  }

  /** Calls back when all that was written before has left, or never will; never before it returns. */
  afterWrites(callback: () => void): void {
    if (this.#socket[kTransport] === undefined) {
      process.nextTick(callback);
      return;
    }
    // A stream that is cut in the middle of a write may forget those behind it: then `close` calls back.
    this.#afterWrites ??= new Set();
    const waiting = this.#afterWrites;
    const done = () => {
      if (waiting.delete(done)) callback();
    };
    waiting.add(done);
    if (this.#socket.writable) this.#socket.write('', done);
  }

  /** Has nothing more read. What is under way may still be told: one read at most of a socket, and what a Duplex pushes. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  /** @internal */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** Sends what was written, and then that no more will come. */
  end(): void {
    this.#socket.end();
  }

  /** Cuts the transport at once. `onClose` follows, and not before this returns. */
  destroy(): void {
    this.#noteLoss();
    this.#socket.destroy();
    // What is no socket may never say 'close'.
    if (!(this.#socket instanceof Socket)) setImmediate(close, this);
  }

  /** Cuts the transport, and has the system throw away what it has not sent; where it cannot be told so it tries on. */
  reset(): void {
    this.#noteLoss();
    resetSocket(this.#socket);
    this.destroy();
  }

  /**
   * Takes a chunk that is not in the receive buffer: a copy, since it may be somebody else's and is to be unmasked. The
   * copy is made there, where that is fastest, unless it is too long or others are being handled. @internal
   */
  receive(chunk: Buffer): void {
    if (chunk.length <= receiveBuffer.length && !isReceiving) {
      chunk.copy(receiveBuffer);
      this.receiveInPlace(chunk.length);
      return;
    }
    this.#events.onData(Buffer.from(chunk), 0, chunk.length);
  }

  /** @internal */
  receiveInPlace(bytesRead: number): void {
    isReceiving = true;
    try {
      this.#events.onData(receiveBuffer, 0, bytesRead);
    } finally {
      isReceiving = false;
    }
  }

  /** @internal */
  drain(): void {
    this.#events.onDrain();
  }

  /** @internal */
  receiveEnd(): void {
    this.#events.onEnd();
  }

  /** @internal */
  close(): void {
    const socket = this.#socket;
    if (socket[kTransport] === undefined) return;
    delete socket[kTransport];
    this.#noteLoss();
    const waiting = this.#afterWrites;
    this.#afterWrites = undefined;
    this.#events.onClose();
    for (const done of waiting ?? []) done();
  }

  /** Once the socket is cut it does not know any more. */
  #noteLoss(): void {
    this.#hasLost ||= this.#socket.writableLength > 0;
  }
}

/** Has the system forget what it has not sent to a peer that does not read; it would try for minutes. Of a TCP socket only. */
export function resetSocket(socket: Duplex): void {
  try {
    if (socket instanceof Socket) socket.resetAndDestroy();
  } catch {
    // A pipe, or a socket of TLS.
  }
}

/** Takes what a stream has read and told nobody. */
function readAll(socket: Duplex): Buffer[] {
  const chunks: Buffer[] = [];
  // Not read() until there is nothing: in the midst of a push, that of a stream.duplexPair would wait for ever.
  while (socket.readableLength > 0) {
    const chunk = socket.read();
    if (chunk === null) break;
    chunks.push(chunk);
  }
  return chunks;
}

/**
 * Takes off the listener that every `net.Socket` has for its end, where it has nothing to do: it forbids further writes,
 * and on a half-open socket it does not. A second one beside it would take 100 bytes, for as long as the connection lives.
 * By itself, and not by `removeAllListeners`: that makes a hash table of the socket's listeners, of 450 bytes.
 */
function dropIdleEndListener(socket: Duplex): void {
  if (!(socket instanceof Socket)) return;
  const [listener, ...others] = socket.rawListeners('end') as (() => void)[];
  if (listener !== undefined && others.length === 0) socket.removeListener('end', listener);
}

function close(transport: Transport): void {
  transport.close();
}

/** Sees to it that an error of the socket, whose 'close' is all that matters, does not end the process. */
export function surviveErrors(socket: Duplex): void {
  if (!socket.listeners('error').includes(ignoreError)) socket.on('error', ignoreError);
}

function ignoreError(): void {}

function onData(this: AttachedDuplex, chunk: Buffer): void {
  this[kTransport]?.receive(chunk);
}

/** @returns whether to read on: what Readable still does for an earlier read starts a paused socket again */
function onRead(this: AttachedDuplex, bytesRead: number): boolean {
  const transport = this[kTransport];
  if (transport === undefined) return true;
  transport.receiveInPlace(bytesRead);
  if (transport.isPaused) return false;
  if (bytesRead < receiveBuffer.length) return true;
  // libuv would read up to 32 times as much before it looks at other sockets.
  setImmediate(readOn, this);
  return false;
}

function readOn(socket: AttachedDuplex): void {
  if (socket[kTransport]?.isPaused === false) socket.resume();
}

function onDrain(this: AttachedDuplex): void {
  this[kTransport]?.drain();
}

function onEnd(this: AttachedDuplex): void {
  this[kTransport]?.receiveEnd();
}

function onClose(this: AttachedDuplex): void {
  this[kTransport]?.close();
}
