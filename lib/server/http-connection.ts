import type { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { leftBytesOf } from '../net/left-bytes.ts';
import { type FeedHost, RequestFeed } from '../net/request-feed.ts';
import { timerWheel, type WheelEntry } from '../net/timer-wheel.ts';
import { resetSocket } from '../net/transport.ts';
import { HttpExchange, type HttpLimits } from './http-exchange.ts';
import type { ResolvedOptions } from './options.ts';

const TIMED_OUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';

/**
 * A connection of plain HTTP, and the requests of it that are under way: a client may send several before the first is
 * answered, and what they hold counts together.
 */
export class HttpConnection implements FeedHost, WheelEntry {
  readonly #socket: Socket;
  readonly #options: ResolvedOptions;
  readonly #onOver: (connection: HttpConnection) => void;
  /** The requests whose responses have not left, in order. */
  readonly #requests = new Set<HttpExchange>();
  readonly #feed: RequestFeed | undefined;
  /** Whether a first request has come. */
  #hasBegun = false;
  /** Whether node:http has let go of the socket, for an upgrade. */
  #isReleased = false;
  #isClosing = false;
  readonly #lose = () => {
    this.#leave();
    // Behind all that node:http does: it forgets those that wait behind another, and theirs would wait for ever.
    setImmediate(() => {
      for (const exchange of this.#requests) exchange.lose();
    });
  };
  /** Bodies that wait for those before them, and what lets them go on. */
  readonly #waiting = new Map<HttpExchange, () => void>();
  /** How many bytes had left when this was last looked at, if others were waiting. */
  #leftBytes: number | undefined;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;

  /**
   * @param socket - one that node:http has just taken
   * @param headMs - how long the first request head may still take
   * @param onOver - is called when the connection is gone, or an upgrade's alone
   */
  constructor(socket: Socket, options: ResolvedOptions, headMs: number, onOver: (connection: HttpConnection) => void) {
    this.#socket = socket;
    this.#options = options;
    this.#onOver = onOver;
    this.#feed = RequestFeed.make(socket, this);
    timerWheel.schedule(this, headMs);
    socket.once('close', this.#lose);
  }

  get limits(): HttpLimits {
    return this.#options;
  }

  get isFull(): boolean {
    return this.#requests.size >= this.#options.maxPipelinedRequests || this.#waiting.size > 0;
  }

  /** Bytes of all responses that have not left, those in the socket included. */
  get unsentBytes(): number {
    let bytes = 0;
    for (const exchange of this.#requests) bytes += exchange.unsentBytes;
    return bytes;
  }

  /** Takes a request. */
  begin(request: IncomingMessage, response: ServerResponse): HttpExchange {
    // It cannot be, unless node:http reads otherwise than `RequestFeed` knows.
    if (this.#requests.size >= this.#options.maxPipelinedRequests) this.destroy();
    const exchange = new HttpExchange(request, response, this);
    this.#requests.add(exchange);
    exchange.whenClosed(() => this.#end(exchange));
    if (this.#isClosing) exchange.endConnection();
    if (!this.#hasBegun) timerWheel.cancel(this);
    this.#hasBegun = true;
    if (this.wheelSlot < 0) this.#watch();
    return exchange;
  }

  /** Takes a piece of a body. @returns when there is room for no more, what resolves when there is: those before it go first */
  takeBody(exchange: HttpExchange, bytes: number): Promise<void> | undefined {
    exchange.bodyBytes += bytes;
    if (this.#hasRoomFor(exchange)) return undefined;
    return new Promise((resolve) => this.#waiting.set(exchange, resolve));
  }

  /** Lets go of the socket for an upgrade. @returns what was read behind it, and not given to node:http */
  release(): Buffer | undefined {
    this.#isReleased = true;
    if (this.#requests.size === 0) this.#leave();
    return this.#feed?.release();
  }

  /** Ends the connection behind the requests that are under way. */
  close(): void {
    this.#isClosing = true;
    for (const exchange of this.#requests) exchange.endConnection();
    this.#endIfIdle();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  onTimer(): void {
    if (!this.#hasBegun) {
      this.#socket.write(TIMED_OUT);
      this.destroy();
      return;
    }
    const hasUnsent = this.#socket.writableLength > 0;
    const leftBytes = leftBytesOf(this.#socket);
    if (hasUnsent && leftBytes === this.#leftBytes) {
      // Else the system would keep for long what it was to send.
      resetSocket(this.#socket);
      this.destroy();
      return;
    }
    this.#leftBytes = hasUnsent ? leftBytes : undefined;
    if (hasUnsent || this.#requests.size > 0) this.#watch();
  }

  /** Whether a body fits in, with those before it: it alone always does. */
  #hasRoomFor(exchange: HttpExchange): boolean {
    let bytes = 0;
    for (const other of this.#requests) {
      bytes += other.bodyBytes;
      if (other === exchange) break;
    }
    return bytes <= this.#options.maxRequestBodyBytes;
  }

  /** Looks again, in time, whether the client reads. */
  #watch(): void {
    const { heartbeatIntervalMs } = this.#options;
    if (heartbeatIntervalMs > 0) timerWheel.schedule(this, heartbeatIntervalMs);
  }

  /** Forgets a request whose response has left, or never will. */
  #end(exchange: HttpExchange): void {
    this.#requests.delete(exchange);
    for (const [waiting, resume] of this.#waiting) {
      if (!this.#hasRoomFor(waiting)) break;
      this.#waiting.delete(waiting);
      resume();
    }
    this.#feed?.resume();
    if (this.#isReleased && this.#requests.size === 0) this.#leave();
    if (this.#isClosing) this.#endIfIdle();
  }

  /** Ends a connection on which no request is under way, though one may have come in part. */
  #endIfIdle(): void {
    if (this.#requests.size === 0 && !this.#isReleased) this.#socket.destroySoon();
  }

  /** The socket is gone, or its WebSocket's. */
  #leave(): void {
    timerWheel.cancel(this);
    this.#socket.off('close', this.#lose);
    this.#onOver(this);
  }
}
