import { createRequire } from 'node:module';
import type { Job, Runner } from '../job.ts';
import { type Effort, END_TO_END, type EndToEndCase, FULL, SMOKE } from './cases.ts';
import { CONTESTANTS, type Contestant, OURS } from './contestants.ts';
import { measureEndToEnd, type Setup } from './measure.ts';

const COLUMNS: Readonly<Record<EndToEndCase['kind'], readonly string[]>> = {
  echo: [
    'cpuMicros',
    'perSecond',
    'megabytesPerSecond',
    'p50Micros',
    'p99Micros',
    'rssMegabytes',
    'serverLoad',
    'generatorLoad',
  ],
  chat: ['cpuMicros', 'perSecond', 'p50Micros', 'p99Micros', 'rssMegabytes', 'serverLoad', 'generatorLoad'],
  accept: ['cpuMicros', 'perSecond', 'serverLoad', 'generatorLoad'],
  idle: ['bytesPerConnection', 'rssMegabytes', 'cpuMicros'],
};

/** Says why a contestant cannot take part, or `undefined` if it can. */
export function whyAbsent({ needs, runtime }: Contestant, { peers, runtimes }: Setup): string | undefined {
  if (runtimes[runtime] === undefined)
    return runtime === 'bun' ? 'Bun is not installed' : 'Node 20 is not here (--fetch)';
  if (needs === undefined || runtime === 'bun') return undefined;
  try {
    createRequire(peers).resolve(needs);
    return undefined;
  } catch {
    return `${needs} is not installed`;
  }
}

/** The end-to-end cases with those who take part. */
export function endToEndJobs(setup: Setup, smoke: boolean, seconds: number | undefined): Job[] {
  const full = seconds === undefined ? FULL : { ...FULL, measureMs: seconds * 1000 };
  const effort: Effort = smoke ? SMOKE : full;
  const present = CONTESTANTS.filter((contestant) => whyAbsent(contestant, setup) === undefined);
  return END_TO_END.map((work) => ({
    name: work.name,
    title: work.title,
    metric: work.kind === 'idle' ? 'bytesPerConnection' : 'cpuMicros',
    columns: COLUMNS[work.kind],
    runners: present
      .filter((contestant) => contestant.takes(work))
      .map(
        (contestant): Runner => ({
          name: contestant.name,
          run: () => {
            // Only what is ours is profiled: its profile is what can be acted on.
            const profiled = contestant.name === OURS ? setup : { ...setup, nodeFlags: [] };
            return measureEndToEnd(profiled, contestant, work, effort);
          },
        }),
      ),
  }));
}
