import { LEASE_MS, MAX_SIGNAL_BYTES, MAX_STEP_MS, UP_AGAIN_MS } from './presence-limits.ts';
import { PresencePeers } from './presence-peers.ts';
import type { PresenceRoom, RoomWatcher } from './presence-room.ts';
import { cut, PresenceSeats } from './presence-seats.ts';
import {
  type AskSignal,
  decodeSignal,
  encodeSignal,
  type PresenceSignal,
  type Seat,
  type StatePart,
  sizeOfSeat,
  sizeOfTopic,
} from './presence-signal.ts';

/** What a book asks of its owner. */
export interface PresenceBookOptions {
  /** The id of this process: 16 hexadecimal digits, not all zero. */
  readonly process: string;
  /** Has a signal reach the other processes: those in a topic, or all. Left out, there are none. */
  readonly send?: ((topic: string | undefined, bytes: Uint8Array) => void) | undefined;
  /** Asks for a `flush`, soon: what comes until then leaves together. */
  readonly wake?: (() => void) | undefined;
  /** Has signals to a topic come here, from when it resolves on, until `unlisten`; never rejects. Left out, they always do. */
  readonly listen?: ((topic: string) => Promise<unknown>) | undefined;
  readonly unlisten?: ((topic: string) => void) | undefined;
  /** The time of day in milliseconds. */
  readonly wallClock?: (() => number) | undefined;
}

/** Counters of presence. */
export interface PresenceStats {
  /** Other processes that are known to be there. */
  readonly processes: number;
  /** Topics in which this process has members. */
  readonly topics: number;
  /** Topics whose members are watched here. */
  readonly watched: number;
  /** Signals, or parts of them, that could not be read, or went beyond a limit. */
  readonly ignored: number;
}

/**
 * Who is in which topic: of this process, and of all that signals can be exchanged with.
 *
 * It has neither timers nor a network. Its owner tells it of seats, signals and the time, and carries what it has to say. Signals may
 * be lost, doubled or reordered; what is told here is right again, at the latest, with the lease behind that.
 */
export class PresenceBook {
  readonly #process: string;
  readonly #send: ((topic: string | undefined, bytes: Uint8Array) => void) | undefined;
  readonly #wake: () => void;
  readonly #listen: ((topic: string) => Promise<unknown>) | undefined;
  readonly #unlisten: (topic: string) => void;
  readonly #wallClock: () => number;
  readonly #seats: PresenceSeats;
  readonly #peers: PresencePeers = new PresencePeers();
  /** The topics that others have asked for. */
  readonly #asked = new Set<string>();
  #canHear = true;
  #isAwake = false;
  #isClosed = false;
  #now: number | undefined;
  #sinceLeaseMs = 0;

  constructor({ process, send, wake, listen, unlisten, wallClock }: PresenceBookOptions) {
    this.#process = process;
    this.#send = send;
    this.#wake = wake ?? noop;
    this.#listen = listen;
    this.#unlisten = unlisten ?? noop;
    this.#wallClock = wallClock ?? Date.now;
    this.#seats = new PresenceSeats(process, send !== undefined, (topic, key, seat) => this.#change(topic, key, seat));
  }

  /**
   * Takes a seat, or changes the one that this holder has in the topic.
   *
   * @param holder - whose seat it is; any object
   * @throws {TypeError} the key is not a string that can be sent, or the info is no JSON
   * @throws {RangeError} one of them is too long
   * @throws {LimitError} WS_ERR_PRESENCE_FULL
   */
  join(topic: string, holder: object, key: string, info?: unknown): void {
    this.#seats.join(topic, holder, key, info, this.#wallClock());
  }

  /** Gives a seat up; does nothing without one. */
  leave(topic: string, holder: object): void {
    this.#seats.leave(topic, holder);
  }

