/** Something that waits for its time. The fields belong to the wheel; it lies in them, so that waiting costs no memory. */
export interface WheelEntry {
  wheelNext: WheelEntry | undefined;
  wheelPrevious: WheelEntry | undefined;
  /** The slot it waits in, -1 when it does not wait, -2 when it is about to be told. */
  wheelSlot: number;
  /** Full turns that the wheel has to make first. */
  wheelTurns: number;
  onTimer(): void;
}

/** How exact the wheel is: an entry is told within this many milliseconds after its time. */
export const TICK_MS = 50;
const SLOTS = 1024;

/** In place of a slot, see `WheelEntry.wheelSlot`. */
const NOT_WAITING = -1;
const DUE = -2;

/**
 * Timers for many connections, none of which needs to be exact: a ring of slots, one tick of a single timer each. To
 * schedule, cancel and fire takes constant time, and ten thousand waiting connections cost no more than one.
 *
 * Time is counted in ticks: a process that was stopped for a while does not find all its peers dead when it goes on.
 */
export class TimerWheel {
  readonly #slots: (WheelEntry | undefined)[] = new Array(SLOTS).fill(undefined);
  #tick = 0;
  #waiting = 0;
  #interval: NodeJS.Timeout | undefined;

  /** Ticks since the wheel began to turn. It stands still while nothing waits. */
  get now(): number {
    return this.#tick;
  }

  /** How many entries wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Has `entry` told after `delayMs`, and no more at a time it was scheduled for before. */
  schedule(entry: WheelEntry, delayMs: number): void {
    this.cancel(entry);
    const ticks = Math.max(1, Math.ceil(delayMs / TICK_MS));
    const slot = (this.#tick + ticks) % SLOTS;
    const first = this.#slots[slot];
    entry.wheelSlot = slot;
    entry.wheelTurns = Math.floor((ticks - 1) / SLOTS);
    entry.wheelPrevious = undefined;
    entry.wheelNext = first;
    if (first !== undefined) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#waiting++;
    // The timer keeps no process alive: what waits here has a socket, which does.
    this.#interval ??= setInterval(turn, TICK_MS, this).unref();
  }

  /** Takes `entry` out; does nothing if it does not wait. */
  cancel(entry: WheelEntry): void {
    if (entry.wheelSlot < 0) {
      entry.wheelSlot = NOT_WAITING;
      return;
    }
    const { wheelNext, wheelPrevious } = entry;
    if (wheelPrevious === undefined) this.#slots[entry.wheelSlot] = wheelNext;
    else wheelPrevious.wheelNext = wheelNext;
    if (wheelNext !== undefined) wheelNext.wheelPrevious = wheelPrevious;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = NOT_WAITING;
    this.#waiting--;
    if (this.#waiting === 0) {
      clearInterval(this.#interval);
      this.#interval = undefined;
    }
  }

  /** Moves on by one tick, and tells those whose time has come. */
  turn(): void {
    this.#tick++;
    const slot = this.#tick % SLOTS;
    const due: WheelEntry[] = [];
    for (let entry = this.#slots[slot]; entry !== undefined; entry = entry.wheelNext) {
      if (entry.wheelTurns === 0) due.push(entry);
      else entry.wheelTurns--;
    }
    // All are taken out first: one that is told may have another wait in this very slot, for a whole turn.
    for (const entry of due) {
      this.cancel(entry);
      entry.wheelSlot = DUE;
    }
    for (const entry of due) {
      // One that was told before may have cancelled or moved this one.
      if (entry.wheelSlot !== DUE) continue;
      entry.wheelSlot = NOT_WAITING;
      entry.onTimer();
    }
  }
}

function turn(wheel: TimerWheel): void {
  wheel.turn();
}

/** The wheel of this thread. */
export const timerWheel: TimerWheel = new TimerWheel();
