import { Broadcast, DEFAULT_CAPACITY } from './broadcast.ts';
import type { BroadcastReceiver } from './broadcast-receiver.ts';

interface Entry<T> {
  readonly broadcast: Broadcast<T>;
  /** It was inserted, and stays without receivers. */
  isKept: boolean;
}

/**
 * Broadcast channels by key, for example the rooms of a chat.
 *
 * A channel made by `subscribeOrInsert` goes when its last receiver leaves: peers who name the rooms cannot make the map
 * grow beyond the rooms that somebody is in. One made by `insert` stays until `remove`.
 */
export class BroadcastMap<T, K = string> {
  readonly #entries = new Map<K, Entry<T>>();

  /** How many channels there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** Tells whether there is a channel with this key. */
  has(key: K): boolean {
    return this.#entries.has(key);
  }

  /**
   * Makes a channel that stays until `remove`, and returns it. One that has the key already stays as it is, receivers
   * and capacity included, and is kept from now on.
   *
   * @throws {RangeError} `capacity` is not a whole number from 1 on
   */
  insert(key: K, capacity: number = DEFAULT_CAPACITY): Broadcast<T> {
    const entry = this.#entries.get(key) ?? this.#add(key, capacity);
    entry.isKept = true;
    return entry.broadcast;
  }

  /** Adds a receiver to the channel with this key; `undefined` if there is none. */
  subscribe(key: K): BroadcastReceiver<T> | undefined {
    return this.#entries.get(key)?.broadcast.subscribe();
  }

  /**
   * Adds a receiver to the channel with this key. If there is none, makes one that goes when its last receiver leaves.
   *
   * @param capacity - of a channel that is made here; one that exists keeps its own
   * @throws {RangeError} `capacity` is not a whole number from 1 on
   */
  subscribeOrInsert(key: K, capacity: number = DEFAULT_CAPACITY): BroadcastReceiver<T> {
    const entry = this.#entries.get(key) ?? this.#add(key, capacity);
    return entry.broadcast.subscribe();
  }

  /** Sends a value to every receiver of the channel with this key; returns how many there are, 0 without a channel. */
  send(key: K, value: T): number {
    return this.#entries.get(key)?.broadcast.send(value) ?? 0;
  }

  /** Counts the receivers of the channel with this key; 0 without a channel. */
  receiverCount(key: K): number {
    return this.#entries.get(key)?.broadcast.receiverCount() ?? 0;
  }

  /** Ends a receiver of the channel with this key; returns false, and does nothing, if it is not one. */
  unsubscribe(key: K, receiver: BroadcastReceiver<T>): boolean {
    return this.#entries.get(key)?.broadcast.unsubscribe(receiver) ?? false;
  }

  /** Removes the channel with this key and closes it: its receivers get what was sent, and then end. */
  remove(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    entry.broadcast.close();
    return true;
  }

  #add(key: K, capacity: number): Entry<T> {
    const broadcast = new Broadcast<T>(capacity, () => this.#dropUnlessKept(key, entry));
    const entry: Entry<T> = { broadcast, isKept: false };
    this.#entries.set(key, entry);
    return entry;
  }

  #dropUnlessKept(key: K, entry: Entry<T>): void {
    // A channel that was removed may empty later, when another has its key.
    if (!entry.isKept && this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}