  /** The members of a topic. Whoever is added to the watchers of the room calls `unwatch` in the end. */
  watch(topic: string): PresenceRoom {
    let room = this.#peers.room(topic);
    if (room === undefined) {
      room = this.#peers.open(topic, this.#send !== undefined);
      room.replace(this.#process, new Map(this.#seats.seatsOf(topic)));
      this.#askAll(topic, room);
    }
    return room;
  }

  /** Takes somebody from the watchers of a room, which goes with the last. */
  unwatch(topic: string, watcher: RoomWatcher): void {
    const room = this.#peers.room(topic);
    if (room?.watchers.delete(watcher) !== true || room.watchers.size > 0) return;
    this.#peers.close(topic);
    this.#unlisten(topic);
  }

  /** Takes what came as a signal, whatever it is. @param topic - what it was sent to, `undefined` for all */
  receive(topic: string | undefined, bytes: Uint8Array): void {
    const signal = decodeSignal(bytes);
    if (this.#isClosed || signal?.process === this.#process) return;
    if (signal === undefined) this.#peers.ignore();
    else if (signal.kind === 'ask') this.#takeAsk(signal);
    else this.#peers.receive(topic, signal);
    this.#wakeUp();
  }

  /**
   * Lets time pass. To be called several times a second where there are others.
   *
   * @param now - in milliseconds, from any start on, by a clock that is never set back
   */
  tick(now: number): void {
    const ms = now - (this.#now ?? now);
    this.#now = now;
    this.#peers.pass(Math.min(ms, MAX_STEP_MS), this.#canHear);
    this.#sinceLeaseMs += ms;
    if (this.#sinceLeaseMs >= LEASE_MS) this.#sendLease();
    this.#wakeUp();
  }

  /** The broker is there again. */
  up(): void {
    if (this.#isClosed) return;
    this.#canHear = true;
    this.#peers.resettle();
    this.#sendLease();
    // Others may be back a little later.
    this.#sinceLeaseMs = LEASE_MS - UP_AGAIN_MS;
    this.#wakeUp();
  }

  /** The broker is away. */
  down(): void {
    this.#canHear = false;
  }

  /** Sends what has come together. */
  flush(): void {
    this.#isAwake = false;
    const wasLeased = this.#isLeased;
    // Told although nobody may hear it: the leases will say so.
    this.#seats.tellChanges((topic, signal) => this.#sendSignal(topic, signal));
    if (!wasLeased) this.#sendLease();
    if (!this.#canHear) return;
    this.#answer();
    this.#peers.takeAsks((target, topics) => this.#ask(target, topics));
  }

  /** Tells the others, and ends whatever watches. */
  close(): void {
    if (this.#isClosed) return;
    if (this.#isLeased) this.#sendSignal(undefined, { kind: 'bye', process: this.#process });
    this.#isClosed = true;
    this.#canHear = false;
    this.#peers.endAll();
  }

  stats(): PresenceStats {
    const { processes, rooms, ignored } = this.#peers;
    return { processes, topics: this.#seats.topics, watched: rooms, ignored };
  }

  /** How much is kept of others, for specs. @internal */
  get retained(): number {
    return this.#peers.retained + this.#asked.size;
  }

  /** Asks about a room, as soon as the changes behind the answer come here. */
  #askAll(topic: string, room: PresenceRoom): void {
    const ask = (): void => {
      if (this.#peers.room(topic) !== room) return;
      this.#peers.askAll(topic);
      this.#wakeUp();
    };
    if (this.#send === undefined) return;
    if (this.#listen === undefined) ask();
    else void this.#listen(topic).then(ask);
  }

  /** A process that never had a member has nothing to say. */
  get #isLeased(): boolean {
    return this.#seats.version > 0;
  }

  #change(topic: string, key: string, seat: Seat | undefined): void {
    this.#peers.room(topic)?.set(this.#process, key, seat);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const hasWork = this.#seats.hasUntold || (this.#canHear && (this.#asked.size > 0 || this.#peers.hasAsks));
    if (!hasWork || this.#isAwake) return;
    this.#isAwake = true;
    this.#wake();
  }

  #takeAsk({ target, topics }: AskSignal): void {
    if (!this.#isLeased || !this.#canHear || (target !== undefined && target !== this.#process)) return;
    for (const topic of topics) this.#asked.add(topic);
  }

  /** Answers who asked: all hear it, and nobody has to ask the same again. */
  #answer(): void {
    let states: StatePart[] = [];
    let bytes = 0;
    const send = (): void => {
      if (states.length === 0) return;
      this.#sendSignal(undefined, { kind: 'state', process: this.#process, version: this.#seats.version, states });
      states = [];
      bytes = 0;
    };
    for (const topic of this.#asked) {
      for (const state of this.#seats.stateOf(topic)) {
        let size = sizeOfTopic(topic);
        for (const [key, seat] of state.seats) size += sizeOfSeat(key, seat);
        if (bytes + size > MAX_SIGNAL_BYTES) send();
        states.push(state);
        bytes += size;
      }
    }
    send();
    this.#asked.clear();
  }

  #ask(target: string | undefined, topics: ReadonlySet<string>): void {
    for (const piece of cut(topics.entries(), sizeOfTopic)) {
      this.#sendSignal(undefined, { kind: 'ask', process: this.#process, target, topics: [...piece.keys()] });
    }
  }

  #sendLease(): void {
    this.#sinceLeaseMs = 0;
    if (this.#isLeased && this.#canHear) this.#sendSignal(undefined, this.#seats.makeLease());
  }

  #sendSignal(topic: string | undefined, signal: PresenceSignal): void {
    if (this.#canHear) this.#send?.(topic, encodeSignal(signal));
  }
}

function noop(): void {}
