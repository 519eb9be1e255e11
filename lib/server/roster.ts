/** Those of a roster that were there at one time, as far as they still are. */
export interface Roll<T> {
  readonly present: ReadonlySet<T>;
  /** Resolves when the last of them is gone. */
  readonly gone: Promise<void>;
}

/** Connections that are there, and those who wait until some of them are gone. */
export class Roster<T> {
  readonly #members = new Set<T>();
  readonly #rolls = new Set<{ readonly present: Set<T>; readonly resolve: () => void }>();

  /** Those who are there now. */
  get present(): ReadonlySet<T> {
    return this.#members;
  }

  get size(): number {
    return this.#members.size;
  }

  add(member: T): void {
    this.#members.add(member);
  }

  delete(member: T): void {
    this.#members.delete(member);
    for (const roll of this.#rolls) {
      roll.present.delete(member);
      if (roll.present.size > 0) continue;
      this.#rolls.delete(roll);
      roll.resolve();
    }
  }

  /** Notes who is there now. Who comes later does not count. */
  call(): Roll<T> {
    const present = new Set(this.#members);
    if (present.size === 0) return { present, gone: Promise.resolve() };
    const gone = new Promise<void>((resolve) => this.#rolls.add({ present, resolve }));
    return { present, gone };
  }
}
