import { InvalidStateError } from '../errors.ts';
import { closestName, show } from '../wording.ts';
import type { ConnectionLimits } from '../net/limits.ts';
import { withBodySchema } from './body-schema.ts';
import type { ClosedHandler, Handler } from './hooks.ts';
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
    this.#chains.clear();
  }

  addAfter(handler: Handler): void {
    this.#after.push(handler);
    this.#chains.clear();
  }

  addConnected(handler: Handler): void {
    this.#connected.push(handler);
    this.#chains.clear();
  }

  addClosed(handler: ClosedHandler): void {
    this.#closed.push(handler);
    this.#chains.clear();
  }

  setOwnsStream(pattern: string, ownsStream: boolean): void {
    if (ownsStream) this.#inner.add(pattern);
    else this.#inner.delete(pattern);
    this.#chains.clear();
  }

  match(path: string): RouteMatch<Route> | undefined {
    return this.#matcher.match(path);
  }

  /** The handlers of a route, or of a path that has none, in the order they run. */
  handlersOf(route: Route | undefined): SessionHandlers {
    const key = route?.pattern ?? '';
    let handlers = this.#chains.get(key);
    if (handlers === undefined) {
      const message = [...this.#before, route?.handler ?? this.#notFound, ...this.#after];
      const ownsStream = this.#inner.has(key);
      const opening = ownsStream ? [...this.#connected, ...message] : [...this.#connected];
      handlers = { opening, message, ownsStream, closed: [...this.#closed] };
      this.#chains.set(key, handlers);
    }
    return handlers;
  }

  /**
   * Checks the patterns whose handlers own their stream.
   *
   * @throws {InvalidStateError} WS_ERR_UNKNOWN_ROUTE when one has no route, WS_ERR_INVALID_ROUTE when that has a schema
   */
  check(): void {
    for (const pattern of this.#inner) {
      const route = this.#matcher.get(pattern);
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
