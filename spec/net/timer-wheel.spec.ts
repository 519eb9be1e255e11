import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { TICK_MS, TimerWheel, type WheelEntry } from '../../lib/net/timer-wheel.ts';

class Entry implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;
  /** The ticks at which it was told. */
  readonly told: number[] = [];
  readonly #wheel: TimerWheel;
  readonly #onTold: (() => void) | undefined;

  constructor(wheel: TimerWheel, onTold?: () => void) {
    this.#wheel = wheel;
    this.#onTold = onTold;
  }

  onTimer(): void {
    this.told.push(this.#wheel.now);
    this.#onTold?.();
  }
}

/** Turns by hand; the wheel's own timer has no time to. */
function turn(wheel: TimerWheel, ticks: number): void {
  for (let i = 0; i < ticks; i++) wheel.turn();
}

describe('TimerWheel', () => {
  it('lets one that is told cancel another that is due, and loses none of those that wait', () => {
    const wheel = new TimerWheel();
    const cancelled = new Entry(wheel);
    const first = new Entry(wheel, () => wheel.cancel(cancelled));
    const others = [2, 3, 4].map(() => new Entry(wheel));
    wheel.schedule(cancelled, TICK_MS);
    wheel.schedule(first, TICK_MS);
    for (const [i, other] of others.entries()) wheel.schedule(other, (2 + i) * TICK_MS);
    turn(wheel, 1);
    assert.deepEqual([first.told, cancelled.told, wheel.waiting], [[1], [], 3]);
    turn(wheel, 4);
    assert.deepEqual([others.map(({ told }) => told), wheel.waiting], [[[2], [3], [4]], 0]);
    assert.deepEqual(cancelled.told, []);
  });

  it('turns by itself while something waits, and stands still while nothing does', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const wheel = new TimerWheel();
    const [entry, other] = [new Entry(wheel), new Entry(wheel)];
    t.mock.timers.tick(3 * TICK_MS);
    assert.equal(wheel.now, 0);
    wheel.schedule(entry, 2 * TICK_MS);
    wheel.schedule(other, 10 * TICK_MS);
    t.mock.timers.tick(4 * TICK_MS);
    assert.deepEqual([wheel.now, entry.told], [4, [2]]);
    wheel.cancel(other);
    t.mock.timers.tick(3 * TICK_MS);
    assert.equal(wheel.now, 4);
    wheel.schedule(other, TICK_MS);
    t.mock.timers.tick(TICK_MS);
    assert.deepEqual([wheel.now, other.told], [5, [5]]);
  });

  it('tells an entry once, at the first tick that is not before its time', () => {
    const wheel = new TimerWheel();
    const delays = [
      0,
      1,
      TICK_MS,
      TICK_MS + 1,
      10 * TICK_MS,
      1023 * TICK_MS,
      1024 * TICK_MS,
      1025 * TICK_MS,
      5000 * TICK_MS,
    ];
    const entries = delays.map(() => new Entry(wheel));
    for (const [i, entry] of entries.entries()) wheel.schedule(entry, delays[i]!);
    assert.equal(wheel.waiting, delays.length);
    turn(wheel, 6000);
    assert.deepEqual(
      entries.map(({ told }) => told),
      [[1], [1], [1], [2], [10], [1023], [1024], [1025], [5000]],
    );
    assert.equal(wheel.waiting, 0);
  });

  it('tells an entry that was scheduled again at the later time only, or the earlier', () => {
    const wheel = new TimerWheel();
    const [later, sooner] = [new Entry(wheel), new Entry(wheel)];
    wheel.schedule(later, 2 * TICK_MS);
    wheel.schedule(later, 5 * TICK_MS);
    wheel.schedule(sooner, 2000 * TICK_MS);
    wheel.schedule(sooner, 3 * TICK_MS);
    assert.equal(wheel.waiting, 2);
    turn(wheel, 3000);
    assert.deepEqual([later.told, sooner.told], [[5], [3]]);
  });

  it('tells nothing to an entry that was cancelled, wherever it stands in its slot', () => {
    for (const cancelled of [0, 1, 2]) {
      const wheel = new TimerWheel();
      const entries = [new Entry(wheel), new Entry(wheel), new Entry(wheel)];
      for (const entry of entries) wheel.schedule(entry, TICK_MS);
      wheel.cancel(entries[cancelled]!);
      wheel.cancel(entries[cancelled]!);
      assert.equal(wheel.waiting, 2);
      turn(wheel, 2);
      assert.deepEqual(
        entries.map(({ told }) => told.length),
        [0, 1, 2].map((i) => (i === cancelled ? 0 : 1)),
      );
    }
  });

  it('lets an entry cancel and move those that are due with it, and schedule itself', () => {
    const wheel = new TimerWheel();
    const cancelled = new Entry(wheel);
    const moved = new Entry(wheel);
    const full = new Entry(wheel);
    const again: Entry = new Entry(wheel, () => {
      wheel.cancel(cancelled);
      wheel.schedule(moved, 2 * TICK_MS);
      // The very slot that is being told, a turn later.
      wheel.schedule(full, 1024 * TICK_MS);
      if (again.told.length < 3) wheel.schedule(again, TICK_MS);
    });
    for (const entry of [cancelled, moved, full, again]) wheel.schedule(entry, TICK_MS);
    turn(wheel, 1);
    assert.deepEqual([again.told, cancelled.told, moved.told, full.told], [[1], [], [], []]);
    turn(wheel, 2000);
    assert.deepEqual([again.told, cancelled.told, moved.told, full.told], [[1, 2, 3], [], [5], [1027]]);
  });

  it('costs no more for ten thousand entries than for one', () => {
    const wheel = new TimerWheel();
    const entries = Array.from({ length: 10_000 }, () => new Entry(wheel));
    for (const [i, entry] of entries.entries()) wheel.schedule(entry, (i % 700) * TICK_MS);
    for (const entry of entries) wheel.schedule(entry, 900 * TICK_MS);
    for (const entry of entries.slice(0, 5000)) wheel.cancel(entry);
    turn(wheel, 899);
    assert.ok(entries.every(({ told }) => told.length === 0));
    turn(wheel, 1);
    assert.equal(entries.filter(({ told }) => told.length === 1).length, 5000);
  });

  it('turns by itself while something waits, and keeps no process alive', () => {
    const script = `
      import { timerWheel } from './lib/net/timer-wheel.ts';
      const entry = { wheelNext: undefined, wheelPrevious: undefined, wheelSlot: -1, wheelTurns: 0 };
      entry.onTimer = () => {
        console.log('told', timerWheel.waiting, process.getActiveResourcesInfo().includes('Timeout'));
        timerWheel.schedule(entry, 3_600_000);
        clearInterval(busy);
      };
      const busy = setInterval(() => {}, 10);
      timerWheel.schedule(entry, 100);`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^told 0 /);
  });
});
