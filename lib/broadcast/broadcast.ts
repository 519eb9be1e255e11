import { show } from '../wording.ts';
import { BroadcastReceiver } from './broadcast-receiver.ts';
import { type Cursor, Ring } from './ring.ts';
import { WaitingList } from './waiting-list.ts';

/** How many values a channel keeps for its slowest receiver, unless it is told otherwise. */
export const DEFAULT_CAPACITY = 1024;

/**
 * A bounded channel in which every receiver sees every value that is sent after it subscribed.
 *
 * Sending never waits. The channel keeps at most the last `capacity` values, each stored once for all receivers, and
 * lets go of a value when all have received it. A receiver that falls further behind misses the oldest and is told how
 * many. Values are handed on as they are, not copied: leave unchanged what the other receivers see too.
 */
export class Broadcast<T> {
  /** @internal */
  readonly ring: Ring<T>;
  readonly #onEmpty: (() => void) | undefined;
  readonly #waiting = new WaitingList<BroadcastReceiver<T>>();
  #isClosed = false;

  /**
   * Makes a channel without receivers.
   *
   * @param capacity - how many values are kept at most, from 1 on
   * @param onEmpty - is called each time the last receiver has left; it must not throw
   * @throws {RangeError} `capacity` is not a whole number from 1 on
   */
  constructor(capacity: number = DEFAULT_CAPACITY, onEmpty?: () => void) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError(`the capacity of a channel is ${show(capacity)}: give a whole number from 1 on`);
    }
    this.ring = new Ring(capacity);
    this.#onEmpty = onEmpty;
  }

  /** Tells whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends a value to every receiver there is now. Takes the same time for any number of them, except for those that
   * wait at this moment.
   *
   * @returns how many receivers there are; 0, and nothing is kept, without receivers or after `close`
   */
  send(value: T): number {
    if (this.#isClosed) return 0;
    this.ring.append(value);
    this.#wake();
    return this.ring.cursors;
  }

  /** Adds a receiver that sees every value sent from now on. After `close` it has already ended. */
  subscribe(): BroadcastReceiver<T> {
    return new BroadcastReceiver(this);
  }

  /** Does what `receiver.unsubscribe()` does; returns false if it is not, or no longer, a receiver of this channel. */
  unsubscribe(receiver: BroadcastReceiver<T>): boolean {
    return receiver.belongsTo(this) && receiver.unsubscribe();
  }

  /** Counts the receivers that have not unsubscribed. One that was only forgotten counts until it is collected. */
  receiverCount(): number {
    return this.ring.cursors;
  }

  /** Ends the channel: receivers get the values they have not received yet, and then ChannelClosedError. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Wakes this receiver when there is something new. @internal */
  wait(receiver: BroadcastReceiver<T>): void {
    this.#waiting.add(receiver.place);
  }

  /** Takes back `wait`. @internal */
  stopWaiting(receiver: BroadcastReceiver<T>): void {
    this.#waiting.remove(receiver.place);
  }

  /** Removes the cursor of a receiver that has left. @internal */
  leave(cursor: Cursor): void {
    this.ring.leave(cursor);
    if (this.ring.cursors === 0) this.#onEmpty?.();
  }

  #wake(): void {
    // Counted before: one that waits for more goes back to the end. Some may leave while others are woken.
    for (let count = this.#waiting.length; count > 0; count--) {
      const place = this.#waiting.takeFirst();
      if (place === undefined) return;
      if (place.owner.wake()) this.#waiting.add(place);
    }
  }
}
