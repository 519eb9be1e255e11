import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { receiveBuffer } from '../codec/mask-simd.ts';
import { receiveInPlace } from './receive-in-place.ts';
import { beginShare, isShareOver } from './turn-share.ts';

/**
 * Handing the bytes of a connection to node:http one request at a time.
 *
 * By itself node:http begins every request that is in what it reads: in 64 KiB there may be two thousand, of 5 KiB each.
 * It has one listener for 'data', and takes from it what it would else read past the stream. So this listener is taken off
 * the socket, and is called with slices that end where a head ends: each begins one request at most (node:http takes
 * nothing but CRLF for a line break, and a spec sees to that; that of Node 20.19 took one LF, and whoever begins more so is cut). While there are enough of them, or until others have had
 * their turn, the rest is kept, and the socket is not read, so that the kernel makes the client wait.
 *
 * node:http reads past the stream since that is cheaper, and so does this: a GET costs 5 % more CPU time than without it, a
 * body of 1 MiB 8 % (measured). By 'data' events it would be 10 % and 28 %.
 */

/** Who has the requests that are begun. */
export interface FeedHost {
  /** Whether no further request may be begun for now; when that is over, `RequestFeed.resume` is to be called. */
  readonly isFull: boolean;
}

const HEAD_END = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);

const kFeed = Symbol('feed');

interface FedSocket extends Duplex {
  [kFeed]?: RequestFeed;
}

type DataListener = (chunk: Buffer) => void;

export class RequestFeed {
  readonly #socket: FedSocket;
  readonly #host: FeedHost;
  /** That of node:http; `undefined` when the socket is no longer its own. */
  #toHttp: DataListener | undefined;
  /** What was read last, and how much of it was handed on. */
  #chunk: Buffer = NOTHING;
  #handedOn = 0;
  /** How many bytes of the end of a head the last slice ended with. */
  #matched = 0;
  /** Whether the socket was paused here, and not by node:http. */
  #paused = false;
  /** Whether it is to go on in the next turn of the event loop. */
  #resuming = false;

  private constructor(socket: FedSocket, host: FeedHost, toHttp: DataListener) {
    this.#socket = socket;
    this.#host = host;
    this.#toHttp = toHttp;
    socket[kFeed] = this;
    // The first bytes were read before, and come as 'data'; and so do all where there is no reading in place.
    socket.off('data', toHttp).on('data', onData).on('resume', onResume);
    receiveInPlace(socket, onRead);
  }

  /**
   * Puts itself between a socket and node:http, which has just taken it.
   *
   * @returns `undefined` when node:http does not listen as expected: then all requests are begun as they come
   */
  static make(socket: Socket, host: FeedHost): RequestFeed | undefined {
    const [toHttp, ...others] = socket.listeners('data') as DataListener[];
    return toHttp === undefined || others.length > 0 ? undefined : new RequestFeed(socket, host, toHttp);
  }

  /**
   * Says that there is room for a request. What waits is begun in the next turn of the event loop: a client that pipelines
   * would have it for as long as it sends.
   */
  resume(): void {
    if (!this.#paused || this.#resuming) return;
    this.#resuming = true;
    setImmediate(resume, this);
  }

  /** @internal */
  goOn(): void {
    this.#resuming = false;
    if (!this.#paused || this.#host.isFull || this.#toHttp === undefined) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Lets go of the socket, which node:http has done, too. @returns what was read, and not handed on */
  release(): Buffer {
    this.#toHttp = undefined;
    delete this.#socket[kFeed];
    this.#socket.off('data', onData).off('resume', onResume);
    return this.#kept();
  }

  /** What was not handed on: a copy, since the next read goes to the same place. */
  #kept(): Buffer {
    return Buffer.from(this.#chunk.subarray(this.#handedOn));
  }

  /** Takes what was read, which may lie where the next read goes. @internal */
  receive(chunk: Buffer): void {
    // A socket that is paused may still bring something.
    this.#chunk = this.#handedOn === this.#chunk.length ? chunk : Buffer.concat([this.#kept(), chunk]);
    this.#handedOn = 0;
    this.handOn();
    if (this.#handedOn === this.#chunk.length) this.#chunk = NOTHING;
    else this.#chunk = this.#kept();
    this.#handedOn = 0;
  }

  /** Hands on what there is, until there are enough requests, or node:http wants no more for now. @internal */
  handOn(): void {
    const chunk = this.#chunk;
    beginShare();
    while (this.#handedOn < chunk.length && this.#isWanted()) {
      const start = this.#handedOn;
      this.#handedOn = this.#endOfHead(chunk, start);
      this.#toHttp!.call(
        this.#socket,
        start === 0 ? first(chunk, this.#handedOn) : chunk.subarray(start, this.#handedOn),
      );
    }
  }

  /** The offset behind the next end of a head, which may have begun in the slice before; or that of the chunk's end. */
  #endOfHead(chunk: Buffer, start: number): number {
    const missing = HEAD_END.slice(this.#matched);
    if (this.#matched > 0 && chunk.toString('latin1', start, start + missing.length) === missing) {
      this.#matched = 0;
      return start + missing.length;
    }
    const headEnd = chunk.indexOf(HEAD_END, start, 'latin1');
    if (headEnd !== -1) {
      this.#matched = 0;
      return headEnd + HEAD_END.length;
    }
    const tail = Math.max(start, chunk.length - HEAD_END.length + 1);
    let matched = tail === start ? this.#matched : 0;
    for (let i = tail; i < chunk.length; i++) matched = matchOn(matched, chunk[i]!);
    this.#matched = matched;
    return chunk.length;
  }

  /** Whether node:http may be given something; if not, the socket is paused, or no longer its own. */
  #isWanted(): boolean {
    if (this.#toHttp === undefined || this.#socket.destroyed || this.#socket.isPaused()) return false;
    const isTurnOver = this.#handedOn > 0 && isShareOver();
    if (!this.#host.isFull && !isTurnOver) return true;
    this.#paused = true;
    this.#socket.pause();
    if (isTurnOver) this.resume();
    return false;
  }
}

/** How many bytes of the end of a head are there behind one byte more. */
function matchOn(matched: number, byte: number): number {
  if (byte === HEAD_END.charCodeAt(matched)) return matched + 1;
  return byte === HEAD_END.charCodeAt(0) ? 1 : 0;
}

function resume(feed: RequestFeed): void {
  feed.goOn();
}

function first(chunk: Buffer, length: number): Buffer {
  return length === chunk.length ? chunk : chunk.subarray(0, length);
}

function onData(this: FedSocket, chunk: Buffer): void {
  this[kFeed]?.receive(chunk);
}

function onRead(this: FedSocket, bytesRead: number): boolean {
  const bytes = receiveBuffer.subarray(0, bytesRead);
  const feed = this[kFeed];
  // Nobody reads in place any more: then it goes the way of all streams.
  if (feed === undefined) return this.push(Buffer.from(bytes));
  feed.receive(bytes);
  return !this.isPaused();
}

function onResume(this: FedSocket): void {
  this[kFeed]?.handOn();
}
