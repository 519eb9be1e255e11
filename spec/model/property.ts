import fc from 'fast-check';
import { type Step, steps } from './commands.ts';
import { Finding } from './finding.ts';
import { showState } from './show.ts';
import { World, type WorldOptions } from './world.ts';

/** How many steps a run has at most. */
const MAX_STEPS = 30;

export const worldOptions: fc.Arbitrary<WorldOptions> = fc.record({
  perMessageDeflate: fc.constantFrom<WorldOptions['perMessageDeflate']>(
    false,
    { thresholdBytes: 100 },
    { thresholdBytes: 100 },
    { thresholdBytes: 100, serverNoContextTakeover: false, clientNoContextTakeover: false },
  ),
  backpressurePolicy: fc.constantFrom('wait', 'drop', 'close'),
  maxQueuedMessages: fc.constantFrom(2, 64),
  maxQueuedBytes: fc.constantFrom(2000, 200_000),
  maxBackpressureBytes: fc.constantFrom(20_000, 500_000),
  highWaterMarkBytes: fc.constantFrom(1000, 65_536),
  idleTimeoutMs: fc.constantFrom(0, 0, 2500),
  maxConnections: fc.constantFrom(Number.POSITIVE_INFINITY, 2),
  maxPipelinedRequests: fc.constantFrom(16, 3),
  hasHook: fc.boolean(),
});

export interface Run {
  readonly options: WorldOptions;
  readonly steps: Iterable<Step>;
  readonly isPeaceful: boolean;
  readonly closesFirst: boolean;
}

/** @param replayPath - see `steps` */
export function runs(replayPath?: string): fc.Arbitrary<Run> {
  return fc.record({
    options: worldOptions,
    steps: steps(MAX_STEPS, replayPath),
    isPeaceful: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    closesFirst: fc.boolean(),
  });
}

/** Runs all steps in a world of their own, and sees to it that it ends as it must. @throws {Finding} */
export async function play({ options, steps, isPeaceful, closesFirst }: Run, isTcp: boolean = false): Promise<void> {
  const escaped: unknown[] = [];
  const stopWatching = watch((error) => escaped.push(error));
  const world = new World(options, isTcp, escaped);
  try {
    await world.start();
    await fc.asyncModelRun(() => ({ model: world, real: world }), steps);
    await world.settle();
    if (isPeaceful) {
      await world.drain();
      world.oracles.checkArrival();
    }
    if (closesFirst && world.closings.length === 0) world.close(1000);
    world.silence();
    await world.end();
  } catch (error) {
    if (error instanceof Finding) error.state = showState(world);
    throw error;
  } finally {
    await world.stop();
    stopWatching();
  }
}

/** Has all that nobody catches told, in place of whoever is told of it otherwise. */
function watch(onError: (error: unknown) => void): () => void {
  const names = ['uncaughtException', 'unhandledRejection'] as const;
  const before = names.map((name) => process.rawListeners(name) as ((error: unknown) => void)[]);
  for (const name of names) process.removeAllListeners(name).on(name, onError);
  return () => {
    names.forEach((name, index) => {
      process.removeAllListeners(name);
      for (const listener of before[index]!) process.on(name, listener);
    });
  };
}
