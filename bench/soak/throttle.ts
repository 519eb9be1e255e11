/** How much of what was not used is kept for later, in milliseconds of CPU. */
const CREDIT_MS = 100;
/** What was used beyond this is forgiven: a client that waits for too long would be taken for idle, or gone. */
const MAX_DEBT_MS = 200;

/**
 * Keeps what server and clients use together to a share of one core: each step of a client asks for its turn first. Turns
 * are given in the order they were asked for, one to the good and one to the others: so nobody waits for long while others
 * go on, and no client that is to be there is taken for idle because those that flood have used everything.
 */
export class Throttle {
  readonly #load: number;
  /** When it was looked at last, and what was used until then, in milliseconds. */
  #at = performance.now();
  #used = ownMs();
  /** What may be used now; below 0 what was used too much. */
  #balance = CREDIT_MS;
  readonly #good: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #isGoodNext = true;
  #isPumping = false;
  /** What the server has used, in milliseconds, as it told last. */
  serverMs = 0;

  /** @param load - 1 for a whole core */
  constructor(load: number) {
    this.#load = load;
  }

  /** Waits for its turn. */
  turn(isGood: boolean): Promise<void> {
    return new Promise((resolve) => {
      (isGood ? this.#good : this.#others).push(resolve);
      if (this.#isPumping) return;
      this.#isPumping = true;
      setImmediate(() => this.#pump());
    });
  }

  /** Gives the next turn, and goes on when that has been used. */
  #pump(): void {
    this.#look();
    if (this.#balance < 0) {
      setTimeout(() => this.#pump(), -this.#balance / this.#load);
      return;
    }
    this.#isGoodNext = !this.#isGoodNext;
    const [first, second] = this.#isGoodNext ? [this.#good, this.#others] : [this.#others, this.#good];
    const next = first.shift() ?? second.shift();
    if (next === undefined) {
      this.#isPumping = false;
      return;
    }
    next();
    setImmediate(() => this.#pump());
  }

  #look(): void {
    const now = performance.now();
    const used = ownMs() + this.serverMs;
    const balance = this.#balance + (now - this.#at) * this.#load - (used - this.#used);
    this.#balance = Math.max(-MAX_DEBT_MS, Math.min(CREDIT_MS, balance));
    this.#at = now;
    this.#used = used;
  }
}

function ownMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
