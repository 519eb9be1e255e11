import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNode, MAIN_NODE } from '../../bench/runtimes.ts';

/**
 * `npm run mutants`, or `npm run mutants -- channel lib/net/inbox.ts` for some folders and files: changes the library in one
 * place after the other (`<` to `<=`, a condition to `true`, a block to nothing) and asks whether a spec fails. A change
 * that none notices, a survivor, is a rule that nobody checks, or code that does nothing; which of both is said on a page
 * of the documentation, and a survivor that is not on it makes this exit with 1.
 *
 * Results of the last run hold for what has not changed since, neither the code nor a spec that runs it; `--force` asks
 * again for all of them. `--own` asks the spec of the same name alone, which is quick while that is being written. Needs Node 22.18 or newer for Stryker; the specs run on the Node of the path.
 */
const PAGE = 'docs/explanation/mutants.md';
const MIN_KILLED_PERCENT = 92;

/** The specs that speak for a folder, by it: those of the same folder, and others that state its rules. None that is slow. */
const SPECS: Record<string, readonly string[]> = {
  net: ['spec/net', 'spec/server/pipelining', 'spec/server/server', 'spec/server/waiting-upgrade'],
  protocol: ['spec/protocol', 'spec/rfc/05.4-fragmentation', 'spec/rfc/05.5-control', 'spec/rfc/07-closing'],
  server: ['spec/server', 'spec/rfc/04-handshake'],
  handshake: ['spec/handshake'],
  channel: ['spec/channel'],
  broadcast: ['spec/broadcast'],
};
/** Those that take long, in the order of how long: they are asked last, of what all others let pass. */
const SLOW = ['net/endings', 'server/websocket-session', 'net/liveness', 'net/connection'];
/** Hundreds of clients that die, and floods, for rules that others state too. */
const LEFT_OUT = ['server/killed-clients', 'net/vulnerabilities'];
/** Ignored by git and by the linter. */
const OUTPUT = 'coverage/mutants';
interface Mutant {
  readonly mutatorName: string;
  readonly replacement: string;
  readonly status: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

/** A place in a file; both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

interface Report {
  readonly files: Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    force: { type: 'boolean', default: false },
    own: { type: 'boolean', default: false },
    concurrency: { type: 'string', default: String(availableParallelism()) },
  },
});
const node = findNode(MAIN_NODE, true)!;
const asked = positionals.length > 0 ? positionals : Object.keys(SPECS);

function specOf(name: string): string {
  return `spec/${name}.spec.ts`;
}

/** The spec of the same name: it is asked first, since it is the most likely to notice. */
function ownSpec(file: string): string {
  return file.replace(/^lib/, 'spec').replace(/ts$/, 'spec.ts');
}

/** Specs of one file of the library, in the order of how likely they are to notice, and how quick: by itself, and among others. */
function ownSpecs(file: string): readonly string[] {
  const own = ownSpec(file);
  return [own.replace('.spec.ts', '-alone.spec.ts'), own];
}

function slowness(path: string): number {
  return SLOW.findIndex((name) => path === specOf(name));
}

/** Runs Stryker over some files of one folder, and returns what became of each mutant. */
function run(folder: string, mutate: readonly string[]): Report {
  const own = ownSpecs(mutate[0]!);
  const rank = (path: string): number => (own.includes(path) ? own.indexOf(path) : own.length);
  const specs = readdirSync('spec', { recursive: true, encoding: 'utf8' })
    .map((name) => join('spec', name))
    .filter((path) => path.endsWith('.spec.ts') && SPECS[folder]!.some((start) => path.startsWith(start)))
    .filter((path) => !LEFT_OUT.some((name) => path === specOf(name)) && (!values.own || own.includes(path)))
    .sort((a, b) => rank(a) - rank(b) || slowness(a) - slowness(b) || (a < b ? -1 : 1));
  const part = mutate.length === 1 ? mutate[0]!.slice('lib/'.length).replace('/', '-') : folder;
  const name = values.own ? `own.${part}` : part;
  const report = join(OUTPUT, `${name}.report.json`);
  // Where the specs are in the tree that Stryker copies, as they run there.
  const built = join(OUTPUT, `${name}.specs`);
  const build = ['spec/support/mutants-build.mjs', built];
  rmSync(built, { recursive: true, force: true });
  execFileSync(node, [...build, '--bare', ...specs], { stdio: 'inherit' });
  const config = {
    mutate,
    plugins: ['@stryker-mutator/tap-runner', './spec/support/mutants-ignore.mjs'],
    ignorers: ['sentences'],
    testRunner: 'tap',
    tap: {
      testFiles: specs.map((path) => path.replace(/^spec/, built).replace(/ts$/, 'mjs')),
      nodeArgs: ['--test-reporter=tap', '--require', '{{hookFile}}', '{{testFile}}'],
      forceBail: true,
    },
    buildCommand: `node ${[...build, ...specs].join(' ')}`,
    // A file of specs at a time: only those that run the changed code are asked.
    coverageAnalysis: 'perTest',
    concurrency: Number(values.concurrency),
    timeoutMS: 8000,
    timeoutFactor: 1.5,
    incremental: true,
    incrementalFile: join(OUTPUT, `${name}.incremental.json`),
    force: values.force,
    tempDirName: join(OUTPUT, `${name}.tree`),
    ignorePatterns: ['**', '!lib/**', '!spec/**', `!${built}/**`, '!package.json', '!tsconfig.json'],
    // Its own reading of tsconfig.json wants a compiler with an API, which TypeScript 7 has not.
    tsconfigFile: 'none',
    logLevel: 'error',
    allowConsoleColors: false,
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: report },
  };
  mkdirSync(OUTPUT, { recursive: true });
  const file = join(OUTPUT, `${name}.config.json`);
  writeFileSync(file, JSON.stringify(config));
  // What the properties draw is the same for each mutant.
  const env = { ...process.env, FC_SEED: process.env.FC_SEED ?? '1' };
  const args = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', file];
  const { status } = spawnSync(node, args, { stdio: 'inherit', env });
  if (status !== 0) throw new Error(`Stryker did not end well for ${name}: see above`);
  return JSON.parse(readFileSync(report, 'utf8')) as Report;
}

