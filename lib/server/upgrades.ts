import type { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HandshakeError, type RefusalReason } from '../errors.ts';
import type { UpgradeHead } from '../handshake/upgrade.ts';
import type { ConnectionEnd } from '../net/connection-end.ts';
import { surviveErrors } from '../net/transport.ts';
import type { Topics } from '../topics/topics.ts';
import { acceptUpgrade, readUpgrade, type ServerUpgrade } from './accept.ts';
import { Connections, type ServerConnection } from './connections.ts';
import { Context } from './context.ts';
import type { Handler } from './hooks.ts';
import type { ResolvedOptions } from './options.ts';
import { NOT_FOR_WEBSOCKETS, type Refusal, RefusalWarnings, type RefusedHandler } from './refusal.ts';
import { Request } from './request.ts';
import { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import { Roster } from './roster.ts';
import type { Route, Routes } from './routes.ts';
import type { ServerTopics } from './server-topics.ts';
import { runHooks } from './slow-hooks.ts';
import { Tally } from './stats.ts';
import { UpgradeExchange, type UpgradeHost } from './upgrade-exchange.ts';
import { responseUnderWay, WaitingUpgrade } from './waiting-upgrade.ts';
import { type SessionHost, WebSocketSession } from './websocket-session.ts';

/** Why upgrades are refused that come too late. */
export function closingError(): HandshakeError {
  return new HandshakeError(503, 'the server is shutting down', 'shutdown');
}

/** Is told of an error of user code. Never throws. */
export type ReportError = (error: unknown, ctx: Context) => Promise<void>;

/** Answers upgrade requests, and keeps account of them and of the WebSockets that came of them. */
export class Upgrades implements UpgradeHost, SessionHost {
  /** Those that wait for a response before them, are not decided, or were refused and linger. */
  readonly waiting: Roster<UpgradeExchange | WaitingUpgrade> = new Roster();
  readonly sessions: Roster<WebSocketSession> = new Roster();
  /** Those whose connection is over, and whose handlers are not done. */
  readonly departing: Roster<WebSocketSession> = new Roster();
  readonly tally: Tally = new Tally();
  /** Whether all are refused, since the server is shutting down. */
  isClosing = false;
  readonly reportError: ReportError;
  readonly #options: ResolvedOptions;
  readonly #routes: Routes;
  readonly #middleware: Handler[] = [];
  readonly #refused: RefusedHandler[] = [];
  readonly #warnings = new RefusalWarnings();
  readonly connections: Connections = new Connections(this.sessions);
  readonly #topics: ServerTopics;

  /** @param options - may change: what counts is what they are when a request comes */
  constructor(options: ResolvedOptions, routes: Routes, topics: ServerTopics, reportError: ReportError) {
    this.#options = options;
    this.#routes = routes;
    this.#topics = topics;
    this.reportError = reportError;
  }

  get topics(): Topics {
    return this.#topics.current;
  }

  addMiddleware(handler: Handler): void {
    this.#middleware.push(handler);
  }

  addRefused(handler: RefusedHandler): void {
    this.#refused.push(handler);
  }

  /**
   * Answers an upgrade request. Never throws for what the client sent.
   *
   * @param head - bytes that were read behind it
   * @param isLate - whether it comes from a port that is being closed, and is refused
   * @param attributes - what the WebSocket has from the start
   */
  handle(request: UpgradeHead, socket: Duplex, head: Buffer, isLate: boolean, attributes?: Map<string, unknown>): void {
    surviveErrors(socket);
    const refusal = isLate || this.isClosing ? closingError() : undefined;
    const response = responseUnderWay(socket);
    const upgrade =
      response === undefined
        ? this.#answer(request, socket, head, refusal, attributes)
        : this.#wait(request, socket, head, response, refusal, attributes);
    // Of a connection that is to be closed: its client may stay for a while.
    if (refusal !== undefined) this.waiting.join(upgrade);
  }

  // --- told by upgrades and sessions ------------------------------------------------------------------------------

  onUpgradeWaiting(exchange: UpgradeExchange): void {
    this.waiting.add(exchange);
  }

  onUpgradeOver(exchange: UpgradeExchange): void {
    this.waiting.delete(exchange);
  }

  onUpgradeRefused(exchange: UpgradeExchange, status: number, reason: RefusalReason, message: string): void {
    this.tally.addRefused(reason);
    const { head } = exchange;
    const refusal: Refusal = { status, reason, message, path: head.path, origin: head.header('origin') };
    if (this.#refused.length === 0) this.#warnings.warn(refusal, head.host);
    else void this.#tellRefused(exchange, refusal);
  }

  show(session: WebSocketSession): ServerConnection {
    return this.connections.of(session);
  }

  onSessionClosed(session: WebSocketSession, end: ConnectionEnd): void {
    this.#topics.forget(session.connection);
    this.connections.forget(session);
    this.tally.addClosed(end);
    if (session.hasClosedHandlers) this.departing.add(session);
    this.sessions.delete(session);
  }

  onSessionDone(session: WebSocketSession): void {
    this.departing.delete(session);
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Has an upgrade wait for the responses to the requests before it. */
  #wait(
    request: UpgradeHead,
    socket: Duplex,
    head: Buffer,
    response: ServerResponse,
    refused: HandshakeError | undefined,
    attributes: Map<string, unknown> | undefined,
  ): WaitingUpgrade {
    const over = () => this.waiting.delete(waiting);
    const waiting = new WaitingUpgrade(socket, head, response, this.#options.handshakeTimeoutMs, {
      onTurn: (held, refusal) => {
        this.#answer(request, socket, held, refusal, attributes);
        if (refusal === undefined || socket.closed) over();
        else socket.once('close', over);
      },
      onGone: over,
    });
    this.waiting.add(waiting);
    if (refused !== undefined) waiting.refuseFor(refused);
    return waiting;
  }

  #answer(
    request: UpgradeHead,
    socket: Duplex,
    head: Buffer,
    refusal: HandshakeError | undefined,
    attributes: Map<string, unknown> | undefined,
  ): UpgradeExchange {
    const exchange = new UpgradeExchange(new RequestHead(request, socket), socket, this);
    exchange.attributes = attributes;
    let upgrade: ServerUpgrade;
    try {
      if (refusal !== undefined) throw refusal;
      upgrade = readUpgrade(request, this.#options.origins, this.#options.hosts);
    } catch (error) {
      void this.#refuse(exchange, error, new Context(exchange, ''));
      return exchange;
    }
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(this.#options.nodelay);
    this.#decide(exchange, upgrade, socket, head);
    return exchange;
  }

  /** Runs the middleware, and then opens the WebSocket or refuses it: at once, if that is possible. */
  #decide(exchange: UpgradeExchange, upgrade: ServerUpgrade, socket: Duplex, head: Buffer): void {
    const match = this.#routes.match(exchange.head.rawPath);
    if (match !== undefined) exchange.head.params = match.params;
    const route = match?.value.options.only === 'http' ? undefined : match?.value;
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
      if (match === undefined) throw new HandshakeError(404, 'no route has this path', 'route');
      if (route === undefined) throw new HandshakeError(404, NOT_FOR_WEBSOCKETS, 'route');
      if (this.isClosing) throw closingError();
      if (this.sessions.size >= this.#options.maxConnections) {
        throw new HandshakeError(
          503,
          'the server has all the WebSockets it takes; its option maxConnections allows more',
          'connections',
        );
      }
      this.#open(exchange, upgrade, route, response, socket, head);
    };
    try {
      const pending = this.#runMiddleware(ctx, route);
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

  #runMiddleware(ctx: Context, route: Route | undefined): Promise<void> | undefined {
    const forRoute = route?.options.upgrade;
    const hooks = forRoute === undefined ? this.#middleware : [...this.#middleware, forRoute];
    return runHooks(hooks, ctx, (index) =>
      index < this.#middleware.length ? 'upgradeMiddleware' : `route('${route?.pattern}', …, { upgrade })`,
    );
  }

  #open(
    exchange: UpgradeExchange,
    upgrade: ServerUpgrade,
    route: Route,
    response: Response,
    socket: Duplex,
    head: Buffer,
  ): void {
    const acceptance = acceptUpgrade(upgrade, response, this.#options);
    exchange.accept(acceptance.head);
    const handlers = this.#routes.handlersOf(route);
    const session = new WebSocketSession(
      exchange.head,
      this,
      handlers,
      socket,
      route.limits ?? this.#options,
      acceptance,
    );
    session.attributes = exchange.attributes;
    this.tally.addOpened();
    this.sessions.add(session);
    session.start(head);
  }

  /** Refuses for an error, and reports it if it is one of user code. */
  async #refuse(exchange: UpgradeExchange, error: unknown, ctx: Context): Promise<void> {
    if (error instanceof HandshakeError) {
      exchange.refuseFor(error);
      return;
    }
    exchange.refuseWith(500, '', [], 'error');
    await this.reportError(error, ctx);
  }

  async #tellRefused(exchange: UpgradeExchange, refusal: Refusal): Promise<void> {
    const request = new Request(exchange.head, '');
    for (const handler of this.#refused) {
      try {
        await handler(request, refusal);
      } catch (error) {
        await this.reportError(error, new Context(exchange, ''));
      }
    }
  }
}
