import type { Server } from 'hyperlane-ws';
import type { ChatLimits } from './limits.ts';
import { type Listener, Room } from './room.ts';

/** The rooms that somebody here is in. Bounded in number, together with those of which something is kept. */
export class Rooms {
  readonly #server: Server;
  readonly #limits: ChatLimits;
  readonly #rooms = new Map<string, Room>();
  /** Until when something is kept of the rooms that are empty. */
  readonly #kept = new Map<string, number>();

  constructor(server: Server, limits: ChatLimits) {
    this.#server = server;
    this.#limits = limits;
  }

  /** The room of this name; `undefined` when there are too many. Whoever gets one joins it at once, and leaves it. */
  open(name: string): Room | undefined {
    const known = this.#rooms.get(name);
    if (known !== undefined) return known;
    const now = performance.now();
    for (const [other, until] of this.#kept) if (until <= now) this.#kept.delete(other);
    const keptUntil = this.#kept.get(name);
    if (keptUntil === undefined && this.#rooms.size + this.#kept.size >= this.#limits.maxRooms) return undefined;
    this.#kept.delete(name);
    const room = new Room(name, keptUntil ?? 0, this.#server, this.#limits);
    this.#rooms.set(name, room);
    return room;
  }

  leave(room: Room, listener: Listener): void {
    room.remove(listener);
    if (!room.isEmpty) return;
    room.close();
    this.#rooms.delete(room.name);
    if (room.keptUntil > performance.now()) this.#kept.set(room.name, room.keptUntil);
  }
}
