interface Entry<K, V> {
  readonly key: K;
  value: V;
  /** The neighbours, in a ring that the end of the map closes. */
  before: Entry<K, V>;
  after: Entry<K, V>;
}

/**
 * A map that knows its oldest entry. So does a `Map`, but it looks for that among all that were deleted in front of it: where as
 * many come as go, each takes longer than the one before.
 */
export class OldestFirst<K, V> {
  readonly #entries = new Map<K, Entry<K, V>>();
  readonly #ends: Entry<K, V>;

  constructor() {
    const ends = {} as Entry<K, V>;
    ends.before = ends;
    ends.after = ends;
    this.#ends = ends;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry that was set the longest ago. */
  get oldest(): readonly [key: K, value: V] | undefined {
    const { after } = this.#ends;
    return after === this.#ends ? undefined : [after.key, after.value];
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Sets an entry, which is the newest then. */
  set(key: K, value: V): void {
    this.delete(key);
    const { before } = this.#ends;
    const entry = { key, value, before, after: this.#ends };
    before.after = entry;
    this.#ends.before = entry;
    this.#entries.set(key, entry);
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    entry.before.after = entry.after;
    entry.after.before = entry.before;
  }
}
