import assert from 'node:assert/strict';
import { PresenceBook } from '../../lib/topics/presence-book.ts';
import type { PresenceChange, RoomWatcher } from '../../lib/topics/presence-room.ts';

/** How often the time is told to a process, and how exact the network is. */
const STEP_MS = 250;

/** Deterministic numbers from 0 to 1. */
export function makeRandom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** What a watcher has been told, by which it knows the members; it fails when that makes no sense. */
export class Replay implements RoomWatcher {
  readonly members = new Map<string, unknown>();
  readonly log: string[] = [];
  isReady = false;
  hasEnded = false;

  onReady(): void {
    assert.equal(this.isReady, false, 'a room is ready once');
    this.isReady = true;
  }

  onChange({ type, key, info }: PresenceChange): void {
    this.log.push(`${type} ${key}`);
    if (this.members.has(key) === (type === 'join')) assert.fail(`${type} of ${key} behind ${this.log.join(', ')}`);
    if (type === 'leave') assert.deepEqual(this.members.get(key), info, 'a leave tells what was told last');
    if (type === 'leave') this.members.delete(key);
    else this.members.set(key, info);
  }

  onEnd(): void {
    this.hasEnded = true;
  }
}

export interface WorldSeat {
  readonly topic: string;
  readonly key: string;
  readonly info: unknown;
  readonly stamp: number;
}

interface Letter {
  readonly at: number;
  readonly topic: string | undefined;
  readonly bytes: Uint8Array;
}

/** One process: its book, what it holds, and how it is doing. */
export class WorldProcess {
  readonly id: string;
  readonly book: PresenceBook;
  readonly seats = new Map<object, WorldSeat>();
  readonly watches = new Map<string, Replay>();
  /** Its own clock is ahead of the others by so much. */
  readonly skewMs: number;
  isPaused = false;
  isCut = false;
  needsFlush = false;
  inbox: Letter[] = [];
  lastStamp = 0;

  constructor(world: World, id: string, skewMs: number) {
    this.id = id;
    this.skewMs = skewMs;
    this.book = new PresenceBook({
      process: id,
      send: (topic, bytes) => world.carry(this, topic, bytes),
      wake: () => {
        this.needsFlush = true;
      },
      wallClock: () => world.now + skewMs,
    });
  }

  join(world: World, holder: object, topic: string, key: string, info: unknown): void {
    this.book.join(topic, holder, key, info);
    this.lastStamp = Math.max(this.lastStamp + 1, world.now + this.skewMs);
    this.seats.set(holder, { topic, key, info, stamp: this.lastStamp });
  }

  leave(holder: object): void {
    const seat = this.seats.get(holder);
    if (seat === undefined) return;
    this.book.leave(seat.topic, holder);
    this.seats.delete(holder);
  }

  watch(topic: string): void {
    if (this.watches.has(topic)) return;
    const replay = new Replay();
    const room = this.book.watch(topic);
    room.watchers.add(replay);
    for (const [key, info] of room.members()) replay.members.set(key, info);
    replay.isReady = room.isReady;
    this.watches.set(topic, replay);
  }

  unwatch(topic: string): void {
    const replay = this.watches.get(topic);
    if (replay === undefined) return;
    this.book.unwatch(topic, replay);
    this.watches.delete(topic);
  }

  isIn(topic: string): boolean {
    if (this.watches.has(topic)) return true;
    for (const seat of this.seats.values()) if (seat.topic === topic) return true;
    return false;
  }

  step(now: number): void {
    this.book.tick(now + 12_345);
    const due = this.inbox.filter((letter) => letter.at <= now).sort((a, b) => a.at - b.at);
    this.inbox = this.inbox.filter((letter) => letter.at > now);
    for (const { topic, bytes } of due) if (topic === undefined || this.isIn(topic)) this.book.receive(topic, bytes);
    if (!this.needsFlush) return;
    this.needsFlush = false;
    this.book.flush();
  }
}

/** Processes with a network between them that does what networks do, under a time of its own. */
export class World {
  readonly processes = new Set<WorldProcess>();
  now = 0;
  loss = 0;
  doubling = 0;
  maxDelayMs = 0;
  signals = 0;
  readonly #random: () => number;
  #made = 0;

  constructor(seed: number) {
    this.#random = makeRandom(seed);
  }

  start(): WorldProcess {
    const id = (++this.#made).toString(16).padStart(16, '0');
    const process = new WorldProcess(this, id, Math.floor(this.#random() * 4000));
    this.processes.add(process);
    return process;
  }

  carry(from: WorldProcess, topic: string | undefined, bytes: Uint8Array): void {
    this.signals++;
    for (const to of this.processes) {
      // A process hears itself, too.
      if (to !== from && (from.isCut || to.isCut || this.#random() < this.loss)) continue;
      const copies = this.#random() < this.doubling ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        to.inbox.push({ at: this.now + this.#random() * this.maxDelayMs, topic, bytes: Uint8Array.from(bytes) });
      }
    }
  }

  /** @param isKnown - whether the process is told, or hears nothing and does not know why */
  cut(process: WorldProcess, isKnown: boolean): void {
    process.isCut = true;
    if (isKnown) process.book.down();
  }

  heal(process: WorldProcess): void {
    if (!process.isCut) return;
    process.isCut = false;
    process.book.up();
  }

  /** Ends a process without a word. */
  crash(process: WorldProcess): void {
    this.processes.delete(process);
  }

  /** Ends a process properly. */
  close(process: WorldProcess): void {
    process.book.close();
    this.processes.delete(process);
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += STEP_MS;
      for (const process of this.processes) if (!process.isPaused) process.step(this.now);
    }
  }

  /** Everything that was wrong is over. */
  calm(): void {
    this.loss = 0;
    this.doubling = 0;
    for (const process of this.processes) {
      process.isPaused = false;
      this.heal(process);
    }
  }

  /** Who is in a topic: the seat that was taken last tells what is shown of a key. */
  expected(topic: string): Map<string, unknown> {
    const latest = new Map<string, { stamp: number; id: string; info: unknown }>();
    for (const { id, seats } of this.processes) {
      for (const { topic: where, key, info, stamp } of seats.values()) {
        const before = latest.get(key);
        const isLater = before === undefined || stamp > before.stamp || (stamp === before.stamp && id > before.id);
        if (where === topic && isLater) latest.set(key, { stamp, id, info });
      }
    }
    return new Map([...latest].map(([key, { info }]) => [key, info]));
  }

  /** Checks that everybody knows who is there. */
  check(): void {
    for (const { id, book, watches } of this.processes) {
      for (const [topic, replay] of watches) {
        const wanted = sorted(this.expected(topic));
        assert.deepEqual(sorted(replay.members), wanted, `${id} was told who is in ${topic}`);
        assert.ok(replay.isReady, `the snapshot of ${topic} is there`);
        assert.deepEqual(sorted(book.watch(topic).members()), wanted, `${id} knows who is in ${topic}`);
      }
    }
  }
}

function sorted(members: Map<string, unknown>): [string, unknown][] {
  return [...members].sort(([a], [b]) => (a < b ? -1 : 1));
}
