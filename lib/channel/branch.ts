/** What `select` sees of each thing it waits for. */
export interface Branch {
  /** Tells whether it has settled, or would settle if its value was taken now. */
  readonly isReady: boolean;
  /** Tells whether `outcome` is a value; otherwise it is an error. Only once it has settled. */
  readonly isFulfilled: boolean;
  /** The value or the error it settled with. */
  readonly outcome: unknown;
  /** Holds it for `watcher`, which is told when it is ready. */
  watch(watcher: BranchWatcher): void;
  /** Ends one hold. A receive that nobody else holds or awaits is withdrawn. */
  unwatch(watcher: BranchWatcher): void;
  /** Takes the value, which must be ready, unless it has settled already. */
  commit(): void;
}

/** Somebody who holds a branch and may take its value, or let it go. */
export interface BranchWatcher {
  /** Is told that the branch has settled, or could be now. */
  ready(branch: Branch): void;
}

/** Several who hold the same branch, as one. */
export class WatcherGroup implements BranchWatcher {
  readonly #watchers: BranchWatcher[];

  constructor(...watchers: BranchWatcher[]) {
    this.#watchers = watchers;
  }

  ready(branch: Branch): void {
    // A copy: the first to choose it lets go of it.
    for (const watcher of this.#watchers.slice()) watcher.ready(branch);
  }

  add(watcher: BranchWatcher): void {
    this.#watchers.push(watcher);
  }

  /** Removes a watcher, if it is one of them; returns whether none is left. */
  remove(watcher: BranchWatcher): boolean {
    const index = this.#watchers.indexOf(watcher);
    if (index !== -1) this.#watchers.splice(index, 1);
    return this.#watchers.length === 0;
  }
}

const watchedPromises = new WeakMap<PromiseLike<unknown>, PromiseBranch>();

/**
 * Makes the branch of a plain promise, always the same one.
 *
 * A promise keeps each reaction until it settles and offers no way to take one back. So there is one reaction a promise
 * however many selects it takes part in, and a set of those that wait now.
 */
export function branchOf(promise: PromiseLike<unknown>): Branch {
  let branch = watchedPromises.get(promise);
  if (branch === undefined) {
    branch = new PromiseBranch(promise);
    watchedPromises.set(promise, branch);
  }
  return branch;
}

class PromiseBranch implements Branch {
  isReady = false;
  isFulfilled = false;
  outcome: unknown = undefined;
  readonly #watchers = new Set<BranchWatcher>();

  constructor(promise: PromiseLike<unknown>) {
    Promise.resolve(promise).then(
      (value) => this.#settle(true, value),
      (error: unknown) => this.#settle(false, error),
    );
  }

  watch(watcher: BranchWatcher): void {
    if (!this.isReady) this.#watchers.add(watcher);
  }

  unwatch(watcher: BranchWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** A promise has nothing to take, and keeps its value. */
  commit(): void {}

  #settle(isFulfilled: boolean, outcome: unknown): void {
    this.isReady = true;
    this.isFulfilled = isFulfilled;
    this.outcome = outcome;
    for (const watcher of this.#watchers) watcher.ready(this);
    this.#watchers.clear();
  }
}
