import type { BrokerMessage, BrokerPage, BrokerTop } from '../topics/broker.ts';
import type { NatsMessage } from './nats-connection.ts';
import { FollowedTopic } from './nats-followed.ts';
import { unavailable } from './nats-link.ts';
import type { NatsOrder, OrderEvents } from './nats-orders.ts';
import { type NatsStream, StreamGoneError, saysGone } from './nats-stream.ts';
import { hashOfId, lastWordOf } from './nats-subjects.ts';

/** How many topics are asked for at once, at most. */
const AT_ONCE = 100;
/** How often a page is asked for that has less than it should. */
const TRIES = 3;

/**
 * The order of JetStream. Each message that is stored it passes on at once, by core NATS, with its number and that of the one
 * before it in the same topic: so a process knows at once what it has missed, and no server has to remember who reads how far.
 *
 * Core NATS loses messages without a word, between servers of a cluster. The next message of the topic tells; and where none comes,
 * the topic is asked for once a minute.
 */
export class JetStreamOrder implements NatsOrder {
  readonly #stream: NatsStream;
  readonly #events: OrderEvents;
  readonly #quietChecks: number;
  readonly #followed = new Map<string, FollowedTopic>();
  #round = 0;
  /** The epoch has become another one, and nobody was told yet. */
  #isAnother = false;

  /** @param quietChecks - after how many checks a topic in which nothing happens is asked for */
  constructor(stream: NatsStream, events: OrderEvents, quietChecks: number) {
    this.#stream = stream;
    this.#quietChecks = quietChecks;
    this.#events = events;
  }

