/**
 * Measures this library and its peers: see README.md here, or `npm run bench -- --help`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildAll, ROOT } from './build.ts';
import { CONTESTANTS, OURS } from './e2e/contestants.ts';
import { endToEndJobs, whyAbsent } from './e2e/jobs.ts';
import type { Setup } from './e2e/measure.ts';
import type { Job } from './job.ts';
import { type Options, readOptions } from './options.ts';
import { formatResult, type JobResult, runJob } from './rounds.ts';
import { findBun, findNode, MAIN_NODE, OLD_NODE, versionOf } from './runtimes.ts';

const PEERS = join(ROOT, 'bench', 'peers');
const RESULTS = join(ROOT, 'bench', 'results');

function makeSetup(folder: string, options: Options): Setup {
  const main = options.node ?? findNode(MAIN_NODE, options.fetch) ?? process.execPath;
  const old = findNode(OLD_NODE, options.fetch);
  const bun = findBun(PEERS);
  return {
    ...buildAll(folder),
    peers: join(PEERS, 'package.json'),
    runtimes: { main, ...(old !== undefined && { old }), ...(bun !== undefined && { bun }) },
    loadNode: findNode(MAIN_NODE, false) ?? process.execPath,
    nodeFlags: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`],
    pinned: canPin(),
  };
}

/** Whether the server can have a core for itself. */
function canPin(): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-c', '0,1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function describe(setup: Setup): string[] {
  const { pinned, runtimes } = setup;
  const absent = CONTESTANTS.map((contestant) => [contestant.name, whyAbsent(contestant, setup)] as const);
  return [
    `Node ${versionOf(runtimes.main!)} on ${cpus()[0]?.model ?? 'an unknown processor'}, ${process.platform}`,
    pinned
      ? 'server on core 0, load on core 1'
      : 'NOT PINNED: server and load may share a core (needs Linux and two cores)',
    ...absent.filter(([, why]) => why !== undefined).map(([name, why]) => `SKIPPED ${name}: ${why}`),
  ];
}

function wanted(jobs: readonly Job[], { filters, peers }: Options): Job[] {
  const isWanted = (name: string): boolean =>
    peers === undefined || name === OURS || peers.some((part) => name.toLowerCase().includes(part.toLowerCase()));
  return jobs
    .filter(({ name }) => filters.length === 0 || filters.some((part) => name.includes(part)))
    .map((job) => ({ ...job, runners: job.runners.filter(({ name }) => isWanted(name)) }));
}

const options = readOptions(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-'));
try {
  const setup = makeSetup(folder, options);
  const jobs = wanted(endToEndJobs(setup, options.smoke, options.seconds), options);
  if (options.list) {
    for (const { name, title } of jobs) console.log(`${name.padEnd(24)} ${title}`);
  } else {
    const machine = describe(setup);
    console.log(machine.join('\n'));
    const results: JobResult[] = [];
    for (const [index, job] of jobs.entries()) {
      const result = await runJob(job, options.rounds, `[${index + 1}/${jobs.length}]`);
      results.push(result);
      console.log(formatResult(result));
    }
    const failed = results.filter(({ failures }) => failures.length > 0);
    if (!options.smoke) {
      mkdirSync(RESULTS, { recursive: true });
      const file = join(RESULTS, options.publish ? 'published.json' : 'latest.local.json');
      const date = new Date().toISOString().slice(0, 10);
      writeFileSync(file, `${JSON.stringify({ date, machine, rounds: options.rounds, results }, null, 2)}\n`);
      console.log(`\nwritten to ${file}`);
    }
    if (failed.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
