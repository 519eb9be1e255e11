import type { TopicMessage } from './topic-entry.ts';

interface Kept {
  readonly message: TopicMessage;
  readonly until: number;
}

/** The last messages of a topic, where no broker keeps them. */
export class TopicHistory {
  readonly #maxMessages: number;
  readonly #maxMs: number;
  /** Oldest first; those before `#start` are forgotten, and leave when they are many. */
  #kept: (Kept | undefined)[] = [];
  #start = 0;

  constructor(maxMessages: number, maxMs: number) {
    this.#maxMessages = maxMessages;
    this.#maxMs = maxMs;
  }

  /** How many messages there are. */
  get size(): number {
    return this.#kept.length - this.#start;
  }

  add(message: TopicMessage, now: number): void {
    this.#kept.push({ message: message.keep(), until: now + this.#maxMs });
    if (this.size > this.#maxMessages) this.#forget();
  }

  /** Lets go of what is too old. */
  expire(now: number): void {
    while (this.size > 0 && this.#kept[this.#start]!.until <= now) this.#forget();
  }

  /** The oldest messages behind an offset, at most `limit`. */
  read(after: number, limit: number, now: number): TopicMessage[] {
    this.expire(now);
    let low = this.#start;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#kept[middle]!.message.offset > after) high = middle;
      else low = middle + 1;
    }
    return this.#kept.slice(low, low + limit).map((kept) => kept!.message);
  }

  #forget(): void {
    this.#kept[this.#start++] = undefined;
    if (this.#start < this.#maxMessages && this.size > 0) return;
    this.#kept = this.#kept.slice(this.#start);
    this.#start = 0;
  }
}
