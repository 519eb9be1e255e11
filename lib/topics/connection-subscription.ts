import { WaitingPlace } from '../broadcast/waiting-list.ts';
import { type GapError, LimitError } from '../errors.ts';
import { type Position, parsePosition } from './position.ts';
import type { Topic, TopicWaiter } from './topic.ts';
import { type TopicEntry, TopicGap, type TopicMessage } from './topic-entry.ts';
import { TopicReader, type WhenBehind } from './topic-reader.ts';

/** What topics ask of a connection. */
export interface TopicConnection {
  /** Sends a message, if no more waits for the peer than may, and it can be sent; returns whether. */
  offer(data: string | Uint8Array): boolean;
  /** Whether `offer` would send. */
  hasRoom(): boolean;
  /** Resolves in a later turn of the event loop, when less waits for the peer than may; rejects when nothing can be sent. */
  drained(): Promise<void>;
  /** Whether messages can be sent. */
  readonly canSend: boolean;
  /** The error of whoever uses a connection that is over. */
  closedError(): Error;
  /** Ends it for an error: the peer is told its close code. */
  fail(cause: 'backpressure', error: LimitError): void;
}

/** What is sent of a topic, where that is more than the bodies. */
export interface TopicWire {
  /** What says that nothing is missing up to a position: when it begins, and in place of a message of the connection's own. */
  encodeStart(position: Position): string | Uint8Array;
  encode(message: TopicMessage): string | Uint8Array;
  /** What says that messages are missing. */
  encodeGap(gap: GapError): string | Uint8Array;
}

export interface ConnectionSubscriptionOptions {
  readonly after: string | undefined;
  readonly whenBehind: WhenBehind;
  /** Is told of each gap, between the messages that are sent. Must not throw. */
  readonly onGap: ((gap: GapError) => void) | undefined;
  readonly wire: TopicWire | undefined;
}

/**
 * The subscription of a connection to a topic: it is sent each message as it comes, as long as it keeps up. One that does not
 * is sent nothing more until its peer has read what waits, and goes on from where it was.
 */
// It is a TopicMember, and does not say so: that is left out of the declarations.
export class ConnectionSubscription {
  readonly #topic: Topic;
  readonly #connection: TopicConnection;
  /** Whose messages are not for it. */
  readonly #number: number;
  readonly #options: ConnectionSubscriptionOptions;
  readonly #release: () => void;
  /** What is to be sent before all else. */
  #first: string | Uint8Array | undefined;
  /** Reads for it while it is behind, or further than the topic has got. */
  #reader: TopicReader | undefined;
  /** Where it waits for what the topic gets, while it reads. */
  #place: WaitingPlace<TopicWaiter> | undefined;
  #dropped = 0;
  /** Whether it will be looked at whether it is to be ended. */
  #isLookedAt = false;
  /** Where it stood when it ended. */
  #end: Position | undefined;

  /**
   * Is made by `ctx.subscribe`.
   *
   * @param number - that of the connection among the senders of this process
   * @param release - says that it has left
   * @internal
   */
  constructor(
    topic: Topic,
    connection: TopicConnection,
    number: number,
    options: ConnectionSubscriptionOptions,
    release: () => void,
  ) {
    this.#topic = topic;
    this.#connection = connection;
    this.#number = number;
    this.#options = options;
    this.#release = release;
  }

  /** Begins, once the topic is there. @internal */
  start(): void {
    this.#topic.add(this);
    const { after, wire } = this.#options;
    if (wire !== undefined) this.#first = wire.encodeStart(this.#placeOf(after));
    if (after === undefined && wire === undefined) return;
    this.#beginReading(after);
    this.#pump();
  }

  /** The name of the topic. */
  get topic(): string {
    return this.#topic.name;
  }

  /** Behind what was sent last; before that, where it begins. */
  get position(): Position {
    return this.#end ?? this.#reader?.position ?? this.#topic.position;
  }

  /** How many messages were skipped since the peer was too slow. */
  get dropped(): number {
    return this.#dropped + (this.#reader?.dropped ?? 0);
  }

  /** Whether messages wait for the peer, or for the history. */
  get isBehind(): boolean {
    return this.#reader !== undefined;
  }