/** The text of the source between two places, on one line. */
function textOf(source: string, { start, end }: Mutant['location']): string {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  lines[lines.length - 1] = lines.at(-1)!.slice(0, end.column - 1);
  lines[0] = lines[0]!.slice(start.column - 1);
  return lines.join(' ');
}

/** A change as the page writes it: what stands there, and what instead. */
function describeChange(source: string, { location, replacement }: Mutant): string {
  const [before, after] = [textOf(source, location), replacement].map((text) => {
    const short = text.replace(/\s+/g, ' ').trim();
    return short.length > 80 ? `${short.slice(0, 79)}…` : short;
  });
  return `${quote(before!)} → ${quote(after!)}`;
}

function quote(code: string): string {
  const ticks = code.includes('`') ? '``' : '`';
  return `${ticks}${ticks.length > 1 ? ` ${code} ` : code}${ticks}`;
}

/** The files of lib that are asked for, by name or by the name of their folder, in groups that are run together. */
function groups(names: readonly string[]): { folder: string; files: string[] }[] {
  return names.flatMap((name) => {
    const [, folder, file] = /^(?:lib\/)?(\w+)\/?(\S+\.ts)?$/.exec(name) ?? [];
    if (folder === undefined || SPECS[folder] === undefined) throw new Error(`${name}: name folders of lib, or files`);
    if (file !== undefined) return [{ folder, files: [join('lib', folder, file)] }];
    const files = readdirSync(join('lib', folder)).map((each) => join('lib', folder, each));
    const alone = files.filter((each) => existsSync(ownSpec(each)));
    const others = files.filter((each) => !existsSync(ownSpec(each)));
    return [
      ...alone.map((each) => ({ folder, files: [each] })),
      ...(others.length > 0 ? [{ folder, files: others }] : []),
    ];
  });
}

/** What the page knows of, by file: a heading of level 3 that names the file, and below it rows of a table. */
function readExplained(): Map<string, Set<string>> {
  const explained = new Map<string, Set<string>>();
  let changes = new Set<string>();
  for (const line of readFileSync(PAGE, 'utf8').split('\n')) {
    const heading = /^### `(.+)`$/.exec(line);
    if (heading !== null) {
      changes = new Set();
      explained.set(heading[1]!, changes);
    }
    const row = /^\| (.+? → .+?) \| (.+) \|$/.exec(line.replaceAll('\\|', '\0'));
    if (row !== null) changes.add(row[1]!.replaceAll('\0', '|'));
  }
  return explained;
}

const explained = readExplained();
const counted = new Map<string, Record<string, number>>();
let isGood = true;
for (const { folder, files } of groups(asked)) {
  const counts = counted.get(folder) ?? {};
  counted.set(folder, counts);
  for (const [file, { source, mutants }] of Object.entries(run(folder, files).files)) {
    // The report has those, too, that were asked about in runs before.
    if (!files.includes(file)) continue;
    for (const mutant of mutants) {
      counts[mutant.status] = (counts[mutant.status] ?? 0) + 1;
      if (mutant.status !== 'Survived' && mutant.status !== 'NoCoverage') continue;
      const change = describeChange(source, mutant);
      if (explained.get(file)?.has(change) === true) continue;
      isGood = false;
      console.error(`${file}:${mutant.location.start.line}:${mutant.location.start.column} ${change}`);
    }
  }
}

console.log('| folder | mutants | killed | timed out | survived | not run | invalid | left out | % |');
for (const [folder, { Killed = 0, Timeout = 0, Survived = 0, NoCoverage = 0, Ignored = 0, ...invalid }] of counted) {
  const valid = Killed + Timeout + Survived + NoCoverage;
  const percent = valid === 0 ? 100 : (100 * (Killed + Timeout)) / valid;
  if (percent < MIN_KILLED_PERCENT) isGood = false;
  const others = Object.values(invalid).reduce((sum, count) => sum + count, 0);
  const numbers = [valid, Killed, Timeout, Survived, NoCoverage, others, Ignored, percent.toFixed(1)];
  console.log(`| ${[folder, ...numbers].join(' | ')} |`);
}
if (!isGood) {
  console.error(
    `Survivors that ${PAGE} does not explain are listed above, and at least ${MIN_KILLED_PERCENT} % are to be killed`,
  );
  process.exitCode = 1;
}
