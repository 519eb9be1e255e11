/** How long a message is remembered by its id, in milliseconds. */
const MEMORY_MS = 5 * 60_000;
/** Of how many messages at most: of any more the oldest is forgotten early. */
const MAX_IDS = 65_536;

interface Remembered<T> {
  readonly value: T;
  readonly until: number;
}

/** What was published lately with an id, where no broker remembers it. */
export class RecentIds<T> {
  /** In the order in which they are forgotten. */
  readonly #values = new Map<string, Remembered<T>>();

  get size(): number {
    return this.#values.size;
  }

  find(topic: string, id: string, now: number): T | undefined {
    this.expire(now);
    return this.#values.get(keyOf(topic, id))?.value;
  }

  add(topic: string, id: string, value: T, now: number): void {
    this.#values.set(keyOf(topic, id), { value, until: now + MEMORY_MS });
    if (this.#values.size > MAX_IDS) this.#values.delete(this.#values.keys().next().value!);
  }

  /** Lets go of what is too old. */
  expire(now: number): void {
    for (const [key, { until }] of this.#values) {
      if (until > now) return;
      this.#values.delete(key);
    }
  }
}

/** No two pairs have the same. */
function keyOf(topic: string, id: string): string {
  return `${topic.length} ${topic}${id}`;
}
