import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { CloseCode } from '../codec/close-code.ts';
import { connectionClosed } from '../diagnostics.ts';
import {
  ConnectionEndError,
  type GapError,
  InvalidBodyError,
  InvalidStateError,
  type WebSocketError,
} from '../errors.ts';
import { Connection, type ConnectionOwner } from '../net/connection.ts';
import type { ConnectionEnd } from '../net/connection-end.ts';
import type { ConnectionLimits } from '../net/limits.ts';
import { RESOLVED, rejected } from '../net/promises.ts';
import type { ConnectionSubscription } from '../topics/connection-subscription.ts';
import { wireOf } from '../topics/positions-wire.ts';
import type { ConnectionSubscribeOptions } from '../topics/subscribe-options.ts';
import type { Topics } from '../topics/topics.ts';
import { warnOnce } from '../warnings.ts';
import type { Acceptance } from './accept.ts';
import { BodyRefusal } from './body-schema.ts';
import type { ConnectionSource, ServerConnection } from './connections.ts';
import { Context } from './context.ts';
import type { Exchange } from './exchange.ts';
import { type ClosedHandler, type Handler, runUntilPending } from './hooks.ts';
import type { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import { type Resumable, resumeAfter } from './resume-after.ts';
import { runHooks } from './slow-hooks.ts';
import { WebSocketStream } from './websocket-stream.ts';

/** What sessions ask of their server. */
export interface SessionHost {
  /** Is told of an error of user code. Never throws. */
  reportError(error: unknown, ctx: Context): Promise<void>;
  readonly topics: Topics;
  /** What shows a session to others. */
  show(session: WebSocketSession): ServerConnection;
  /** Is told that the connection of a session is over, and how it ended. */
  onSessionClosed(session: WebSocketSession, end: ConnectionEnd): void;
  /** Is told that all its handlers are done, the last of which were told of the end. Only of a session that has such. */
  onSessionDone(session: WebSocketSession): void;
}

/** How the handlers of a route are run for a WebSocket. */
export interface SessionHandlers {
  readonly pattern: string;
  /** Run once the WebSocket is open: the hooks, and behind them the handlers of a route that owns its stream. */
  readonly opening: readonly Handler[];
  /** What the hooks in `opening` were given to, in the same order. */
  readonly hooks: readonly string[];
  /** Run for each message, unless they own the stream. */
  readonly message: readonly Handler[];
  /** Whether the handlers own the stream: they run at once, and read the messages themselves. */
  readonly ownsStream: boolean;
  /** Told of the end, behind all others. */
  readonly closed: readonly ClosedHandler[];
}

/** Warns of what handlers send behind their own `close`. Others may close at any time, and a send that meets that is no mistake. */
function noticeSend(response: Response): void {
  response.isUsed = true;
  if (response.isClosed) warnOnce('WS_WARN_SEND_AFTER_CLOSE');
}

/** Whether it was said that `sendResponse` is not for WebSockets. */
let warned = false;

/**
 * A WebSocket on the server, from the upgrade request to the end: runs the handlers of its route for each message, one
 * at a time and in order.
 */
export class WebSocketSession implements Exchange, ConnectionOwner, Resumable, ConnectionSource {
  readonly head: RequestHead;
  attributes: Map<string, unknown> | undefined;
  readonly #host: SessionHost;
  readonly #handlers: SessionHandlers;
  readonly #connection: Connection;
  #stream: WebSocketStream | undefined;
  /** Whether handlers are running: messages wait in the queue, where these may take them. */
  #busy = true;
  /** Whether those are the first handlers, which no message has started. */
  #opening = false;
  /** Whether the first handlers are still to be called, or are being. */
  #starting = false;
  /** Whether no further message is to be handled. */
  #over = false;
  /** The code and reason to close with once the running handlers are done. */
  #closeLater: { code: number; reason: string; error: WebSocketError } | undefined;
  /** How it ended, while those who are to be told of it wait for running handlers. */
  #end: ConnectionEnd | undefined;

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
    const hasOpening = this.#handlers.opening.length > 0;
    // It is known only as long as the connection is there, unless somebody has asked.
    if (this.#handlers.closed.length > 0 || connectionClosed.hasSubscribers) void this.head.address;
    this.#busy = hasOpening;
    this.#opening = hasOpening;
    this.#starting = hasOpening;
    this.#connection.start(this, head);
    // The first messages may have come with the head, and their handlers be busy.
    if (!hasOpening) return;
    void this.#open();
    this.#starting = false;
    this.#connection.onHandled();
  }

  get isWebSocket(): boolean {
    return true;
  }

  get connection(): Connection {
    return this.#connection;
  }

  get topics(): Topics {
    return this.#host.topics;
  }

  get pattern(): string {
    return this.#handlers.pattern;
  }

  get shown(): ServerConnection {
    return this.#host.show(this);
  }

  get stream(): WebSocketStream | undefined {
    // Who is told that it is open can always listen for its end, though the client may have left meanwhile.
    const isGone = this.#connection.isFinished && !this.#connection.canSend;
    if (isGone && !this.#starting) return undefined;
    this.#stream ??= new WebSocketStream(this.#connection, this.head);
    return this.#stream;
  }

  /**
   * Closes the session for a server that is shutting down: after the handlers of the current message, unless they are
   * waiting for the next one themselves.
   */
  shutDown(code: number, reason: string, error: WebSocketError): void {
    const isHandling = this.#busy && !this.#handlers.ownsStream && !this.#connection.hasReceivers;
    if (isHandling) this.#closeLater = { code, reason, error };
    else this.#connection.close(code, reason, 'shutdown', error);
  }

  /** Cuts the connection, for a server that has waited long enough. A peer whose handlers did not end in time is told why. */
  destroy(error: WebSocketError): void {
    this.#closeNow();
    // A Close frame may wait for the end of this turn.
    void this.#connection.flush();
    this.#connection.destroy('shutdown', error);
  }

  /** Whether somebody is to be told of the end. */
  get hasClosedHandlers(): boolean {
    return this.#handlers.closed.length > 0;
  }

  // --- what a context asks ----------------------------------------------------------------------------------------

  sendBody(response: Response | undefined, body: string | Uint8Array, compress?: boolean): Promise<void> {
    if (response !== undefined) noticeSend(response);
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

  subscribe(ctx: Context, topic: string, options: ConnectionSubscribeOptions = {}): Promise<ConnectionSubscription> {
    const { onGap } = options;
    const wire = wireOf(this.#connection.subprotocol);
    // What is no function is refused there.
    if (typeof onGap !== 'function') return this.topics.join(this.#connection, topic, options, wire);
    const tell = async (gap: GapError) => {
      try {
        await onGap(gap);
      } catch (error) {
        this.#fail(error, ctx);
      }
    };
    return this.topics.join(this.#connection, topic, { ...options, onGap: (gap) => void tell(gap) }, wire);
  }

  close(response: Response | undefined, code?: number, reason?: string): Promise<void> {
    this.#connection.close(code, reason);
    if (response !== undefined) response.isClosed = true;
    this.#over = true;
    return RESOLVED;
  }

  // --- told by the connection -------------------------------------------------------------------------------------

  get isBusy(): boolean {
    return this.#busy;
  }

  get isHandling(): boolean {
    if (this.#starting) return true;
    // Handlers that wait for a message are not handling one.
    if (this.#over || !this.#busy || this.#connection.hasReceivers) return false;
    return !this.#opening || this.#connection.hasTaken || this.#connection.queuedMessages > 0;
  }

  takeMessage(data: string | Buffer): boolean {
    if (this.#over || this.#isRefused) return true;
    // A receive that a handler left behind comes first, and then what is waiting.
    if (this.#busy || this.#connection.hasReceivers) return false;
    this.#handleQueued();
    if (this.#busy) return false;
    this.#handle(data);
    return true;
  }

  takeLent(bytes: Buffer, start: number, end: number): boolean {
    if (this.#over || this.#isRefused) return true;
    if (this.#busy || this.#connection.hasReceivers) return false;
    this.#handleQueued();
    if (this.#busy) return false;
    this.#busy = true;
    const ctx = new Context(this, '');
    ctx.lendBody(bytes, start, end);
    this.#runOn(ctx);
    return true;
  }

  onDestroyed(): void {
    this.#over = true;
  }

  onConnectionClosed(end: ConnectionEnd): void {
    this.#host.onSessionClosed(this, end);
    if (!this.hasClosedHandlers) return;
    this.#end = end;
    if (this.#busy) process.nextTick(tellClosed, this);
    else this.tellClosed();
  }

  /** Runs the handlers that are told of the end, unless others are running: then these come behind them. @internal */
  tellClosed(): void {
    const end = this.#end;
    if (end === undefined || this.#busy) return;
    this.#end = undefined;
    void this.#runClosed(end);
  }

  // --- told when a handler is done that took time -------------------------------------------------------------------

  resume(ctx: Context): void {
    this.#runOn(ctx);
    this.#goOn();
  }

  resumeWithError(ctx: Context, error: unknown): void {
    this.#fail(error, ctx);
    this.#finish(ctx);
    this.#goOn();
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Whether this side has sent a Close frame: handlers of what still comes could not answer. Those that run may take it. */
  get #isRefused(): boolean {
    return this.#connection.isClosing && !this.#busy && !this.#connection.hasReceivers;
  }

  /** Runs what comes before the first message. */
  async #open(): Promise<void> {
    const ctx = new Context(this, '');
    try {
      await runHooks(this.#handlers.opening, ctx, (index) => this.#handlers.hooks[index]);
    } catch (error) {
      this.#fail(error, ctx);
    }
    if (this.#handlers.ownsStream) ctx.closed();
    this.#opening = false;
    this.#finish(ctx);
    this.#goOn();
  }

  /** Runs the handlers for one message. */
  #handle(data: string | Buffer): void {
    this.#busy = true;
    this.#runOn(new Context(this, data));
  }

  /** Runs the handlers that are still to run, and stays synchronous if they do. */
  #runOn(ctx: Context): void {
    try {
      const pending = runUntilPending(this.#handlers.message, ctx);
      if (pending !== undefined) {
        ctx.keepBody();
        resumeAfter(pending, this, ctx);
        return;
      }
    } catch (error) {
      this.#fail(error, ctx);
    }
    ctx.endBody();
    this.#finish(ctx);
  }

  /** Goes on when handlers are done that took time: with what came meanwhile. */
  #goOn(): void {
    this.#handleQueued();
    if (this.#busy) return;
    this.#connection.onHandled();
    this.tellClosed();
  }

  async #runClosed(end: ConnectionEnd): Promise<void> {
    const ctx = new Context(this, '');
    for (const handler of this.#handlers.closed) {
      try {
        await handler(ctx, end);
      } catch (error) {
        await this.#host.reportError(error, ctx);
      }
    }
    this.#host.onSessionDone(this);
  }

  /** Handles the messages that came while handlers were running. */
  #handleQueued(): void {
    while (!this.#busy) {
      const data = this.#takeQueued();
      if (data === undefined) return;
      this.#handle(data);
    }
  }

  /** Takes the next message that waits, or throws all away if no more are to be handled. */
  #takeQueued(): string | Buffer | undefined {
    let data = this.#connection.tryTake();
    while (this.#over && data !== undefined) data = this.#connection.tryTake();
    return data;
  }

  #finish(ctx: Context): void {
    this.#busy = false;
    if (!ctx.endOnWebSocket()) this.#closeNow();
    else void this.close(undefined, CloseCode.Normal);
  }

  /** Closes the connection of a server that is shutting down, which has waited for its handlers. */
  #closeNow(): void {
    if (this.#closeLater === undefined) return;
    const { code, reason, error } = this.#closeLater;
    this.#over = true;
    this.#connection.close(code, reason, 'shutdown', error);
  }

  #fail(error: unknown, ctx: Context): void {
    // A handler that ends because the peer is gone has done nothing wrong.
    if (this.#connection.isEndedBy(error)) return;
    this.#over = true;
    if (error instanceof BodyRefusal) {
      this.#connection.fail('body', error.error);
      return;
    }
    if (error instanceof InvalidBodyError) this.#connection.fail('body', error);
    else this.#connection.fail('handler', handlerError(error));
    void this.#host.reportError(error, ctx);
  }
}

function tellClosed(session: WebSocketSession): void {
  session.tellClosed();
}

function handlerError(thrown: unknown): ConnectionEndError {
  const message = thrown instanceof Error ? `a handler threw: ${thrown.name}: ${thrown.message}` : undefined;
  return new ConnectionEndError('WS_ERR_HANDLER', message, { cause: thrown });
}
