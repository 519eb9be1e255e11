/** What the servers of a fleet know of who is in its rooms, against the clients that are. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fleet, FleetServer } from './fleet.ts';
import type { Subscriber } from './subscriber.ts';

/** Within this every server knows who is there, and behind that nothing changes. */
const BOUND_MS = 20_000;
const POLL_MS = 100;
/** One key in so many changes. */
const SHARE = 5;

export interface PresenceFindings {
  readonly faults: string[];
  /** How long it took until all servers knew, from the beginning of the fault, and from its end. */
  readonly fromBeginMs: number;
  readonly fromEndMs: number;
  readonly members: number;
  /** Keys that are gone, and the most leaves that one server told of one of them. */
  readonly gone: number;
  readonly leavesOfGone: number;
  /** Leaves that were told of keys that are still there. */
  readonly leavesOfOthers: number;
}

export class PresenceTrial {
  readonly #fleet: Fleet;
  readonly #rooms: number;
  readonly #before: ReadonlySet<string>;
  readonly #servers: ReadonlySet<FleetServer>;
  readonly #begin: number = performance.now();

  private constructor(fleet: Fleet, rooms: number) {
    this.#fleet = fleet;
    this.#rooms = rooms;
    this.#before = this.#live();
    this.#servers = new Set(fleet.servers);
  }

  /** Waits until all servers know who is there, and has some of them go and others come while a fault happens. */
  static async begin(fleet: Fleet, rooms: number): Promise<PresenceTrial> {
    const end = performance.now() + BOUND_MS;
    const first = new PresenceTrial(fleet, rooms);
    while ((await first.#differences()).length > 0 && performance.now() < end) await sleep(POLL_MS);
    const trial = new PresenceTrial(fleet, rooms);
    trial.#change();
    return trial;
  }

  /** Waits until all servers know who is there. @param rest - goes on for a while then, in which nothing may change */
  async check(rest: () => Promise<void>): Promise<PresenceFindings> {
    const over = performance.now();
    let differences = await this.#differences();
    while (differences.length > 0 && performance.now() - over < BOUND_MS) {
      await sleep(POLL_MS);
      differences = await this.#differences();
    }
    const now = performance.now();
    await rest();
    const faults = [...differences, ...(await this.#differences())];
    return {
      faults,
      fromBeginMs: Math.round(now - this.#begin),
      fromEndMs: Math.round(now - over),
      ...(await this.#leaves(faults)),
    };
  }

  /** Some have no seat any more when their server is killed, some leave, some close one tab of two, and some come. */
  #change(): void {
    const tabs = [...this.#before].map((key) => this.#fleet.subscribers.filter((one) => keyOf(one) === key));
    tabs.forEach(([one, other], i) => {
      if (i % SHARE === 0) {
        one!.retire();
        other?.end();
      } else if (i % SHARE === 1) {
        one!.end();
        other?.end();
      } else if (i % SHARE === 2) other?.end();
      // One that comes may have to wait for the end of the fault.
      else if (i % SHARE === 3) void this.#fleet.startSubscriber(one!.room);
    });
  }

  /** The keys that have a seat, with their rooms. */
  #live(): Set<string> {
    const there = this.#fleet.subscribers.filter((subscriber) => !subscriber.isRetired || subscriber.isOpen);
    return new Set(there.map(keyOf));
  }

  /** Where what a server knows is not what there is. */
  async #differences(): Promise<string[]> {
    const reports = await this.#reports();
    const live = this.#live();
    const found: string[] = [];
    for (const [server, rooms] of reports) {
      const known = new Set(rooms.flatMap(({ members }, room) => members.map((key) => `${room}:${key}`)));
      const place = this.#fleet.servers.indexOf(server);
      const missing = [...live].filter((key) => !known.has(key));
      const dead = [...known].filter((key) => !live.has(key));
      if (missing.length > 0) found.push(`server ${place} does not know of ${missing.length}: ${missing.slice(0, 3)}`);
      if (dead.length > 0) found.push(`server ${place} knows of ${dead.length} that are gone: ${dead.slice(0, 3)}`);
    }
    return found;
  }

  /** A key leaves no more often than it has lost its last seat, and once when it is gone. */
  async #leaves(
    faults: string[],
  ): Promise<Pick<PresenceFindings, 'members' | 'gone' | 'leavesOfGone' | 'leavesOfOthers'>> {
    const live = this.#live();
    const closed = new Map<string, number>();
    for (const subscriber of this.#fleet.subscribers) {
      const key = keyOf(subscriber);
      // A server that stood still may let in, for a moment, who has given up meanwhile.
      closed.set(key, (closed.get(key) ?? 0) + subscriber.closeCodes.length + subscriber.refusals);
    }
    const gone = [...this.#before].filter((key) => !live.has(key));
    let [leavesOfGone, leavesOfOthers] = [0, 0];
    for (const [server, rooms] of await this.#reports()) {
      for (const [room, report] of rooms.entries()) {
        faults.push(...report.faults);
        for (const [name, leaves] of Object.entries(report.leaves)) {
          const key = `${room}:${name}`;
          if (live.has(key)) leavesOfOthers += leaves;
          else leavesOfGone = Math.max(leavesOfGone, leaves);
          const most = closed.get(key)!;
          if (leaves > most) faults.push(`${key} left ${leaves} times, and lost its seats ${most} times at most`);
        }
      }
      if (!this.#servers.has(server)) continue;
      const silent = gone.filter((key) => rooms[Number(key.split(':')[0])]!.leaves[key.split(':')[1]!] === undefined);
      if (silent.length > 0) faults.push(`${silent.length} are gone and did not leave: ${silent.slice(0, 3)}`);
    }
    return { members: live.size, gone: gone.length, leavesOfGone, leavesOfOthers };
  }

  async #reports() {
    const running = this.#fleet.servers.filter((server) => server.isRunning);
    return Promise.all(
      running.map(async (server) => [server, (await server.presence()).slice(0, this.#rooms)] as const),
    );
  }
}

function keyOf({ room, key }: Subscriber): string {
  return `${room}:${key}`;
}
