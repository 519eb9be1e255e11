import type { Seat } from './presence-signal.ts';

/** The members of a topic, as they are now. */
export interface PresenceSnapshot<Info = unknown> {
  readonly type: 'snapshot';
  /** What is told of each, by key. The map is the receiver's own. */
  readonly members: Map<string, Info>;
}

/** One member that came, changed or left. */
export interface PresenceChange<Info = unknown> {
  /** `join`: its first seat was taken. `leave`: its last seat was given up. `update`: what is told of it is another. */
  readonly type: 'join' | 'update' | 'leave';
  readonly key: string;
  /** What is told of it; for one that leaves, what was told last. */
  readonly info: Info;
}

/** What is received of the members of a topic: who is there, and then who comes, changes and goes. */
export type PresenceEvent<Info = unknown> = PresenceSnapshot<Info> | PresenceChange<Info>;

/** Who wants to know of the changes of a room. */
export interface RoomWatcher {
  /** The snapshot is there. Called once. */
  onReady(): void;
  onChange(change: PresenceChange): void;
  /** Nothing comes any more. */
  onEnd(): void;
}

interface Shown {
  /** The id of a process, of this one too. */
  readonly source: string;
  readonly seat: Seat;
}

/**
 * Who is in a topic, put together from what each process says. One that is in several of them joins with the first, leaves with
 * the last, and is shown as the seat says that was taken last.
 */
export class PresenceRoom {
  readonly watchers: Set<RoomWatcher> = new Set();
  readonly #sources = new Map<string, Map<string, Seat>>();
  readonly #shown = new Map<string, Shown>();
  #isReady = false;

  /** Whether every process that could be asked has answered, or has had its time. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get size(): number {
    return this.#shown.size;
  }

  members(): Map<string, unknown> {
    const members = new Map<string, unknown>();
    for (const [key, { seat }] of this.#shown) members.set(key, seat.info);
    return members;
  }

  becomeReady(): void {
    this.#isReady = true;
    for (const watcher of this.watchers) watcher.onReady();
  }

  end(): void {
    for (const watcher of this.watchers) watcher.onEnd();
    this.watchers.clear();
  }

  /** Takes over what a source says of one key; `undefined`: it is not there. */
  set(source: string, key: string, seat: Seat | undefined): void {
    const seats = this.#sources.get(source);
    if (seat === undefined) {
      if (seats?.delete(key) !== true) return;
      if (seats.size === 0) this.#sources.delete(source);
    } else if (seats === undefined) this.#sources.set(source, new Map([[key, seat]]));
    else seats.set(key, seat);
    this.#show(source, key, seat);
  }

  /** Takes over all that a source says. */
  replace(source: string, seats: ReadonlyMap<string, Seat>): void {
    for (const key of [...(this.#sources.get(source)?.keys() ?? [])]) {
      if (!seats.has(key)) this.set(source, key, undefined);
    }
    for (const [key, seat] of seats) this.set(source, key, seat);
  }

  /** How many keys a source has here. */
  sizeOf(source: string): number {
    return this.#sources.get(source)?.size ?? 0;
  }

  has(source: string, key: string): boolean {
    return this.#sources.get(source)?.has(key) === true;
  }

  #show(source: string, key: string, seat: Seat | undefined): void {
    const before = this.#shown.get(key);
    // Only where the one that was shown has gone, or is older than it was, the others are looked at.
    const candidate = seat === undefined ? undefined : { source, seat };
    const shown =
      before === undefined || (candidate !== undefined && !isLater(before, candidate))
        ? candidate
        : before.source === source
          ? this.#findLatest(key)
          : before;
    if (shown === before) return;
    if (shown === undefined) {
      this.#shown.delete(key);
      this.#tell({ type: 'leave', key, info: before!.seat.info });
      return;
    }
    this.#shown.set(key, shown);
    if (before === undefined) this.#tell({ type: 'join', key, info: shown.seat.info });
    else if (before.seat.json !== shown.seat.json) this.#tell({ type: 'update', key, info: shown.seat.info });
  }

  #findLatest(key: string): Shown | undefined {
    let latest: Shown | undefined;
    for (const [source, seats] of this.#sources) {
      const seat = seats.get(key);
      if (seat === undefined) continue;
      const candidate = { source, seat };
      if (latest === undefined || isLater(candidate, latest)) latest = candidate;
    }
    return latest;
  }

  #tell(change: PresenceChange): void {
    for (const watcher of this.watchers) watcher.onChange(change);
  }
}

/** All processes agree on this: of seats with the same time that of the greater id is the later one. */
function isLater(a: Shown, b: Shown): boolean {
  return a.seat.stamp > b.seat.stamp || (a.seat.stamp === b.seat.stamp && a.source > b.source);
}
