import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { type Context, WebSocketError, type WebSocketStream } from '../../lib/index.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { MAX_BUFFERED_BYTES, MAX_RECEIVED_BYTES, MAX_REQUESTS, rooms, THROWN } from './app.ts';
import { describe } from './describe.ts';
import type { Base } from './messages.ts';

/** How often what each connection holds is looked at. */
const WATCH_MS = 50;

/** What was most since it was asked for last, and what was done. */
export interface Peaks {
  sessions: number;
  sockets: number;
  receivedBytes: number;
  bufferedBytes: number;
  rssBytes: number;
  opened: number;
  handled: number;
}

/** Sees everything in the server's process, and says when something is not as it must be. */
export class Witness {
  readonly #violate: (text: string) => void;
  /** The open WebSockets, with their paths. */
  readonly #streams = new Map<WebSocketStream, string>();
  readonly #sockets = new Set<Socket>();
  /** The latest socket of each port that a client has: a port is used again while handlers of who had it before run. */
  readonly #latest = new Map<number, Socket>();
  /** Requests of plain HTTP whose handlers run, by connection. */
  readonly #requests = new Map<Socket, number>();
  #uncollected = 0;
  readonly #collected = new FinalizationRegistry<undefined>(() => this.#uncollected--);
  #peaks: Peaks = noPeaks();

  constructor(violate: (text: string) => void) {
    this.#violate = violate;
    process.on('uncaughtException', (error) => violate(`uncaughtException: ${describe(error)}`));
    process.on('unhandledRejection', (reason) => violate(`unhandledRejection: ${describe(reason)}`));
    // Such as listeners that pile up.
    process.on('warning', (warning) => {
      if (warning.name !== 'ExperimentalWarning') violate(`warning: ${describe(warning)}`);
    });
    subscribe('net.server.socket', (message) => {
      const { socket } = message as { socket: Socket };
      this.#sockets.add(socket);
      if (socket.remotePort !== undefined) this.#latest.set(socket.remotePort, socket);
    });
    setInterval(() => this.#watch(), WATCH_MS).unref();
  }

  // --- told by the application ------------------------------------------------------------------------------------

  onConnected(ctx: Context): void {
    const stream = ctx.getStream()!;
    this.#streams.set(stream, ctx.getRequestPath());
    this.#uncollected++;
    this.#collected.register(stream, undefined);
    this.#peaks.opened++;
    void stream.closed.then(() => {
      if (!this.#streams.delete(stream)) this.#violate('the end of a connection was told twice');
    });
  }

  onRequest(ctx: Context): void {
    this.#peaks.handled++;
    const stream = ctx.getStream();
    if (stream !== undefined) this.#check(stream);
  }

  /** Counts a request of plain HTTP; returns what says that its handler is done. */
  onHttpRequest(ctx: Context): () => void {
    const client = this.#latest.get(ctx.getSocketAddr()?.port ?? 0);
    // Of one that is gone already there is no address to tell it by.
    if (client === undefined) return () => {};
    const count = (this.#requests.get(client) ?? 0) + 1;
    this.#requests.set(client, count);
    if (count > MAX_REQUESTS) {
      this.#violate(`${count} requests of one connection are handled at once, and ${MAX_REQUESTS} may be`);
    }
    return () => {
      const left = this.#requests.get(client)! - 1;
      if (left === 0) this.#requests.delete(client);
      else this.#requests.set(client, left);
    };
  }

  onError(error: unknown, ctx: Context): void {
    if (error instanceof Error && error.message === THROWN) return;
    // A download that nobody awaits, to a client that does not read.
    const isBackpressure = error instanceof WebSocketError && error.code === 'WS_ERR_BACKPRESSURE';
    if (isBackpressure && ctx.getRequestPath() === '/http/burst') return;
    this.#violate(`a handler of ${ctx.getRequestPath()} failed: ${describe(error)}`);
  }

  // --- asked ------------------------------------------------------------------------------------------------------

  now(): Base {
    this.#forgetClosed();
    const handles: Record<string, number> = {};
    for (const type of process.getActiveResourcesInfo()) handles[type] = (handles[type] ?? 0) + 1;
    let requests = 0;
    for (const count of this.#requests.values()) requests += count;
    return {
      sessions: this.#streams.size,
      sockets: this.#sockets.size,
      wheel: timerWheel.waiting,
      contextBytes: reservedContextBytes(),
      requests,
      rooms: rooms.size,
      uncollected: this.#uncollected,
      handles,
    };
  }

  /** What there is to say of some WebSockets that are still there, the latest first. */
  describeSessions(count: number): string[] {
    return [...this.#streams]
      .toReversed()
      .slice(0, count)
      .map(([{ state, receivedBytes, bufferedBytes }, path]) => {
        return `${path} is ${state}, holds ${receivedBytes} bytes that were received and ${bufferedBytes} to be sent`;
      });
  }

  takePeaks(): Peaks {
    const peaks = this.#peaks;
    this.#peaks = noPeaks();
    return peaks;
  }

  // ----------------------------------------------------------------------------------------------------------------

  #watch(): void {
    this.#forgetClosed();
    for (const stream of this.#streams.keys()) this.#check(stream);
    for (const socket of this.#sockets) {
      const { writableLength } = socket;
      if (writableLength > MAX_BUFFERED_BYTES) {
        this.#violate(`${writableLength} bytes wait in a socket, and ${MAX_BUFFERED_BYTES} may`);
      }
    }
    const peaks = this.#peaks;
    peaks.sessions = Math.max(peaks.sessions, this.#streams.size);
    peaks.sockets = Math.max(peaks.sockets, this.#sockets.size);
    peaks.rssBytes = Math.max(peaks.rssBytes, process.memoryUsage.rss());
  }

  #check(stream: WebSocketStream): void {
    const { receivedBytes, bufferedBytes } = stream;
    const who = () => `a WebSocket of ${this.#streams.get(stream)}, ${stream.state},`;
    if (receivedBytes > MAX_RECEIVED_BYTES) {
      this.#violate(`${who()} holds ${receivedBytes} bytes that were received, and may ${MAX_RECEIVED_BYTES}`);
    }
    if (bufferedBytes > MAX_BUFFERED_BYTES) {
      this.#violate(`${who()} holds ${bufferedBytes} bytes that are to be sent, and may ${MAX_BUFFERED_BYTES}`);
    }
    this.#peaks.receivedBytes = Math.max(this.#peaks.receivedBytes, receivedBytes);
    this.#peaks.bufferedBytes = Math.max(this.#peaks.bufferedBytes, bufferedBytes);
  }

  /** Without a listener on each socket: what is watched is to be as it is when nobody watches. */
  #forgetClosed(): void {
    for (const socket of this.#sockets) if (socket.destroyed) this.#sockets.delete(socket);
    for (const [port, socket] of this.#latest) if (socket.destroyed) this.#latest.delete(port);
  }
}

function noPeaks(): Peaks {
  return { sessions: 0, sockets: 0, receivedBytes: 0, bufferedBytes: 0, rssBytes: 0, opened: 0, handled: 0 };
}
