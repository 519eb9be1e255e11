import { defer } from '../net/promises.ts';

/** Those of a roster that were there at one time, as far as they still are, and who was counted with them. */
export interface Roll<T> {
  readonly present: ReadonlySet<T>;
  /** Resolves when the last of them is gone. */
  readonly gone: Promise<void>;
  /** Says that it is looked at no more. */
  end(): void;
}

/** Connections that are there, and those who wait until some of them are gone. */
export class Roster<T> {
  readonly #members = new Set<T>();
  readonly #rolls = new Set<{ readonly present: Set<T>; readonly resolve: () => void }>();

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members.values();
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  add(member: T): void {
    this.#members.add(member);
  }

  delete(member: T): void {
    this.#members.delete(member);
    for (const roll of this.#rolls) {
      roll.present.delete(member);
      if (roll.present.size === 0) roll.resolve();
    }
  }

  /** Counts a member with all that were called, though it came later. */
  join(member: T): void {
    if (this.#members.has(member)) for (const roll of this.#rolls) roll.present.add(member);
  }

  /** Notes who is there now, of `some`, where that is given. Who comes later does not count. */
  call(some?: ReadonlySet<T>): Roll<T> {
    const present = new Set(this.#members);
    if (some !== undefined) for (const member of present) if (!some.has(member)) present.delete(member);
    const { promise: gone, resolve } = defer();
    const roll = { present, resolve };
    this.#rolls.add(roll);
    if (present.size === 0) resolve();
    return { present, gone, end: () => this.#rolls.delete(roll) };
  }
}
