import { randomBytes } from 'node:crypto';
import type { BrokerSettings } from '../topics/broker.ts';
import type { Packed, PackedMessage, Place } from './cluster-channel.ts';
import { OldestFirst } from './oldest-first.ts';

/** For how long an id is remembered. */
const ID_MS = 5 * 60_000;
/** A page has no more than this, or one message. */
const PAGE_BYTES = 1024 * 1024;
/** About how much memory a message takes that is kept, besides its bytes. */
const MESSAGE_BYTES = 200;

/** How much a primary keeps, of all topics together. */
export interface ClusterLimits {
  readonly maxHistoryBytes: number;
  readonly maxTopics: number;
  readonly maxIds: number;
}

interface Topic<Subscriber> {
  readonly epoch: string;
  last: number;
  /** The oldest first. */
  readonly kept: Kept[];
  readonly subscribers: Set<Subscriber>;
}

interface Kept {
  readonly message: PackedMessage;
  readonly bytes: number;
  /** When it may be forgotten. */
  readonly end: number;
}

/** What became of a message that was published. */
export interface Published<Subscriber> {
  readonly place: Place;
  /** Not there, if the message was published before. */
  readonly message: PackedMessage | undefined;
  readonly subscribers: Iterable<Subscriber>;
}

/** The order of topics, and what is kept of them, in memory that is bounded. */
export class ClusterTopics<Subscriber> {
  readonly #limits: ClusterLimits;
  readonly #topics = new Map<string, Topic<Subscriber>>();
  /** Those without subscribers, the one that was not used for longest first. */
  readonly #unused = new OldestFirst<string, Topic<Subscriber>>();
  /** Those of which messages are kept, the one that had no new message for longest first. */
  readonly #keeping = new OldestFirst<string, Topic<Subscriber>>();
  /** The oldest first. */
  readonly #ids = new OldestFirst<string, { readonly place: Place; readonly end: number }>();
  readonly #life = randomBytes(8).toString('base64url');
  /** How many topics were forgotten: one that comes up again has another epoch then. */
  #forgotten = 0;
  #historyBytes = 0;

  constructor(limits: ClusterLimits) {
    this.#limits = limits;
  }

  stats(): { readonly topics: number; readonly historyBytes: number; readonly ids: number } {
    return { topics: this.#topics.size, historyBytes: this.#historyBytes, ids: this.#ids.size };
  }

  subscribe(name: string, subscriber: Subscriber): Place {
    const topic = this.#topicOf(name);
    topic.subscribers.add(subscriber);
    this.#unused.delete(name);
    return [topic.epoch, topic.last];
  }

  unsubscribe(name: string, subscriber: Subscriber): void {
    const topic = this.#topics.get(name);
    if (topic?.subscribers.delete(subscriber)) this.#touch(name, topic);
  }

  subscribersOf(name: string): Iterable<Subscriber> {
    return this.#topics.get(name)?.subscribers ?? [];
  }

  publish(name: string, data: Packed, id: string | null, settings: BrokerSettings): Published<Subscriber> {
    const now = Date.now();
    const key = id === null ? undefined : `${name.length}:${name}${id}`;
    const known = key === undefined ? undefined : this.#ids.get(key);
    if (known !== undefined && now < known.end) return { place: known.place, message: undefined, subscribers: [] };
    const topic = this.#topicOf(name);
    // Bytes lie in the memory of all that came at once, which would be kept with them.
    const own = typeof data === 'string' ? data : data.slice();
    const message: PackedMessage = [topic.last + 1, topic.last, own];
    topic.last++;
    const place: Place = [topic.epoch, topic.last];
    if (key !== undefined) this.#remember(key, place, now);
    this.#keep(name, topic, message, now, settings);
    this.#touch(name, topic);
    return { place, message, subscribers: topic.subscribers };
  }

  /** Reads a page. It may have less than `limit` messages, where they are large. */
  read(name: string, after: number, limit: number): { place: Place; messages: PackedMessage[] } {
    const topic = this.#topics.get(name);
    if (topic === undefined) return { place: [this.#epoch(), 0], messages: [] };
    const now = Date.now();
    while (topic.kept.length > 0 && topic.kept[0]!.end <= now) this.#drop(name, topic);
    const messages: PackedMessage[] = [];
    const first = topic.kept[0]?.message[0] ?? 0;
    let pageBytes = 0;
    // The offsets of a topic have no holes.
    for (let i = Math.max(0, after + 1 - first); i < topic.kept.length && messages.length < limit; i++) {
      const { message, bytes } = topic.kept[i]!;
      pageBytes += bytes;
      if (messages.length > 0 && pageBytes > PAGE_BYTES) break;
      messages.push(message);
    }
    return { place: [topic.epoch, topic.last], messages };
  }

  #epoch(): string {
    return `${this.#life}-${this.#forgotten}`;
  }

  #topicOf(name: string): Topic<Subscriber> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const topic: Topic<Subscriber> = { epoch: this.#epoch(), last: 0, kept: [], subscribers: new Set() };
    this.#topics.set(name, topic);
    return topic;
  }

  /** Notes that a topic was used, and forgets another if there are too many. */
  #touch(name: string, topic: Topic<Subscriber>): void {
    if (topic.subscribers.size > 0) return;
    this.#unused.set(name, topic);
    if (this.#unused.size <= this.#limits.maxTopics) return;
    const [oldName, old] = this.#unused.oldest!;
    while (old.kept.length > 0) this.#drop(oldName, old);
    this.#unused.delete(oldName);
    this.#topics.delete(oldName);
    this.#forgotten++;
  }

  #remember(key: string, place: Place, now: number): void {
    this.#ids.set(key, { place, end: now + ID_MS });
    while (true) {
      // There is one: it was just set.
      const [oldest, { end }] = this.#ids.oldest!;
      if (end > now && this.#ids.size <= this.#limits.maxIds) break;
      this.#ids.delete(oldest);
    }
  }

  #keep(name: string, topic: Topic<Subscriber>, message: PackedMessage, now: number, settings: BrokerSettings): void {
    if (settings.historyMessages > 0) {
      const bytes = message[2].length + MESSAGE_BYTES;
      topic.kept.push({ message, bytes, end: now + settings.historyMs });
      this.#historyBytes += bytes;
      this.#keeping.set(name, topic);
    }
    while (topic.kept.length > 0 && (topic.kept.length > settings.historyMessages || topic.kept[0]!.end <= now))
      this.#drop(name, topic);
    while (this.#historyBytes > this.#limits.maxHistoryBytes) {
      const [oldName, old] = this.#keeping.oldest!;
      this.#drop(oldName, old);
    }
  }

  /** Lets go of the oldest message that is kept of a topic. */
  #drop(name: string, topic: Topic<Subscriber>): void {
    this.#historyBytes -= topic.kept.shift()!.bytes;
    if (topic.kept.length === 0) this.#keeping.delete(name);
  }
}
