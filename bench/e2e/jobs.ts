import type { Job, Runner } from '../job.ts';
import { isInstalled, type Setup } from '../setup.ts';
import { type Effort, END_TO_END, type EndToEndCase, FULL, SMOKE } from './cases.ts';
import { CONTESTANTS, type Contestant, OURS } from './contestants.ts';
import { measureEndToEnd } from './measure.ts';

const COLUMNS: Readonly<Record<EndToEndCase['kind'], readonly string[]>> = {
  echo: [
    'cpuMicros',
    'perSecond',
    'megabytesPerSecond',
    'p50Micros',
    'p99Micros',
    'collections',
    'fullCollections',
    'collectingMs',
    'rssMegabytes',
    'serverLoad',
    'generatorLoad',
  ],
  chat: ['cpuMicros', 'perSecond', 'p50Micros', 'p99Micros', 'rssMegabytes', 'serverLoad', 'generatorLoad'],
  'fan-out': ['cpuMicros', 'perSecond', 'p50Micros', 'p99Micros', 'rssMegabytes', 'serverLoad', 'generatorLoad'],
  accept: ['cpuMicros', 'perSecond', 'serverLoad', 'generatorLoad'],
  idle: ['bytesPerConnection', 'heapPerConnection', 'rssMegabytes', 'cpuMicros'],
};

/** Says why a contestant cannot take part, or `undefined` if it can. */
export function whyAbsent({ needs, runtime }: Contestant, setup: Setup): string | undefined {
  if (setup.runtimes[runtime] === undefined) {
    return runtime === 'bun' ? 'Bun is not installed' : 'Node 20 is not here (--fetch)';
  }
  return needs === undefined || runtime === 'bun' || isInstalled(setup, needs)
    ? undefined
    : `${needs} is not installed`;
}

/** The end-to-end cases that are wanted, with those who take part. */
export function endToEndJobs(setup: Setup, seconds: number | undefined, isWanted: (name: string) => boolean): Job[] {
  const effort = seconds === undefined ? FULL : { ...FULL, measureMs: seconds * 1000 };
  return END_TO_END.filter(({ name }) => isWanted(name)).map((work) => makeJob(setup, work, effort, () => true));
}

/** The same for a smoke run: ours in all cases, and everybody else in one of each kind. */
export function endToEndSmokeJobs(setup: Setup, isWanted: (name: string) => boolean): Job[] {
  const seen = new Set<string>();
  const isNew = ({ name }: Contestant, { kind }: EndToEndCase): boolean => {
    const key = `${name}, ${kind}`;
    if (name !== OURS && seen.has(key)) return false;
    seen.add(key);
    return true;
  };
  return END_TO_END.filter(({ name }) => isWanted(name)).map((work) => makeJob(setup, work, SMOKE, isNew));
}

function makeJob(
  setup: Setup,
  work: EndToEndCase,
  effort: Effort,
  takesPart: (contestant: Contestant, work: EndToEndCase) => boolean,
): Job {
  const contestants = CONTESTANTS.filter(
    (contestant) => whyAbsent(contestant, setup) === undefined && contestant.takes(work) && takesPart(contestant, work),
  );
  return {
    name: work.name,
    title: work.title,
    metric: work.kind === 'idle' ? 'bytesPerConnection' : 'cpuMicros',
    columns: COLUMNS[work.kind],
    runners: contestants.map(
      (contestant): Runner => ({
        name: contestant.name,
        run: () => {
          // Only what is ours is profiled: its profile is what can be acted on.
          const profiled = contestant.file === 'hyperlane' ? setup : { ...setup, nodeFlags: [] };
          return measureEndToEnd(profiled, contestant, work, effort);
        },
      }),
    ),
  };
}
