import { checkNames, kindOf } from '../wording.ts';
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

const NO_OPTIONS: SelectOptions = {};
const NAMES: readonly string[] = ['signal', 'biased'] satisfies (keyof SelectOptions)[];

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
  options?: SelectOptions,
): Promise<Selected<T>>;
export function select(branches: Record<string, unknown>, options: SelectOptions = NO_OPTIONS): Promise<Chosen> {
  try {
    if (options !== NO_OPTIONS) checkNames('select', options, NAMES);
    return choose(branches, options);
  } catch (error) {
    // As from an async function: whoever awaits it need not look in two places.
    return Promise.reject(error);
  }
}

interface Chosen {
  readonly key: string;
  readonly value: unknown;
}

function choose(branches: Record<string, unknown>, options: SelectOptions): Promise<Chosen> {
  if (typeof branches !== 'object' || branches === null) {
    const example = 'such as { message: receiver.recv() }';
    throw new TypeError(`select takes what it waits for by key, ${example}, and this is ${kindOf(branches)}`);
  }
  const keys = Object.keys(branches);
  const values = Object.values(branches);
  if (options.signal === undefined && areReceives(values)) {
    // The common case. No promise has to have its turn first, so what is ready is taken without holding the others.
    const index = indexOfReady(values, options.biased === true);
    if (index !== -1) return takeReady(keys[index]!, values, index);
    const chosen = new Promise<Chosen>(keepSettlers);
    new Selection(keys, values, latest.resolve, latest.reject).wait();
    return chosen;
  }
  return new Promise((resolve, reject) => {
    new Selection(keys, [], resolve, reject, options.signal).start(values, options.biased === true);
  });
}

/** What settles the promise that was made last: a function of its own for each would be one thing more to make. */
const latest = {
  resolve: undefined as unknown as (chosen: Chosen) => void,
  reject: undefined as unknown as (error: unknown) => void,
};

function keepSettlers(resolve: (chosen: Chosen) => void, reject: (error: unknown) => void): void {
  latest.resolve = resolve;
  latest.reject = reject;
}

/** A branch that is ready must not be chosen yet: the others may be ready too. */
const GATHERING = 0;
const WAITING = 1;
const DECIDED = 2;

/** One running select. Once it is decided, it holds nothing and is held by nothing. */
class Selection implements BranchWatcher, AbortWaiter {
  readonly #keys: readonly string[];
  readonly #branches: Branch[];
  readonly #resolve: (chosen: Chosen) => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #phase: typeof GATHERING | typeof WAITING | typeof DECIDED = GATHERING;

  constructor(
    keys: readonly string[],
    branches: Branch[],
    resolve: (chosen: Chosen) => void,
    reject: (error: unknown) => void,
    signal?: AbortSignal,
  ) {
    this.#keys = keys;
    this.#branches = branches;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
  }

  /** Holds its branches, of which none is ready, until one is. */
  wait(): void {
    this.#phase = WAITING;
    for (const branch of this.#branches) branch.watch(this);
  }

  /** Makes branches of `values`, holds them, and decides as soon as one is ready. */
  start(values: readonly unknown[], isBiased: boolean): void {
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
      if (hasOpenPromise) queueMicrotask(() => this.#decideIfReady(isBiased));
      else this.#decideIfReady(isBiased);
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

  #decideIfReady(isBiased: boolean): void {
    if (this.#phase === DECIDED) return;
    this.#phase = WAITING;
    const index = indexOfReady(this.#branches, isBiased);
    if (index !== -1) this.#decide(index);
  }

  #decide(index: number): void {
    const winner = this.#branches[index]!;
    // The losers first: one of the same source may stand before the winner, whose value is then the earlier one.
    this.#letGo(winner);
    winner.commit();
    if (winner.isFulfilled) this.#resolve({ key: this.#keys[index]!, value: winner.outcome });
    else this.#reject(winner.outcome);
  }

  #letGo(winner: Branch | undefined): void {
    this.#phase = DECIDED;
    if (this.#signal !== undefined) stopWaitingForAbort(this.#signal, this);
    for (const branch of this.#branches) if (branch !== winner) branch.unwatch(this);
  }
}

/** Holds a receive that was chosen while the others are let go: another select must not withdraw it then. */
const CHOSEN: BranchWatcher = { ready() {} };

/** Does what a Selection does whose branch at `index` is ready at once: it need not hold the others to let go of them. */
function takeReady(key: string, receives: readonly Receive<unknown>[], index: number): Promise<Chosen> {
  const winner = receives[index]!;
  winner.watch(CHOSEN);
  for (const receive of receives) if (receive !== winner) receive.release();
  winner.commit();
  return winner.isFulfilled ? Promise.resolve({ key, value: winner.outcome }) : Promise.reject(winner.outcome);
}

/** Finds a branch that is ready, from a random one on unless biased; -1 if none is. */
function indexOfReady(branches: readonly Branch[], isBiased: boolean): number {
  const count = branches.length;
  let first = 0;
  while (first < count && !branches[first]!.isReady) first++;
  if (first === count) return -1;
  // Drawn only now: in a loop that keeps up, none is ready yet.
  for (let i = isBiased ? first : Math.floor(Math.random() * count); i < count; i++) {
    if (branches[i]!.isReady) return i;
  }
  return first;
}

function areReceives(values: readonly unknown[]): values is Receive<unknown>[] {
  for (const value of values) if (!(value instanceof Receive)) return false;
  return values.length > 0;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
