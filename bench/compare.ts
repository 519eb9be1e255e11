/**
 * Measures the working tree against how it was at a git reference.
 *
 *     node --import tsx bench/compare.ts HEAD~1 echo-20-32 chat-32
 *
 * Takes the options of `npm run bench`. Ours is the working tree; below 1, it takes less than it did.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildLibraryAt } from './build.ts';
import { codecJobs } from './cases/jobs.ts';
import { endToEndJobs } from './e2e/jobs.ts';
import { makeFilter } from './filter.ts';
import type { Job } from './job.ts';
import { readOptions } from './options.ts';
import { formatResult, runJob } from './rounds.ts';
import { makeSetup, type Setup } from './setup.ts';

const [reference, ...args] = process.argv.slice(2);
if (reference === undefined || args.length === 0) {
  console.error('say what to compare with, and in which cases: bench/compare.ts <git ref> <part of a name> ...');
  process.exit(2);
}
const options = readOptions(args);
const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-'));

function jobsOf(setup: Setup): Job[] {
  const { seconds, filters } = options;
  const isWanted = makeFilter(filters);
  return [...endToEndJobs(setup, seconds, isWanted), ...codecJobs(setup, seconds, isWanted)];
}

try {
  const now = makeSetup(join(folder, 'now'), options);
  const then = { ...now, lib: buildLibraryAt(reference, join(folder, 'then')) };
  const jobsThen = jobsOf(then);
  for (const [i, job] of jobsOf(now).entries()) {
    const runners = [
      { ...job.runners[0]!, name: 'working tree' },
      { ...jobsThen[i]!.runners[0]!, name: reference },
    ];
    console.log(formatResult(await runJob({ ...job, runners }, options.rounds, reference)));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
