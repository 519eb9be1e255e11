/** Connections that are there, and those who wait until all of them are gone. */
export class Roster<T> {
  readonly #members = new Set<T>();
  #whenEmpty: (() => void)[] = [];

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members.values();
  }

  add(member: T): void {
    this.#members.add(member);
  }

  delete(member: T): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }

  /** Resolves when the last one is gone. */
  async empty(): Promise<void> {
    if (this.#members.size === 0) return;
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }
}
