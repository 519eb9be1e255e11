import { Buffer } from 'node:buffer';
import { LimitError } from '../errors.ts';
import { kindOf } from '../wording.ts';
import { LEASES_A_CHANGE, MAX_INFO_BYTES, MAX_KEY_BYTES, MAX_MEMBERS, MAX_SIGNAL_BYTES } from './presence-limits.ts';
import {
  type ChangeSignal,
  type LeaseSignal,
  type Seat,
  type StatePart,
  sizeOfSeat,
  sizeOfTopic,
} from './presence-signal.ts';

/** Is told what a key of this process says; `undefined`: it has left. */
export type SeatListener = (topic: string, key: string, seat: Seat | undefined) => void;

interface HeldSeat extends Seat {
  readonly key: string;
}

/** The seats of one topic in this process. */
interface LocalTopic {
  /** The version of its last change that was told. */
  version: number;
  readonly byHolder: Map<object, HeldSeat>;
  /** The seats of each key, the latest last. */
  readonly byKey: Map<string, HeldSeat[]>;
  /** The keys that have changed since. */
  readonly untold: Set<string>;
}

/** A topic that was changed lately. */
interface RecentChange {
  readonly version: number;
  readonly bytes: number;
  /** How many leases have named it. */
  leases: number;
}

/**
 * The seats of this process, and what others are to be told of them.
 *
 * Each change that is told has a version, counted over all topics. Who misses one sees that: a change says which version it
 * comes behind, and a lease which topics were changed lately.
 */
export class PresenceSeats {
  readonly #process: string;
  readonly #isShared: boolean;
  readonly #listener: SeatListener;
  readonly #topics = new Map<string, LocalTopic>();
  readonly #untold = new Set<string>();
  /** In the order of their versions. As many as fit into a lease. */
  readonly #recent = new Map<string, RecentChange>();
  #recentBytes = 0;
  #bytesSinceLease = 0;
  /** All topics that were changed behind this version are among the recent ones. */
  #from = 0;
  #version = 0;
  #lastStamp = 0;

  /** @param isShared - whether there are others, who are to be told */
  constructor(process: string, isShared: boolean, listener: SeatListener) {
    this.#process = process;
    this.#isShared = isShared;
    this.#listener = listener;
  }

  /** Counts the changes that were told: of this version is what is told of any topic. */
  get version(): number {
    return this.#version;
  }

  get hasUntold(): boolean {
    return this.#untold.size > 0;
  }

  /** How many topics there are seats in, and those of which it is still to be told that there are none. */
  get topics(): number {
    return this.#topics.size;
  }

  /**
   * Takes a seat. The one that this holder has in the topic already is changed; if it has another key, it is given up.
   *
   * @param wallClock - the time, by a clock that other processes have as well
   * @throws {TypeError} the key is not a string that can be sent, or the info is no JSON
   * @throws {RangeError} one of them is too long
   * @throws {LimitError} WS_ERR_PRESENCE_FULL
   */
  join(topic: string, holder: object, key: string, info: unknown, wallClock: number): void {
    const json = checkMember(key, info);
    const keys = this.#topics.get(topic)?.byKey;
    if (keys !== undefined && keys.size >= MAX_MEMBERS && !keys.has(key)) throw new LimitError('WS_ERR_PRESENCE_FULL');
    const held = this.#topics.get(topic)?.byHolder.get(holder);
    if (held !== undefined && held.key !== key) this.leave(topic, holder);
    this.#lastStamp = Math.max(this.#lastStamp + 1, wallClock);
    this.#take(topic, holder, { key, json, info: parseInfo(json), stamp: this.#lastStamp });
  }

  /** Gives a seat up; does nothing without one. */
  leave(topic: string, holder: object): void {
    const local = this.#topics.get(topic);
    const seat = local?.byHolder.get(holder);
    if (local === undefined || seat === undefined) return;
    const wasShown = removeSeat(local, holder, seat);
    if (wasShown) this.#change(topic, local, seat.key);
  }

