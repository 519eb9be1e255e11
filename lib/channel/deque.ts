const SMALLEST = 8;
/** An emptied deque with more slots than this gives them back. */
const LARGEST_KEPT = 1024;

/**
 * A first-in first-out line in one circular array, so neither end moves the rest. A slot is cleared when its item
 * leaves: a deque never pins what was taken from it.
 */
export class Deque<T> {
  // The length is a power of two, so that an index wraps with one `&`.
  #slots: (T | undefined)[] = new Array<T | undefined>(SMALLEST).fill(undefined);
  #head = 0;
  #length = 0;

  /** How many items wait. */
  get length(): number {
    return this.#length;
  }

  /** Adds an item at the end. */
  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
  }

  /** Removes and returns the item at `index`, which must be below `length`. O(1) at 0, otherwise O(index). */
  takeAt(index: number): T {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const item = slots[(this.#head + index) & mask] as T;
    // The items before it move up by one; then the first slot is free.
    for (let i = index; i > 0; i--) slots[(this.#head + i) & mask] = slots[(this.#head + i - 1) & mask];
    slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & mask;
    this.#length--;
    if (this.#length === 0 && slots.length > LARGEST_KEPT) this.clear();
    return item;
  }

  /** Puts what `change` makes of each item in its place. */
  replaceAll(change: (item: T) => T): void {
    const slots = this.#slots;
    for (let i = 0; i < this.#length; i++) {
      const at = (this.#head + i) & (slots.length - 1);
      slots[at] = change(slots[at] as T);
    }
  }

  /** Removes every item, and gives the memory back. */
  clear(): void {
    this.#slots = new Array<T | undefined>(SMALLEST).fill(undefined);
    this.#head = 0;
    this.#length = 0;
  }

  #grow(): void {
    const old = this.#slots;
    const grown = new Array<T | undefined>(old.length * 2).fill(undefined);
    for (let i = 0; i < old.length; i++) grown[i] = old[(this.#head + i) & (old.length - 1)];
    this.#slots = grown;
    this.#head = 0;
  }
}
