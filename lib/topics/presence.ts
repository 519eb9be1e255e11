import { iterate } from '../channel/iterate.ts';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { ReceiveSource } from '../channel/receive-source.ts';
import { ChannelClosedError } from '../errors.ts';
import type { PresenceBook } from './presence-book.ts';
import { PresenceQueue } from './presence-queue.ts';
import type { PresenceEvent, PresenceRoom } from './presence-room.ts';

/** What is held in a room for a reader, apart from it: one that was forgotten is to leave. */
interface Hold {
  readonly book: PresenceBook;
  readonly topic: string;
  readonly queue: PresenceQueue;
}

const forgotten = new FinalizationRegistry<Hold>((hold) => leave(hold));

function leave({ book, topic, queue }: Hold): void {
  book.unwatch(topic, queue);
}

/**
 * The members of a topic, over all processes: as they are now, and the changes as they come.
 *
 * The first that is received is a snapshot, and each change applies to what came before: it is told once that a key joins, with
 * its first seat, and once that it leaves, with its last. A reader that falls behind gets another snapshot in place of what it
 * has missed.
 *
 * `unsubscribe` it, leave its `for await` loop, or declare it with `using`, when it is no longer needed. One that is only
 * forgotten leaves when the garbage collector finds it.
 */
export class Presence<Info = unknown> extends ReceiveSource<PresenceEvent<Info>> {
  /** The topic whose members these are. */
  readonly topic: string;
  readonly #room: PresenceRoom;
  readonly #hold: Hold;

  /** Is made by `topics.presence(topic)`. @internal */
  constructor(book: PresenceBook, topic: string) {
    super();
    this.topic = topic;
    this.#room = book.watch(topic);
    this.#hold = { book, topic, queue: new PresenceQueue(this.#room) };
    forgotten.register(this, this.#hold, this);
  }

  /**
   * Resolves when all processes have said who is there; at the latest after a second: the members of a process that did not answer
   * are told as joins, later. Resolves, too, when this has ended.
   */
  get ready(): Promise<void> {
    return this.#hold.queue.ready;
  }

  /** How many members there are now, as far as is known. */
  get size(): number {
    return this.#room.size;
  }

  /** The members there are now, by key, and what is told of each. The map is the caller's own. Await `ready` first. */
  members(): Map<string, Info> {
    return this.#room.members() as Map<string, Info>;
  }

  /**
   * Starts a receive of the next event. It can be given to `select`. Rejects with ChannelClosedError when this, or the topics, were
   * closed.
   *
   * @throws {RangeError} `timeoutMs` is negative or not a number
   */
  recv(options?: ReceiveOptions): Receive<PresenceEvent<Info>> {
    const receive = this.reserve(options);
    this.#wait();
    return receive;
  }

  /**
   * Lets go of the members: receives that are waiting reject with ChannelClosedError.
   *
   * @returns false if it had ended already
   */
  unsubscribe(): boolean {
    const { queue } = this.#hold;
    if (queue.hasEnded) return false;
    forgotten.unregister(this);
    leave(this.#hold);
    queue.onEnd();
    return true;
  }

  [Symbol.dispose](): void {
    this.unsubscribe();
  }

  /** Iterates over the events as they come. The loop ends when the topics are closed, and leaving it unsubscribes. */
  [Symbol.asyncIterator](): AsyncIterableIterator<PresenceEvent<Info>> {
    return iterate(this);
  }

  /** @internal */
  override leave(receive: Receive<unknown>): void {
    super.leave(receive);
    this.#wait();
  }

  /** @internal */
  override taken(): void {
    this.#wait();
  }

  /** Gives the receives what there is. @internal */
  wake(): void {
    this.settle();
    this.#wait();
  }

  protected override available(): number {
    const { queue } = this.#hold;
    return queue.hasEnded ? Number.POSITIVE_INFINITY : queue.available();
  }

  protected override takeAt(index: number): PresenceEvent<Info> {
    const { queue } = this.#hold;
    if (queue.hasEnded) throw new ChannelClosedError();
    return queue.takeAt(index) as PresenceEvent<Info>;
  }

  /** The room holds on to this one as long as a receive waits. */
  #wait(): void {
    this.#hold.queue.waiter = this.waiting > 0 ? this : undefined;
  }
}
