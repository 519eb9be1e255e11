/** Those who are in a room, each under a name of their own. */
export class Presence<T extends { readonly name: string; readonly session: string }> {
  /** By name, in the form in which two names count as the same. */
  readonly #members = new Map<string, T>();

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** The names of those who are here, in the order they came. */
  get names(): string[] {
    return Array.from(this.#members.values(), ({ name }) => name);
  }

  /** The name that is wanted, or one like it if somebody has that. */
  freeName(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#members.has(fold(name)); i++) name = `${wanted} ${i}`;
    return name;
  }

  /** The one that came with this secret; an empty one is nobody's. */
  ofSession(session: string): T | undefined {
    if (session === '') return undefined;
    for (const member of this.#members.values()) if (member.session === session) return member;
    return undefined;
  }

  add(member: T): void {
    this.#members.set(fold(member.name), member);
  }

  /** Returns false for one who is not here. */
  remove(member: T): boolean {
    const key = fold(member.name);
    return this.#members.get(key) === member && this.#members.delete(key);
  }
}

function fold(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}
