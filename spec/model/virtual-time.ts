/**
 * Time that moves only when it is told to: in place of the timers and immediates of this process. What Node does inside
 * (nextTick, promises, its own immediates) goes on by itself, and is waited for by `ticks`.
 */

/** How much later it is each time somebody looks at the clock, so that work takes time. */
const MS_A_LOOK = 0.1;

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
};

type Callback = (...args: unknown[]) => void;

/** Something that is to be called: a timer, an interval or an immediate. It looks like what Node returns. */
class Pending {
  readonly callback: Callback;
  readonly args: unknown[];
  /** Where it was made: of a timer that is left over, all that matters. */
  readonly origin: string;
  /** Between two calls of an interval; `undefined` for what is called once. */
  readonly periodMs: number | undefined;
  readonly delayMs: number;
  due: number;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime, callback: Callback, delayMs: number, isInterval: boolean, args: unknown[]) {
    this.#time = time;
    this.callback = callback;
    this.args = args;
    this.delayMs = Math.max(1, Number.isFinite(delayMs) ? delayMs : 1);
    this.periodMs = isInterval ? this.delayMs : undefined;
    this.due = time.now + this.delayMs;
    this.origin = callback.name;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    this.due = this.#time.now + this.delayMs;
    this.#time.timers.add(this);
    return this;
  }

  close(): this {
    this.#time.clear(this);
    return this;
  }

  [Symbol.dispose](): void {
    this.#time.clear(this);
  }
}

export class VirtualTime {
  /** Milliseconds since it began. */
  now = 0;
  readonly timers: Set<Pending> = new Set();
  #immediates: Pending[] = [];
  #looks = 0;
  /** Is told what a callback has thrown. */
  onError: (error: unknown) => void = () => {};

  /** Takes the place of the timers of this process. */
  install(): void {
    const clear = (pending: unknown) => this.clear(pending);
    const timer =
      (isInterval: boolean) =>
      (callback: Callback, delayMs?: number, ...args: unknown[]) => {
        const pending = new Pending(this, callback, delayMs ?? 1, isInterval, args);
        this.timers.add(pending);
        return pending;
      };
    Object.assign(globalThis, {
      setTimeout: timer(false),
      setInterval: timer(true),
      setImmediate: (callback: Callback, ...args: unknown[]) => {
        const pending = new Pending(this, callback, 0, false, args);
        this.#immediates.push(pending);
        return pending;
      },
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    });
    performance.now = () => this.now + MS_A_LOOK * this.#looks++;
  }

  /** Gives the timers of this process back. */
  uninstall(): void {
    Object.assign(globalThis, real);
    Reflect.deleteProperty(performance, 'now');
  }

  clear(pending: unknown): void {
    this.timers.delete(pending as Pending);
    const index = this.#immediates.indexOf(pending as Pending);
    if (index !== -1) this.#immediates.splice(index, 1);
  }

  get hasImmediates(): boolean {
    return this.#immediates.length > 0;
  }

  /** Runs the immediates that wait: the end of a turn of the event loop. */
  runImmediates(): void {
    const due = this.#immediates;
    this.#immediates = [];
    for (const pending of due) this.#call(pending);
  }

  /** When the next timer is due, `Infinity` if there is none. */
  get nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.timers) if (due < next) next = due;
    return next;
  }

  /** Moves to the time of the next timer, but not beyond `end`, and runs what is due then. */
  step(end: number): void {
    this.now = Math.max(this.now, Math.min(end, this.nextDue));
    const due = [...this.timers].filter((pending) => pending.due <= this.now);
    for (const pending of due) {
      // One before it may have cleared it.
      if (!this.timers.has(pending)) continue;
      if (pending.periodMs === undefined) this.timers.delete(pending);
      else pending.due = this.now + pending.periodMs;
      this.#call(pending);
    }
  }

  #call({ callback, args }: Pending): void {
    try {
      callback(...args);
    } catch (error) {
      this.onError(error);
    }
  }
}

/** Has Node do all that it does by itself: ticks, promises, and so many turns of its event loop. */
export async function ticks(turns: number = 2): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => void real.setImmediate(resolve));
}

/** Calls back in the next turn of the event loop of Node itself, when all that waits has been done. */
export function nextTurn(callback: () => void): void {
  real.setImmediate(callback);
}

/** Waits in real time, for what is not in this process. */
export function realDelay(ms: number): Promise<void> {
  return new Promise((resolve) => void real.setTimeout(resolve, ms));
}
