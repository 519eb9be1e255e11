import { inspect } from 'node:util';
import type { ConnectionLimits, RateLimitPolicy, RateLimits } from '../net/limits.ts';
import { unknownName } from '../wording.ts';
import { checkSchema, type InvalidBodyPolicy } from './body-schema.ts';
import { checkHandler, type ClosedHandler, type Handler } from './hooks.ts';
import { checkOption } from './options.ts';
import type { StandardSchema } from './standard-schema.ts';

/** Options of one route. */
export interface RouteOptions<Attributes extends object = object> {
  /**
   * What the route is for, unless for both: on one for `'websocket'` a plain request gets 426, on one for `'http'` an upgrade
   * request gets 404.
   */
  readonly only?: 'websocket' | 'http' | undefined;
  /** Runs for each upgrade request to this route, behind those given to `upgradeMiddleware`; refuses as they do. */
  readonly upgrade?: Handler<Attributes> | undefined;
  /** Runs when a WebSocket of this route is open, behind those given to `onWebsocketConnected`. */
  readonly connected?: Handler<Attributes> | undefined;
  /** Is told how a WebSocket of this route ended, behind those given to `onWebsocketClosed`. */
  readonly closed?: ClosedHandler<Attributes> | undefined;
  /**
   * What the body of a message or a request has to be: a Standard Schema (https://standardschema.dev), of zod, valibot or
   * arktype for example. `getRequestBodyJson()` is then what the schema makes of it.
   */
  readonly body?: StandardSchema | undefined;
  /** What happens to a body that the schema does not take. Default `'close'`. */
  readonly invalidBody?: InvalidBodyPolicy<Attributes> | undefined;
  /** In place of the server's, for the WebSockets of this route; as are the next two. */
  readonly maxMessagesPerSecond?: number | undefined;
  readonly messageBurst?: number | undefined;
  readonly rateLimitPolicy?: RateLimitPolicy | undefined;
}

/** Those of a route that has a schema. */
export interface BodyRouteOptions<Attributes extends object, Json> extends RouteOptions<Attributes> {
  readonly body: StandardSchema<unknown, Json>;
}

const RATE_LIMITS = ['maxMessagesPerSecond', 'messageBurst', 'rateLimitPolicy'] satisfies (keyof RateLimits)[];
const HOOKS = ['upgrade', 'connected', 'closed'] satisfies (keyof RouteOptions)[];
const NAMES: readonly string[] = [
  'only',
  ...HOOKS,
  'body',
  'invalidBody',
  ...RATE_LIMITS,
] satisfies (keyof RouteOptions)[];
const KINDS: readonly unknown[] = ['websocket', 'http'];
const POLICIES: readonly unknown[] = ['close', 'error'];

/**
 * Checks the options of a route, and returns them.
 *
 * @throws {TypeError} for an option that does not exist, and for what is no schema
 * @throws {RangeError} for a value that an option cannot have
 */
export function checkRouteOptions(route: string, options: RouteOptions): RouteOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${route}: options are an object, such as { body: schema }, and not ${inspect(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw unknownName(route, name, NAMES);
  }
  const { only, body, invalidBody } = options;
  if (only !== undefined && !KINDS.includes(only)) {
    throw new RangeError(`${route}: only is ${inspect(only)}: give 'websocket' or 'http'`);
  }
  for (const name of HOOKS) {
    if (options[name] === undefined) continue;
    checkHandler(`${route}: ${name}`, options[name]);
    if (only === 'http') throw new TypeError(`${route}: ${name} is for WebSockets, and the route is only for 'http'`);
  }
  if (body !== undefined) checkSchema(route, body);
  if (invalidBody !== undefined && typeof invalidBody !== 'function' && !POLICIES.includes(invalidBody)) {
    throw new RangeError(`${route}: invalidBody is ${inspect(invalidBody)}: give 'close', 'error' or a function`);
  }
  if (invalidBody !== undefined && body === undefined) {
    throw new TypeError(`${route}: invalidBody is for a route with a schema: give body as well`);
  }
  for (const name of RATE_LIMITS) if (options[name] !== undefined) checkOption(name, options[name], route);
  return options;
}

/** The limits of the WebSockets of a route: the server's, unless it has some of its own. */
export function limitsOf<T extends ConnectionLimits>(options: RouteOptions, limits: T): T {
  const own = RATE_LIMITS.filter((name) => options[name] !== undefined);
  return own.length === 0 ? limits : { ...limits, ...Object.fromEntries(own.map((name) => [name, options[name]])) };
}
