import { Deque } from './deque.ts';
import type { Receive, ReceiveOptions } from './receive.ts';
import { ReceiveSource } from './receive-source.ts';

/**
 * A first-in first-out queue of values that are received one by one: what a connection keeps its messages in.
 *
 * It has no bound of its own. Its owner stops pushing when `length` is too large and goes on when `onTake` is called.
 */
export class ReceiveQueue<T> extends ReceiveSource<T> {
  readonly #items = new Deque<T>();
  readonly #onTake: (() => void) | undefined;
  #isEnded = false;
  #error: unknown = undefined;

  /**
   * Makes an empty queue.
   *
   * @param onTake - is called after every value (or error) that was taken; it may push. It must not throw.
   */
  constructor(onTake?: () => void) {
    super();
    this.#onTake = onTake;
  }

  /** How many values wait in the queue, those included that a receive has reserved but not taken. */
  get length(): number {
    return this.#items.length;
  }

  /** Tells whether `fail` was called. Values may still be waiting. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Starts a receive of the next value that no receive before it gets.
   *
   * @param map - makes the value from the item when it is taken, not before
   * @throws {RangeError} `timeoutMs` is negative or not a number
   */
  receive(options?: ReceiveOptions): Receive<T>;
  receive<U>(options: ReceiveOptions | undefined, map: (item: T) => U): Receive<U>;
  receive<U>(options?: ReceiveOptions, map?: (item: T) => U): Receive<T | U> {
    return this.reserve<T | U>(options, map);
  }

  /**
   * Adds a value at the end; the queue keeps it until it is taken.
   *
   * @returns false, and does nothing, after `fail`
   */
  push(item: T): boolean {
    if (this.#isEnded) return false;
    this.#items.push(item);
    this.settle();
    return true;
  }

  /** Ends the queue: when its values are taken, this and every later receive rejects with `error`. Only the first counts. */
  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.settle();
  }

  /** Puts what `change` makes of each value that waits in its place. */
  replaceAll(change: (item: T) => T): void {
    this.#items.replaceAll(change);
  }

  /** Takes the first value that no receive has reserved, or returns `undefined` if there is none. Calls `onTake`. */
  tryTake(): T | undefined {
    if (this.waiting >= this.#items.length) return undefined;
    const item = this.takeAt(this.waiting);
    this.taken();
    return item;
  }

  /** @internal */
  override taken(): void {
    this.#onTake?.();
  }

  protected override available(): number {
    return this.#isEnded ? Number.POSITIVE_INFINITY : this.#items.length;
  }

  protected override takeAt(index: number): T {
    if (index < this.#items.length) return this.#items.takeAt(index);
    throw this.#error;
  }
}