  async check(): Promise<boolean> {
    await this.#stream.check(() => {
      this.#isAnother = true;
      for (const followed of this.#followed.values()) followed.forget();
    });
    this.#round++;
    const isAnother = this.#isAnother;
    if (!isAnother) await this.#confirm();
    this.#isAnother = false;
    return isAnother;
  }

  lost(): void {
    // What was missed tells itself.
  }

  close(): void {
    for (const followed of this.#followed.values()) followed.end();
    this.#followed.clear();
  }

  /** Asks for topics in which nothing has happened for long. */
  async #confirm(): Promise<void> {
    const due: Promise<void>[] = [];
    for (const [topic, followed] of this.#followed) {
      if (followed.newest === undefined || this.#round - followed.round < this.#quietChecks) continue;
      due.push(this.#confirmOne(topic, followed));
      if (due.length === AT_ONCE) break;
    }
    await Promise.all(due);
  }

  async #confirmOne(topic: string, followed: FollowedTopic): Promise<void> {
    const { epoch, lastSeq } = this.#stream;
    const last = await this.#stream.last(this.#stream.subjectOf(topic));
    if (this.#followed.get(topic) !== followed || followed.newest === undefined || epoch !== this.#stream.epoch) return;
    if (last === undefined || last.seq <= followed.newest) {
      followed.confirm(lastSeq, this.#round);
      return;
    }
    // Whether it is all that was missed, who reads behind the last one learns.
    followed.receive({ offset: last.seq, previous: last.seq - 1, data: last.data }, this.#round);
  }

  receive(topic: string, message: NatsMessage): void {
    const { headers } = message;
    const offset = Number(headers?.get('Nats-Sequence'));
    const followed = this.#followed.get(topic);
    // Whoever may publish to the subject itself may be anyone.
    if (followed === undefined || !Number.isSafeInteger(offset) || offset < 1) return;
    // Of another stream, made since the last check: what comes of it is missed until then, and that is told.
    if (lastWordOf(message.subject) !== this.#stream.life) {
      this.#events.checkNow();
      return;
    }
    const previous = Number(headers?.get('Nats-Last-Sequence')) || this.#previousOf(offset, followed);
    this.#stream.saw(offset);
    followed.receive({ offset, previous, data: new Uint8Array(message.data) }, this.#round);
  }

  /** What came before a message when JetStream keeps nothing else of its topic: nothing, or what has been forgotten since. */
  #previousOf(offset: number, { newest, confirmed }: FollowedTopic): number {
    // What came behind `confirmed` has not been forgotten: so there was nothing.
    const { firstSeq } = this.#stream;
    if (newest === undefined || newest >= offset || confirmed < firstSeq - 1) return offset - 1;
    return Math.min(newest, firstSeq - 1);
  }

  subscribe(topic: string): Promise<BrokerTop> {
    if (!this.#followed.has(topic)) this.#followed.set(topic, this.#follow(topic));
    return this.#look(() => this.#topOf(topic));
  }

  #follow(topic: string): FollowedTopic {
    return new FollowedTopic((message) => this.#events.message(topic, this.#stream.epoch, message));
  }

  async #topOf(topic: string): Promise<BrokerTop> {
    const { epoch, lastSeq } = this.#stream;
    const subject = this.#stream.subjectOf(topic);
    const followed = this.#followed.get(topic);
    const last = await this.#stream.last(subject);
    const offset = last?.seq ?? (await this.#topOfQuiet(subject, followed));
    if (epoch === this.#stream.epoch) followed?.stand(offset, lastSeq, this.#round);
    return { epoch, offset };
  }

  /** Looks once more where the stream has become another one meanwhile. */
  #look<T extends BrokerTop>(look: () => Promise<T>): Promise<T> {
    return this.#again(async () => {
      const found = await look();
      if (found.epoch !== this.#stream.epoch) throw new StreamGoneError();
      return found;
    });
  }

  /** Asks once more where there was no such stream, when there is one. */
  async #again<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!saysGone(error)) throw error;
      await this.#events.renew();
      return ask();
    }
  }

  /** The top of a topic of which nothing is kept: what it was, if nothing came since. */
  async #topOfQuiet(subject: string, followed: FollowedTopic | undefined): Promise<number> {
    const { newest, confirmed = 0 } = followed ?? {};
    if (newest === undefined) return this.#stream.quietTop;
    const { behind } = await this.#stream.allBehind(subject, confirmed);
    return behind === confirmed ? newest : this.#stream.quietTop;
  }

  unsubscribe(topic: string): void {
    this.#followed.get(topic)?.end();
    this.#followed.delete(topic);
  }

  publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    const hash = id === undefined ? undefined : hashOfId(topic, id).toString('base64url');
    return this.#again(async () => {
      const { epoch } = this.#stream;
      return { epoch, offset: await this.#stream.publish(this.#stream.subjectOf(topic), data, hash) };
    });
  }

  read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    return this.#look(() => this.#read(topic, after, limit));
  }

  async #read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    const { epoch, lastSeq } = this.#stream;
    const subject = this.#stream.subjectOf(topic);
    for (let tries = 0; tries < TRIES; tries++) {
      const [last, next] = await Promise.all([this.#stream.last(subject), this.#stream.next(subject, after + 1)]);
      if (last === undefined) return { epoch, offset: await this.#standing(subject, after, lastSeq), messages: [] };
      if (last.seq <= after) return { epoch, offset: last.seq, messages: [] };
      const kept = next?.seq === last.seq ? [last] : await this.#stream.page(subject, after, last.seq, limit);
      // What is forgotten while it is read leaves holes: so it is asked behind it.
      const { behind, oldest } = await this.#stream.allBehind(subject, after);
      let certain = kept.filter(({ seq }) => seq > behind);
      // All that was read is forgotten meanwhile: this one is what comes behind it.
      if (certain.length === 0 && behind > after && oldest !== undefined) certain = [oldest];
      let previous = behind;
      const messages: BrokerMessage[] = certain.map(({ seq, data }) => {
        const message = { offset: seq, previous, data };
        previous = seq;
        return message;
      });
      // Otherwise what was the last was purged, or the server that was asked does not have it yet.
      if (messages.length > 0) return { epoch, offset: Math.max(last.seq, previous), messages };
    }
    throw unavailable('JetStream does not give the messages that it says it keeps');
  }

  /**
   * Where a topic stands of which nothing is kept: where the reader does, if that one has missed nothing. `lastSeq` was known
   * before it was seen that nothing is kept: what came since is behind it.
   */
  async #standing(subject: string, after: number, lastSeq: number): Promise<number> {
    const { behind } = await this.#stream.allBehind(subject, after);
    // So far the stream has never been.
    if (after > this.#stream.lastSeq) return lastSeq;
    return behind === after ? after : Math.max(lastSeq, after + 1);
  }
}
