import { InvalidStateError, TimeoutError } from '../errors.ts';
import { checkNames, show } from '../wording.ts';
import { stopWaitingForAbort, waitForAbort } from './abort.ts';
import { type BranchWatcher, WatcherGroup } from './branch.ts';

/** How long a receive waits, and what ends it early. */
export interface ReceiveOptions {
  /** Milliseconds from the call until it rejects with TimeoutError; 0, Infinity and anything above 24 days: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Ends the receive when aborted: it rejects with the reason of the signal and takes nothing. */
  readonly signal?: AbortSignal | undefined;
}

/** What a receive asks of the source it waits in. */
export interface ReceivePlaces {
  /** Gives the receive the last place in the line. */
  enter(receive: Receive<unknown>): void;
  /** Takes the receive out of the line; the ones behind it move up. */
  leave(receive: Receive<unknown>): void;
  /** Tells whether there is an outcome for the place of this receive. */
  isReady(receive: Receive<unknown>): boolean;
  /** Takes the receive out of the line together with its outcome; throws it if it is an error. */
  take(receive: Receive<unknown>): unknown;
  /** Is told after an outcome was taken and handed on. */
  taken(): void;
}

/** setTimeout fires at once above this. 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What settles the promise of a receive that is awaited. */
interface Settlers {
  readonly resolve: (outcome: unknown) => void;
  readonly reject: (outcome: unknown) => void;
}

/** What ends a receive early. */
interface Limits {
  readonly timer: NodeJS.Timeout | undefined;
  readonly signal: AbortSignal | undefined;
}

const WAITING = 0;
const FULFILLED = 1;
const REJECTED = 2;
const WITHDRAWN = 3;

/**
 * Stands for the next value of a source: a promise that can be withdrawn.
 *
 * It has its place in the line of its source from the call on, so calls are served in order. It takes its value only
 * when the value is wanted: once it is awaited (`then`, `catch`, `finally`), or once a `select` has chosen it. Until then
 * the value stays in the source, kept for this receive. A receive that loses a `select` gives its place up, and what it
 * would have taken is the next receive's. So a receive that is neither awaited nor given to `select` holds one value
 * back until it times out, is aborted or is withdrawn.
 *
 * Settles once, as every promise: awaiting it again gives the same outcome. One that nobody awaits never causes an
 * `unhandledRejection`. An `async` function cannot return a Receive, because returning awaits it: use a plain function.
 */
export class Receive<T> implements Promise<T> {
  readonly #source: ReceivePlaces;
  readonly #map: ((item: unknown) => T) | undefined;
  #state: typeof WAITING | typeof FULFILLED | typeof REJECTED | typeof WITHDRAWN = WAITING;
  #outcome: unknown = undefined;
  // Made by the first `then`, and not before: that is how it is known whether the value is wanted.
  #promise: Promise<T> | undefined = undefined;
  // What few receives need is kept apart, and made when it is needed: a loop over `select` makes two receives a value.
  #settlers: Settlers | undefined = undefined;
  #watcher: BranchWatcher | undefined = undefined;
  #limits: Limits | undefined = undefined;

  /**
   * Takes the last place in the line of `source`.
   *
   * @param map - makes the value of an item, when it is taken; what it throws is the outcome
   * @throws {RangeError} `timeoutMs` is negative or not a number
   * @internal
   */
  constructor(source: ReceivePlaces, options?: ReceiveOptions, map?: (item: unknown) => T) {
    this.#source = source;
    this.#map = map;
    if (options === undefined) source.enter(this);
    else this.#enterWith(checkOptions(options));
  }

  get [Symbol.toStringTag](): string {
    return 'Receive';
  }

