import { Buffer } from 'node:buffer';
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloseCode } from '../codec/close-code.ts';
import { encodeClosePayload } from '../codec/close-payload.ts';
import { ConnectionClosedError, HandshakeError, InvalidStateError, LimitError } from '../errors.ts';
import type { UpgradeHead } from '../handshake/upgrade.ts';
import { surviveErrors } from '../net/transport.ts';
import { acceptUpgrade, readUpgrade, type ServerUpgrade } from './accept.ts';
import { Context } from './context.ts';
import { answerNotFound, checkHandler, type Handler, runHandlers } from './hooks.ts';
import type { HttpExchange } from './http-exchange.ts';
import { HttpListener } from './http-listener.ts';
import { checkOption, MAX_TIMER_MS, type ResolvedOptions, resolveOptions, type ServerOptions } from './options.ts';
import { RequestHead } from './request-head.ts';
import { Response } from './response.ts';
import { Routes } from './routes.ts';
import { UpgradeExchange } from './upgrade-exchange.ts';
import { type SessionHandlers, WebSocketSession } from './websocket-session.ts';

/** Is told of an error that a handler threw; it may set the response of an HTTP request that has none yet. */
export type ErrorHandler = (error: unknown, ctx: Context) => void | Promise<void>;

/** How `close` ends the connections. */
export interface CloseOptions {
  /** Close code for the WebSockets, 1001 (going away) unless given. */
  readonly code?: number;
  /** Close reason, at most 123 bytes of UTF-8. */
  readonly reason?: string;
  /** How long connections may take to close, in milliseconds, before they are cut. Default 5000. */
  readonly timeout?: number;
}

/** How the WebSockets ended when the server was closed. */
export interface CloseResult {
  /** How many closed with a closing handshake, or by themselves. */
  readonly closed: number;
  /** How many had to be cut. */
  readonly cut: number;
}

const DEFAULT_CLOSE_TIMEOUT_MS = 5000;
/**
 * A server for WebSockets and plain HTTP on one port, with the same handlers.
 *
 * @example
 * const server = new Server();
 * server.route('/websocket', async (ctx) => {
 *   await ctx.sendResponseBody(ctx.getRequestBody());
 * });
 * await server.run();
 */
// It is a SessionHost and an UpgradeHost, and does not say so: that is internal, and left out of the declarations.
export class Server {
  #options: ResolvedOptions;
  readonly #routes = new Routes(answerNotFound);
  readonly #upgradeMiddleware: Handler[] = [];
  #errorHandler: ErrorHandler = logError;
  #listener: HttpListener | undefined;
  readonly #attached = new Map<HttpServer, (request: IncomingMessage, socket: Duplex, head: Buffer) => void>();
  readonly #sessions = new Set<WebSocketSession>();
  /** Upgrades that are not decided, or were refused and linger. */
  readonly #upgrades = new Set<UpgradeExchange>();
  #closing = false;
  /** Are called when the last WebSocket and the last upgrade are over. */
  #whenEmpty: (() => void)[] = [];

  /** @throws {TypeError} for an option that does not exist, {RangeError} for a value it cannot have */
  constructor(options: ServerOptions = {}) {
    this.#options = resolveOptions(options);
  }

  // --- settings ---------------------------------------------------------------------------------------------------

  /** Sets the address to listen on; unless set, all addresses, IPv4 and IPv6. */
  host(host: string): this {
    this.#options = { ...this.#options, host: checkOption('host', host) };
    return this;
  }

  /** Sets the port to listen on, 0 for any free one; unless set, 60000. @throws {RangeError} */
  port(port: number): this {
    this.#options = { ...this.#options, port: checkOption('port', port) };
    return this;
  }

  /** Sends small packets at once (TCP_NODELAY); so it is unless disabled. */
  enableNodelay(): this {
    this.#options = { ...this.#options, nodelay: true };
    return this;
  }

  disableNodelay(): this {
    this.#options = { ...this.#options, nodelay: false };
    return this;
  }

  /**
   * Registers the handler of a path: static (`/chat`) or with parameters (`/chat/:room`).
   *
   * @throws {InvalidStateError} WS_ERR_DUPLICATE_ROUTE | WS_ERR_INVALID_ROUTE
   * @throws {TypeError} when the handler is no function, as in every method that takes one
   */
  route(pattern: string, handler: Handler): this {
    this.#routes.addRoute(pattern, checkHandler(`route('${pattern}', …)`, handler));
    return this;
  }

  /** Registers a handler that runs before the route, in order of registration: for each HTTP request and each message. */
  requestMiddleware(handler: Handler): this {
    this.#routes.addBefore(checkHandler('requestMiddleware', handler));
    return this;
  }

  /** Registers a handler that runs after the route, in order of registration. */
  responseMiddleware(handler: Handler): this {
    this.#routes.addAfter(checkHandler('responseMiddleware', handler));
    return this;
  }

