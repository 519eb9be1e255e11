import { topicPublished } from '../diagnostics.ts';
import { ChannelClosedError, InvalidStateError } from '../errors.ts';
import { checkNames, show } from '../wording.ts';
import type { TopicBackend } from './backend.ts';
import { BrokerBackend } from './broker-backend.ts';
import { checkAfter, checkId, checkOnGap, checkTopic, checkTopicBody } from './checks.ts';
import { ConnectionSubscription, type TopicConnection, type TopicWire } from './connection-subscription.ts';
import { LocalBackend } from './local-backend.ts';
import type { Position } from './position.ts';
import { Presence } from './presence.ts';
import type { PresenceBook } from './presence-book.ts';
import { makeLocalBook, PresenceHost } from './presence-host.ts';
import { type HistoryPage, readHistory } from './read-history.ts';
import type {
  ConnectionSubscribeOptions,
  PresenceSeat,
  PublishOptions,
  SubscribeOptions,
} from './subscribe-options.ts';
import { Topic } from './topic.ts';
import { PAGE_MESSAGES, type TopicPage } from './topic-entry.ts';
import type { WhenBehind } from './topic-reader.ts';
import { TopicSubscription } from './topic-subscription.ts';
import { type TopicsStats, TopicTally } from './topic-tally.ts';
import { type ResolvedTopicsOptions, resolveTopicsOptions, type TopicsOptions } from './topics-options.ts';

/** A connection and its topics. Made with the first. */
interface Member {
  readonly number: number;
  readonly subscriptions: Map<string, Subscribed>;
}

interface Subscribed {
  readonly subscription: ConnectionSubscription;
  /** Resolves with it when it has begun. */
  readonly begun: Promise<ConnectionSubscription>;
}

const WHEN_BEHIND: readonly string[] = ['catchUp', 'skip', 'latest', 'end'] satisfies WhenBehind[];

/** Numbers of connections in envelopes are below. */
const MAX_NUMBER = 2 ** 32 - 1;

/**
 * Topics: what is published to one goes to all that are subscribed to it, in the same order for all, in this process or, with a
 * broker, in many. What a subscriber gets is gapless, in order and once, or it is told exactly where a gap is.
 */
export class Topics {
  readonly #options: ResolvedTopicsOptions;
  readonly #backend: TopicBackend;
  readonly #topics = new Map<string, Topic>();
  readonly #members = new Map<TopicConnection, Member>();
  readonly #tally = new TopicTally();
  readonly #presenceHost: PresenceHost | undefined;
  readonly #book: PresenceBook;
  #lastNumber = 0;
  #closed: Promise<void> | undefined;

  /** @throws {TypeError} for an option that does not exist, {RangeError} for a value it cannot have */
  constructor(options: TopicsOptions = {}) {
    this.#options = resolveTopicsOptions(options);
    const { broker } = this.#options;
    this.#backend = broker === undefined ? new LocalBackend(this.#options) : new BrokerBackend(broker, this.#options);
    if (this.#backend instanceof BrokerBackend) {
      this.#presenceHost = new PresenceHost(this.#backend, (topic) => this.#listen(topic));
    }
    this.#book = this.#presenceHost?.book ?? makeLocalBook();
  }

  /** Whether the broker can be reached; without one always. */
  get isConnected(): boolean {
    return this.#backend.isConnected;
  }

  /** Resolves when the broker can be used, and rejects with BrokerError if it cannot; `undefined` where there is none. @internal */
  get opened(): Promise<void> | undefined {
    return this.#backend instanceof BrokerBackend ? this.#backend.opened : undefined;
  }

  /**
   * Publishes a message to all that are subscribed to a topic: a string as text, bytes as binary.
   *
   * @returns its position, once it is ordered, and kept where there is history. Rejects with BrokerError when nobody knows
   * whether it is: to publish it again with the same `id` is safe. Not awaiting it is safe, too.
   * @throws {TypeError | RangeError} for what names no topic, is no body or no id
   */
  publish(topic: string, body: string | Uint8Array, options?: PublishOptions): Promise<Position> {
    return this.#publish(topic, body, options, 0);
  }

