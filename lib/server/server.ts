import type { Buffer } from 'node:buffer';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloseCode } from '../codec/close-code.ts';
import { encodeClosePayload } from '../codec/close-payload.ts';
import { ConnectionEndError, InvalidStateError } from '../errors.ts';
import type { UpgradeHead } from '../handshake/upgrade.ts';
import { defer } from '../net/promises.ts';
import type { Position } from '../topics/position.ts';
import type { PublishOptions } from '../topics/subscribe-options.ts';
import type { Topics } from '../topics/topics.ts';
import { checkNames, show } from '../wording.ts';
import { answerRequest } from './answer-request.ts';
import { type AttachOptions, type HandleUpgradeOptions, readAttributes } from './attach-options.ts';
import type { AttachableServer } from './attachable.ts';
import { Attachments } from './attachments.ts';
import type { Connections } from './connections.ts';
import type { Context } from './context.ts';
import { answerNotFound, type ClosedHandler, checkHandler, type Handler } from './hooks.ts';
import { HttpListener } from './http-listener.ts';
import { logError } from './log-error.ts';
import { checkOption, MAX_TIMER_MS, type ResolvedOptions, resolveOptions, type ServerOptions } from './options.ts';
import type { RefusedHandler } from './refusal.ts';
import type { Body } from './request.ts';
import { type BodyRouteOptions, checkRouteOptions, limitsOf, type RouteOptions } from './route-options.ts';
import { Routes } from './routes.ts';
import { ServerTopics } from './server-topics.ts';
import type { ServerStats } from './stats.ts';
import { closingError, Upgrades } from './upgrades.ts';

/** Is told of an error that a handler threw; it may set the response of an HTTP request that has none yet. */
export type ErrorHandler<Attributes extends object = object> = (
  error: unknown,
  ctx: Context<Attributes>,
) => void | Promise<void>;

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

type Settable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * A server for WebSockets and plain HTTP on one port, with the same handlers.
 *
 * @example
 * const server = new Server();
 * server.route('/websocket', async (ctx) => {
 *   await ctx.sendResponseBody(ctx.getRequestBody());
 * });
 * await server.run();
 *
 * `Attributes` is what the application keeps with `setAttribute`: with `new Server<{ user: User }>()` they are typed in all
 * its handlers.
 */
export class Server<Attributes extends object = object> {
  readonly #options: Settable<ResolvedOptions>;
  readonly #routes = new Routes(answerNotFound);
  readonly #topics: ServerTopics;
  readonly #upgrades: Upgrades;
  #errorHandler: ErrorHandler = logError;
  #listener: HttpListener | undefined;
  readonly #attachments: Attachments;

