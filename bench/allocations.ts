/**
 * Bytes that a server allocates per message: what the garbage collector has to be paid for, and the functions that
 * allocate them.
 *
 *     node --import tsx bench/allocations.ts [--sites] [part of a case's name ...]
 *
 * Takes the options of `npm run bench`. The young generation is made so large that no garbage is collected in the
 * measured window, so that the growth of the heap is what was allocated. `--sites` names the functions of ours, by the
 * sampling profiler of the heap; it cannot look into what was inlined, so nothing is, and objects that inlining would
 * have spared are in it: look there for the functions, and in the table for the sum.
 */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './build.ts';
import type { AllocationQuestion, AllocationSite, Allocations } from './e2e/allocation-agent.ts';
import { type Effort, END_TO_END, type EndToEndCase } from './e2e/cases.ts';
import { CONTESTANTS, type Contestant } from './e2e/contestants.ts';
import { startLoad, startServer } from './e2e/measure.ts';
import type { RunningServer } from './e2e/processes.ts';
import { makeFilter } from './filter.ts';
import { type Options, readOptions } from './options.ts';
import { makeSetup, type Setup } from './setup.ts';
import { median } from './statistics.ts';

const CASES = ['echo-text-20-32', 'echo-20-32', 'echo-20-1', 'echo-1k-16', 'chat-32'];
const NAMES = ['hyperlane', 'hyperlane async', 'ws'];
/** Short, so that what is allocated fits in the young generation; and shorter where buffers have garbage collected. */
const EFFORT: Effort = { warmUpMs: 1500, measureMs: 60, maxConnections: 5000 };
const MIN_MEASURE_MS = 5;
const PROFILED: Effort = { ...EFFORT, measureMs: 1000 };
const YOUNG_MEGABYTES = 512;
const NO_INLINING = ['--no-turbo-inlining', '--no-maglev-inlining', '--max-inlined-bytecode-size-small=0'];
/** Functions that allocate less than this per message are left out. */
const MIN_SITE_BYTES = 1;
/** For a server to be at rest when it is asked. */
const SETTLE_MS = 100;

const args = process.argv.slice(2);
const wantsSites = args.includes('--sites');
const options = readOptions(args.filter((arg) => arg !== '--sites'));
const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-'));
try {
  await measureAll(makeSetup(folder, options), options);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measureAll(setup: Setup, { filters, rounds }: Options): Promise<void> {
  const isWanted = makeFilter(filters);
  const contestants = NAMES.map((name) => CONTESTANTS.find((contestant) => contestant.name === name)!);
  for (const work of END_TO_END.filter(({ name }) => CASES.includes(name) && isWanted(name))) {
    console.log(`\n${work.name}: ${work.title}, bytes per ${work.kind === 'chat' ? 'delivery' : 'message'}`);
    for (const contestant of contestants) {
      const samples: Sample[] = [];
      for (let round = 0; round < rounds; round++) samples.push(await countWhole(setup, contestant, work));
      console.log(`  ${contestant.name.padEnd(18)} ${formatSamples(samples)}`);
      if (wantsSites && contestant.needs === undefined) printSites(await profile(setup, contestant, work), setup);
    }
  }
}

/** Bytes per message. */
interface Sample {
  readonly heap: number;
  readonly external: number;
  readonly collections: number;
}

function formatSamples(samples: readonly Sample[]): string {
  const heap = median(samples.map((sample) => sample.heap));
  const external = median(samples.map((sample) => sample.external));
  const collections = Math.max(...samples.map((sample) => sample.collections));
  const flaw = collections > 0 ? `, TOO LITTLE: garbage was collected ${collections} times` : '';
  return `${(heap + external).toFixed(0).padStart(6)} = objects ${heap.toFixed(0)} + buffers ${external.toFixed(0)}${flaw}`;
}

/** Counts in a window in which no garbage is collected, if there is one. */
async function countWhole(setup: Setup, contestant: Contestant, work: EndToEndCase): Promise<Sample> {
  for (let measureMs = EFFORT.measureMs; ; measureMs /= 2) {
    const sample = await count(setup, contestant, work, { ...EFFORT, measureMs });
    if (sample.collections === 0 || measureMs < MIN_MEASURE_MS) return sample;
  }
}

async function count(setup: Setup, contestant: Contestant, work: EndToEndCase, effort: Effort): Promise<Sample> {
  const young = [`--min-semi-space-size=${YOUNG_MEGABYTES}`, `--max-semi-space-size=${YOUNG_MEGABYTES}`];
  return withServer({ ...setup, nodeFlags: young }, contestant, work, effort, async (ask, run) => {
    await ask('count');
    const messages = await run();
    const { heapBytes, externalBytes, collections } = (await ask('counted')) as Allocations;
    return { heap: heapBytes / messages, external: externalBytes / messages, collections };
  });
}

async function profile(setup: Setup, contestant: Contestant, work: EndToEndCase): Promise<AllocationSite[]> {
  return withServer({ ...setup, nodeFlags: NO_INLINING }, contestant, work, PROFILED, async (ask, run) => {
    await ask('profile');
    const messages = await run();
    const sites = (await ask('profiled')) as AllocationSite[];
    return sites.map((site) => ({ ...site, bytes: site.bytes / messages }));
  });
}

type Ask = (question: AllocationQuestion) => Promise<unknown>;

/** Runs a server with the agent in it, and a load that has warmed it up. */
async function withServer<T>(
  setup: Setup,
  contestant: Contestant,
  work: EndToEndCase,
  effort: Effort,
  measure: (ask: Ask, run: () => Promise<number>) => Promise<T>,
): Promise<T> {
  const agent = ['--import', join(setup.bench, 'e2e', 'allocation-agent.js')];
  const nodeFlags = [...setup.nodeFlags, ...agent];
  const server: RunningServer = await startServer({ ...setup, nodeFlags }, contestant, work, true);
  const ask: Ask = async (question) => {
    const answer = once(server.process, 'message');
    server.process.send(question);
    const [message] = await answer;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return message;
  };
  try {
    const load = await startLoad(setup, { work, effort, port: server.hello.port, handshake: contestant.handshake });
    try {
      return await measure(ask, async () => (await load.measure('go')).messages);
    } finally {
      load.stop();
    }
  } finally {
    await server.stop();
  }
}

function printSites(sites: readonly AllocationSite[], setup: Setup): void {
  const shown = sites.filter(({ bytes }) => bytes >= MIN_SITE_BYTES).toSorted((a, b) => b.bytes - a.bytes);
  for (const { name, bytes, ...place } of shown) {
    console.log(`${bytes.toFixed(1).padStart(12)}  ${name || '(anonymous)'}  ${formatPlace(place, setup)}`);
  }
}

/** Where a function is in the sources; the compiled files have maps beside them. */
function formatPlace({ url, line, column }: Pick<AllocationSite, 'url' | 'line' | 'column'>, setup: Setup): string {
  if (!url.startsWith('file:')) return url;
  const file = fileURLToPath(url);
  if (!existsSync(`${file}.map`)) return `${file}:${line + 1}`;
  const map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
  const entry = map.findEntry(line, column);
  const source = relative(join(setup.bench, '..'), file).replace(/\.js$/, '.ts');
  return `${relative(ROOT, join(ROOT, source))}:${'originalLine' in entry ? entry.originalLine + 1 : line + 1}`;
}
