/** Takes down who is in a room, as one process is told. */
import type { Presence } from '../../lib/topics/presence.ts';

/** What a process was told of the members of a room. */
export interface RoomReport {
  readonly members: readonly string[];
  /** How often each key has left. */
  readonly leaves: Readonly<Record<string, number>>;
  /** What cannot be: one that joins who is there, or leaves who is not. */
  readonly faults: readonly string[];
}

export class Watcher {
  readonly #members = new Set<string>();
  readonly #leaves: Record<string, number> = {};
  readonly #faults: string[] = [];

  constructor(presence: Presence) {
    void this.#watch(presence);
  }

  report(): RoomReport {
    return { members: [...this.#members].sort(), leaves: this.#leaves, faults: this.#faults };
  }

  async #watch(presence: Presence): Promise<void> {
    for await (const event of presence) {
      if (event.type === 'snapshot') {
        this.#members.clear();
        for (const key of event.members.keys()) this.#members.add(key);
      } else if (event.type === 'join') {
        if (this.#members.has(event.key)) this.#faults.push(`${event.key} joined twice`);
        this.#members.add(event.key);
      } else if (event.type === 'leave') {
        if (!this.#members.delete(event.key)) this.#faults.push(`${event.key} left and was not there`);
        this.#leaves[event.key] = (this.#leaves[event.key] ?? 0) + 1;
      }
    }
  }
}
