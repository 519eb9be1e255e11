import { randomBytes } from 'node:crypto';
import type { BrokerMessage, BrokerPage, BrokerTop } from '../topics/broker.ts';
import type { NatsMessage } from './nats-connection.ts';
import { type CoreMessage, decodeCoreMessage, encodeCoreMessage } from './nats-core-message.ts';
import type { NatsLink } from './nats-link.ts';
import type { NatsOrder, OrderEvents } from './nats-orders.ts';
import { hashOfId, type NatsSubjects } from './nats-subjects.ts';

/** What this process publishes to a topic. */
interface Sender {
  readonly id: string;
  number: number;
  /** When the last one was sent; how often it was said since that it was. */
  sentAt: number;
  marks: number;
}

/** A topic that is subscribed, in the order in which this process hears of it. */
interface Heard {
  epoch: string;
  /** The last offset: of a message, or of one that was lost. */
  last: number;
  /** Since when nothing can be lost without a trace. */
  since: number;
  /** The last number that was heard of each sender, and at which check; the one that is silent for longest first. */
  senders: Map<string, { readonly number: number; readonly at: number }>;
  /** Where messages with an id are, by its hash, and when they came. */
  readonly ids: Map<string, { readonly place: BrokerTop; readonly at: number }>;
  /** What came behind a hole, for who reads on there; for how many checks still. */
  recent: BrokerMessage[];
  recentChecks: number;
}

/** For how long an id is known again, in milliseconds. */
const ID_MS = 300_000;
/** How many are known again in a topic, at most. */
const MAX_IDS = 10_000;
/** How many senders are told apart in a topic, and in how many topics a process is one, at most. */
const MAX_SENDERS = 10_000;
/** Nothing comes of a sender that was silent for so many checks: by then its process has forgotten it. */
const SILENT_CHECKS = 90;
const MAX_RECENT = 1000;
const RECENT_CHECKS = 3;
/** After so long without a message it is said which was the last, in milliseconds; behind the last of them it is forgotten. */
const MARKS_MS = [500, 10_000, 60_000] as const;
/** By how much later than others a message may come, in milliseconds, when it is asked whether one is missing. */
const JITTER_MS = 1000;

/**
 * The order of core NATS, which keeps nothing and orders only what one process publishes: each process numbers what it hears
 * itself. What is lost on the way leaves a hole there, since each process numbers what it sends, and says which was the last.
 */
export class CoreOrder implements NatsOrder {
  readonly #link: Pick<NatsLink, 'publish' | 'flush'>;
  readonly #subjects: NatsSubjects;
  readonly #events: Pick<OrderEvents, 'message' | 'missed'>;
  readonly #now: () => number;
  readonly #process: string = randomBytes(6).toString('hex');
  #lives = 0;
  #checks = 0;
  readonly #senders = new Map<string, Sender>();
  readonly #heard = new Map<string, Heard>();
  /** What this process has published and not heard yet, by sender and number. */
  readonly #own = new Map<string, BrokerTop | undefined>();

  /** @param now - milliseconds that only grow */
  constructor(
    link: Pick<NatsLink, 'publish' | 'flush'>,
    subjects: NatsSubjects,
    events: Pick<OrderEvents, 'message' | 'missed'>,
    now: () => number = () => performance.now(),
  ) {
    this.#link = link;
    this.#subjects = subjects;
    this.#events = events;
    this.#now = now;
  }

  async check(): Promise<boolean> {
    const now = this.#now();
    this.#checks++;
    for (const [topic, sender] of this.#senders) this.#mark(topic, sender, now);
    for (const heard of this.#heard.values()) {
      forget(heard.ids, now - ID_MS);
      forget(heard.senders, this.#checks - SILENT_CHECKS);
      if (--heard.recentChecks <= 0) heard.recent = [];
    }
    return false;
  }

  /** Whoever has missed the last message learns of it by the next; and there may be none. */
  #mark(topic: string, sender: Sender, now: number): void {
    const idle = now - sender.sentAt;
    const due = MARKS_MS[sender.marks];
    if (due === undefined) this.#senders.delete(topic);
    if (due === undefined || idle < due) return;
    sender.marks++;
    this.#sayLast(topic, sender, now);
  }

  #sayLast(topic: string, { id, number, sentAt }: Sender, now: number): void {
    const mark = encodeCoreMessage(id, number, now - sentAt, undefined, undefined);
    this.#link.publish(this.#subjects.messagesOf(topic), mark);
  }

  lost(): void {
    for (const heard of this.#heard.values()) this.#restart(heard);
  }

  /** Nobody knows what was missed. */
  #restart(heard: Heard): void {
    heard.epoch = this.#nextEpoch();
    heard.last = 0;
    heard.since = Number.POSITIVE_INFINITY;
    heard.senders = new Map();
    heard.recent = [];
  }

