import type { Context } from './context.ts';
import { noticeReturned } from './hooks.ts';

/** Who goes on when a handler is done that took time. Neither method throws. */
export interface Resumable {
  resume(ctx: Context): void;
  resumeWithError(ctx: Context, error: unknown): void;
}

/** How many waits are kept to be used again: as many as handlers are usually running at once. */
const MAX_IDLE = 256;

/**
 * What waits for one handler. It is used again for the next: two functions that are there already cost half of what an
 * asynchronous function makes for each `await` (measured: bench/allocations.ts).
 */
class Wait {
  target: Resumable | undefined = undefined;
  ctx: Context | undefined = undefined;

  readonly onDone = (value: unknown): void => {
    const { target, ctx } = this;
    this.#release();
    if (value !== undefined) noticeReturned(value);
    target!.resume(ctx!);
  };

  readonly onError = (error: unknown): void => {
    const { target, ctx } = this;
    this.#release();
    target!.resumeWithError(ctx!, error);
  };

  #release(): void {
    this.target = undefined;
    this.ctx = undefined;
    if (idle.length < MAX_IDLE) idle.push(this);
  }
}

const idle: Wait[] = [];

/** Has `target` go on with `ctx` once a handler's promise has settled. */
export function resumeAfter(pending: PromiseLike<unknown>, target: Resumable, ctx: Context): void {
  const wait = idle.pop() ?? new Wait();
  wait.target = target;
  wait.ctx = ctx;
  // A promise of Node calls back once, and never at once; what only looks like one need not.
  Promise.prototype.then.call(Promise.resolve(pending), wait.onDone, wait.onError);
}
