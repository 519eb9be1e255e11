import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { World, type WorldProcess } from '../support/presence-world.ts';

/** Within this everybody knows who is there, once nothing goes wrong any more. */
const BOUND_MS = 20_000;

const which = fc.nat(9);
const topic = fc.constantFrom('a', 'a', 'a', 'b', 'c');
const key = fc.constantFrom('x', 'y', 'z');
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('join' as const), which, topic, key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('leave' as const), which, holder: which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('watch' as const), which, topic }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unwatch' as const), which, topic }) },
  // One process says one thing after another: each may be lost.
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('changes' as const),
      which,
      topic,
      changes: fc.array(fc.tuple(fc.boolean(), key, fc.constantFrom(250, 500, 1500)), { minLength: 2, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('start' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), which, isKnown: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('heal' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resume' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('weather' as const),
      loss: fc.constantFrom(0.1, 0.3, 0.6, 1),
      doubling: fc.constantFrom(0, 0.3),
      maxDelayMs: fc.constantFrom(0, 600, 2500),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(0, 250, 500, 2000, 6000, 18_000) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function run(world: World, steps: readonly Step[]): void {
  let info = 0;
  const pick = (index: number): WorldProcess | undefined => [...world.processes][index % world.processes.size];
  for (const now of steps) {
    if (now.do === 'start') {
      if (world.processes.size < 5) world.start().watch('a');
    } else if (now.do === 'weather') Object.assign(world, { ...now, do: undefined });
    else if (now.do === 'pass') world.pass(now.ms);
    else {
      const process = pick(now.which);
      if (process === undefined) continue;
      if (now.do === 'resume') process.isPaused = false;
      else if (now.do === 'heal') world.heal(process);
      else if (now.do === 'cut') world.cut(process, now.isKnown);
      else if (now.do === 'crash') world.crash(process);
      else if (process.isPaused) continue;
      else if (now.do === 'pause') process.isPaused = true;
      else if (now.do === 'close') world.close(process);
      else if (now.do === 'join') process.join(world, {}, now.topic, now.key, { info: info++ });
      else if (now.do === 'changes') {
        for (const [joins, key, ms] of now.changes) {
          const holder = [...process.seats].find(([, seat]) => seat.topic === now.topic && seat.key === key)?.[0];
          if (joins) process.join(world, holder ?? {}, now.topic, key, { info: info++ });
          else process.leave(holder ?? {});
          world.pass(ms);
        }
      } else if (now.do === 'leave') process.leave([...process.seats.keys()][now.holder % process.seats.size] ?? {});
      else if (now.do === 'watch') process.watch(now.topic);
      else process.unwatch(now.topic);
    }
  }
}

describe('presence, whatever happens to processes and the network', () => {
  it('is the live seats in every process, when all has been quiet for the bound', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), fc.integer(), (steps, seed) => {
        const world = new World(seed);
        for (let i = 0; i < 3; i++) world.start().watch('a');
        world.loss = 0.2;
        world.maxDelayMs = 600;
        run(world, steps);
        world.calm();
        world.pass(BOUND_MS);
        world.check();
        // And nothing is told any more.
        const told = [...world.processes].flatMap(({ watches }) => [...watches.values()].map(({ log }) => log.length));
        world.pass(BOUND_MS);
        world.check();
        const later = [...world.processes].flatMap(({ watches }) => [...watches.values()].map(({ log }) => log.length));
        assert.deepEqual(later, told);
      }),
      { numRuns: Number(process.env.FC_RUNS ?? 300) },
    );
  });
});
