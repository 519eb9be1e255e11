import { Deque } from '../channel/deque.ts';
import type { PresenceChange, PresenceEvent, PresenceRoom, RoomWatcher } from './presence-room.ts';

/** How many changes wait for a slow reader. One that is further behind gets a new snapshot in their place. */
export const MAX_CHANGES_WAITING = 1024;

/** A reader that waits for what comes into its queue. */
export interface PresenceWaiter {
  /** How many receives it has started that have nothing yet. */
  readonly waiting: number;
  /** Takes what there is. */
  wake(): void;
}

/** What a room has for one reader: a snapshot, and the changes behind it. It does not hold on to a reader that does not wait. */
export class PresenceQueue implements RoomWatcher {
  waiter: PresenceWaiter | undefined = undefined;
  hasEnded = false;
  readonly ready: Promise<void>;
  readonly #room: PresenceRoom;
  readonly #changes = new Deque<PresenceChange>();
  readonly #isReady: () => void;
  /** So many receives are given a snapshot before changes are kept for others. */
  #snapshots = 1;

  constructor(room: PresenceRoom) {
    this.#room = room;
    let isReady!: () => void;
    this.ready = new Promise((resolve) => {
      isReady = resolve;
    });
    this.#isReady = isReady;
    room.watchers.add(this);
    if (room.isReady) this.#isReady();
  }

  onReady(): void {
    this.#isReady();
    this.waiter?.wake();
  }

  onEnd(): void {
    this.hasEnded = true;
    this.#changes.clear();
    this.#isReady();
    this.waiter?.wake();
  }

  onChange(change: PresenceChange): void {
    // It will be in the snapshot, which is made when it is taken: until then nothing is kept.
    if (this.#snapshots > 0) return;
    this.#changes.push(change);
    if (this.#changes.length > MAX_CHANGES_WAITING) {
      // A receive that was offered a change, and has not taken it, is given a snapshot.
      this.#snapshots = Math.min(Math.max(1, this.waiter?.waiting ?? 0), MAX_CHANGES_WAITING);
      this.#changes.clear();
    }
    this.waiter?.wake();
  }

  available(): number {
    if (this.#snapshots === 0) return this.#changes.length;
    return this.#room.isReady ? this.#snapshots : 0;
  }

  takeAt(index: number): PresenceEvent {
    if (this.#snapshots === 0) return this.#changes.takeAt(index);
    this.#snapshots--;
    return { type: 'snapshot', members: this.#room.members() };
  }
}
