import type { ConnectionEnd } from '../net/connection-end.ts';
import { RESOLVED } from '../net/promises.ts';
import type { ConnectionSubscription } from '../topics/connection-subscription.ts';
import { type Position, parsePosition } from '../topics/position.ts';
import { published } from '../topics/published.ts';
import { warnOnce } from '../warnings.ts';
import { kindOf } from '../wording.ts';
import type { Context } from './context.ts';

/**
 * User code: a route handler, a middleware, a hook. It may return a promise; the next one runs when that resolves.
 *
 * `Attributes` is what the application keeps with `setAttribute`, and `Json` what the schema of a route makes of a body.
 */
export type Handler<Attributes extends object = object, Json = unknown> = (
  ctx: Context<Attributes, Json>,
) => HandlerResult;

/** Nothing that anybody looks at, but for when it is there: also what `ctx.publish` and `ctx.subscribe` return. */
// biome-ignore lint/suspicious/noConfusingVoidType: what a handler returns is nothing, or is looked at by nobody
export type HandlerResult = void | Promise<void | Position | ConnectionSubscription>;

/** User code that is told how a WebSocket ended. It may return a promise; the next one runs when that is settled. */
export type ClosedHandler<Attributes extends object = object> = (
  ctx: Context<Attributes>,
  end: ConnectionEnd,
) => void | Promise<void>;

/**
 * Returns a handler as it is, without the types that only its own code knows.
 *
 * @throws {TypeError} when it is no function, now and not when the first request comes
 */
export function checkHandler<T = Handler>(method: string, handler: unknown): T {
  if (typeof handler === 'function') return handler as T;
  const advice = 'give the function itself, and not what it returns';
  throw new TypeError(
    `${method}: a handler is a function, (ctx) => { … }, and this one is ${kindOf(handler)}: ${advice}`,
  );
}

/** Stands for the route of a path that has none. */
export function answerNotFound(ctx: Context): void {
  const response = ctx.getResponse();
  if (!response.isSet) response.setStatusCode(404).setBody('no route has this path');
}

/** Stands for a route that is for WebSockets, and was asked for without an upgrade. RFC 9110 §15.5.22. */
export function answerUpgradeRequired(ctx: Context): void {
  const response = ctx.getResponse();
  if (response.isSet) return;
  response.setStatusCode(426).setHeader('Upgrade', 'websocket').setHeader('Connection', 'Upgrade');
  response.setBody('this path is for WebSockets');
}

/**
 * Runs the handlers that are still to run for `ctx`, one after the other, until one takes time or has aborted the request.
 *
 * A flat list that stays synchronous until a handler returns a promise: three layers cost tens of nanoseconds that way, and
 * about a microsecond as nested async functions.
 *
 * @returns what the last one returned, if that is a promise: when it is fulfilled, call again; else `undefined`
 */
export function runUntilPending(handlers: readonly Handler[], ctx: Context): PromiseLike<unknown> | undefined {
  for (let i = ctx.nextHandler; i < handlers.length; i++) {
    if (ctx.getAborted()) return undefined;
    const result: unknown = handlers[i]!(ctx);
    // What a send or a publish returns that need not wait: to wait for it would take a quarter of an echo.
    if (result === RESOLVED || result === undefined || result === published) continue;
    if (isThenable(result)) {
      ctx.nextHandler = i + 1;
      return result;
    }
    noticeReturned(result);
  }
  return undefined;
}

/** Runs all handlers for a new `ctx`. @returns a promise only if a handler returned one */
export function runHandlers(handlers: readonly Handler[], ctx: Context): Promise<void> | undefined {
  const pending = runUntilPending(handlers, ctx);
  return pending === undefined ? undefined : runRest(pending, handlers, ctx);
}

async function runRest(first: PromiseLike<unknown>, handlers: readonly Handler[], ctx: Context): Promise<void> {
  let pending: PromiseLike<unknown> | undefined = first;
  while (pending !== undefined) {
    noticeReturned(await pending);
    pending = runUntilPending(handlers, ctx);
  }
}

/**
 * Warns of a message that a handler returned, as with other frameworks, and that nobody is sent. Anything else may come out of
 * an arrow function that returns what it calls: a number from `broadcast.send`, an object from a database.
 */
export function noticeReturned(value: unknown): void {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return;
  // What `ctx.publish` resolves with.
  if (typeof value === 'string' && parsePosition(value) !== undefined) return;
  warnOnce('WS_WARN_RETURNED_VALUE', `a handler returned ${typeof value === 'string' ? 'a string' : 'bytes'}`);
}

/** Whether a value has to be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
