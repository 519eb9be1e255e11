import type { Context } from './context.ts';

/** User code: a route handler, a middleware, a hook. It may return a promise; the next one runs when that resolves. */
export type Handler = (ctx: Context) => void | Promise<void>;

/** Returns a handler as it is. @throws {TypeError} when it is no function, now and not when the first request comes */
export function checkHandler<T>(method: string, handler: T): T {
  if (typeof handler === 'function') return handler;
  const type = handler === null ? 'null' : typeof handler;
  throw new TypeError(`${method}: a handler is a function, (ctx) => { … }, and this one is of type ${type}`);
}

/** Stands for the route of a path that has none. */
export function answerNotFound(ctx: Context): void {
  const response = ctx.getResponse();
  if (!response.isSet) response.setStatusCode(404).setBody('no route has this path');
}

/**
 * Runs handlers one after the other until one of them has aborted the request.
 *
 * A flat list that stays synchronous until a handler returns a promise: three layers cost tens of nanoseconds that way, and
 * about a microsecond as nested async functions.
 *
 * @returns a promise only if a handler returned one
 */
export function runHandlers(handlers: readonly Handler[], ctx: Context): Promise<void> | undefined {
  for (let i = 0; i < handlers.length; i++) {
    if (ctx.getAborted()) return undefined;
    const result: unknown = handlers[i]!(ctx);
    if (isThenable(result)) return runRest(result, handlers, i + 1, ctx);
  }
  return undefined;
}

async function runRest(
  pending: PromiseLike<unknown>,
  handlers: readonly Handler[],
  next: number,
  ctx: Context,
): Promise<void> {
  await pending;
  for (let i = next; i < handlers.length; i++) {
    if (ctx.getAborted()) return;
    const result: unknown = handlers[i]!(ctx);
    if (isThenable(result)) await result;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