  /**
   * Registers a handler that runs for each valid upgrade request before it is answered. It refuses by setting a status
   * (and a body, and headers), by `sendResponse`, or by `aborted`, which alone is a 403. Headers it sets without
   * refusing are sent with the 101; attributes it sets are the WebSocket's.
   */
  upgradeMiddleware(handler: Handler): this {
    this.#upgradeMiddleware.push(checkHandler('upgradeMiddleware', handler));
    return this;
  }

  /** Registers a handler that runs when a WebSocket is open, before its first message is handled. */
  onWebsocketConnected(handler: Handler): this {
    this.#routes.addConnected(checkHandler('onWebsocketConnected', handler));
    return this;
  }

  /**
   * Has the handlers of a route run as soon as the handshake is done, instead of with the first message. They own the
   * stream and read it with `Request.websocketRequestFromStream`; when they return, it is closed with 1000.
   *
   * @param pattern - as it was, or will be, given to `route`
   */
  enableInnerWebsocketHandle(pattern: string): this {
    this.#routes.setOwnsStream(pattern, true);
    return this;
  }

  disableInnerWebsocketHandle(pattern: string): this {
    this.#routes.setOwnsStream(pattern, false);
    return this;
  }

  /** Sets who is told of errors that handlers throw; unless set, they are printed. */
  errorHandle(handler: ErrorHandler): this {
    this.#errorHandler = checkHandler('errorHandle', handler);
    return this;
  }

  // --- lifecycle --------------------------------------------------------------------------------------------------