  /** Takes the value, now or when it arrives, and calls back as a promise does. */
  // biome-ignore lint/suspicious/noThenProperty: a Receive is a promise
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as in Promise
    onRejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const takesNow = this.#state === WAITING && this.#promise === undefined && this.#source.isReady(this);
    if (takesNow) this.#take();
    this.#promise ??= this.#makePromise();
    const derived = this.#promise.then(onFulfilled, onRejected);
    // Last: what the owner of the source pushes now is for later receives, and must not overtake this one.
    if (takesNow) this.#source.taken();
    return derived;
  }

  /** Takes the value as `then` does, and calls back when there is an error instead. */
  // biome-ignore lint/suspicious/noExplicitAny: as in Promise
  catch<B = never>(onRejected?: ((reason: any) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  /** Takes the value as `then` does, and calls back either way. */
  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onFinally);
  }

  /**
   * Gives up the place of this receive: what it would have taken is the next receive's. Awaiting it then rejects with
   * InvalidStateError, WS_ERR_RECEIVE_WITHDRAWN. Does nothing once it has settled.
   */
  withdraw(): void {
    if (this.#state !== WAITING) return;
    if (this.#isWanted) {
      this.#settle(REJECTED, withdrawnError());
      this.#source.leave(this);
    } else this.#giveUp();
  }

  /** Rejects with `reason` and takes nothing, unless it has settled already. @internal */
  abort(reason: unknown): void {
    if (this.#state !== WAITING) return;
    this.#settle(REJECTED, reason);
    this.#source.leave(this);
  }

  /** @internal */
  get isReady(): boolean {
    return this.#state !== WAITING || this.#source.isReady(this);
  }

  /** @internal */
  get isFulfilled(): boolean {
    return this.#state === FULFILLED;
  }

  /** @internal */
  get outcome(): unknown {
    return this.#state === WITHDRAWN ? withdrawnError() : this.#outcome;
  }

  /** @internal */
  commit(): void {
    if (this.#state !== WAITING) return;
    this.#take();
    this.#source.taken();
  }

  /** Is called by the source when there is a value for this receive: takes it, if anybody wants it. @internal */
  offer(): void {
    if (this.#promise !== undefined) this.commit();
    else if (this.#watcher !== undefined) this.#watcher.ready(this);
  }

  /** @internal */
  watch(watcher: BranchWatcher): void {
    if (this.#state !== WAITING) return;
    if (this.#watcher === undefined) this.#watcher = watcher;
    else if (this.#watcher instanceof WatcherGroup) this.#watcher.add(watcher);
    else this.#watcher = new WatcherGroup(this.#watcher, watcher);
  }

  /** @internal */
  unwatch(watcher: BranchWatcher): void {
    if (this.#watcher === watcher) this.#watcher = undefined;
    else if (this.#watcher instanceof WatcherGroup && this.#watcher.remove(watcher)) this.#watcher = undefined;
    this.release();
  }

  /** Withdraws it, unless somebody awaits or watches it. @internal */
  release(): void {
    if (this.#state === WAITING && !this.#isWanted) this.#giveUp();
  }

  get #isWanted(): boolean {
    return this.#promise !== undefined || this.#watcher !== undefined;
  }

  /** Withdraws what nobody wants. No error is made that nobody may ever see: a select does this to all but one. */
  #giveUp(): void {
    this.#state = WITHDRAWN;
    if (this.#limits !== undefined) this.#stopLimits(this.#limits);
    this.#source.leave(this);
  }

  #enterWith({ timeoutMs = 0, signal }: ReceiveOptions): void {
    if (!(timeoutMs >= 0)) {
      throw new RangeError(
        `timeoutMs is ${show(timeoutMs)}: give milliseconds from 0 on, where 0 or Infinity is no timeout`,
      );
    }
    if (signal?.aborted === true) {
      this.#state = REJECTED;
      this.#outcome = signal.reason;
      return;
    }
    this.#source.enter(this);
    const isTimed = timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS && !this.#source.isReady(this);
    if (signal === undefined && !isTimed) return;
    const timer = isTimed ? setTimeout(Receive.#expire, timeoutMs, this, timeoutMs) : undefined;
    this.#limits = { timer, signal };
    if (signal !== undefined) waitForAbort(signal, this);
  }

  static #expire(receive: Receive<unknown>, timeoutMs: number): void {
    // Its value did arrive in time; it was only not taken yet.
    if (!receive.#source.isReady(receive)) receive.abort(new TimeoutError(timeoutMs));
  }

  #take(): void {
    let value: unknown;
    try {
      const item = this.#source.take(this);
      value = this.#map === undefined ? item : this.#map(item);
    } catch (error) {
      this.#settle(REJECTED, error);
      return;
    }
    this.#settle(FULFILLED, value);
  }

  #settle(state: typeof FULFILLED | typeof REJECTED, outcome: unknown): void {
    this.#state = state;
    this.#outcome = outcome;
    if (this.#limits !== undefined) this.#stopLimits(this.#limits);
    const settlers = this.#settlers;
    if (settlers !== undefined) {
      if (state === FULFILLED) settlers.resolve(outcome);
      else settlers.reject(outcome);
    }
    const watcher = this.#watcher;
    this.#watcher = undefined;
    if (watcher !== undefined) watcher.ready(this);
  }

  #makePromise(): Promise<T> {
    if (this.#state === FULFILLED) return Promise.resolve(this.#outcome as T);
    if (this.#state !== WAITING) return Promise.reject(this.outcome);
    return new Promise<T>((resolve, reject) => {
      this.#settlers = { resolve: resolve as (outcome: unknown) => void, reject };
    });
  }

  #stopLimits({ timer, signal }: Limits): void {
    this.#limits = undefined;
    if (timer !== undefined) clearTimeout(timer);
    if (signal !== undefined) stopWaitingForAbort(signal, this);
  }
}

const NAMES: readonly string[] = ['timeoutMs', 'signal'] satisfies (keyof ReceiveOptions)[];

/** @throws {TypeError} for the bare number that a caller without types may pass, and that would be no timeout */
function checkOptions(options: ReceiveOptions): ReceiveOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options are an object: write { timeoutMs: ${show(options)} }`);
  }
  // Only of options that ask for nothing it is likely that they do not exist.
  if (options.timeoutMs === undefined && options.signal === undefined) checkNames('a receive', options, NAMES);
  return options;
}

function withdrawnError(): InvalidStateError {
  return new InvalidStateError('WS_ERR_RECEIVE_WITHDRAWN');
}
