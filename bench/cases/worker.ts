/**
 * Measures one subject of one case, in a process of its own: what another has left in caches and in the compiler is gone.
 * A smoke run, which measures nothing, gives it several.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CODEC_CASES } from './all.ts';
import type { Env, Work } from './case.ts';

/** What a worker is told by its command line. */
export interface CodecTask {
  /** Names of cases, each with that of a subject. */
  readonly subjects: readonly (readonly [work: string, subject: string])[];
  readonly lib: string;
  readonly peers: string;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What a worker writes to its standard output, for each subject. */
export interface CodecSample {
  readonly cpuNanos: number;
  readonly megabytesPerSecond: number;
}

/** Short enough to let what waits in the event loop run, long enough not to notice it. */
const BATCH_MS = 2;

const task = JSON.parse(process.argv[2]!) as CodecTask;

const require = createRequire(task.peers);
const env: Env = {
  lib: (file) => import(`${task.lib}${file}`),
  peer: (name) => require(fileOf(name)),
};

/** Files that a package does not export are asked for by their path. */
function fileOf(name: string): string {
  const [packageName, ...rest] = name.split('/');
  if (rest.length === 0) return name;
  return join(dirname(require.resolve(`${packageName}/package.json`)), ...rest);
}

let result = 0;

async function runFor(work: Work, batch: number, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let done = 0;
  while (performance.now() < end) {
    result += await work(batch);
    done += batch;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return done;
}

/** How many operations fit in a batch. */
async function calibrate(work: Work): Promise<number> {
  for (let batch = 1; ; batch *= 2) {
    const start = performance.now();
    result += await work(batch);
    if (performance.now() - start >= BATCH_MS) return batch;
  }
}

async function measure(workName: string, subjectName: string): Promise<CodecSample> {
  const { bytes, subjects } = CODEC_CASES.find(({ name }) => name === workName)!;
  const work = await subjects.find(({ name }) => name === subjectName)!.prepare(env);
  await runFor(work, await calibrate(work), task.warmUpMs);
  const batch = await calibrate(work);
  const start = process.cpuUsage();
  const operations = await runFor(work, batch, task.measureMs);
  const { user, system } = process.cpuUsage(start);
  const cpuNanos = ((user + system) * 1000) / operations;
  if (Number.isNaN(result)) throw new Error(`${workName}: the work came to nothing`);
  return { cpuNanos, megabytesPerSecond: (bytes / cpuNanos) * 1000 };
}

const samples: CodecSample[] = [];
for (const [work, subject] of task.subjects) samples.push(await measure(work, subject));
console.log(JSON.stringify(samples));
process.exit(0);
