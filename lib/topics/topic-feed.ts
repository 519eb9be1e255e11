import type { Buffer } from 'node:buffer';
import type { GapReason } from '../errors.ts';
import { warnOnce } from '../warnings.ts';
import type { Broker, BrokerMessage } from './broker.ts';
import { isMessage, readPage, readTop } from './broker-answers.ts';
import { decodeEnvelope } from './envelope.ts';
import type { Place } from './position.ts';
import type { Topic } from './topic.ts';
import { PAGE_MESSAGES, type TopicEntry, TopicGap, TopicMessage } from './topic-entry.ts';
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './topic-reader.ts';

/**
 * Makes of a message of a broker what a topic has: itself, or a gap where nobody here can read it.
 *
 * @param before - what it comes behind
 * @param origin - this process, as in envelopes
 */
export function openMessage(topic: string, before: Place, message: BrokerMessage, origin: Buffer): TopicEntry {
  const envelope = decodeEnvelope(message.data, origin);
  if (envelope !== undefined) {
    return new TopicMessage(before.epoch, message.previous, message.offset, envelope.body, envelope.sender, true);
  }
  warnOnce('WS_WARN_TOPIC_ENVELOPE', `topic ${JSON.stringify(topic)}`);
  return new TopicGap(topic, before, { epoch: before.epoch, offset: message.offset }, 'skipped', 1);
}

interface Waiting {
  readonly epoch: string;
  readonly message: BrokerMessage;
}

/**
 * Brings the messages of one topic from the broker to its `Topic`: in order, each once, with a gap where some are missing.
 *
 * A message is the next one if the one before it was seen. If it was not, or when the connection has been away, messages
 * wait until what is missing was read, or cannot be.
 */
export class TopicFeed {
  readonly #topic: Topic;
  readonly #broker: Broker;
  readonly #origin: Buffer;
  readonly #maxWaiting: number;
  /** What came while something was missing. */
  #waiting: Waiting[] = [];
  /** The newest message of all, as far as is known. */
  #newest = 0;
  /** Whether the broker is being asked: all that comes waits. */
  #isBusy = true;
  /** Whether the broker is to be asked how far the topic has got. */
  #isInDoubt = false;
  #isClosed = false;
  #retryMs = FIRST_RETRY_MS;
  /** Ends the wait before the broker is asked again. */
  #poke: (() => void) | undefined;

  /** @param origin - this process, as in envelopes */
  constructor(topic: Topic, broker: Broker, origin: Buffer, maxWaiting: number) {
    this.#topic = topic;
    this.#broker = broker;
    this.#origin = origin;
    this.#maxWaiting = maxWaiting;
  }

