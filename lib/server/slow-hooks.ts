import { timerWheel, type WheelEntry } from '../net/timer-wheel.ts';
import { warn } from '../warnings.ts';
import type { Context } from './context.ts';
import { type Handler, runUntilPending } from './hooks.ts';

/** After how long a hook is said to be slow. */
const SLOW_MS = 10_000;

/** Hooks of which it was said. */
const said = new WeakSet<Handler>();

/**
 * Runs all hooks for a new `ctx`, as `runHandlers` does, and warns of one that does not end: once for each.
 *
 * @param placeOf - what the hook at an index was given to; `undefined` for a handler that may take as long as it likes
 * @returns a promise only if a hook returned one
 */
export function runHooks(
  hooks: readonly Handler[],
  ctx: Context,
  placeOf: (index: number) => string | undefined,
): Promise<void> | undefined {
  const pending = runUntilPending(hooks, ctx);
  return pending === undefined ? undefined : runRest(pending, new HookWatch(hooks, ctx, placeOf));
}

async function runRest(first: PromiseLike<unknown>, watch: HookWatch): Promise<void> {
  let pending: PromiseLike<unknown> | undefined = first;
  try {
    while (pending !== undefined) {
      watch.begin();
      await pending;
      pending = watch.runOn();
    }
  } finally {
    watch.end();
  }
}

/** Watches the hooks of one WebSocket. Made when one of them takes time. */
class HookWatch implements WheelEntry {
  readonly #hooks: readonly Handler[];
  readonly #ctx: Context;
  readonly #placeOf: (index: number) => string | undefined;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;

  constructor(hooks: readonly Handler[], ctx: Context, placeOf: (index: number) => string | undefined) {
    this.#hooks = hooks;
    this.#ctx = ctx;
    this.#placeOf = placeOf;
  }

  /** The index of the hook that runs. */
  get #index(): number {
    return this.#ctx.nextHandler - 1;
  }

  runOn(): PromiseLike<unknown> | undefined {
    return runUntilPending(this.#hooks, this.#ctx);
  }

  /** Watches the hook that has begun, in place of the one before. */
  begin(): void {
    const isWatched = this.#placeOf(this.#index) !== undefined && !said.has(this.#hooks[this.#index]!);
    if (isWatched) timerWheel.schedule(this, SLOW_MS);
    else this.end();
  }

  end(): void {
    timerWheel.cancel(this);
  }

  onTimer(): void {
    const hook = this.#hooks[this.#index]!;
    if (said.has(hook)) return;
    said.add(hook);
    const name = hook.name === '' ? 'a function without a name' : `"${hook.name}"`;
    warn('WS_WARN_SLOW_HOOK', `${name}, given to ${this.#placeOf(this.#index)}, has not ended for ${SLOW_MS / 1000} s`);
  }
}
