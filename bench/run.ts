/**
 * Measures this library and its peers: see README.md here, or `npm run bench -- --help`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './build.ts';
import { codecJobs, codecSmokeJobs } from './cases/jobs.ts';
import { publish } from './charts.ts';
import { CONTESTANTS, OURS } from './e2e/contestants.ts';
import { endToEndJobs, endToEndSmokeJobs, whyAbsent } from './e2e/jobs.ts';
import { makeFilter } from './filter.ts';
import type { Job } from './job.ts';
import { type Options, readOptions } from './options.ts';
import { addToReport, formatResult, type JobResult, type Report, runJob, tryJobs } from './rounds.ts';
import { versionOf } from './runtimes.ts';
import { makeSetup, type Setup } from './setup.ts';

const RESULTS = join(ROOT, 'bench', 'results');
/** Two cores have enough to do with this many. */
const TRIED_AT_ONCE = 4;

/** Programs that are benches by themselves; a smoke run tries them, too. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  soak: ['bench/soak.ts', '--minutes', '0.05', '--wave', '6', '--load', '2'],
  flood: ['bench/flood.ts', '--smoke'],
  redis: ['bench/redis.ts', '--smoke'],
};

/** What is measured against what. */
function describeVersions({ runtimes, peers }: Setup, { ref }: Options): string {
  const commit = execFileSync('git', ['-C', ROOT, 'rev-parse', '--short', ref ?? 'HEAD'], { encoding: 'utf8' }).trim();
  const { optionalDependencies } = JSON.parse(readFileSync(peers, 'utf8')) as { optionalDependencies: object };
  const versions = Object.entries(optionalDependencies).map(([name, version]) => `${name} ${version}`);
  const old = runtimes.old === undefined ? [] : [`Node ${versionOf(runtimes.old)}`];
  return [`hyperlane-ws at ${commit}${ref === undefined ? ', working tree' : ''}`, ...versions, ...old].join(', ');
}

function describe(setup: Setup, options: Options): string[] {
  const { pinned, runtimes } = setup;
  const absent = CONTESTANTS.map((contestant) => [contestant.name, whyAbsent(contestant, setup)] as const);
  return [
    `Node ${versionOf(runtimes.main!)} on ${cpus()[0]?.model ?? 'an unknown processor'}, ${process.platform}`,
    describeVersions(setup, options),
    pinned ? 'server on core 0, load on core 1' : 'NOT PINNED to cores: good for a look, not for numbers',
    ...absent.filter(([, why]) => why !== undefined).map(([name, why]) => `SKIPPED ${name}: ${why}`),
  ];
}

/** Makes the cases that the command line asks for. */
function makeJobs(setup: Setup, { filters, peers, smoke, seconds }: Options): Job[] {
  const isWanted = makeFilter(filters);
  const jobs = smoke
    ? [...endToEndSmokeJobs(setup, isWanted), ...codecSmokeJobs(setup, isWanted)]
    : [...endToEndJobs(setup, seconds, isWanted), ...codecJobs(setup, seconds, isWanted)];
  const isPeer = (name: string): boolean =>
    peers === undefined || name === OURS || peers.some((part) => name.toLowerCase().includes(part.toLowerCase()));
  return jobs.map((job) => ({ ...job, runners: job.runners.filter(({ name }) => isPeer(name)) }));
}

async function measureAll(jobs: readonly Job[], machine: readonly string[], options: Options): Promise<boolean> {
  const results: JobResult[] = [];
  for (const [index, job] of jobs.entries()) {
    const result = await runJob(job, options.rounds, `[${index + 1}/${jobs.length}]`);
    results.push(result);
    console.log(formatResult(result));
  }
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, options.publish ? 'published.json' : 'latest.local.json');
  const measured: Report = { date: new Date().toISOString().slice(0, 10), machine, rounds: options.rounds, results };
  const isAdded = options.add && existsSync(file);
  const report = isAdded ? addToReport(JSON.parse(readFileSync(file, 'utf8')) as Report, measured) : measured;
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  if (options.publish) publish(report, ROOT);
  console.log(`\nwritten to ${file}`);
  return results.every(({ failures }) => failures.length === 0);
}

async function tryAll(jobs: readonly Job[]): Promise<boolean> {
  const failures = await tryJobs(jobs, TRIED_AT_ONCE);
  const runs = jobs.reduce((sum, { runners }) => sum + runners.length, 0);
  console.log([...failures, `${jobs.length} cases, ${runs} runs, ${failures.length} failed`].join('\n'));
  return failures.length === 0;
}

/** Runs the programs that are wanted: alone, since a client that has to wait for other benches is taken for gone. */
function tryPrograms(isWanted: (name: string) => boolean): boolean {
  const failures = Object.entries(PROGRAMS)
    .filter(([name]) => isWanted(name))
    .flatMap(([name, args]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', ...args], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      for (const line of stdout.split('\n')) if (line.startsWith('SKIPPED')) console.log(line);
      return status === 0 ? [] : [`FAILED ${name}:\n${stdout}${stderr}`];
    });
  console.log([...failures, `${Object.keys(PROGRAMS).join(', ')}: ${failures.length} failed`].join('\n'));
  return failures.length === 0;
}

const options = readOptions(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-'));
try {
  const setup = makeSetup(folder, options);
  const jobs = makeJobs(setup, options);
  if (options.list) {
    for (const { name, title } of jobs) console.log(`${name.padEnd(24)} ${title}`);
  } else {
    const machine = describe(setup, options);
    console.log(machine.join('\n'));
    let succeeded = options.smoke ? await tryAll(jobs) : await measureAll(jobs, machine, options);
    if (options.smoke) succeeded = tryPrograms(makeFilter(options.filters)) && succeeded;
    if (!succeeded) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
