import type { ChatLimits } from './limits.ts';
import { Room } from './room.ts';

/** All rooms, bounded in number: an empty one stays, with its history, until its place is needed. */
export class Rooms {
  readonly #limits: ChatLimits;
  /** The one that was entered last at the end. */
  readonly #rooms = new Map<string, Room>();

  constructor(limits: ChatLimits) {
    this.#limits = limits;
  }

  /** The room of this name, made if there is none; `undefined` when there are too many with people in them. */
  open(name: string): Room | undefined {
    const known = this.#rooms.get(name);
    if (known === undefined && this.#rooms.size >= this.#limits.maxRooms && !this.#dropEmpty()) return undefined;
    const room = known ?? new Room(name, this.#limits);
    this.#rooms.delete(name);
    this.#rooms.set(name, room);
    return room;
  }

  #dropEmpty(): boolean {
    for (const room of this.#rooms.values()) if (room.isEmpty) return this.#rooms.delete(room.name);
    return false;
  }
}
