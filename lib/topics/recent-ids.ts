/** How long a message is remembered by its id, in milliseconds. */
const MEMORY_MS = 5 * 60_000;
/** Of how many messages at most: of any more the oldest is forgotten early. */
const MAX_IDS = 65_536;

interface Remembered<T> {
  readonly key: string;
  readonly value: T;
  readonly until: number;
}

/** What was published lately with an id, where no broker remembers it. */
export class RecentIds<T> {
  readonly #maxIds: number;
  readonly #byKey = new Map<string, Remembered<T>>();
  /**
   * In the order in which they are forgotten; those before `#start` are, and leave when they are many. A Map has an order, too, but
   * looks for its first entry among all that were deleted before it.
   */
  #inOrder: (Remembered<T> | undefined)[] = [];
  #start = 0;

  constructor(maxIds: number = MAX_IDS) {
    this.#maxIds = maxIds;
  }

  get size(): number {
    return this.#byKey.size;
  }

  find(topic: string, id: string, now: number): T | undefined {
    this.expire(now);
    return this.#byKey.get(keyOf(topic, id))?.value;
  }

  /** Remembers one that `find` did not. */
  add(topic: string, id: string, value: T, now: number): void {
    const key = keyOf(topic, id);
    const remembered = { key, value, until: now + MEMORY_MS };
    this.#byKey.set(key, remembered);
    this.#inOrder.push(remembered);
    if (this.size > this.#maxIds) this.#forget();
  }

  /** Lets go of what is too old. */
  expire(now: number): void {
    while (this.size > 0 && this.#inOrder[this.#start]!.until <= now) this.#forget();
  }

  #forget(): void {
    this.#byKey.delete(this.#inOrder[this.#start]!.key);
    this.#inOrder[this.#start++] = undefined;
    if (2 * this.#start < this.#inOrder.length) return;
    this.#inOrder = this.#inOrder.slice(this.#start);
    this.#start = 0;
  }
}

/** No two pairs have the same. */
function keyOf(topic: string, id: string): string {
  return `${topic.length} ${topic}${id}`;
}