  /** Subscribes at the broker. Until this resolves the place of the topic is nothing. Rejects with the broker's error. */
  async join(): Promise<void> {
    const top = readTop(await this.#broker.subscribe(this.#topic.name));
    this.#topic.beginAt(top);
    this.#newest = top.offset;
    void this.#catchUp();
  }

  /** What the broker tells of this topic. */
  receive(epoch: string, message: BrokerMessage): void {
    if (!isMessage(message)) {
      // It is as if it was lost.
      this.check();
      return;
    }
    const topic = this.#topic;
    const isNext = epoch === topic.epoch && message.previous <= topic.offset;
    if (this.#isBusy || !isNext) this.#keep(epoch, message);
    else if (message.offset > topic.offset) this.#accept(message);
  }

  /** The connection is there again, or something is wrong with the epoch: asks how far the topic has got. */
  check(): void {
    this.#isInDoubt = true;
    this.#retryMs = FIRST_RETRY_MS;
    this.#poke?.();
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#poke?.();
  }

  #keep(epoch: string, message: BrokerMessage): void {
    // The oldest stay: they are the next ones. What is thrown away is read again when they are taken.
    if (this.#waiting.length < this.#maxWaiting) this.#waiting.push({ epoch, message });
    else if (epoch === this.#topic.epoch) this.#newest = Math.max(this.#newest, message.offset);
    else this.#isInDoubt = true;
    this.#wake();
  }

  #accept(message: BrokerMessage): void {
    const topic = this.#topic;
    topic.tally.received++;
    const entry = openMessage(topic.name, topic, message, this.#origin);
    if (entry instanceof TopicGap) topic.skip(entry);
    else topic.accept(entry);
  }

  #wake(): void {
    if (!this.#isBusy) void this.#catchUp();
  }

  /** Asks the broker until nothing is missing. Never rejects. */
  async #catchUp(): Promise<void> {
    this.#isBusy = true;
    while (!this.#isClosed) {
      try {
        if (this.#isInDoubt) await this.#ask();
        this.#takeWaiting();
        const hasAll = this.#waiting.length === 0 && this.#newest <= this.#topic.offset;
        if (hasAll && !this.#isInDoubt) break;
        if (!this.#isInDoubt) await this.#readOn();
      } catch {
        this.#isInDoubt = true;
        await this.#pause();
      }
    }
    this.#isBusy = false;
  }

  /** Asks how far the topic has got. */
  async #ask(): Promise<void> {
    const topic = this.#topic;
    // There may be a new reason meanwhile.
    this.#isInDoubt = false;
    const top = readTop(await this.#broker.subscribe(topic.name));
    this.#waiting = this.#waiting.filter(({ epoch }) => epoch === top.epoch);
    if (top.epoch === topic.epoch) {
      this.#newest = Math.max(this.#newest, top.offset);
      return;
    }
    // What has come of the new epoch is behind the gap, and not in it.
    this.#newest = top.offset;
    this.#skipTo({ epoch: top.epoch, offset: Math.min(top.offset, this.#firstPrevious(top.epoch, 0)) }, 'epoch');
  }

  /** Takes those that wait and are next. */
  #takeWaiting(): void {
    const topic = this.#topic;
    const waiting = this.#waiting.sort((a, b) => a.message.offset - b.message.offset);
    this.#waiting = [];
    for (const one of waiting) {
      if (one.epoch !== topic.epoch) this.#isInDoubt = true;
      const isNext = one.epoch === topic.epoch && one.message.previous <= topic.offset;
      if (!isNext) this.#waiting.push(one);
      else if (one.message.offset > topic.offset) this.#accept(one.message);
    }
  }

  /** Reads a page of what is missing, and skips what the broker no longer has. */
  async #readOn(): Promise<void> {
    const topic = this.#topic;
    const after = topic.offset;
    // All that is known to be there when the broker is asked: what it does not have of it then, it has no more.
    const known = Math.max(this.#newest, this.#waiting.at(-1)?.message.offset ?? 0);
    const page = readPage(await this.#broker.read(topic.name, after, PAGE_MESSAGES), after);
    if (page.epoch !== topic.epoch) {
      this.#isInDoubt = true;
      await this.#pause();
      return;
    }
    this.#retryMs = FIRST_RETRY_MS;
    this.#newest = Math.max(this.#newest, page.offset);
    topic.recover(page.messages.length);
    for (const message of page.messages) this.#waiting.push({ epoch: page.epoch, message });
    const next = Math.min(Math.max(page.offset, known), this.#firstPrevious(page.epoch, after));
    if (next > after) this.#skipTo({ epoch: topic.epoch, offset: next }, 'history');
  }

  /** What comes right before the first of those that wait, and are behind an offset of this epoch. */
  #firstPrevious(epoch: string, after: number): number {
    let first = Number.POSITIVE_INFINITY;
    for (const one of this.#waiting) {
      if (one.epoch === epoch && one.message.offset > after) first = Math.min(first, one.message.previous);
    }
    return first;
  }

  #skipTo(place: Place, reason: GapReason): void {
    this.#topic.skip(new TopicGap(this.#topic.name, this.#topic, place, reason, Number.NaN));
  }

  /** Waits a while, or until there is reason to ask again. */
  async #pause(): Promise<void> {
    const retryMs = this.#retryMs;
    this.#retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryMs);
      timer.unref();
      this.#poke = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#poke = undefined;
  }
}
