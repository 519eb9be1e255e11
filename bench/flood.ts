/**
 * One peer floods, another echoes: how much longer the other's answers take, and what the flood makes the server hold.
 * Server, flooder and echo are processes of their own, the server on a core of its own and the flooder behind the echo on
 * the other: what is measured is how the server shares its time. Rounds alternate between alone and flooded. Ends with 1 if the
 * echo's p99 is more than three times what it is alone, or if more is held than one connection may.
 *
 *     node --import tsx bench/flood.ts [--rounds n] [--seconds n] [--only flood,...] [--smoke]
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import {
  FLOODS,
  type Flood,
  type FromEcho,
  type FromFlooder,
  type FromServer,
  type ToEcho,
  type ToFlooder,
  type ToServer,
} from './flood/messages.ts';
import { BOUND_BYTES } from './flood/options.ts';
import { Part } from './part.ts';
import { canPin } from './setup.ts';
import { median } from './statistics.ts';

const MAX_RATIO = 3;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
/** How long a flood goes on before anything is measured. */
const WARM_UP_MS = 300;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    smoke: { type: 'boolean', default: false },
  },
});
const rounds = values.smoke ? 1 : Number(values.rounds);
const isPinned = !values.smoke && canPin();
const measureMs = values.smoke ? 200 : Number(values.seconds) * 1000;

/** Where a process runs, if processes are bound to cores. */
const coreOf = (core: number): number | undefined => (isPinned ? core : undefined);

interface Round {
  readonly aloneP50: number;
  readonly aloneP99: number;
  readonly floodP50: number;
  readonly floodP99: number;
  readonly rssGrowth: number;
  readonly heldBytes: number;
  readonly megabytes: number;
}

/** Measures alone, and then flooded: by a server that is new each time, so that no flood sees what another left. */
async function runRound(flood: Flood): Promise<Round> {
  const server = new Part<FromServer, ToServer>('flood/server-process.ts', coreOf(SERVER_CORE));
  const { port } = await server.next('port');
  const echo = new Part<FromEcho, ToEcho>('flood/echo-process.ts', coreOf(CLIENT_CORE), { PORT: String(port) });
  await echo.next('open');
  // Code is compiled.
  await echo.ask({ type: 'measure', ms: measureMs / 2 }, 'measured');
  const alone = await echo.ask({ type: 'measure', ms: measureMs }, 'measured');
  const before = await server.ask({ type: 'memory' }, 'memory');

  const flooder = new Part<FromFlooder, ToFlooder>('flood/flooder-process.ts', coreOf(CLIENT_CORE));
  flooder.child.send({ type: 'flood', port, flood } satisfies ToFlooder);
  await flooder.next('flooding');
  flooder.giveWay();
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const flooded = await echo.ask({ type: 'measure', ms: measureMs }, 'measured');
  const { bytes } = await flooder.next('flooding');
  const during = await server.ask({ type: 'memory' }, 'memory');
  flooder.child.kill('SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  // Against what it keeps behind the flood: pools, and code that was compiled, are not held for anybody.
  const after = await server.ask({ type: 'memory' }, 'memory');
  for (const { child } of [echo, server]) child.kill('SIGKILL');
  return {
    aloneP50: alone.p50Micros,
    aloneP99: alone.p99Micros,
    floodP50: flooded.p50Micros,
    floodP99: flooded.p99Micros,
    rssGrowth: during.rssBytes - before.rssBytes,
    heldBytes: Math.max(0, during.heldBytes - after.heldBytes),
    megabytes: bytes / 1e6,
  };
}

const whole = (number: number): string => Math.round(number).toLocaleString('en');
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

const named = (Object.keys(FLOODS) as Flood[]).filter((flood) => flood.includes(values.only));
const wanted = values.smoke ? named.filter((_, i) => i % 3 === 0) : named;
console.log(
  `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}; medians of ${rounds} rounds, and the worst${isPinned ? '' : '; NOT PINNED to cores'}\n`,
);
console.log(
  '| one peer sends | p50 alone, µs | flooded | p99 alone, µs | flooded | p99 ratio | worst | MB sent | RSS grows, MiB | held, MiB | bound |',
);
console.log(`|---|${'---:|'.repeat(10)}`);
const samples = new Map<Flood, Round[]>(wanted.map((flood) => [flood, []]));
for (let i = 0; i < rounds; i++) {
  // Forth and back: a machine that gets slower meanwhile favours nobody.
  for (const flood of i % 2 === 0 ? wanted : wanted.toReversed()) samples.get(flood)!.push(await runRound(flood));
}
let broken = 0;
for (const flood of wanted) {
  const of = (value: (round: Round) => number): number[] => samples.get(flood)!.map(value);
  const ratios = of(({ aloneP99, floodP99 }) => floodP99 / aloneP99);
  const ratio = median(ratios);
  const held = Math.max(...of(({ heldBytes }) => heldBytes));
  const isSlow = ratio > MAX_RATIO;
  const isLarge = held > BOUND_BYTES;
  if (isSlow || isLarge) broken++;
  const cells = [
    FLOODS[flood],
    whole(median(of(({ aloneP50 }) => aloneP50))),
    whole(median(of(({ floodP50 }) => floodP50))),
    whole(median(of(({ aloneP99 }) => aloneP99))),
    whole(median(of(({ floodP99 }) => floodP99))),
    `${ratio.toFixed(2)}${isSlow ? ' **above 3**' : ''}`,
    Math.max(...ratios).toFixed(2),
    whole(median(of(({ megabytes }) => megabytes))),
    mib(median(of(({ rssGrowth }) => rssGrowth))),
    `${mib(held)}${isLarge ? ' **broken**' : ''}`,
    mib(BOUND_BYTES),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
// In a smoke run nothing is measured, only shown to work.
process.exit(broken > 0 && !values.smoke ? 1 : 0);
