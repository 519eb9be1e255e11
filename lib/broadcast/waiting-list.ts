/**
 * The place of one who may wait: in one list, or in none.
 *
 * It is made once, and entered and left for each value, in constant time and without anything new: a Set would be filled
 * again for each value that is sent to receivers in a loop. No list holds a place that is not in it.
 */
export class WaitingPlace<T> {
  readonly owner: T;
  /** The neighbours in the ring of a list; itself outside one. Only for lists. */
  before: WaitingPlace<T> = this;
  after: WaitingPlace<T> = this;

  constructor(owner: T) {
    this.owner = owner;
  }

  get isWaiting(): boolean {
    return this.after !== this;
  }
}

/** Those who wait, in the order in which they came. */
export class WaitingList<T> {
  // Closes the ring, so that no place needs to be treated as the first or the last. Its owner is never asked for.
  readonly #ends: WaitingPlace<T> = new WaitingPlace(undefined as T);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a place at the end, unless it is in the list already. */
  add(place: WaitingPlace<T>): void {
    if (place.isWaiting) return;
    const last = this.#ends.before;
    place.before = last;
    place.after = this.#ends;
    last.after = place;
    this.#ends.before = place;
    this.#length++;
  }

  /** Removes a place, if it is in the list. */
  remove(place: WaitingPlace<T>): void {
    if (!place.isWaiting) return;
    place.before.after = place.after;
    place.after.before = place.before;
    place.before = place;
    place.after = place;
    this.#length--;
  }

  /** Removes the first place and returns it; `undefined` if there is none. */
  takeFirst(): WaitingPlace<T> | undefined {
    if (this.#length === 0) return undefined;
    const first = this.#ends.after;
    this.remove(first);
    return first;
  }
}
