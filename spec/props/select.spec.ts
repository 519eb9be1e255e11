import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { Receive } from '../../lib/channel/receive.ts';
import { ReceiveQueue } from '../../lib/channel/receive-queue.ts';
import { select } from '../../lib/channel/select.ts';
import { ModelReceive, ModelSelect, ModelWorld } from './receive-model.ts';

const SOURCES = 2;
const SIGNALS = 3;

const source = fc.nat(SOURCES - 1);
const signal = fc.option(fc.nat(SIGNALS - 1), { freq: 3, nil: undefined });
const timeoutMs = fc.option(fc.integer({ min: 1, max: 6 }), { freq: 3, nil: undefined });

/** One step of a program. `which` picks one of the receives that nobody awaits yet. */
const step = fc.oneof(
  { weight: 9, arbitrary: fc.record({ do: fc.constant('push' as const), source }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('receive' as const), source, signal, timeoutMs }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('await' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw' as const), which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('select' as const),
      sources: fc.array(source, { minLength: 1, maxLength: 3 }),
      reused: fc.option(fc.nat(9), { nil: undefined }),
      signal,
      timeoutMs,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tryTake' as const), source }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), source }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), signal: fc.nat(SIGNALS - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Runs a program on the library and on the model side by side. */
class Run {
  readonly model: ModelWorld = new ModelWorld(SOURCES);
  readonly queues: ReceiveQueue<string>[] = Array.from({ length: SOURCES }, () => new ReceiveQueue<string>());
  /** What was taken, in the order it was taken: the receive and the value. */
  readonly taken: string[] = [];
  /** What those who wait were told, by receive and by select. */
  readonly told: Map<string, string> = new Map();
  readonly #controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  readonly #idle: { real: Receive<string>; model: ModelReceive }[] = [];
  readonly #tick: (ms: number) => void;
  #names = 0;

  constructor(tick: (ms: number) => void) {
    this.#tick = tick;
  }

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'push': {
        const value = `${step.source}:${this.#names++}`;
        this.model.push(step.source, value);
        this.queues[step.source]!.push(value);
        return;
      }
      case 'receive':
        this.#idle.push(this.#receive(step.source, step.signal, step.timeoutMs));
        return;
      case 'await': {
        const receive = this.#pick(step.which);
        if (receive === undefined) return;
        receive.model.await();
        this.#listen(receive.model.name, receive.real);
        return;
      }
      case 'withdraw': {
        const receive = this.#pick(step.which);
        receive?.model.withdraw();
        receive?.real.withdraw();
        return;
      }
      case 'select':
        return this.#select(step);
      case 'tryTake': {
        const taken = this.queues[step.source]!.tryTake();
        assert.equal(taken, this.model.tryTake(step.source));
        if (taken !== undefined) this.taken.push(`tryTake ${taken}`);
        return;
      }
      case 'fail':
        this.model.fail(step.source);
        this.queues[step.source]!.fail('failed');
        return;
      case 'tick':
        for (let i = 0; i < step.ms; i++) {
          this.model.tick();
          this.#tick(1);
        }
        return;
      case 'abort':
        this.model.abort(step.signal);
        this.#controllers[step.signal]!.abort(`aborted ${step.signal}`);
        return;
      case 'turn':
        await nextTurn();
    }
  }

  #select(step: Step & { do: 'select' }): void {
    const branches = step.sources.map((source, i) =>
      this.#receive(source, undefined, i === 0 ? step.timeoutMs : undefined),
    );
    const reused = step.reused === undefined ? undefined : this.#pick(step.reused);
    if (reused !== undefined) branches.push(reused);
    const name = `select ${this.#names++}`;
    const model = new ModelSelect(
      this.model,
      name,
      branches.map((branch) => branch.model),
      step.signal,
    );
    const receives = Object.fromEntries(branches.map(({ real }, i) => [`branch ${i}`, real]));
    const signal = step.signal === undefined ? undefined : this.#controllers[step.signal]!.signal;
    this.#listen(
      name,
      select(receives, { signal, biased: true }).then(({ key, value }) => `${key} ${value}`),
    );
    model.start();
  }

  #receive(source: number, signal: number | undefined, timeoutMs: number | undefined) {
    const name = `receive ${this.#names++}`;
    const real = this.queues[source]!.receive(
      { signal: signal === undefined ? undefined : this.#controllers[signal]!.signal, timeoutMs },
      (item) => {
        this.taken.push(`${name} ${item}`);
        return item;
      },
    );
    return { real, model: new ModelReceive(this.model, name, source, signal, timeoutMs) };
  }

  #pick(which: number) {
    return this.#idle.splice(which % Math.max(1, this.#idle.length), 1)[0];
  }

  #listen(name: string, promise: PromiseLike<string>): void {
    promise.then(
      (value) => this.told.set(name, value),
      (error) => this.told.set(name, typeof error === 'string' ? error : error.code),
    );
  }
}

describe('select and receives, for any interleaving', () => {
  it('take each value once, in the order a naive model says', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        // A clock of its own for each program, without the timers of the last.
        t.mock.timers.reset();
        t.mock.timers.enable({ apis: ['setTimeout'] });
        const run = new Run((ms) => t.mock.timers.tick(ms));
        for (const each of steps) {
          await run.do(each);
          assert.deepEqual(run.taken, run.model.taken);
        }
        await nextTurn();
        assert.deepEqual(Object.fromEntries(run.told), Object.fromEntries(run.model.told));
        for (const [i, queue] of run.queues.entries()) {
          assert.equal(queue.waiting, run.model.sources[i]!.line.length);
          assert.equal(queue.length, run.model.sources[i]!.values.length);
        }
      }),
    );
  });

  it('hand on every value of two sources once and in order, when the choice is random', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(source, { nil: undefined }), { maxLength: 60, size: 'max' }),
        async (pushes) => {
          const queues = Array.from({ length: SOURCES }, () => new ReceiveQueue<number>());
          const seen: number[][] = queues.map(() => []);
          const counts = queues.map(() => 0);
          const total = pushes.filter((push) => push !== undefined).length;
          const consumer = (async () => {
            for (let i = 0; i < total; i++) {
              const [a, b] = [queues[0]!, queues[1]!];
              const { key, value } = await select({ a: a.receive(), b: b.receive(), again: a.receive() });
              seen[key === 'b' ? 1 : 0]!.push(value);
            }
          })();
          for (const push of pushes) {
            if (push === undefined) await nextTurn();
            else queues[push]!.push(counts[push]!++);
          }
          await consumer;
          assert.deepEqual(
            seen,
            counts.map((count) => Array.from({ length: count }, (_, i) => i)),
          );
          for (const queue of queues) assert.deepEqual([queue.length, queue.waiting], [0, 0]);
        },
      ),
    );
  });
});
