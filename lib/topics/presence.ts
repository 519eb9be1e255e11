import { Deque } from '../channel/deque.ts';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { ReceiveSource } from '../channel/receive-source.ts';
import { ChannelClosedError } from '../errors.ts';
import type { PresenceBook } from './presence-book.ts';
import type { PresenceChange, PresenceRoom, PresenceSnapshot, RoomWatcher } from './presence-room.ts';

/** What is received of the members of a topic: who is there, and then who comes, changes and goes. */
export type PresenceEvent<Info = unknown> = PresenceSnapshot<Info> | PresenceChange<Info>;

/** How many changes wait for a slow reader. One that is further behind gets a new snapshot instead of them. */
export const MAX_CHANGES_WAITING = 1024;

/**
 * The members of a topic, over all processes: as they are now, and the changes as they come.
 *
 * The first that is received is a snapshot, and each change behind it applies to what came before: it is told once that a key joins,
 * with its first seat, and once that it leaves, with its last. A reader that falls behind gets another snapshot, which takes the
 * place of what it has missed. `close` it, leave its `for await` loop, or declare it with `using`, when it is no longer needed.
 */
export class Presence<Info = unknown> extends ReceiveSource<PresenceEvent<Info>> {
  /** The topic whose members these are. */
  readonly topic: string;
  /**
   * Resolves when all processes have said who is there, at the latest after a second: with a process that does not answer, its
   * members are told as joins later. Resolves, too, when this is closed.
   */
  readonly ready: Promise<void>;
  readonly #book: PresenceBook;
  readonly #room: PresenceRoom;
  readonly #watcher: RoomWatcher;
  readonly #changes = new Deque<PresenceChange<Info>>();
  /** So many receives are given a snapshot before changes are kept for others. */
  #snapshots = 1;
  #hasEnded = false;

  /** Is made by `topics.presence(topic)`. @internal */
  constructor(book: PresenceBook, topic: string) {
    super();
    this.topic = topic;
    this.#book = book;
    let isReady: () => void = () => {};
    this.ready = new Promise<void>((resolve) => {
      isReady = resolve;
    });
    this.#watcher = {
      onReady: () => {
        isReady();
        this.settle();
      },
      onChange: (change) => this.#push(change as PresenceChange<Info>),
      onEnd: () => {
        this.#hasEnded = true;
        isReady();
        this.settle();
      },
    };
    this.#room = book.watch(topic, this.#watcher);
    if (this.#room.isReady) isReady();
  }

  /** Whether all processes have said who is there, or have had a second for it. */
  get isComplete(): boolean {
    return this.#room.isReady;
  }

  /** How many members there are now, as far as is known. */
  get size(): number {
    return this.#room.size;
  }

  /** The members there are now, and what is told of each. The map is the caller's own; await `ready` before. */
  members(): Map<string, Info> {
    return this.#room.members() as Map<string, Info>;
  }

  /**
   * Starts a receive of the next event. It can be given to `select`. Rejects with ChannelClosedError once this, or the topics, are
   * closed.
   *
   * @throws {RangeError} `timeoutMs` is negative or not a number
   */
  recv(options?: ReceiveOptions): Receive<PresenceEvent<Info>> {
    return this.reserve(options);
  }

  /**
   * Lets go of the members: receives that are waiting reject with ChannelClosedError.
   *
   * @returns false if it was closed already
   */
  close(): boolean {
    if (this.#hasEnded) return false;
    this.#book.unwatch(this.topic, this.#watcher);
    this.#watcher.onEnd();
    return true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Iterates over the events as they come. The loop ends when the topics are closed, and leaving it closes this. */
  [Symbol.asyncIterator](): AsyncIterableIterator<PresenceEvent<Info>> {
    const end = (): IteratorResult<PresenceEvent<Info>> => {
      this.close();
      return { done: true, value: undefined };
    };
    return {
      next: () =>
        this.recv().then(
          (value): IteratorResult<PresenceEvent<Info>> => ({ done: false, value }),
          (error: unknown) => {
            if (error instanceof ChannelClosedError) return end();
            throw error;
          },
        ),
      return: async () => end(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  protected override available(): number {
    if (this.#hasEnded) return Number.POSITIVE_INFINITY;
    if (this.#snapshots > 0) return this.#room.isReady ? this.#snapshots : 0;
    return this.#changes.length;
  }

  protected override takeAt(index: number): PresenceEvent<Info> {
    if (this.#hasEnded) throw new ChannelClosedError();
    if (this.#snapshots === 0) return this.#changes.takeAt(index);
    // It is made when it is taken, so nothing needs to be kept before.
    this.#snapshots--;
    return { type: 'snapshot', members: this.members() };
  }

  #push(change: PresenceChange<Info>): void {
    if (this.#snapshots > 0) return;
    if (this.#changes.length === MAX_CHANGES_WAITING) {
      this.#changes.clear();
      // A receive that has been offered a change, and has not taken it yet, is given a snapshot.
      this.#snapshots = Math.max(1, Math.min(this.waiting, MAX_CHANGES_WAITING));
    } else this.#changes.push(change);
    this.settle();
  }
}
