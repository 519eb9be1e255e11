import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Job, Sample } from '../job.ts';
import { isInstalled, type Setup } from '../setup.ts';
import { CODEC_CASES } from './all.ts';
import type { CodecCase, Subject } from './case.ts';
import type { CodecTask } from './worker.ts';

/** How long a process may take, and how much longer for each subject it has: the machine may be busy. */
const LIMIT_MS = 60_000;
const LIMIT_PER_SUBJECT_MS = 2000;

interface Effort {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const FULL: Effort = { warmUpMs: 150, measureMs: 300 };
const SMOKE: Effort = { warmUpMs: 1, measureMs: 1 };

/** The cases of the codec that are wanted, with the subjects that are installed. */
export function codecJobs(setup: Setup, seconds: number | undefined, isWanted: (name: string) => boolean): Job[] {
  const effort = seconds === undefined ? FULL : { ...FULL, measureMs: seconds * 1000 };
  return CODEC_CASES.filter(({ name }) => isWanted(name)).map((work) => ({
    name: work.name,
    title: work.title,
    metric: 'cpuNanos',
    columns: work.bytes > 0 ? ['cpuNanos', 'megabytesPerSecond'] : ['cpuNanos'],
    runners: installed(setup, work).map((subject) => ({
      name: subject.name,
      run: async () => (await measure(setup, [[work.name, subject.name]], subject, effort))[0]!,
    })),
  }));
}

/** The same for a smoke run: one process for all subjects of a kind, since starting one is most of the time it takes. */
export function codecSmokeJobs(setup: Setup, isWanted: (name: string) => boolean): Job[] {
  const kinds = new Map<string, { subject: Subject; names: [string, string][] }>();
  for (const work of CODEC_CASES.filter(({ name }) => isWanted(name))) {
    for (const subject of installed(setup, work)) {
      const kind = `${subject.needs === undefined ? 'ours' : subject.name}`;
      if (!kinds.has(kind)) kinds.set(kind, { subject, names: [] });
      kinds.get(kind)!.names.push([work.name, subject.name]);
    }
  }
  const runners = [...kinds].map(([name, { subject, names }]) => ({
    name,
    run: async () => ({ samples: (await measure(setup, names, subject, SMOKE)).length }),
  }));
  return runners.length === 0 ? [] : [{ name: 'codec', title: 'all of the codec', metric: '', columns: [], runners }];
}

function installed(setup: Setup, { subjects }: CodecCase): Subject[] {
  return subjects.filter(({ needs }) => needs === undefined || isInstalled(setup, needs));
}

async function measure(
  setup: Setup,
  subjects: CodecTask['subjects'],
  { needs, env: variables }: Subject,
  effort: Effort,
): Promise<Sample[]> {
  const { bench, lib, peers } = setup;
  const task: CodecTask = { subjects, lib, peers, ...effort };
  const worker = join(bench, 'cases', 'worker.js');
  const flags = needs === undefined ? setup.nodeFlags : [];
  const command = [setup.runtimes.main!, ...flags, worker, JSON.stringify(task)];
  const [program, ...args] = setup.pinned ? ['taskset', '-c', '0', ...command] : command;
  const env = { ...process.env, ...variables };
  const timeout = LIMIT_MS + subjects.length * LIMIT_PER_SUBJECT_MS;
  const { stdout } = await promisify(execFile)(program!, args, { env, timeout });
  return JSON.parse(stdout) as Sample[];
}
