import { timerWheel, type WheelEntry } from '../net/timer-wheel.ts';
import { warn } from '../warnings.ts';
import type { Context } from './context.ts';
import { type Handler, runUntilPending } from './hooks.ts';

/** After how long a hook is said to be slow. */
const SLOW_MS = 10_000;

/** Hooks of which it was said. */
const said = new WeakSet<Handler>();

/** What is said of a hook that does not end: where it was registered, and what follows from that. */
export interface HookInfo {
  readonly registered: string;
  readonly advice: string;
}

/** Of a hook that runs when a WebSocket is open. @param registered - the method that it was given to */
export function connectedHook(registered: string): HookInfo {
  return {
    registered,
    advice:
      'no message of its WebSocket is handled before it has; have it return no promise that lasts as long as the connection, and await none: write `void ctx.getStream()?.closed.then(…)`, or use onWebsocketClosed',
  };
}

/** Of an upgrade middleware. */
export function upgradeHook(registered: string): HookInfo {
  return {
    registered,
    advice:
      'its client waits for an answer, and gets 408 after handshakeTimeoutMs; give what it waits for a time limit of its own',
  };
}

/**
 * Runs all hooks for a new `ctx`, as `runHandlers` does, and warns of one that does not end: once for each.
 *
 * @param infoOf - of the hook at an index; `undefined` for a handler that may take as long as it likes
 * @returns a promise only if a hook returned one
 */
export function runHooks(
  hooks: readonly Handler[],
  ctx: Context,
  infoOf: (index: number) => HookInfo | undefined,
): Promise<void> | undefined {
  const pending = runUntilPending(hooks, ctx);
  return pending === undefined ? undefined : runRest(pending, new HookWatch(hooks, ctx, infoOf));
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
  readonly #infoOf: (index: number) => HookInfo | undefined;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;

  constructor(hooks: readonly Handler[], ctx: Context, infoOf: (index: number) => HookInfo | undefined) {
    this.#hooks = hooks;
    this.#ctx = ctx;
    this.#infoOf = infoOf;
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
    const isWatched = this.#infoOf(this.#index) !== undefined && !said.has(this.#hooks[this.#index]!);
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
    const { registered, advice } = this.#infoOf(this.#index)!;
    const name = hook.name === '' ? 'a function without a name' : `"${hook.name}"`;
    warn('WS_WARN_SLOW_HOOK', `${name}, given to ${registered}, has not ended for ${SLOW_MS / 1000} s: ${advice}`);
  }
}
