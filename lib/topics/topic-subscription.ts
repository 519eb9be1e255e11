import { WaitingPlace } from '../broadcast/waiting-list.ts';
import { iterate } from '../channel/iterate.ts';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { ReceiveSource } from '../channel/receive-source.ts';
import { ChannelClosedError } from '../errors.ts';
import type { Position } from './position.ts';
import type { Topic } from './topic.ts';
import { type TopicEntry, TopicGap, type TopicMessage } from './topic-entry.ts';
import { TopicReader, type WhenBehind } from './topic-reader.ts';

/** What a subscription holds in a topic, apart from it: one that was forgotten is to leave. */
interface Hold {
  readonly reader: TopicReader;
  release(): void;
}

const forgotten = new FinalizationRegistry<Hold>((hold) => leave(hold));

function leave({ reader, release }: Hold): void {
  reader.close();
  release();
}

/**
 * A subscription to a topic for code: each message is the neighbour of the one before, or a GapError stands between them.
 *
 * `unsubscribe` it, leave its `for await` loop, or declare it with `using`, when it is no longer needed. One that is only
 * forgotten leaves when the garbage collector finds it.
 */
export class TopicSubscription extends ReceiveSource<TopicMessage> {
  readonly #topic: Topic;
  readonly #hold: Hold;
  readonly #place: WaitingPlace<TopicSubscription> = new WaitingPlace(this as TopicSubscription);
  /** What was passed over for a receive that came earlier and has not taken its value yet. */
  #heldBack: TopicEntry[] = [];
  #position: Position;
  #hasLeft = false;

  /** Is made by `Topics.subscribe`. @param release - says that it has left @internal */
  constructor(topic: Topic, after: string | undefined, whenBehind: WhenBehind, release: () => void) {
    super();
    this.#topic = topic;
    const reader = new TopicReader(topic, after, whenBehind, () => topic.wake());
    this.#hold = { reader, release };
    this.#position = reader.position;
    forgotten.register(this, this.#hold, this);
  }

  /** The name of the topic. */
  get topic(): string {
    return this.#topic.name;
  }

  /** Behind what was received last; before that, where it begins. */
  get position(): Position {
    return this.#position;
  }

  /** How many messages were skipped since it was too slow. */
  get dropped(): number {
    return this.#hold.reader.dropped;
  }

  /**
   * Starts a receive of the next message. It can be given to `select`.
   *
   * Rejects with GapError where messages are missing: the next one gets what is behind the gap. Rejects with ChannelClosedError
   * when it has ended: by `unsubscribe`, by `topics.close`, or since it was too slow for `whenBehind: 'end'`.
   *
   * @throws {RangeError} `timeoutMs` is negative or not a number
   */
  recv(options?: ReceiveOptions): Receive<TopicMessage> {
    const receive = this.reserve(options);
    // It waits for the topic, if there is nothing.
    this.available();
    return receive;
  }

  /**
   * Leaves the topic, and lets go of what was not received: receives that are waiting reject with ChannelClosedError.
   *
   * @returns false if it had left already
   */
  unsubscribe(): boolean {
    if (this.#hasLeft) return false;
    this.#hasLeft = true;
    this.#heldBack = [];
    forgotten.unregister(this);
    this.#topic.stopWaiting(this.#place);
    leave(this.#hold);
    this.settle();
    return true;
  }

  [Symbol.dispose](): void {
    this.unsubscribe();
  }

  /**
   * Iterates over the messages as they come. The loop ends when the subscription does, and leaving it unsubscribes. It throws
   * GapError where messages are missing; the subscription stays then, and a new loop goes on.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<TopicMessage> {
    return iterate(this);
  }

  /** @internal */
  override leave(receive: Receive<unknown>): void {
    super.leave(receive);
    // A quiet topic must not hold on to a subscription that has given up waiting.
    if (this.waiting <= this.available()) this.#topic.stopWaiting(this.#place);
  }

  /** @internal */
  override taken(): void {
    // What was taken may have been the last of a page: more of what there is can be offered now.
    this.settle();
  }

  /** Gives the receives what there is; returns whether any still waits. @internal */
  wake(): boolean {
    this.settle();
    return this.waiting > this.available();
  }

  protected override available(): number {
    const { reader } = this.#hold;
    const entries = reader.available();
    if (entries === 0 && (reader.isEnded || this.#topic.isClosed)) return Number.POSITIVE_INFINITY;
    const available = this.#heldBack.length + entries;
    // Also where there was something when it began to wait: that may have left the ring, and is read from the history.
    if (this.waiting > available) this.#topic.wait(this.#place);
    return available;
  }

  protected override takeAt(index: number): TopicMessage {
    if (index < this.#heldBack.length) return this.#open(this.#heldBack.splice(index, 1)[0]!);
    const { reader } = this.#hold;
    // There may be fewer when it has ended: every place has its outcome then, which is that end.
    for (let entry = reader.take(); entry !== undefined; entry = reader.take()) {
      if (this.#heldBack.length === index) return this.#open(entry);
      this.#heldBack.push(entry);
    }
    throw new ChannelClosedError();
  }

  #open(entry: TopicEntry): TopicMessage {
    if (!(entry instanceof TopicGap)) {
      this.#position = entry.position;
      return entry;
    }
    this.#position = entry.error.position as Position;
    throw entry.error;
  }
}
