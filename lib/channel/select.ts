import { type AbortWaiter, stopWaitingForAbort, waitForAbort } from './abort.ts';
import { type Branch, type BranchWatcher, branchOf } from './branch.ts';
import { Receive } from './receive.ts';

/** How `select` chooses, and what ends it early. */
export interface SelectOptions {
  /** Ends the select when aborted: it rejects with the reason of the signal and takes nothing. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the first in the order of the keys when several are ready, instead of any of them; false unless given. */
  readonly biased?: boolean | undefined;
}

/** What `select` resolves with: the key of the first that was ready, and its value. Compare `key` to narrow `value`. */
export type Selected<T extends object> = {
  [K in keyof T]: { readonly key: K extends number ? `${K}` : K; readonly value: Awaited<T[K]> };
}[keyof T];

/**
 * Waits for the first of several receives, and withdraws the others: what they would have taken stays where it is, for
 * the next receive. Nothing is lost and nothing comes twice, also when several are ready at once and when it rejects.
 *
 * - When several are ready at once, the search starts at a random one, so none is starved; `biased` starts at the first.
 * - If the first to be ready has failed (closed, timed out, lagged), select rejects with its error.
 * - A receive that is awaited elsewhere, or held by another select, is not withdrawn here. One that was withdrawn
 *   rejects when it is awaited or selected again; the winner gives the same value again, so start a new one each time.
 * - A plain promise may take part. It cannot be withdrawn; it keeps its value, and its rejection counts as handled.
 *
 * @param branches - receives or promises by key; the same one may stand under two keys
 * @returns a plain promise of `{ key, value }`
 * @throws {TypeError} (as a rejection) there is nothing to wait for, or a value is no promise
 */
export function select<T extends Record<string, PromiseLike<unknown>>>(
  branches: T,
  options: SelectOptions = {},
): Promise<Selected<T>> {
  return new Promise((resolve, reject) => {
    const keys = Object.keys(branches);
    const selection = new Selection(keys, options, resolve as (selected: unknown) => void, reject);
    selection.start(Object.values(branches));
  });
}

/** A branch that is ready must not be chosen yet: the others may be ready too. */
const GATHERING = 0;
const WAITING = 1;
const DECIDED = 2;

/** One running select. Once it is decided, it holds nothing and is held by nothing. */
class Selection implements BranchWatcher, AbortWaiter {
  readonly #keys: readonly string[];
  readonly #branches: Branch[] = [];
  readonly #isBiased: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (selected: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #phase: typeof GATHERING | typeof WAITING | typeof DECIDED = GATHERING;

  constructor(
    keys: readonly string[],
    { signal, biased = false }: SelectOptions,
    resolve: (selected: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#keys = keys;
    this.#signal = signal;
    this.#isBiased = biased;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(values: readonly unknown[]): void {
    let wrongKey: string | undefined;
    let hasOpenPromise = false;
    for (const [i, value] of values.entries()) {
      if (value instanceof Receive) this.#hold(value);
      else if (isPromiseLike(value)) hasOpenPromise = !this.#hold(branchOf(value)).isReady || hasOpenPromise;
      else wrongKey ??= this.#keys[i];
    }
    if (values.length === 0) {
      this.abort(new TypeError('select has nothing to wait for: give it at least one receive, by key'));
    } else if (wrongKey !== undefined) {
      this.abort(
        new TypeError(
          `select cannot wait for "${wrongKey}": give it a receive, such as receiver.recv(), and not an awaited value`,
        ),
      );
    } else if (this.#signal?.aborted === true) {
      this.abort(this.#signal.reason);
    } else {
      if (this.#signal !== undefined) waitForAbort(this.#signal, this);
      // Only its reaction can tell that a promise has settled already: let it have its turn before the choice.
      if (hasOpenPromise) queueMicrotask(() => this.#decideIfReady());
      else this.#decideIfReady();
    }
  }

  ready(branch: Branch): void {
    if (this.#phase === WAITING) this.#decide(this.#branches.indexOf(branch));
  }

  abort(reason: unknown): void {
    this.#letGo(undefined);
    this.#reject(reason);
  }

  #hold(branch: Branch): Branch {
    this.#branches.push(branch);
    branch.watch(this);
    return branch;
  }

  #decideIfReady(): void {
    if (this.#phase === DECIDED) return;
    const count = this.#branches.length;
    const start = this.#isBiased ? 0 : Math.floor(Math.random() * count);
    this.#phase = WAITING;
    for (let i = 0; i < count; i++) {
      const index = (start + i) % count;
      if (this.#branches[index]!.isReady) {
        this.#decide(index);
        return;
      }
    }
  }

  #decide(index: number): void {
    const winner = this.#branches[index]!;
    // The losers first: one of the same source may stand before the winner, whose value is then the earlier one.
    this.#letGo(winner);
    winner.commit();
    if (winner.isFulfilled) this.#resolve({ key: this.#keys[index], value: winner.outcome });
    else this.#reject(winner.outcome);
  }

  #letGo(winner: Branch | undefined): void {
    this.#phase = DECIDED;
    if (this.#signal !== undefined) stopWaitingForAbort(this.#signal, this);
    for (const branch of this.#branches) if (branch !== winner) branch.unwatch(this);
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
