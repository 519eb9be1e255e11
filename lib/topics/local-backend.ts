import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { REFERENCE_BYTES } from '../codec/frame-encoder.ts';
import type { TopicBackend } from './backend.ts';
import { formatPosition, type Place, type Position } from './position.ts';
import { alreadyPublished } from './published.ts';
import { RecentIds } from './recent-ids.ts';
import type { Topic } from './topic.ts';
import { TopicMessage, type TopicPage } from './topic-entry.ts';
import { TopicHistory } from './topic-history.ts';
import type { ResolvedTopicsOptions } from './topics-options.ts';

const EPOCH_BYTES = 9;
/** How often it is looked for what may be forgotten, in milliseconds: at least, and at most. */
const MIN_SWEEP_MS = 1000;
const MAX_SWEEP_MS = 30_000;

/** What is kept of a topic. */
interface Kept {
  /** That of the newest message, whether or not it is still there. */
  offset: number;
  readonly history: TopicHistory;
}

/**
 * Orders topics within this process, and keeps their history.
 *
 * One counter numbers the messages of all topics. Of a topic that is forgotten, since nobody is in it and no message of it is
 * kept, nothing stays: whoever comes back to it has missed nothing if its position is not below that of the last message of any
 * such topic.
 */
export class LocalBackend implements TopicBackend {
  readonly isConnected = true;
  readonly #epoch = randomBytes(EPOCH_BYTES).toString('base64url');
  readonly #options: ResolvedTopicsOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #ids = new RecentIds<Position>();
  #last = 0;
  #forgotten = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ResolvedTopicsOptions) {
    this.#options = options;
  }

  placeOf(name: string): Place {
    return { epoch: this.#epoch, offset: this.#kept.get(name)?.offset ?? this.#forgotten };
  }

  open(): undefined {}

  leave({ name, offset }: Topic): void {
    if (!this.#kept.has(name)) this.#forget(offset);
  }

  publish(
    name: string,
    topic: Topic | undefined,
    body: string | Uint8Array,
    id: string | undefined,
    sender: number,
  ): Promise<Position> {
    if (id !== undefined) return this.#publishOnce(name, topic, body, id, sender);
    return alreadyPublished(this.#publish(name, topic, body, sender));
  }

  read(name: string, topic: Topic | undefined, after: number, limit: number): TopicPage {
    const entries = this.#kept.get(name)?.history.read(after, limit, performance.now()) ?? [];
    // Where other topics have got further meanwhile, a position that is above the last of this one is one of it all the same.
    const offset = Math.max((topic ?? this.placeOf(name)).offset, Math.min(after, this.#last));
    return { epoch: this.#epoch, offset, entries };
  }

  async close(): Promise<void> {
    clearTimeout(this.#sweep);
    this.#kept.clear();
  }

  #publishOnce(
    name: string,
    topic: Topic | undefined,
    body: string | Uint8Array,
    id: string,
    sender: number,
  ): Promise<Position> {
    const now = performance.now();
    let position = this.#ids.find(name, id, now);
    if (position === undefined) {
      // Before it is told: that may have it be published again.
      position = formatPosition(this.#epoch, this.#last + 1);
      this.#ids.add(name, id, position, now);
      this.#publish(name, topic, body, sender);
      this.#sweepLater();
    }
    return alreadyPublished(position);
  }

  #publish(name: string, topic: Topic | undefined, body: string | Uint8Array, sender: number): Position {
    const kept = this.#options.historyMessages === 0 ? undefined : this.#keep(name);
    const offset = ++this.#last;
    if (topic !== undefined || kept !== undefined) {
      const previous = topic?.last ?? kept!.offset;
      const message = new TopicMessage(this.#epoch, previous, offset, asBuffer(body), sender, false);
      // Before it is told: that may have the next one be published.
      if (kept !== undefined) {
        kept.offset = offset;
        kept.history.add(message, performance.now());
      }
      if (topic !== undefined) {
        topic.tally.received++;
        // Once for all that would send it from where it lies, where its publisher cannot know for how long it must not change.
        if (body.length >= REFERENCE_BYTES) message.keep();
        topic.accept(message);
      }
    } else this.#forget(offset);
    return formatPosition(this.#epoch, offset);
  }

  #keep(name: string): Kept {
    let kept = this.#kept.get(name);
    if (kept === undefined) {
      const { historyMessages, historyMs } = this.#options;
      kept = { offset: this.#forgotten, history: new TopicHistory(historyMessages, historyMs) };
      this.#kept.set(name, kept);
      this.#sweepLater();
    }
    return kept;
  }

  #forget(offset: number): void {
    this.#forgotten = Math.max(this.#forgotten, offset);
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined) return;
    const ms = Math.min(Math.max(this.#options.historyMs, MIN_SWEEP_MS), MAX_SWEEP_MS);
    this.#sweep = setTimeout(() => this.#sweepNow(), ms);
    this.#sweep.unref();
  }

  /** Lets go of what is too old, also in topics that nobody uses any more. */
  #sweepNow(): void {
    this.#sweep = undefined;
    const now = performance.now();
    this.#ids.expire(now);
    for (const [name, { history, offset }] of this.#kept) {
      history.expire(now);
      if (history.size > 0) continue;
      this.#kept.delete(name);
      this.#forget(offset);
    }
    if (this.#kept.size > 0 || this.#ids.size > 0) this.#sweepLater();
  }
}

/** Bytes as a Buffer, without a copy. */
function asBuffer(body: string | Uint8Array): string | Buffer {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
