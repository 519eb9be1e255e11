import { ASK_AGAIN_MS, GONE_MS, LEASE_MS, MAX_MEMBERS, MAX_PROCESSES, SNAPSHOT_MS } from './presence-limits.ts';
import { PresenceRoom } from './presence-room.ts';
import type { ChangeSignal, LeaseSignal, PresenceSignal, Seat, StatePart, StateSignal } from './presence-signal.ts';

/** The parts of a topic's state that are there of one version. */
interface Gathering {
  readonly version: number;
  readonly parts: Map<number, ReadonlyMap<string, Seat>>;
  members: number;
}

/** Another process, as far as it is known. */
interface Peer {
  readonly id: string;
  heardAt: number;
  /** It has said that it closes. It is remembered for a while, because signals of before may come behind that. */
  hasLeft: boolean;
  /** Each topic that is watched here, and is not stale, is known at this version of the peer at least. */
  synced: number;
  /** The topics that are known at a later one. */
  readonly ahead: Map<string, number>;
  /** The topics of which something is missing, and when it was asked for. */
  readonly stale: Map<string, number>;
  readonly gatherings: Map<string, Gathering>;
}

/**
 * The rooms that are watched here, and what other processes say of them.
 *
 * What another process says is taken only if nothing lies between it and what is known, as its versions tell. Otherwise
 * the topic is stale, and the process is asked. It is asked again with each of its leases until it has answered.
 */
export class PresencePeers {
  readonly #rooms = new Map<string, PresenceRoom>();
  /** The topics of rooms that are not ready, and by when they are in any case. */
  readonly #unready = new Map<string, number>();
  readonly #peers = new Map<string, Peer>();
  /** What is to be asked, by whom; by `undefined` what everybody is. */
  readonly #asks = new Map<string | undefined, Set<string>>();
  /** Milliseconds since the start, less those in which this process stood still. */
  #clock = 0;
  /** From then on every process that has a lease is known. */
  #settledAt = LEASE_MS + SNAPSHOT_MS;
  #ignored = 0;

  get hasAsks(): boolean {
    return this.#asks.size > 0;
  }

  get ignored(): number {
    return this.#ignored;
  }

  get rooms(): number {
    return this.#rooms.size;
  }

