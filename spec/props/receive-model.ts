/**
 * What receives and select have to do, written for reading: no promises, no listeners, everything is looked at again
 * after every change. A select is biased here, so that there is one right answer.
 */
export class ModelWorld {
  readonly sources: ModelSource[];
  readonly taken: string[] = [];
  readonly told: Map<string, string> = new Map();
  readonly waitingForAbort: { signal: number; end(outcome: string): void }[] = [];
  readonly aborted: Set<number> = new Set();
  readonly timed: ModelReceive[] = [];
  now = 0;

  constructor(sources: number) {
    this.sources = Array.from({ length: sources }, () => ({ values: [], line: [], hasFailed: false }));
  }

  push(source: number, value: string): void {
    if (!this.sources[source]!.hasFailed) this.sources[source]!.values.push(value);
    this.settle();
  }

  fail(source: number): void {
    this.sources[source]!.hasFailed = true;
    this.settle();
  }

  tryTake(source: number): string | undefined {
    const { values, line } = this.sources[source]!;
    const [value] = values.splice(line.length, 1);
    if (value !== undefined) this.taken.push(`tryTake ${value}`);
    return value;
  }

  tick(): void {
    this.now++;
    for (const receive of this.timed) {
      if (receive.deadline === this.now && !receive.isReady) receive.end('WS_ERR_TIMEOUT');
    }
  }

  abort(signal: number): void {
    if (this.aborted.has(signal)) return;
    this.aborted.add(signal);
    for (const waiter of this.waitingForAbort) if (waiter.signal === signal) waiter.end(`aborted ${signal}`);
  }

  settle(): void {
    for (const { line } of this.sources) {
      for (const receive of line) {
        if (!receive.isReady || (!receive.isAwaited && receive.select === undefined)) continue;
        if (receive.select === undefined) receive.take();
        else receive.select.win(receive);
        this.settle();
        return;
      }
    }
  }
}

interface ModelSource {
  readonly values: string[];
  readonly line: ModelReceive[];
  hasFailed: boolean;
}

export class ModelReceive {
  readonly name: string;
  readonly deadline: number | undefined;
  isAwaited = false;
  select: ModelSelect | undefined;
  outcome: string | undefined;
  readonly #world: ModelWorld;
  readonly #source: ModelSource;

  constructor(
    world: ModelWorld,
    name: string,
    source: number,
    signal: number | undefined,
    timeoutMs: number | undefined,
  ) {
    this.name = name;
    this.#world = world;
    this.#source = world.sources[source]!;
    if (signal !== undefined && world.aborted.has(signal)) {
      this.outcome = `aborted ${signal}`;
      return;
    }
    this.#source.line.push(this);
    if (signal !== undefined) world.waitingForAbort.push({ signal, end: (outcome) => this.end(outcome) });
    if (timeoutMs !== undefined) {
      this.deadline = world.now + timeoutMs;
      world.timed.push(this);
    }
  }

  get isReady(): boolean {
    const place = this.#source.line.indexOf(this);
    return place !== -1 && (place < this.#source.values.length || this.#source.hasFailed);
  }

  await(): void {
    this.isAwaited = true;
    if (this.outcome !== undefined) this.#world.told.set(this.name, this.outcome);
    this.#world.settle();
  }

  withdraw(): void {
    this.end('WS_ERR_RECEIVE_WITHDRAWN');
  }

  /** Takes its value, or the error of a source that has no more; returns what a select says of it. */
  take(): { value?: string; error?: string } {
    const [value] = this.#source.values.splice(this.#source.line.indexOf(this), 1);
    if (value !== undefined) this.#world.taken.push(`${this.name} ${value}`);
    this.#leave(value ?? 'failed');
    return value === undefined ? { error: 'failed' } : { value };
  }

  /** Ends without a value. */
  end(outcome: string): void {
    if (this.outcome !== undefined) return;
    this.#leave(outcome);
    this.select?.end(outcome);
    this.#world.settle();
  }

  #leave(outcome: string): void {
    this.outcome = outcome;
    this.#source.line.splice(this.#source.line.indexOf(this), 1);
    if (this.isAwaited) this.#world.told.set(this.name, outcome);
  }
}

export class ModelSelect {
  readonly #world: ModelWorld;
  readonly #name: string;
  readonly #branches: ModelReceive[];
  readonly #signal: number | undefined;

  constructor(world: ModelWorld, name: string, branches: ModelReceive[], signal: number | undefined) {
    this.#world = world;
    this.#name = name;
    this.#branches = branches;
    this.#signal = signal;
  }

  start(): void {
    for (const branch of this.#branches) branch.select = this;
    if (this.#signal !== undefined && this.#world.aborted.has(this.#signal)) {
      this.end(`aborted ${this.#signal}`);
      return;
    }
    const first = this.#branches.find((branch) => branch.outcome !== undefined || branch.isReady);
    if (first?.outcome !== undefined) this.#endAs(first, first.outcome);
    else if (first !== undefined) this.win(first);
    else if (this.#signal !== undefined) {
      this.#world.waitingForAbort.push({ signal: this.#signal, end: (outcome) => this.end(outcome) });
    }
    this.#world.settle();
  }

  /** One branch is chosen: the others leave, and it takes its value. */
  win(winner: ModelReceive): void {
    this.#letGo(winner);
    const { value, error } = winner.take();
    this.#world.told.set(this.#name, error ?? `branch ${this.#branches.indexOf(winner)} ${value}`);
  }

  end(outcome: string): void {
    if (!this.#world.told.has(this.#name)) this.#endAs(undefined, outcome);
  }

  #endAs(winner: ModelReceive | undefined, outcome: string): void {
    this.#world.told.set(this.#name, outcome);
    this.#letGo(winner);
    this.#world.settle();
  }

  #letGo(winner: ModelReceive | undefined): void {
    for (const branch of this.#branches) branch.select = undefined;
    for (const branch of this.#branches) if (branch !== winner) branch.withdraw();
  }
}