  /**
   * Subscribes to a topic, for code.
   *
   * @returns the subscription, once it has begun. Rejects with BrokerError when the broker cannot be reached.
   * @throws {TypeError | RangeError} for what names no topic, and for options that it cannot have
   */
  subscribe(topic: string, options: SubscribeOptions = {}): Promise<TopicSubscription> {
    checkNames('subscribe', options, ['after', 'whenBehind', 'presence']);
    const after = checkAfter(options.after);
    const whenBehind = this.#whenBehind(options);
    const name = checkTopic(topic);
    this.#checkOpen();
    const holder = {};
    this.#takeSeat(name, holder, options.presence);
    return unwatched(this.#beginForCode(this.#enter(name), after, whenBehind, holder));
  }

  /**
   * Reads what is kept of a topic.
   *
   * @param after - behind this position; unless given, the newest there are
   * @param limit - how many messages at most; unless given, all
   * @returns the messages, and the position to go on from. Rejects with BrokerError when the broker cannot be reached.
   * @throws {TypeError | RangeError} for what names no topic, and what is no position or limit
   */
  history(topic: string, after?: string, limit: number = Number.POSITIVE_INFINITY): Promise<HistoryPage> {
    this.#checkOpen();
    const name = checkTopic(topic);
    checkAfter(after);
    if (!(limit >= 1 && (Number.isInteger(limit) || limit === Number.POSITIVE_INFINITY))) {
      throw new RangeError(`limit is ${show(limit)}: give a whole number of messages from 1 on`);
    }
    return unwatched(readHistory(name, after, limit, (offset) => this.#read(name, offset)));
  }

  /**
   * The members of a topic, over all processes: those who subscribed with `presence`. A snapshot, and then the changes.
   *
   * @throws {TypeError | RangeError} for what names no topic
   */
  presence<Info = unknown>(topic: string): Presence<Info> {
    this.#checkOpen();
    return new Presence(this.#book, checkTopic(topic));
  }

  /** How many subscriptions to a topic there are in this process, of connections and of code. */
  size(topic: string): number {
    return subscribersOf(this.#topics.get(topic));
  }

  /** Counters, for metrics: a copy of what they are now. */
  stats(): TopicsStats {
    let subscriptions = 0;
    for (const topic of this.#topics.values()) subscriptions += subscribersOf(topic);
    const presence = this.#book.stats();
    return { isConnected: this.isConnected, topics: this.#topics.size, subscriptions, ...this.#tally, presence };
  }

  /**
   * Ends all subscriptions, and lets go of the broker: what the user has made, such as its client, goes on. Rejects with
   * BrokerError if the broker fails at that.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  // --- for connections --------------------------------------------------------------------------------------------

  /**
   * Subscribes a connection: it is sent each message, until it leaves. One that is in the topic stays as it is.
   *
   * @param wire - what it is sent, where that is more than the bodies
   * @internal
   */
  join(
    connection: TopicConnection,
    topic: string,
    options: ConnectionSubscribeOptions = {},
    wire?: TopicWire,
  ): Promise<ConnectionSubscription> {
    checkNames('subscribe', options, ['after', 'whenBehind', 'presence', 'onGap']);
    const after = checkAfter(options.after);
    const onGap = checkOnGap(options.onGap);
    const whenBehind = this.#whenBehind(options);
    const name = checkTopic(topic);
    if (!connection.canSend) return unwatched(Promise.reject(connection.closedError()));
    this.#checkOpen();
    const { subscriptions, number } = this.#memberOf(connection);
    const present = subscriptions.get(name);
    if (wire !== undefined && present === undefined && subscriptions.size > 0) {
      return unwatched(Promise.reject(new InvalidStateError('WS_ERR_POSITIONS_ONE_TOPIC')));
    }
    this.#takeSeat(name, connection, options.presence);
    if (present !== undefined) return present.begun;
    const entered = this.#enter(name);
    const all = { after, whenBehind, onGap, wire };
    const subscription = new ConnectionSubscription(entered, connection, number, all, () => {
      subscriptions.delete(name);
      this.#book.leave(name, connection);
      this.#release(entered);
    });
    // First of all: the handler of a gap with which it begins may end it, or subscribe once more.
    let begin!: (begun: Promise<ConnectionSubscription>) => void;
    const begun = new Promise<ConnectionSubscription>((resolve) => {
      begin = resolve;
    });
    subscriptions.set(name, { subscription, begun: unwatched(begun) });
    begin(this.#beginForConnection(subscription, entered, connection));
    return begun;
  }

  /** Ends a subscription of a connection; returns false, and does nothing, if there is none. @internal */
  part(connection: TopicConnection, topic: string): boolean {
    return this.#members.get(connection)?.subscriptions.get(topic)?.subscription.unsubscribe() ?? false;
  }

  /** The topics that a connection is in. @internal */
  topicsOf(connection: TopicConnection): string[] {
    return [...(this.#members.get(connection)?.subscriptions.keys() ?? [])];
  }

  /** Publishes to everyone but a connection. @internal */
  publishFrom(
    connection: TopicConnection,
    topic: string,
    body: string | Uint8Array,
    options?: PublishOptions,
  ): Promise<Position> {
    const isLater = this.#backend instanceof BrokerBackend && connection.canSend;
    // It may subscribe before its message is back from the broker.
    const member = isLater ? this.#memberOf(connection) : this.#members.get(connection);
    return this.#publish(topic, body, options, member?.number ?? 0);
  }

  /** Says that a connection is over: it leaves all its topics. @internal */
  forget(connection: TopicConnection): void {
    const member = this.#members.get(connection);
    if (member === undefined) return;
    this.#members.delete(connection);
    for (const { subscription } of [...member.subscriptions.values()]) subscription.unsubscribe();
  }

  // ----------------------------------------------------------------------------------------------------------------

  #publish(
    topic: string,
    body: string | Uint8Array,
    options: PublishOptions | undefined,
    sender: number,
  ): Promise<Position> {
    this.#checkOpen();
    const known = this.#topics.get(topic);
    if (known === undefined) checkTopic(topic);
    checkTopicBody(body);
    let id: string | undefined;
    if (options !== undefined) {
      checkNames('publish', options, ['id']);
      if (options.id !== undefined) id = checkId(options.id);
    }
    const published = this.#backend.publish(topic, known, body, id, sender);
    if (topicPublished.hasSubscribers) tellPublished(topic, body, published);
    if (this.#backend instanceof LocalBackend) {
      this.#tally.published++;
      return published;
    }
    published.then(
      () => this.#tally.published++,
      () => this.#tally.failed++,
    );
    return published;
  }

  async #read(name: string, after: number): Promise<TopicPage> {
    return this.#backend.read(name, this.#topics.get(name), after, PAGE_MESSAGES);
  }

  #whenBehind({ whenBehind }: SubscribeOptions): WhenBehind {
    if (whenBehind === undefined) return this.#options.historyMessages > 0 ? 'catchUp' : 'skip';
    if (WHEN_BEHIND.includes(whenBehind)) return whenBehind;
    throw new RangeError(`whenBehind is ${show(whenBehind)}: give one of ${WHEN_BEHIND.join(', ')}`);
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new InvalidStateError('WS_ERR_TOPICS_CLOSED');
  }

  #memberOf(connection: TopicConnection): Member {
    let member = this.#members.get(connection);
    if (member === undefined) {
      // From 1 on, also when it begins again.
      this.#lastNumber = (this.#lastNumber % MAX_NUMBER) + 1;
      member = { number: this.#lastNumber, subscriptions: new Map() };
      this.#members.set(connection, member);
    }
    return member;
  }

  /** Counts one more subscription to a topic, which is opened with the first. */
  #enter(name: string): Topic {
    this.#checkOpen();
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new Topic(name, this.#options.capacity, this.#backend, this.#tally, this.#backend.placeOf(name));
      this.#topics.set(name, topic);
      topic.subscriptions = 1;
      this.#open(topic);
    } else topic.subscriptions++;
    return topic;
  }

  #open(topic: Topic): void {
    topic.joining = this.#backend.open(topic);
    topic.joining?.then(
      () => {
        topic.joining = undefined;
      },
      // Those who wait for it are told, and it goes with the last of them.
      () => {},
    );
  }

  /** Begins a subscription of code when its topic is there. */
  async #beginForCode(
    topic: Topic,
    after: string | undefined,
    whenBehind: WhenBehind,
    holder: object,
  ): Promise<TopicSubscription> {
    const release = (): void => {
      this.#book.leave(topic.name, holder);
      this.#release(topic);
    };
    try {
      // Without a broker there is nothing to wait for: it begins before anything else is published.
      if (topic.joining !== undefined) await topic.joining;
      return new TopicSubscription(topic, after, whenBehind, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Begins that of a connection, which may be over by then. */
  async #beginForConnection(
    subscription: ConnectionSubscription,
    { joining }: Topic,
    connection: TopicConnection,
  ): Promise<ConnectionSubscription> {
    try {
      if (joining !== undefined) await joining;
    } catch (error) {
      subscription.unsubscribe();
      throw error;
    }
    if (!connection.canSend) {
      subscription.unsubscribe();
      throw connection.closedError();
    }
    if (subscription.isOver) throw new ChannelClosedError();
    subscription.start();
    return subscription;
  }

  #takeSeat(topic: string, holder: object, presence: PresenceSeat | undefined): void {
    if (presence === undefined) return;
    checkNames('presence', presence, ['key', 'info']);
    this.#book.join(topic, holder, presence.key, presence.info);
  }

  /** Has what concerns a topic come here, for the sake of its signals; resolves with what ends that. */
  async #listen(name: string): Promise<() => void> {
    const topic = this.#enter(name);
    topic.listeners++;
    const end = (): void => {
      topic.listeners--;
      this.#release(topic);
    };
    try {
      await topic.joining;
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  #release(topic: Topic): void {
    topic.subscriptions--;
    if (topic.subscriptions > 0) return;
    if (this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name);
    this.#backend.leave(topic);
  }

  async #close(): Promise<void> {
    for (const connection of [...this.#members.keys()]) this.forget(connection);
    for (const topic of [...this.#topics.values()]) topic.close();
    await this.#presenceHost?.close();
    this.#book.close();
    this.#topics.clear();
    await this.#backend.close();
  }
}

function subscribersOf(topic: Topic | undefined): number {
  return topic === undefined ? 0 : topic.subscriptions - topic.listeners;
}

/** Tells those who look on what becomes of a message. */
function tellPublished(topic: string, body: string | Uint8Array, published: Promise<Position>): void {
  const begin = performance.now();
  const tell = (position: Position | undefined, error: unknown): void => {
    topicPublished.publish({ topic, body, position, error, durationMs: performance.now() - begin });
  };
  published.then(
    (position) => tell(position, undefined),
    (error) => tell(undefined, error),
  );
}

/** Sees to it that the process lives when nobody awaits a promise and it rejects. */
function unwatched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