  /** How many other processes are there. */
  get processes(): number {
    let count = 0;
    for (const peer of this.#peers.values()) if (!peer.hasLeft) count++;
    return count;
  }

  /** How much is kept of other processes: what may not grow with time. */
  get retained(): number {
    let count = this.#peers.size + this.#asks.size;
    for (const { ahead, stale, gatherings } of this.#peers.values()) count += ahead.size + stale.size + gatherings.size;
    return count;
  }

  room(topic: string): PresenceRoom | undefined {
    return this.#rooms.get(topic);
  }

  /** Makes a room, about which all are to be asked. @param isShared - whether there are others at all */
  open(topic: string, isShared: boolean): PresenceRoom {
    const room = new PresenceRoom();
    this.#rooms.set(topic, room);
    if (isShared) {
      this.#unready.set(topic, this.#clock + SNAPSHOT_MS);
      for (const peer of this.#peers.values()) if (!peer.hasLeft) peer.stale.set(topic, this.#clock);
      this.#checkReady(topic);
    } else room.becomeReady();
    return room;
  }

  askAll(topic: string): void {
    this.#ask(undefined, topic);
  }

  /** Forgets a room. */
  close(topic: string): void {
    this.#rooms.delete(topic);
    this.#unready.delete(topic);
    for (const topics of this.#asks.values()) topics.delete(topic);
    for (const peer of this.#peers.values()) {
      peer.stale.delete(topic);
      peer.ahead.delete(topic);
      peer.gatherings.delete(topic);
    }
  }

  endAll(): void {
    for (const room of this.#rooms.values()) room.end();
    this.#rooms.clear();
    this.#unready.clear();
    this.#peers.clear();
    this.#asks.clear();
  }

  /** Takes what is to be asked, since it was called last. */
  takeAsks(ask: (target: string | undefined, topics: ReadonlySet<string>) => void): void {
    for (const [target, topics] of this.#asks) ask(target, topics);
    this.#asks.clear();
  }

  /** Counts a signal that is of no use. */
  ignore(): void {
    this.#ignored++;
  }

  /** Takes a signal of another process. @param topic - what it was sent to */
  receive(topic: string | undefined, signal: Exclude<PresenceSignal, { kind: 'ask' }>): void {
    if (signal.kind === 'bye') {
      this.#takeBye(signal.process);
      return;
    }
    const peer = this.#hear(signal.process, signal.version);
    if (peer === undefined) this.#ignored++;
    else if (signal.kind === 'lease') this.#takeLease(peer, signal);
    else if (signal.kind === 'state') this.#takeState(peer, signal);
    else if (topic !== undefined) this.#takeChange(peer, topic, signal);
    else this.#ignored++;
  }

  /**
   * Lets time pass: who was silent for too long has left, and rooms do not wait any longer.
   *
   * @param canHear - whether the broker is there: as long as nobody can be heard, nobody is taken to have left
   */
  pass(ms: number, canHear: boolean): void {
    this.#clock += ms;
    for (const peer of this.#peers.values()) {
      if (canHear && this.#clock - peer.heardAt >= GONE_MS) this.#forget(peer);
    }
    for (const topic of this.#unready.keys()) this.#checkReady(topic);
  }

  /** The broker is back: other processes may have come meanwhile, and those that are known have all their time to be heard. */
  resettle(): void {
    this.#settledAt = this.#clock + LEASE_MS + SNAPSHOT_MS;
    for (const peer of this.#peers.values()) peer.heardAt = this.#clock;
  }

  /** Finds the peer that is heard; `undefined` if it has closed, or there are too many. */
  #hear(id: string, version: number): Peer | undefined {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = this.#add(id, version);
      if (peer !== undefined) this.#distrust(peer);
    }
    if (peer === undefined || peer.hasLeft) return undefined;
    peer.heardAt = this.#clock;
    return peer;
  }

  #add(id: string, synced: number): Peer | undefined {
    if (this.#peers.size >= MAX_PROCESSES) return undefined;
    const peer: Peer = {
      id,
      heardAt: this.#clock,
      hasLeft: false,
      synced,
      ahead: new Map(),
      stale: new Map(),
      gatherings: new Map(),
    };
    this.#peers.set(id, peer);
    return peer;
  }

  #takeBye(id: string): void {
    const known = this.#peers.get(id);
    if (known !== undefined) this.#forget(known);
    const peer = this.#add(id, 0);
    if (peer !== undefined) peer.hasLeft = true;
  }

  #takeLease(peer: Peer, { from, version, changed }: LeaseSignal): void {
    for (const [topic, askedAt] of peer.stale) {
      if (this.#clock - askedAt >= ASK_AGAIN_MS) this.#makeStale(peer, topic);
    }
    if (version <= peer.synced) return;
    if (from > peer.synced) this.#distrust(peer);
    else for (const [topic, at] of changed) if (this.#isNews(peer, topic, at)) this.#makeStale(peer, topic);
    peer.synced = version;
    for (const [topic, at] of peer.ahead) if (at <= version) peer.ahead.delete(topic);
  }

  #takeChange(peer: Peer, topic: string, { since, version, seats }: ChangeSignal): void {
    const room = this.#rooms.get(topic);
    if (room === undefined || !this.#isNews(peer, topic, version)) return;
    if (since > this.#knownAt(peer, topic)) {
      this.#makeStale(peer, topic);
      return;
    }
    for (const [key, seat] of seats) {
      const hasRoom = seat === undefined || room.has(peer.id, key) || room.sizeOf(peer.id) < MAX_MEMBERS;
      if (hasRoom) room.set(peer.id, key, seat);
      else this.#ignored++;
    }
    peer.ahead.set(topic, version);
  }

  #takeState(peer: Peer, { version, states }: StateSignal): void {
    for (const state of states) {
      const room = this.#rooms.get(state.topic);
      // One that is older than what is known by leases may lack what has changed meanwhile.
      const isNew = peer.stale.has(state.topic) ? version >= peer.synced : this.#isNews(peer, state.topic, version);
      if (room === undefined || !isNew) continue;
      const seats = this.#gather(peer, version, state);
      if (seats === undefined) continue;
      room.replace(peer.id, seats);
      peer.stale.delete(state.topic);
      if (version > peer.synced) peer.ahead.set(state.topic, version);
      this.#checkReady(state.topic);
    }
  }

  /** Returns the seats when all parts of a state are there. A single signal has not too many. */
  #gather(
    peer: Peer,
    version: number,
    { topic, part, parts, seats }: StatePart,
  ): ReadonlyMap<string, Seat> | undefined {
    if (parts === 1) {
      peer.gatherings.delete(topic);
      return seats;
    }
    let gathering = peer.gatherings.get(topic);
    if (gathering !== undefined && gathering.version > version) return undefined;
    if (gathering === undefined || gathering.version < version) {
      gathering = { version, parts: new Map(), members: 0 };
      peer.gatherings.set(topic, gathering);
    }
    if (gathering.parts.has(part)) return undefined;
    gathering.parts.set(part, seats);
    gathering.members += seats.size;
    if (gathering.members > MAX_MEMBERS) {
      peer.gatherings.delete(topic);
      this.#ignored++;
    } else if (gathering.parts.size === parts) {
      peer.gatherings.delete(topic);
      const all = new Map<string, Seat>();
      for (const piece of gathering.parts.values()) for (const [key, seat] of piece) all.set(key, seat);
      return all;
    }
    return undefined;
  }

  /** At which version of the peer a topic is known, unless it is stale. */
  #knownAt(peer: Peer, topic: string): number {
    return peer.ahead.get(topic) ?? peer.synced;
  }

  /** Whether a change goes beyond what is known. Of a topic that is stale none is news: its state, which is asked for, has them all. */
  #isNews(peer: Peer, topic: string, version: number): boolean {
    return !peer.stale.has(topic) && version > this.#knownAt(peer, topic);
  }

  /** Of an unknown part of the changes of this peer nothing is left to be asked for but the topics as they are. */
  #distrust(peer: Peer): void {
    for (const topic of this.#rooms.keys()) this.#makeStale(peer, topic);
  }

  #makeStale(peer: Peer, topic: string): void {
    if (!this.#rooms.has(topic)) return;
    peer.stale.set(topic, this.#clock);
    peer.ahead.delete(topic);
    this.#ask(peer.id, topic);
  }

  #ask(target: string | undefined, topic: string): void {
    const topics = this.#asks.get(target);
    if (topics === undefined) this.#asks.set(target, new Set([topic]));
    else topics.add(topic);
  }

  #forget(peer: Peer): void {
    this.#peers.delete(peer.id);
    this.#asks.delete(peer.id);
    peer.ahead.clear();
    peer.stale.clear();
    peer.gatherings.clear();
    for (const room of this.#rooms.values()) room.replace(peer.id, new Map());
    for (const topic of this.#unready.keys()) this.#checkReady(topic);
  }

  /** A room is ready when all have answered who have a lease, which all have by then; or when it has waited for long enough. */
  #checkReady(topic: string): void {
    const deadline = this.#unready.get(topic);
    if (deadline === undefined) return;
    const isComplete = this.#clock >= this.#settledAt && !this.#isMissing(topic);
    if (!isComplete && this.#clock < deadline) return;
    this.#unready.delete(topic);
    this.#rooms.get(topic)!.becomeReady();
  }

  #isMissing(topic: string): boolean {
    for (const peer of this.#peers.values()) if (peer.stale.has(topic)) return true;
    return false;
  }
}