  /** @throws {TypeError} for an option that does not exist, {RangeError} for a value it cannot have */
  constructor(options: ServerOptions = {}) {
    this.#options = resolveOptions(options);
    this.#topics = new ServerTopics(this.#options.topics);
    this.#upgrades = new Upgrades(this.#options, this.#routes, this.#topics, (error, ctx) =>
      this.#reportError(error, ctx),
    );
    this.#attachments = new Attachments({
      hasRoute: (path) => this.#routes.matchUpgrade(path) !== undefined,
      handleUpgrade: (request, socket, head) => this.handleUpgrade(request, socket, head),
    });
  }

  // --- settings ---------------------------------------------------------------------------------------------------

  /** Sets the address to listen on; unless set, all addresses, IPv4 and IPv6. */
  host(host: string): this {
    this.#options.host = checkOption('host', host);
    return this;
  }

  /** Sets the port to listen on, 0 for any free one; unless set, 60000. @throws {RangeError} */
  port(port: number): this {
    this.#options.port = checkOption('port', port);
    return this;
  }

  /** Sends small packets at once (TCP_NODELAY); so it is unless disabled. */
  enableNodelay(): this {
    this.#options.nodelay = true;
    return this;
  }

  disableNodelay(): this {
    this.#options.nodelay = false;
    return this;
  }

  /**
   * Registers the handler of a path: static (`/chat`) or with parameters (`/chat/:room`).
   *
   * @throws {InvalidStateError} WS_ERR_DUPLICATE_ROUTE | WS_ERR_INVALID_ROUTE
   * @throws {TypeError} when the handler is no function, as in every method that takes one; for an option that does not exist
   * @throws {RangeError} for a value that an option cannot have
   */
  route<Json>(pattern: string, handler: Handler<Attributes, Json>, options: BodyRouteOptions<Attributes, Json>): this;
  route(pattern: string, handler: Handler<Attributes>, options?: RouteOptions<Attributes>): this;
  route(pattern: string, handler: Handler<Attributes>, options: RouteOptions<Attributes> = {}): this {
    const route = `route('${pattern}', …)`;
    const checked = checkRouteOptions(route, options as RouteOptions);
    this.#routes.addRoute(pattern, checkHandler(route, handler), checked, limitsOf(checked, this.#options));
    return this;
  }

  /** Registers a handler that runs before the route, in order of registration: for each HTTP request and each message. */
  requestMiddleware(handler: Handler<Attributes>): this {
    this.#routes.addBefore(checkHandler('requestMiddleware', handler));
    return this;
  }

  /** Registers a handler that runs after the route, in order of registration. */
  responseMiddleware(handler: Handler<Attributes>): this {
    this.#routes.addAfter(checkHandler('responseMiddleware', handler));
    return this;
  }

  /**
   * Registers a handler that runs for each valid upgrade request before it is answered. It refuses by setting a status
   * (and a body, and headers), by `sendResponse`, or by `aborted`, which alone is a 403. Headers it sets without
   * refusing are sent with the 101; attributes it sets are the WebSocket's.
   */
  upgradeMiddleware(handler: Handler<Attributes>): this {
    this.#upgrades.addMiddleware(checkHandler('upgradeMiddleware', handler));
    return this;
  }

  /**
   * Registers a handler that is told of each upgrade request that was refused, by whomever: `(request, refusal) => …`. It
   * changes nothing of it. Where there is none, a warning of the process names the first of each reason.
   */
  onUpgradeRefused(handler: RefusedHandler): this {
    this.#upgrades.addRefused(checkHandler('onUpgradeRefused', handler));
    return this;
  }

  /** Registers a handler that runs when a WebSocket is open, before its first message is handled. */
  onWebsocketConnected(handler: Handler<Attributes>): this {
    this.#routes.addConnected(checkHandler('onWebsocketConnected', handler));
    return this;
  }

  /**
   * Registers a handler that is told how a WebSocket ended: once for each, behind all its other handlers. Its attributes
   * are still there, and its connection is not. What the handler throws goes to `errorHandle`.
   */
  onWebsocketClosed(handler: ClosedHandler<Attributes>): this {
    this.#routes.addClosed(checkHandler<ClosedHandler>('onWebsocketClosed', handler));
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
  errorHandle(handler: ErrorHandler<Attributes>): this {
    this.#errorHandler = checkHandler<ErrorHandler>('errorHandle', handler);
    return this;
  }

  // --- topics -----------------------------------------------------------------------------------------------------

  /** Its topics: the option `topics` has those of many processes, or with a history. */
  get topics(): Topics {
    return this.#topics.current;
  }

  /**
   * Publishes a message to all that are subscribed to a topic: a string as text, bytes as binary.
   *
   * @returns its position, once it is ordered, and kept where there is history. Rejects with BrokerError when nobody knows
   * whether it is: to publish it again with the same `id` is safe. Not awaiting it is safe, too.
   * @throws {TypeError | RangeError} for what names no topic, is no body or no id
   */
  publish(topic: string, body: Body, options?: PublishOptions): Promise<Position> {
    return this.topics.publish(topic, body, options);
  }

  // --- lifecycle --------------------------------------------------------------------------------------------------

  /**
   * Listens. Resolves once the port is open.
   *
   * Rejects with InvalidStateError: WS_ERR_PORT_IN_USE, WS_ERR_SERVER_STATE (already running, or closed meanwhile),
   * WS_ERR_UNKNOWN_ROUTE (`enableInnerWebsocketHandle` for a pattern without a route); with BrokerError; or with the error of
   * the system.
   */
  async run(): Promise<void> {
    if (this.#listener !== undefined) {
      throw new InvalidStateError('WS_ERR_SERVER_STATE', 'the server is running already: call run() once');
    }
    this.#routes.check();
    const listener = new HttpListener(this.#options, {
      onRequest: (exchange) => {
        exchange.topics = this.topics;
        void answerRequest(exchange, this.#routes, this.#upgrades.reportError);
      },
      onUpgrade: (request, socket, head) => this.#upgrades.handle(request, socket, head, listener.isClosing),
      onError: logError,
    });
    this.#listener = listener;
    this.#upgrades.isClosing = false;
    try {
      const { opened } = this.#topics;
      if (opened !== undefined) await opened;
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

  /** The WebSockets that are open: for a page of the operator, a message to one of them, or its end. */
  get connections(): Connections<Attributes> {
    return this.#upgrades.connections as Connections<Attributes>;
  }

  /** Counters, for metrics: a copy of what they are now. Each WebSocket that is open is asked for its own. */
  stats(): ServerStats {
    return this.#upgrades.tally.stats(this.#upgrades.sessions);
  }

  /**
   * Stops: accepts nothing more, closes the WebSockets, waits for them, for running requests and for the handlers of
   * `onWebsocketClosed`, and cuts what is left after `timeout`. Servers it was attached to go on; and it may be attached
   * again at once: what comes then is served.
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  async close(options: CloseOptions = {}): Promise<CloseResult> {
    // node:http's takes a function, and a context's a code.
    checkNames('close', options, ['code', 'reason', 'timeout']);
    const { code = CloseCode.GoingAway, reason = '', timeout = DEFAULT_CLOSE_TIMEOUT_MS } = options;
    encodeClosePayload(code, reason);
    if (!(typeof timeout === 'number' && timeout >= 0)) {
      throw new RangeError(`timeout is ${show(timeout)}: give milliseconds from 0 on, where Infinity waits for ever`);
    }
    this.#upgrades.isClosing = true;
    this.#attachments.clear();

    const listener = this.#listener;
    const listenerClosed = listener?.close();
    // Whoever comes through a server that it is attached to meanwhile is no concern of this.
    const sessions = this.#upgrades.sessions.call();
    const waiting = this.#upgrades.waiting.call();
    for (const exchange of waiting.present) exchange.refuseFor(closingError());
    const total = sessions.present.size;
    const known = new Set([...sessions.present, ...this.#upgrades.departing]);
    const error = new ConnectionEndError('WS_ERR_SHUTDOWN');
    for (const session of sessions.present) session.shutDown(code, reason, error);

    let cut = 0;
    const expired = defer();
    const cutAll = () => {
      cut = sessions.present.size;
      for (const session of sessions.present) session.destroy(error);
      for (const upgrade of waiting.present) upgrade.destroy();
      listener?.destroyAll();
      expired.resolve();
    };
    const timer = timeout <= MAX_TIMER_MS ? setTimeout(cutAll, timeout) : undefined;
    await Promise.all([listenerClosed, sessions.gone, waiting.gone]);
    const departing = this.#upgrades.departing.call(known);
    await Promise.race([departing.gone, expired.promise]);
    departing.end();
    clearTimeout(timer);
    sessions.end();
    waiting.end();
    try {
      await this.#topics.close();
    } finally {
      // It may run again, though the broker has failed.
      if (this.#listener === listener) this.#listener = undefined;
    }
    return { closed: total - cut, cut };
  }

  /**
   * Serves the WebSockets of a server that is there: of `node:http` or `node:https`, or of `node:http2` where that takes
   * HTTP/1.1. Its plain requests stay its own, and so do the paths of its other 'upgrade' listeners.
   *
   * @param server - what a framework calls its server
   * @throws {TypeError} for anything else, which says what it is
   * @throws {InvalidStateError} WS_ERR_SERVER_STATE (attached already), WS_ERR_UNKNOWN_ROUTE
   */
  attach(server: AttachableServer | null, options: AttachOptions = {}): this {
    this.#routes.check();
    this.#attachments.add(server, options);
    this.#upgrades.isClosing = false;
    return this;
  }

  /**
   * Answers an upgrade request: for the 'upgrade' event of `node:http`, or a framework's. Never throws for what the
   * client sent.
   *
   * @param head - bytes that were read behind the request
   * @param options - `attributes`: what the application knows already, such as the user; handlers get them by `getAttribute`
   */
  handleUpgrade(request: UpgradeHead, socket: Duplex, head: Buffer, options: HandleUpgradeOptions = {}): void {
    this.#upgrades.handle(request, socket, head, false, readAttributes(options));
  }

  async #reportError(error: unknown, ctx: Context): Promise<void> {
    try {
      await this.#errorHandler(error, ctx);
    } catch (second) {
      logError(second, ctx);
    }
  }
}