  /** Whether it has left the topic. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Leaves the topic. @returns false if it had left already */
  unsubscribe(): boolean {
    if (this.#end !== undefined) return false;
    this.#end = this.position;
    this.#stopReading();
    this.#topic.remove(this);
    this.#release();
    return true;
  }

  /** @internal */
  deliver(message: TopicMessage): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      // Its peer may never read again. When the ring has this message: nothing is to be told in the midst of one.
      if (reader.isOnTheBrink && this.#connection.canSend && !this.#isLookedAt) {
        this.#isLookedAt = true;
        queueMicrotask(() => this.#endIfOver(reader));
      }
      return;
    }
    const { wire } = this.#options;
    if (wire === undefined && message.sender === this.#number) return;
    if (this.#connection.offer(wire === undefined ? message.body : this.#encode(message, wire))) return;
    // It is not in the ring yet: reading begins with what is there when there is room again.
    this.#beginReading(undefined);
    this.#wait();
  }

  /** @internal */
  deliverGap(gap: TopicGap): void {
    // It may have left since the topic began to tell of it.
    if (this.#reader !== undefined || this.isOver) return;
    if (this.#options.wire === undefined || this.#connection.hasRoom()) {
      this.#tell(gap);
      return;
    }
    // It is to be sent, and is read when there is room again.
    this.#beginReading(undefined).putBack(gap);
    this.#wait();
  }

  /** Where it begins: what it was to begin with may be no position. */
  #placeOf(after: string | undefined): Position {
    const isPosition = after !== undefined && parsePosition(after) !== undefined;
    return isPosition ? (after as Position) : this.#topic.position;
  }

  #beginReading(after: string | undefined): TopicReader {
    this.#reader = new TopicReader(this.#topic, after, this.#options.whenBehind, () => this.#pump());
    return this.#reader;
  }

  #stopReading(): void {
    if (this.#reader === undefined) return;
    this.#dropped += this.#reader.dropped;
    this.#reader.close();
    this.#reader = undefined;
    if (this.#place !== undefined) this.#topic.stopWaiting(this.#place);
    this.#place = undefined;
  }

  /** Sends what there is to read, as long as there is room. */
  #pump(): void {
    const reader = this.#reader;
    while (reader !== undefined && reader === this.#reader) {
      if (!this.#connection.hasRoom()) {
        this.#wait();
        return;
      }
      if (this.#first !== undefined) {
        this.#connection.offer(this.#first);
        this.#first = undefined;
        continue;
      }
      const entry = reader.take();
      if (entry === undefined) {
        this.#pause(reader);
        return;
      }
      this.#send(entry);
    }
  }

  /** Ends it, unless it was or has gone on meanwhile. */
  #endIfOver(reader: TopicReader): void {
    this.#isLookedAt = false;
    if (reader !== this.#reader || !reader.isOverTheBrink) return;
    for (let entry = reader.take(); entry !== undefined; entry = reader.take()) {
      if (entry instanceof TopicGap) this.#tell(entry);
    }
    if (reader === this.#reader) this.#pause(reader);
  }

  /** There is nothing to read now: either all has come, or there will be more from the history, or no more at all. */
  #pause(reader: TopicReader): void {
    if (reader.isEnded) {
      this.unsubscribe();
      this.#connection.fail('backpressure', new LimitError('WS_ERR_SLOW_SUBSCRIBER'));
    } else if (reader.hasCaughtUp) this.#stopReading();
    else {
      this.#place ??= new WaitingPlace<TopicWaiter>(this);
      this.#topic.wait(this.#place);
    }
  }

  /** The topic has got something while it read. @internal */
  wake(): boolean {
    // It waits again by itself.
    this.#pump();
    return false;
  }

  #send(entry: TopicEntry): void {
    const { wire } = this.#options;
    if (entry instanceof TopicGap) this.#tell(entry);
    else if (wire !== undefined) this.#connection.offer(this.#encode(entry, wire));
    else if (entry.sender !== this.#number) this.#connection.offer(entry.body);
  }

  /** Of a message of its own it is told that it is behind that. */
  #encode(message: TopicMessage, wire: TopicWire): string | Uint8Array {
    return message.sender === this.#number ? wire.encodeStart(message.position) : wire.encode(message);
  }

  #tell({ error }: TopicGap): void {
    const { wire, onGap } = this.#options;
    if (wire !== undefined) this.#connection.offer(wire.encodeGap(error));
    onGap?.(error);
  }

  /** Goes on when there is room. */
  #wait(): void {
    // When it is closed, it leaves its topics.
    this.#connection.drained().then(() => this.#pump(), ignore);
  }
}

function ignore(): void {}
