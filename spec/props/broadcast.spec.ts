import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import type { BroadcastReceiver } from '../../lib/broadcast/broadcast-receiver.ts';
import type { Receive } from '../../lib/channel/receive.ts';
import { type ChannelClosedError, LaggedError } from '../../lib/errors.ts';

/** One step of a program. `which` picks one of the receivers, or one of the receives that nobody awaits yet. */
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('subscribe' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('recv' as const), which: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reserve' as const), which: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('await' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

type ModelReceive = { name: string; isAwaited: boolean };

/** A receiver as one would first write it: a list of its own with everything that was sent since. */
class ModelReceiver {
  readonly told: string[] = [];
  readonly line: ModelReceive[] = [];
  readonly #capacity: number;
  /** What was skipped by a receive that overtook an earlier one; it is safe from being overwritten. */
  #kept: string[] = [];
  #unread: string[] = [];
  #hasEnded = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  send(value: string): void {
    if (!this.#hasEnded) this.#unread.push(value);
    this.settle();
  }

  close(): void {
    this.#hasEnded = true;
    this.settle();
  }

  unsubscribe(): void {
    this.#kept = [];
    this.#unread = [];
    this.close();
  }

  withdraw(receive: ModelReceive): void {
    const place = this.line.indexOf(receive);
    if (place !== -1) this.line.splice(place, 1);
    this.settle();
  }

  settle(): void {
    for (const [place, { name, isAwaited }] of this.line.entries()) {
      if (!isAwaited || place >= this.#outcomes().length + (this.#hasEnded ? Number.POSITIVE_INFINITY : 0)) continue;
      this.line.splice(place, 1);
      this.told.push(`${name} ${this.#take(place)}`);
      this.settle();
      return;
    }
  }

  #outcomes(): string[] {
    const missed = this.#unread.length - this.#capacity;
    const lagged = missed > 0 ? [`lagged ${missed}`, ...this.#unread.slice(missed)] : this.#unread;
    return [...this.#kept, ...lagged];
  }

  #take(place: number): string {
    const outcomes = this.#outcomes();
    if (place < this.#kept.length) return this.#kept.splice(place, 1)[0]!;
    const taken = outcomes.slice(0, place + 1);
    // All values up to this one are read, and a LaggedError in front of them stands for what was missed.
    const values = taken.slice(this.#kept.length).filter((outcome) => !outcome.startsWith('lagged'));
    const missed = values.length < taken.length - this.#kept.length ? this.#unread.length - this.#capacity : 0;
    this.#unread.splice(0, missed + values.length);
    this.#kept = outcomes.slice(0, place);
    return outcomes[place] ?? 'WS_ERR_CHANNEL_CLOSED';
  }
}

class Run {
  readonly receivers: { real: BroadcastReceiver<string>; model: ModelReceiver; told: string[]; isGone: boolean }[] = [];
  readonly channel: Broadcast<string>;
  readonly #capacity: number;
  readonly #reserved: { owner: number; real: Receive<string>; model: ModelReceive }[] = [];
  #names = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.channel = new Broadcast<string>(capacity);
  }

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'send': {
        const value = `value ${this.#names++}`;
        for (const { model } of this.receivers) model.send(value);
        assert.equal(this.channel.send(value), this.receivers.filter(({ isGone }) => !isGone).length);
        return;
      }
      case 'subscribe': {
        const model = new ModelReceiver(this.#capacity);
        this.receivers.push({ real: this.channel.subscribe(), model, told: [], isGone: false });
        return;
      }
      case 'recv':
        if (this.#reserve(step.which)) this.#await(this.#reserved.length - 1);
        return;
      case 'reserve':
        this.#reserve(step.which);
        return;
      case 'await':
        this.#await(step.which % Math.max(1, this.#reserved.length));
        return;
      case 'withdraw': {
        const [receive] = this.#reserved.splice(step.which % Math.max(1, this.#reserved.length), 1);
        if (receive === undefined) return;
        this.receivers[receive.owner]!.model.withdraw(receive.model);
        receive.real.withdraw();
        return;
      }
      case 'unsubscribe': {
        const receiver = this.receivers[step.which % Math.max(1, this.receivers.length)];
        if (receiver === undefined) return;
        receiver.model.unsubscribe();
        assert.equal(receiver.real.unsubscribe(), !receiver.isGone);
        receiver.isGone = true;
        return;
      }
      case 'turn':
        await nextTurn();
    }
  }

  #reserve(which: number): boolean {
    if (this.receivers.length === 0) return false;
    const owner = which % this.receivers.length;
    const receiver = this.receivers[owner]!;
    const model = { name: `receive ${this.#names++}`, isAwaited: false };
    receiver.model.line.push(model);
    this.#reserved.push({ owner, real: receiver.real.recv(), model });
    return true;
  }

  #await(index: number): void {
    const [receive] = this.#reserved.splice(index, 1);
    if (receive === undefined) return;
    const { model, told } = this.receivers[receive.owner]!;
    receive.model.isAwaited = true;
    model.settle();
    receive.real.then(
      (value) => told.push(`${receive.model.name} ${value}`),
      (error: LaggedError | ChannelClosedError) =>
        told.push(`${receive.model.name} ${error instanceof LaggedError ? `lagged ${error.missed}` : error.code}`),
    );
  }
}

describe('Broadcast, for any interleaving', () => {
  it('gives each receiver what a list of its own would give, or one LaggedError with the right count', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 80, size: 'max' }),
        async (capacity, steps) => {
          const run = new Run(capacity);
          for (const each of steps) await run.do(each);
          for (const { model } of run.receivers) model.close();
          run.channel.close();
          await nextTurn();
          for (const { real, model, told } of run.receivers) {
            assert.deepEqual(told, model.told);
            assert.equal(real.waiting, model.line.length);
          }
        },
      ),
    );
  });
});
