/** Where a topic stands at its broker: the newest message of all, whether or not it is still kept. */
export interface BrokerTop {
  /**
   * Names one life of the topic's order: another one says that the broker cannot tell what lies between a position of
   * before and now. Letters, digits, `-` and `_`.
   */
  readonly epoch: string;
  /** The offset of the newest message, 0 before the first. */
  readonly offset: number;
}

/** One message of a topic, as its broker has it. */
export interface BrokerMessage {
  /** Grows from message to message of an epoch, from 1 on; not always by one. A safe integer. */
  readonly offset: number;
  /**
   * The offset of the message before, 0 before the first: whoever has seen that one, or a later one, misses nothing. Where the
   * broker no longer knows it, the offset itself less one.
   */
  readonly previous: number;
  /** What was published, to the byte. Whoever is told owns it. */
  readonly data: Uint8Array;
}

/** Messages that are kept, in their order. */
export interface BrokerPage extends BrokerTop {
  readonly messages: readonly BrokerMessage[];
}

/** What a broker tells. None of these throws. */
export interface BrokerEvents {
  /**
   * A message of a topic that is subscribed. Twice, or one that is long known, does no harm; one that is left out is noticed
   * with the next, by its `previous`.
   */
  message(topic: string, epoch: string, message: BrokerMessage): void;
  /** What another process, or this one, gave to `signal`. */
  signal(topic: string | undefined, data: Uint8Array): void;
  /**
   * The connection is there again, or messages may have been lost while it was there: each topic is subscribed again, so as
   * to learn how far it has got.
   */
  up(): void;
  /** The connection was lost: nothing can be published until `up`. */
  down(error: Error): void;
}

/** What a broker is to keep. */
export interface BrokerSettings {
  /** How many messages of each topic, at least; 0 for none. */
  readonly historyMessages: number;
  /** For how long, in milliseconds; from then on they may be forgotten. */
  readonly historyMs: number;
}

/**
 * What carries topics from process to process. It orders the messages of each topic, the same for all processes, and keeps
 * the last ones; everything else is done above it.
 *
 * Every method may be called at any time after `open`, also while the connection is lost: it rejects then, soon, or waits for no
 * more than some seconds. A rejection never says whether the message was published.
 */
export interface Broker {
  /** For errors and counters, such as `'redis'`. */
  readonly name: string;
  /** Connects. Called once, before all others. Rejects if the broker cannot be used: the error says what to change. */
  open(events: BrokerEvents, settings: BrokerSettings): Promise<void>;
  /**
   * Has `events.message` told of each message of a topic behind the top with which this resolves; those may come before it
   * resolves, too. For a topic that is subscribed already it sees to it that this holds, and resolves with the top of now.
   */
  subscribe(topic: string): Promise<BrokerTop>;
  /** The opposite. Messages may come for a moment more. */
  unsubscribe(topic: string): Promise<void>;
  /**
   * Orders a message, and keeps it where there is history. Resolves with its place; with that of the first, if one with the
   * same `id` was published to this topic within five minutes. What one process publishes to a topic is ordered as it was
   * published, also where it has not waited for the one before.
   */
  publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop>;
  /**
   * Reads what is kept behind an offset: the oldest first, at most `limit`, and fewer where messages are large, but not none where
   * there are some; and where the topic stands.
   */
  read(topic: string, after: number, limit: number): Promise<BrokerPage>;
  /**
   * Passes bytes to every process, this one included: to those that are subscribed to a topic, or to all. In no order, kept
   * nowhere, and lost without a word where the connection is.
   */
  signal(topic: string | undefined, data: Uint8Array): Promise<void>;
  /** Lets go of what `open` has made, and of nothing that the user has made. No event comes any more. */
  close(): Promise<void>;
}
