/** Where one receiver stands: the position of the value it reads next. */
export interface Cursor {
  position: number;
}

/**
 * The last `capacity` values of a channel, stored once, however many cursors read them.
 *
 * Positions count the values since the ring was last without a cursor. A value is let go of when every cursor that
 * could read it has passed it, when a newer one takes its slot, or when the last cursor leaves.
 */
export class Ring<T> {
  readonly capacity: number;
  // Both grow with use up to `capacity`: an idle channel is small.
  #values: (T | undefined)[] = [];
  /** How many cursors have not read the value in the same slot yet. */
  #unread: number[] = [];
  #cursors = 0;
  #end = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** How many cursors there are. */
  get cursors(): number {
    return this.#cursors;
  }

  /** The position after the newest value: where the next one will be. */
  get end(): number {
    return this.#end;
  }

  /** The position of the oldest value that is not overwritten. */
  get start(): number {
    return Math.max(0, this.#end - this.capacity);
  }

  /** Adds a cursor that reads what is appended from now on. */
  join(): Cursor {
    this.#cursors++;
    return { position: this.#end };
  }

  /** Removes a cursor, once. */
  leave(cursor: Cursor): void {
    this.#cursors--;
    if (this.#cursors === 0) {
      this.#values = [];
      this.#unread = [];
      this.#end = 0;
      return;
    }
    for (let position = Math.max(cursor.position, this.start); position < this.#end; position++) this.#pass(position);
  }

  /** Stores a value at `end`, in place of the oldest when the ring is full. A ring without cursors stores nothing. */
  append(value: T): void {
    if (this.#cursors === 0) return;
    const slot = this.#end % this.capacity;
    this.#values[slot] = value;
    this.#unread[slot] = this.#cursors;
    this.#end++;
  }

  /** Reads the value under the cursor, which must be from `start` to before `end`, and moves the cursor on. */
  read(cursor: Cursor): T {
    const value = this.#values[cursor.position % this.capacity] as T;
    this.#pass(cursor.position++);
    return value;
  }

  /** The value that `read` would return. */
  peek(cursor: Cursor): T {
    return this.#values[cursor.position % this.capacity] as T;
  }

  #pass(position: number): void {
    const slot = position % this.capacity;
    if (--this.#unread[slot]! === 0) this.#values[slot] = undefined;
  }
}
