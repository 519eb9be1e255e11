import type { Duplex } from 'node:stream';
import { CloseCode } from '../codec/close-code.ts';
import { InvalidStateError } from '../errors.ts';
import { Connection, type ConnectionOwner } from '../net/connection.ts';
import type { ConnectionLimits } from '../net/limits.ts';
import { RESOLVED, rejected } from '../net/promises.ts';
import type { CloseInfo } from '../protocol/events.ts';
import type { Acceptance } from './accept.ts';
import { Context } from './context.ts';
import type { Exchange } from './exchange.ts';
import { type Handler, runHandlers } from './hooks.ts';
import type { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import { WebSocketStream } from './websocket-stream.ts';

/** What sessions ask of their server. */
export interface SessionHost {
  /** Is told of an error of user code. Never throws. */
  reportError(error: unknown, ctx: Context): Promise<void>;
  /** Is told that a session is over. */
  onSessionClosed(session: WebSocketSession): void;
}

/** How the handlers of a route are run for a WebSocket. */
export interface SessionHandlers {
  /** Run once the WebSocket is open. */
  readonly connected: readonly Handler[];
  /** Run for each message; or once, for a route whose handler owns the stream. */
  readonly message: readonly Handler[];
  /** Whether the handlers own the stream: they run at once, and read the messages themselves. */
  readonly ownsStream: boolean;
}

/** Whether it was said that `sendResponse` is not for WebSockets. */
let warned = false;

/**
 * A WebSocket on the server, from the upgrade request to the end: runs the handlers of its route for each message, one
 * at a time and in order.
 */
export class WebSocketSession implements Exchange, ConnectionOwner {
  readonly head: RequestHead;
  readonly isWebSocket = true;
  attributes: Map<string, unknown> | undefined;
  readonly #host: SessionHost;
  readonly #handlers: SessionHandlers;
  readonly #connection: Connection;
  #stream: WebSocketStream | undefined;
  /** Whether handlers are running: messages wait in the queue, where these may take them. */
  #busy = true;
  /** Whether the first handlers are being called. */
  #starting = false;
  /** Whether no further message is to be handled. */
  #over = false;
  /** The code and reason to close with once the running handlers are done. */
  #closeLater: { code: number; reason: string } | undefined;

  constructor(
    head: RequestHead,
    host: SessionHost,
    handlers: SessionHandlers,
    socket: Duplex,
    limits: ConnectionLimits,
    { subprotocol, compression }: Omit<Acceptance, 'head'>,
  ) {
    this.head = head;
    this.#host = host;
    this.#handlers = handlers;
    this.#connection = new Connection(socket, 'server', limits, subprotocol, compression);
  }

  /** Starts reading, and runs the first handlers. @param head - bytes that were read behind the upgrade request */
  start(head: Buffer): void {
    const { connected, ownsStream } = this.#handlers;
    const runsFirst = ownsStream || connected.length > 0;
    this.#busy = runsFirst;
    this.#connection.start(this, head);
    if (!runsFirst) return;
    this.#starting = true;
    void this.#run();
    this.#starting = false;
  }

  get stream(): WebSocketStream | undefined {
    // Who is told that it is open can always listen for its end, though the client may have left meanwhile.
    if (this.#connection.isFinished && !this.#starting) return undefined;
    this.#stream ??= new WebSocketStream(this.#connection, this.head);
    return this.#stream;
  }

  /**
   * Closes the session for a server that is shutting down: after the handlers of the current message, unless they are
   * waiting for the next one themselves.
   */
  shutDown(code: number, reason: string): void {
    if (this.#busy && !this.#handlers.ownsStream && !this.#connection.hasReceivers) this.#closeLater = { code, reason };
    else this.#connection.close(code, reason);
  }

  /** Cuts the connection. A peer whose handlers did not end in time is told why. */
  destroy(): void {
    if (this.#closeLater !== undefined) {
      this.#endWith(this.#closeLater.code, this.#closeLater.reason);
      void this.#connection.flush();
    }
    this.#connection.destroy();
  }

  // --- what a context asks ----------------------------------------------------------------------------------------

  sendBody(_response: Response | undefined, body: string | Uint8Array, compress?: boolean): Promise<void> {
    return this.#connection.send(body, compress);
  }

  sendResponse(): Promise<void> {
    const error = new InvalidStateError('WS_ERR_SEND_RESPONSE_ON_WEBSOCKET');
    // Whoever does not await it would wonder why nothing arrives. Said once.
    if (!warned) process.emitWarning(error.message, { code: error.code });
    warned = true;
    return rejected(error);
  }

  send(): Promise<void> {
    return RESOLVED;
  }

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  close(_response: Response | undefined, code?: number, reason?: string): Promise<void> {
    this.#connection.close(code, reason);
    this.#over = true;
    return RESOLVED;
  }

  // --- told by the connection -------------------------------------------------------------------------------------

  get isBusy(): boolean {
    return this.#busy;
  }

  takeMessage(data: string | Buffer): boolean {
    if (this.#over) return true;
    // A receive that a handler left behind comes first, and then what is waiting.
    if (this.#busy || this.#connection.hasReceivers) return false;
    this.#handleQueued();
    if (this.#busy) return false;
    this.#handle(data);
    return true;
  }

  onConnectionClosed(_info: CloseInfo): void {
    this.#host.onSessionClosed(this);
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Runs what comes before the first message: the hooks, and the handlers of a route that owns its stream. */
  async #run(): Promise<void> {
    const { connected, message, ownsStream } = this.#handlers;
    const ctx = new Context(this, '');
    try {
      await runHandlers(connected, ctx);
      if (ownsStream && !ctx.getAborted()) await runHandlers(message, ctx);
    } catch (error) {
      this.#fail(error, ctx);
    }
    if (ownsStream) ctx.closed();
    this.#finish(ctx);
    this.#handleQueued();
  }

  /** Runs the handlers for one message, and stays synchronous if they do. */
  #handle(data: string | Buffer): void {
    this.#busy = true;
    const ctx = new Context(this, data);
    try {
      const pending = runHandlers(this.#handlers.message, ctx);
      if (pending !== undefined) {
        void this.#handleLater(pending, ctx);
        return;
      }
    } catch (error) {
      this.#fail(error, ctx);
    }
    this.#finish(ctx);
  }

  async #handleLater(pending: Promise<void>, ctx: Context): Promise<void> {
    try {
      await pending;
    } catch (error) {
      this.#fail(error, ctx);
    }
    this.#finish(ctx);
    this.#handleQueued();
  }

  /** Handles the messages that came while handlers were running, or throws them away if no more are to be handled. */
  #handleQueued(): void {
    while (!this.#busy) {
      const data = this.#connection.tryTake();
      if (data === undefined) return;
      if (!this.#over) this.#handle(data);
    }
  }

  #finish(ctx: Context): void {
    this.#busy = false;
    if (ctx.getClosed()) this.#endWith(CloseCode.Normal, '');
    else if (this.#closeLater !== undefined) this.#endWith(this.#closeLater.code, this.#closeLater.reason);
  }

  #endWith(code: number, reason: string): void {
    this.#over = true;
    this.#connection.close(code, reason);
  }

  #fail(error: unknown, ctx: Context): void {
    // A handler that ends because the peer is gone has done nothing wrong.
    if (this.#connection.isEndedBy(error)) return;
    this.#over = true;
    this.#connection.fail(undefined);
    void this.#host.reportError(error, ctx);
  }
}
