import { type GapError, LimitError } from '../errors.ts';
import type { Position } from './position.ts';
import type { Topic, TopicMember } from './topic.ts';
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
  encode(message: TopicMessage): string | Uint8Array;
  /** What says that messages are missing; `undefined` for nothing. */
  encodeGap(gap: GapError): string | Uint8Array | undefined;
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
export class ConnectionSubscription implements TopicMember {
  readonly #topic: Topic;
  readonly #connection: TopicConnection;
  /** Whose messages are not for it. */
  readonly #number: number;
  readonly #options: ConnectionSubscriptionOptions;
  readonly #release: () => void;
  /** Reads for it while it is behind. */
  #reader: TopicReader | undefined;
  #isWaiting = false;
  #dropped = 0;
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
    if (this.#options.after === undefined) return;
    this.#beginReading(this.#options.after);
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
    if (this.#reader !== undefined || message.sender === this.#number) return;
    const { wire } = this.#options;
    if (this.#connection.offer(wire === undefined ? message.body : wire.encode(message))) return;
    // It is not in the ring yet: reading begins with what is there when there is room again.
    this.#beginReading(undefined);
    this.#wait();
  }

  /** @internal */
  deliverGap(gap: TopicGap): void {
    if (this.#reader === undefined) this.#tell(gap);
  }

  #beginReading(after: string | undefined): void {
    this.#reader = new TopicReader(this.#topic, after, this.#options.whenBehind, () => this.#pump());
  }

  #stopReading(): void {
    if (this.#reader === undefined) return;
    this.#dropped += this.#reader.dropped;
    this.#reader.close();
    this.#reader = undefined;
  }

  /** Sends what there is to read, as long as there is room. */
  #pump(): void {
    const reader = this.#reader;
    while (reader !== undefined && reader === this.#reader) {
      if (!this.#connection.hasRoom()) {
        this.#wait();
        return;
      }
      const entry = reader.take();
      if (entry === undefined) {
        this.#pause(reader);
        return;
      }
      this.#send(entry);
    }
  }

  /** There is nothing to read now: either all has come, or there will be more from the history, or no more at all. */
  #pause(reader: TopicReader): void {
    if (reader.isEnded) {
      this.unsubscribe();
      this.#connection.fail('backpressure', new LimitError('WS_ERR_SLOW_SUBSCRIBER'));
    } else if (reader.hasCaughtUp) this.#stopReading();
  }

  #send(entry: TopicEntry): void {
    if (entry instanceof TopicGap) this.#tell(entry);
    else if (entry.sender !== this.#number) {
      const { wire } = this.#options;
      this.#connection.offer(wire === undefined ? entry.body : wire.encode(entry));
    }
  }

  #tell({ error }: TopicGap): void {
    const { wire, onGap } = this.#options;
    const notice = wire?.encodeGap(error);
    if (notice !== undefined) this.#connection.offer(notice);
    onGap?.(error);
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#connection.drained().then(
      () => {
        this.#isWaiting = false;
        this.#pump();
      },
      // It leaves its topics when it is closed.
      () => {},
    );
  }
}
