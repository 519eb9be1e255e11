import { iterate } from '../channel/iterate.ts';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { ReceiveSource } from '../channel/receive-source.ts';
import { ChannelClosedError, LaggedError } from '../errors.ts';
import type { Broadcast } from './broadcast.ts';
import type { Cursor } from './ring.ts';
import { WaitingPlace } from './waiting-list.ts';

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** A channel never points to a receiver that does not wait, so a forgotten one is collected, and then leaves here. */
const forgotten = new FinalizationRegistry<{ broadcast: Broadcast<never>; cursor: Cursor }>(({ broadcast, cursor }) =>
  broadcast.leave(cursor),
);

/**
 * One subscription to a Broadcast: a cursor into the values of the channel, which holds no value itself.
 *
 * `unsubscribe` it, leave its `for await` loop, or declare it with `using`, when it is no longer needed. One that is
 * only forgotten leaves when the garbage collector finds it; until then the channel keeps values for it, at most its capacity.
 */
export class BroadcastReceiver<T> extends ReceiveSource<T> {
  /** Its place among those that wait in the channel. @internal */
  readonly place: WaitingPlace<BroadcastReceiver<T>> = new WaitingPlace(this as BroadcastReceiver<T>);
  readonly #broadcast: Broadcast<T>;
  readonly #cursor: Cursor;
  /** What was passed over for a receive that came earlier and has not taken its value yet. */
  #heldBack: Outcome<T>[] = [];
  #missed = 0;
  #hasLeft = false;

  /** Is made by `Broadcast.subscribe`. @internal */
  constructor(broadcast: Broadcast<T>) {
    super();
    this.#broadcast = broadcast;
    this.#cursor = broadcast.ring.join();
    forgotten.register(this, { broadcast: broadcast as Broadcast<never>, cursor: this.#cursor }, this);
  }

  /** How many values this receiver has missed so far: the sum of its LaggedErrors. */
  get missed(): number {
    return this.#missed;
  }

  /**
   * Starts a receive of the next value. It can be given to `select`.
   *
   * Rejects with LaggedError, once, when values were missed; the next one gets the oldest value that is kept. Rejects
   * with ChannelClosedError when the channel is closed and all was received, or when this receiver has unsubscribed.
   *
   * @throws {RangeError} `timeoutMs` is negative or not a number
   */
  recv(options?: ReceiveOptions): Receive<T> {
    const receive = this.reserve(options);
    if (this.waiting > this.available()) this.#broadcast.wait(this);
    return receive;
  }

  /**
   * Leaves the channel, and lets go of what was not received: receives that are waiting reject with ChannelClosedError.
   *
   * @returns false if it had left already
   */
  unsubscribe(): boolean {
    if (this.#hasLeft) return false;
    this.#hasLeft = true;
    this.#heldBack = [];
    forgotten.unregister(this);
    this.#broadcast.stopWaiting(this);
    this.#broadcast.leave(this.#cursor);
    this.settle();
    return true;
  }

  [Symbol.dispose](): void {
    this.unsubscribe();
  }

  /**
   * Iterates over the values as they come. The loop ends when the channel is closed, and leaving it unsubscribes.
   * It throws LaggedError when values were missed; the receiver stays subscribed then, and a new loop goes on.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return iterate(this);
  }

  /** @internal */
  override leave(receive: Receive<unknown>): void {
    super.leave(receive);
    // A quiet channel must not hold on to a receiver that has given up waiting.
    if (this.waiting <= this.available()) this.#broadcast.stopWaiting(this);
  }

  /** @internal */
  belongsTo(broadcast: Broadcast<T>): boolean {
    return this.#broadcast === broadcast;
  }

  /** Gives the receives what there is; returns whether any still waits. @internal */
  wake(): boolean {
    this.settle();
    return this.waiting > this.available();
  }

  protected override available(): number {
    if (this.#hasLeft || this.#broadcast.isClosed) return Number.POSITIVE_INFINITY;
    const { end, capacity } = this.#broadcast.ring;
    // Beyond the capacity there is one outcome more than values are kept: the LaggedError before them.
    return this.#heldBack.length + Math.min(end - this.#cursor.position, capacity + 1);
  }

  protected override takeAt(index: number): T {
    if (index < this.#heldBack.length) {
      const [outcome] = this.#heldBack.splice(index, 1) as [Outcome<T>];
      if ('error' in outcome) throw outcome.error;
      return outcome.value;
    }
    while (this.#heldBack.length < index) this.#heldBack.push(this.#readOutcome());
    return this.#read();
  }

  #readOutcome(): Outcome<T> {
    try {
      return { value: this.#read() };
    } catch (error) {
      return { error };
    }
  }

  #read(): T {
    const cursor = this.#cursor;
    const { ring } = this.#broadcast;
    if (this.#hasLeft) throw new ChannelClosedError();
    const missed = ring.start - cursor.position;
    if (missed > 0) {
      cursor.position = ring.start;
      this.#missed += missed;
      throw new LaggedError(missed);
    }
    if (cursor.position === ring.end) throw new ChannelClosedError();
    return ring.read(cursor);
  }
}