  /**
   * Listens. Resolves once the port is open.
   *
   * Rejects with InvalidStateError: WS_ERR_PORT_IN_USE, WS_ERR_SERVER_STATE (already running, or closed meanwhile),
   * WS_ERR_UNKNOWN_ROUTE (`enableInnerWebsocketHandle` for a pattern without a route); or with the error of the system.
   */
  async run(): Promise<void> {
    if (this.#listener !== undefined) {
      throw new InvalidStateError('WS_ERR_SERVER_STATE', 'the server is running already: call run() once');
    }
    this.#routes.check();
    const listener = new HttpListener(this.#options, {
      onRequest: (exchange) => void this.#handleRequest(exchange),
      onUpgrade: (request, socket, head) => this.handleUpgrade(request, socket, head),
      onError: logError,
    });
    this.#listener = listener;
    this.#closing = false;
    try {
      await listener.listen();
    } catch (error) {
      this.#listener = undefined;
      throw error;
    }
  }

  /** The address and port it listens on, `undefined` when it does not. */
  address(): AddressInfo | undefined {
    return this.#listener?.address;
  }

  /**
   * Stops: accepts nothing more, closes the WebSockets, waits for them and for running requests, and cuts what is left
   * after `timeout`. Servers it was attached to go on.
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  async close(options: CloseOptions = {}): Promise<CloseResult> {
    // node:http's takes a function, and a context's a code.
    if (typeof options !== 'object')
      throw new TypeError('close takes { code, reason, timeout }, and returns a promise');
    const { code = CloseCode.GoingAway, reason = '', timeout = DEFAULT_CLOSE_TIMEOUT_MS } = options;
    encodeClosePayload(code, reason);
    this.#closing = true;
    for (const [server, listener] of this.#attached) server.off('upgrade', listener);
    this.#attached.clear();

    const listener = this.#listener;
    const listenerClosed = listener?.close();
    for (const exchange of this.#upgrades) exchange.refuseWith(503, 'the server is shutting down');
    const total = this.#sessions.size;
    for (const session of this.#sessions) session.shutDown(code, reason);

    let cut = 0;
    const cutAll = () => {
      cut = this.#sessions.size;
      for (const connection of [...this.#sessions, ...this.#upgrades]) connection.destroy();
      listener?.destroyAll();
    };
    const timer = timeout <= MAX_TIMER_MS ? setTimeout(cutAll, timeout) : undefined;
    await Promise.all([listenerClosed, this.#empty()]);
    clearTimeout(timer);
    if (this.#listener === listener) this.#listener = undefined;
    return { closed: total - cut, cut };
  }

  /**
   * Serves the WebSockets of an existing `http` or `https` server; its plain requests stay its own. When that server has
   * other 'upgrade' listeners, paths without a route are left to them.
   */
  attach(server: HttpServer): this {
    this.#routes.check();
    if (typeof server?.on !== 'function') {
      throw new TypeError('attach takes a server of node:http or node:https: for Express, what app.listen() returned');
    }
    if (this.#attached.has(server)) {
      throw new InvalidStateError('WS_ERR_SERVER_STATE', 'this server is attached already: call attach once');
    }
    const listener = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const path = new RequestHead(request, socket).path;
      if (server.listenerCount('upgrade') > 1 && this.#routes.match(path) === undefined) return;
      this.handleUpgrade(request, socket, head);
    };
    this.#attached.set(server, listener);
    server.on('upgrade', listener);
    this.#closing = false;
    return this;
  }

  /**
   * Answers an upgrade request: for the 'upgrade' event of `node:http`, or a framework's. Never throws for what the
   * client sent.
   */
  handleUpgrade(request: UpgradeHead, socket: Duplex, head: Buffer): void {
    surviveErrors(socket);
    const exchange = new UpgradeExchange(new RequestHead(request, socket), socket, this);
    let upgrade: ServerUpgrade;
    try {
      if (this.#closing) throw new HandshakeError(503, 'the server is shutting down');
      upgrade = readUpgrade(request, this.#options.origins);
    } catch (error) {
      void this.#refuse(exchange, error, new Context(exchange, ''));
      return;
    }
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(this.#options.nodelay);
    this.#upgrade(exchange, upgrade, socket, head);
  }

  // --- told by upgrades and sessions -------------------------------------------------------------------------------------------

  /** @internal */
  async reportError(error: unknown, ctx: Context): Promise<void> {
    try {
      await this.#errorHandler(error, ctx);
    } catch (second) {
      logError(second);
    }
  }

  /** @internal */
  onUpgradeWaiting(exchange: UpgradeExchange): void {
    this.#upgrades.add(exchange);
  }

  /** @internal */
  onUpgradeOver(exchange: UpgradeExchange): void {
    this.#leave(exchange);
  }

  /** @internal */
  onSessionClosed(session: WebSocketSession): void {
    this.#leave(session);
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Says that a WebSocket or an upgrade is over. */
  #leave(connection: WebSocketSession | UpgradeExchange): void {
    if (connection instanceof WebSocketSession) this.#sessions.delete(connection);
    else this.#upgrades.delete(connection);
    if (this.#sessions.size + this.#upgrades.size > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }

  async #empty(): Promise<void> {
    if (this.#sessions.size + this.#upgrades.size === 0) return;
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Runs the middleware of an upgrade, and then opens the WebSocket or refuses it: at once, if that is possible. */
  #upgrade(exchange: UpgradeExchange, upgrade: ServerUpgrade, socket: Duplex, head: Buffer): void {
    const match = this.#routes.match(exchange.head.path);
    if (match !== undefined) exchange.head.params = match.params;
    const ctx = new Context(exchange, '');
    const decide = () => {
      if (exchange.isOver) {
        exchange.giveUp();
        return;
      }
      const response = ctx.getResponse();
      if (ctx.getAborted() || ctx.getClosed() || response.isSet) {
        exchange.refuse(response);
        return;
      }
      if (match === undefined) throw new HandshakeError(404, 'no route has this path');
      if (this.#closing) throw new HandshakeError(503, 'the server is shutting down');
      if (this.#sessions.size >= this.#options.maxConnections) {
        throw new HandshakeError(
          503,
          'the server has all the WebSockets it takes; its option maxConnections allows more',
        );
      }
      this.#open(exchange, upgrade, this.#routes.handlersOf(match.value), response, socket, head);
    };
    try {
      const pending = runHandlers(this.#upgradeMiddleware, ctx);
      if (pending === undefined) {
        decide();
        return;
      }
      exchange.expireAfter(this.#options.handshakeTimeoutMs);
      pending.then(decide).catch((error) => this.#refuse(exchange, error, ctx));
    } catch (error) {
      void this.#refuse(exchange, error, ctx);
    }
  }

  #open(
    exchange: UpgradeExchange,
    upgrade: ServerUpgrade,
    handlers: SessionHandlers,
    response: Response,
    socket: Duplex,
    head: Buffer,
  ): void {
    const acceptance = acceptUpgrade(upgrade, response, this.#options);
    exchange.accept(acceptance.head);
    const session = new WebSocketSession(exchange.head, this, handlers, socket, this.#options, acceptance);
    session.attributes = exchange.attributes;
    this.#sessions.add(session);
    session.start(head);
  }

  /** Refuses an upgrade for an error, and reports it if it is one of user code. */
  async #refuse(exchange: UpgradeExchange, error: unknown, ctx: Context): Promise<void> {
    const known = error instanceof HandshakeError;
    exchange.refuseWith(known ? error.httpStatus : 500, known ? error.message : '');
    if (!known) await this.reportError(error, ctx);
  }

  async #handleRequest(exchange: HttpExchange): Promise<void> {
    const match = this.#routes.match(exchange.head.path);
    if (match !== undefined) exchange.head.params = match.params;
    const response = new Response();
    let ctx = new Context(exchange, Buffer.alloc(0), response);
    try {
      ctx = new Context(exchange, await exchange.readBody(), response);
      await runHandlers(this.#routes.handlersOf(match?.value).message, ctx);
      if (ctx.getClosed()) await exchange.close(response);
      else await exchange.finish(response);
    } catch (error) {
      if (error instanceof ConnectionClosedError && !exchange.isOpen) return;
      // Nothing of what was meant for a success goes out with an error.
      if (!exchange.isStarted) response.clear();
      const isTooLarge = error instanceof LimitError && error.code === 'WS_ERR_REQUEST_BODY_TOO_LARGE';
      if (isTooLarge) response.setBody(error.message);
      else await this.reportError(error, ctx);
      exchange.abandon(isTooLarge ? 413 : 500, response);
    }
  }
}

function logError(error: unknown): void {
  console.error(error);
}
