import { InvalidStateError } from '../errors.ts';
import { closestName, show } from '../wording.ts';
import type { ConnectionLimits } from '../net/limits.ts';
import { withBodySchema } from './body-schema.ts';
import { answerUpgradeRequired, type ClosedHandler, type Handler } from './hooks.ts';
import { type RouteMatch, RouteMatcher } from './route-matcher.ts';
import type { RouteOptions } from './route-options.ts';
import type { SessionHandlers } from './websocket-session.ts';

/** A handler and the pattern it is registered for. */
export interface Route {
  readonly pattern: string;
  readonly handler: Handler;
  readonly options: RouteOptions;
  /** Those of its WebSockets, where they are not the server's. */
  readonly limits: ConnectionLimits | undefined;
}

/** What runs for which path: routes, the middleware around them, and the hooks of a new WebSocket. */
export class Routes {
  readonly #matcher = new RouteMatcher<Route>();
  /** Patterns whose handlers own their stream. */
  readonly #inner = new Set<string>();
  readonly #before: Handler[] = [];
  readonly #after: Handler[] = [];
  readonly #connected: Handler[] = [];
  readonly #closed: ClosedHandler[] = [];
  readonly #notFound: Handler;
  /** The handlers of each pattern in order, made when first needed and again after a registration. */
  readonly #chains = new Map<string, SessionHandlers>();
  readonly #httpChains = new Map<string, readonly Handler[]>();

  /** @param notFound - runs in place of a route for a path that has none */
  constructor(notFound: Handler) {
    this.#notFound = notFound;
  }

  /** @throws {InvalidStateError} WS_ERR_DUPLICATE_ROUTE | WS_ERR_INVALID_ROUTE */
  addRoute(pattern: string, handler: Handler, options: RouteOptions = {}, limits?: ConnectionLimits): void {
    const { body, invalidBody = 'close' } = options;
    const checked = body === undefined ? handler : withBodySchema(body, invalidBody, handler);
    this.#matcher.add(pattern, { pattern, handler: checked, options, limits });
  }

  addBefore(handler: Handler): void {
    this.#before.push(handler);
    this.#clearChains();
  }

  addAfter(handler: Handler): void {
    this.#after.push(handler);
    this.#clearChains();
  }

  addConnected(handler: Handler): void {
    this.#connected.push(handler);
    this.#clearChains();
  }

  addClosed(handler: ClosedHandler): void {
    this.#closed.push(handler);
    this.#clearChains();
  }

  setOwnsStream(pattern: string, ownsStream: boolean): void {
    if (ownsStream) this.#inner.add(pattern);
    else this.#inner.delete(pattern);
    this.#clearChains();
  }

  match(path: string): RouteMatch<Route> | undefined {
    return this.#matcher.match(path);
  }

  /** Finds the route of a path for a WebSocket. */
  matchUpgrade(path: string): RouteMatch<Route> | undefined {
    const match = this.#matcher.match(path);
    return match?.value.options.only === 'http' ? undefined : match;
  }

  /** The handlers of a route for its WebSockets, in the order they run. */
  handlersOf(route: Route): SessionHandlers {
    const { pattern, handler, options } = route;
    let handlers = this.#chains.get(pattern);
    if (handlers === undefined) {
      const message = [...this.#before, handler, ...this.#after];
      const ownsStream = this.#inner.has(pattern);
      const connected = [...this.#connected];
      const hooks = connected.map(() => `onWebsocketConnected, on the route "${pattern}"`);
      if (options.connected !== undefined) {
        connected.push(options.connected);
        hooks.push(`route('${pattern}', …, { connected })`);
      }
      const opening = ownsStream ? [...connected, ...message] : connected;
      const closed = options.closed === undefined ? [...this.#closed] : [...this.#closed, options.closed];
      handlers = { pattern, opening, hooks, message, ownsStream, closed };
      this.#chains.set(pattern, handlers);
    }
    return handlers;
  }

  /** The handlers of plain HTTP for a route, or for a path that has none, in the order they run. */
  httpHandlersOf(route: Route | undefined): readonly Handler[] {
    const key = route?.pattern ?? '';
    let handlers = this.#httpChains.get(key);
    if (handlers === undefined) {
      const forRoute = route?.options.only === 'websocket' ? answerUpgradeRequired : route?.handler;
      handlers = [...this.#before, forRoute ?? this.#notFound, ...this.#after];
      this.#httpChains.set(key, handlers);
    }
    return handlers;
  }

  #clearChains(): void {
    this.#chains.clear();
    this.#httpChains.clear();
  }

  /**
   * Checks the patterns whose handlers own their stream.
   *
   * @throws {InvalidStateError} WS_ERR_UNKNOWN_ROUTE when one has no route, WS_ERR_INVALID_ROUTE when that has a schema
   */
  check(): void {
    for (const pattern of this.#inner) {
      const route = this.#matcher.get(pattern);
      if (route?.options.only === 'http') {
        throw new InvalidStateError(
          'WS_ERR_INVALID_ROUTE',
          `the route "${pattern}" is only for 'http', and enableInnerWebsocketHandle is for WebSockets: leave out one of the two`,
        );
      }
      if (route?.options.body !== undefined) {
        throw new InvalidStateError(
          'WS_ERR_INVALID_ROUTE',
          `the route "${pattern}" has a schema, and enableInnerWebsocketHandle has its handler read the messages itself: check them there, and leave out body`,
        );
      }
      if (route !== undefined) continue;
      throw unknownRoute(pattern, this.#matcher.patterns);
    }
  }
}

function unknownRoute(pattern: unknown, patterns: readonly string[]): InvalidStateError {
  const meant = closestName(String(pattern), patterns);
  const advice =
    meant === undefined ? `register it with server.route(${show(pattern)}, handler)` : `did you mean ${show(meant)}?`;
  return new InvalidStateError(
    'WS_ERR_UNKNOWN_ROUTE',
    `enableInnerWebsocketHandle(${show(pattern)}) fits no route: ${advice}`,
  );
}