  #take(topic: string, holder: object, seat: HeldSeat): void {
    let local = this.#topics.get(topic);
    if (local === undefined) {
      const version = this.#recent.get(topic)?.version ?? this.#from;
      local = { version, byHolder: new Map(), byKey: new Map(), untold: new Set() };
      this.#topics.set(topic, local);
    }
    const before = local.byHolder.get(holder);
    if (before !== undefined) removeSeat(local, holder, before);
    const seats = local.byKey.get(seat.key);
    if (seats === undefined) local.byKey.set(seat.key, [seat]);
    else seats.push(seat);
    local.byHolder.set(holder, seat);
    this.#change(topic, local, seat.key);
  }

  #change(topic: string, local: LocalTopic, key: string): void {
    if (this.#isShared) {
      local.untold.add(key);
      this.#untold.add(topic);
    } else if (local.byKey.size === 0) this.#topics.delete(topic);
    this.#listener(topic, key, local.byKey.get(key)?.at(-1));
  }

  /** What each key of a topic says. */
  seatsOf(topic: string): Iterable<[string, Seat]> {
    return shownSeats(this.#topics.get(topic));
  }

  /** All that is said of a topic, in parts that fit into a signal each; one part, which is empty, without seats. */
  stateOf(topic: string): StatePart[] {
    const parts = [...cut(this.seatsOf(topic), sizeOfSeat)];
    if (parts.length === 0) parts.push(new Map());
    return parts.map((seats, part) => ({ topic, part, parts: parts.length, seats }));
  }

  /** Tells what has changed since it was called last: to those in the topic, and what leases have to say to all. */
  tellChanges(tell: (topic: string | undefined, signal: ChangeSignal | LeaseSignal) => void): void {
    for (const topic of this.#untold) {
      const local = this.#topics.get(topic)!;
      for (const seats of cut(untoldSeats(local), sizeOfSeat)) {
        const since = local.version;
        local.version = ++this.#version;
        tell(topic, { kind: 'change', process: this.#process, since, version: local.version, seats });
      }
      local.untold.clear();
      if (local.byKey.size === 0) this.#topics.delete(topic);
      this.#remember(topic, local.version);
      // With much more it would not fit into a lease any longer.
      if (2 * this.#bytesSinceLease >= MAX_SIGNAL_BYTES) tell(undefined, this.makeLease());
    }
    this.#untold.clear();
  }

  /** What all are told of the changes that were told. */
  makeLease(): LeaseSignal {
    const changed = new Map<string, number>();
    const from = this.#from;
    for (const [topic, recent] of this.#recent) {
      changed.set(topic, recent.version);
      recent.leases++;
    }
    // Those that more leases have named are in front.
    for (const { leases } of this.#recent.values()) {
      if (leases < LEASES_A_CHANGE) break;
      this.#forgetOldest();
    }
    this.#bytesSinceLease = 0;
    return { kind: 'lease', process: this.#process, from, version: this.#version, changed };
  }

  #remember(topic: string, version: number): void {
    const before = this.#recent.get(topic);
    const bytes = sizeOfTopic(topic);
    if (before === undefined) this.#recentBytes += bytes;
    else this.#recent.delete(topic);
    this.#recent.set(topic, { version, bytes, leases: 0 });
    this.#bytesSinceLease += bytes;
    while (this.#recentBytes > MAX_SIGNAL_BYTES) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const [topic, { version, bytes }] = this.#recent.entries().next().value!;
    this.#recent.delete(topic);
    this.#recentBytes -= bytes;
    this.#from = version;
  }
}

/** Returns whether it was the seat that is shown of its key. */
function removeSeat(local: LocalTopic, holder: object, seat: HeldSeat): boolean {
  const seats = local.byKey.get(seat.key)!;
  const wasShown = seats.at(-1) === seat;
  local.byHolder.delete(holder);
  seats.splice(seats.lastIndexOf(seat), 1);
  if (seats.length === 0) local.byKey.delete(seat.key);
  return wasShown;
}

function* shownSeats(local: LocalTopic | undefined): Iterable<[string, Seat]> {
  if (local === undefined) return;
  for (const [key, seats] of local.byKey) yield [key, seats.at(-1)!];
}

function* untoldSeats(local: LocalTopic): Iterable<[string, Seat | undefined]> {
  for (const key of local.untold) yield [key, local.byKey.get(key)?.at(-1)];
}

/** Returns the JSON of the info, empty for none. */
function checkMember(key: unknown, info: unknown): string {
  if (typeof key !== 'string' || key === '' || !isWellFormed(key)) {
    throw new TypeError(
      `the key of a member is a string that is not empty and can be sent, and this is ${kindOf(key)}`,
    );
  }
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > MAX_KEY_BYTES) {
    throw new RangeError(`the key of a member has ${keyBytes} bytes: give at most ${MAX_KEY_BYTES}, such as an id`);
  }
  // Throws TypeError by itself for what has no JSON, such as a circle.
  const json = info === undefined ? '' : JSON.stringify(info);
  if (json === undefined) throw new TypeError(`the info of a member is JSON, and this is ${kindOf(info)}`);
  const jsonBytes = Buffer.byteLength(json);
  if (jsonBytes > MAX_INFO_BYTES) {
    throw new RangeError(
      `the info of a member has ${jsonBytes} bytes of JSON: give at most ${MAX_INFO_BYTES}, and have the rest read by its key`,
    );
  }
  return json;
}

/** A surrogate without its other half would arrive as another character, and be another key. */
function isWellFormed(text: string): boolean {
  return Buffer.from(text).toString() === text;
}

function parseInfo(json: string): unknown {
  return json === '' ? undefined : JSON.parse(json);
}

/** Cuts entries into maps that take no more bytes than a signal may, or have a single entry. */
export function* cut<V>(
  entries: Iterable<[string, V]>,
  sizeOf: (key: string, value: V) => number,
): Iterable<Map<string, V>> {
  let piece = new Map<string, V>();
  let bytes = 0;
  for (const [key, value] of entries) {
    const size = sizeOf(key, value);
    if (piece.size > 0 && bytes + size > MAX_SIGNAL_BYTES) {
      yield piece;
      piece = new Map();
      bytes = 0;
    }
    piece.set(key, value);
    bytes += size;
  }
  if (piece.size > 0) yield piece;
}