  #nextEpoch(): string {
    return `${this.#process}-${(++this.#lives).toString(36)}`;
  }

  close(): void {
    this.#heard.clear();
    this.#senders.clear();
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    const heard = this.#heard.get(topic) ?? this.#hear(topic);
    await this.#link.flush();
    if (heard.since === Number.POSITIVE_INFINITY) heard.since = this.#now();
    return { epoch: heard.epoch, offset: heard.last };
  }

  #hear(topic: string): Heard {
    const heard: Heard = {
      epoch: this.#nextEpoch(),
      last: 0,
      since: Number.POSITIVE_INFINITY,
      senders: new Map(),
      ids: new Map(),
      recent: [],
      recentChecks: 0,
    };
    this.#heard.set(topic, heard);
    return heard;
  }

  unsubscribe(topic: string): void {
    this.#heard.delete(topic);
  }

  receive(topic: string, { data }: NatsMessage): void {
    const heard = this.#heard.get(topic);
    const message = decodeCoreMessage(data);
    if (heard === undefined || message === undefined) return;
    const known = heard.senders.get(message.sender)?.number;
    // Of one sender they come in order: this one was heard.
    if (known !== undefined && message.number <= known) {
      this.#know(heard, { ...message, number: known });
      return;
    }
    const before = heard.last;
    heard.last += lostBefore(message, known, this.#now() - heard.since);
    this.#know(heard, message);
    if (heard.last > before) heard.recentChecks = RECENT_CHECKS;
    const isTold = message.data !== undefined && this.#tell(topic, heard, message, new Uint8Array(message.data));
    // No message tells of the hole.
    if (!isTold && heard.last > before) this.#events.missed();
  }

  #know(heard: Heard, { sender, number }: CoreMessage): void {
    heard.senders.delete(sender);
    heard.senders.set(sender, { number, at: this.#checks });
    if (forgetFirst(heard.senders, MAX_SENDERS) !== undefined) heard.since = this.#now();
  }

  /** @returns whether it is told; not where the same was before, by its id */
  #tell(topic: string, heard: Heard, { sender, number, idHash }: CoreMessage, data: Uint8Array): boolean {
    const first = idHash === undefined ? undefined : heard.ids.get(idHash)?.place;
    const place = first ?? { epoch: heard.epoch, offset: heard.last + 1 };
    const name = `${sender}/${number}`;
    if (this.#own.has(name)) this.#own.set(name, place);
    if (first !== undefined) return false;
    const previous = heard.last;
    const { offset } = place;
    heard.last = offset;
    if (idHash !== undefined) {
      heard.ids.set(idHash, { place, at: this.#now() });
      forgetFirst(heard.ids, MAX_IDS);
    }
    if (heard.recentChecks > 0) {
      heard.recent.push({ offset, previous, data: data.slice() });
      if (heard.recent.length > MAX_RECENT) heard.recent.shift();
    }
    this.#events.message(topic, heard.epoch, { offset, previous, data });
    return true;
  }

  async publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    const sender = this.#senderOf(topic);
    const now = this.#now();
    const ageMs = sender.number === 0 ? Number.POSITIVE_INFINITY : now - sender.sentAt;
    const idHash = id === undefined ? undefined : hashOfId(topic, id);
    const number = sender.number + 1;
    const name = `${sender.id}/${number}`;
    this.#own.set(name, undefined);
    try {
      const message = encodeCoreMessage(sender.id, number, ageMs, idHash, data);
      this.#link.publish(this.#subjects.messagesOf(topic), message);
      sender.number = number;
      sender.sentAt = now;
      sender.marks = 0;
      await this.#link.flush();
      // It was heard before the answer came. Whoever is not subscribed has no place for it.
      return this.#own.get(name) ?? { epoch: `${sender.id}-${this.#process}`, offset: number };
    } finally {
      this.#own.delete(name);
    }
  }

  #senderOf(topic: string): Sender {
    const known = this.#senders.get(topic);
    // Behind the others: the first is the one that is forgotten.
    if (known !== undefined) this.#senders.delete(topic);
    const sender = known ?? { id: randomBytes(8).toString('hex'), number: 0, sentAt: 0, marks: 0 };
    this.#senders.set(topic, sender);
    const forgotten = forgetFirst(this.#senders, MAX_SENDERS);
    if (forgotten !== undefined) this.#sayLast(...forgotten, this.#now());
    return sender;
  }

  /** There is nothing to read but what came behind a hole a moment ago. */
  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    const heard = this.#heard.get(topic);
    if (heard === undefined) return { epoch: this.#nextEpoch(), offset: 0, messages: [] };
    const { epoch, last: offset } = heard;
    const behind = heard.recent.filter((message) => message.offset > after).slice(0, limit);
    return { epoch, offset, messages: behind.map((message) => ({ ...message, data: message.data.slice() })) };
  }
}

/**
 * How many messages of a sender have been lost before one that comes, or up to the last it says there was.
 *
 * @param known - the last number that was heard of it, if any
 * @param heardMs - for how long nothing of the topic can have been lost without a trace
 */
function lostBefore({ number, ageMs, data }: CoreMessage, known: number | undefined, heardMs: number): number {
  const upTo = data === undefined ? number : number - 1;
  if (known !== undefined) return Math.max(0, upTo - known);
  // Nothing was heard of it yet: was the one before sent when all was heard here already?
  return upTo > 0 && ageMs + JITTER_MS < heardMs ? 1 : 0;
}

/** Forgets what came before a time. The oldest is first. */
function forget<T extends { readonly at: number }>(map: Map<string, T>, before: number): void {
  for (const [key, { at }] of map) {
    if (at > before) return;
    map.delete(key);
  }
}

/** Forgets the first of too many. */
function forgetFirst<T>(map: Map<string, T>, max: number): [key: string, value: T] | undefined {
  if (map.size <= max) return undefined;
  const [first] = map;
  map.delete(first![0]);
  return first;
}
