/** Finds a connection that is dead and does not say so: asks it at each tick, and gives it time to answer. */
export class RedisWatch {
  readonly #where: string;
  readonly #ask: () => Promise<unknown>;
  readonly #timeoutMs: number;
  readonly #onLost: (error: Error) => void;
  /** Since when an answer is waited for, or when something else came meanwhile. */
  #waitingSince: number | undefined;

  constructor(where: string, ask: () => Promise<unknown>, timeoutMs: number, onLost: (error: Error) => void) {
    this.#where = where;
    this.#ask = ask;
    this.#timeoutMs = timeoutMs;
    this.#onLost = onLost;
  }

  /** Something came that is no answer: the connection is slow, and not dead. */
  hear(now: number): void {
    if (this.#waitingSince !== undefined) this.#waitingSince = now;
  }

  /** @param now - in milliseconds, as `performance.now()` tells it */
  tick(now: number): void {
    const since = this.#waitingSince;
    if (since === undefined) {
      this.#waitingSince = now;
      this.#ask().then(() => {
        this.#waitingSince = undefined;
      }, this.#onLost);
    } else if (now - since > this.#timeoutMs) {
      // Where this process itself stood still, the answer is there, and is read before this.
      setImmediate(() => {
        if (this.#waitingSince === since) {
          this.#onLost(new Error(`no answer came ${this.#where} within ${this.#timeoutMs} ms`));
        }
      });
    }
  }
}
