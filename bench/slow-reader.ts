/**
 * A room of a thousand, one of whom stops reading: how much longer the others wait for their messages, what the server holds for
 * that one, and whether it is told, and counted, what its policy says. The server is a process of its own, and all clients
 * another. Each policy is measured between two measurements without such a reader. Ends with 1 if the others' p99 is more than
 * 10 % above that, if more is held than the bound, or if anything is told or counted that was not so.
 *
 *     node --import tsx bench/slow-reader.ts [--rounds n] [--clients n] [--only catchUp,...] [--smoke]
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Part } from './part.ts';
import { canPin } from './setup.ts';
import {
  BOUND_BYTES,
  CAPACITY,
  type Counters,
  type FromLoad,
  type FromServer,
  HISTORY_MESSAGES,
  MESSAGE_BYTES,
  MESSAGES,
  POLICIES,
  type Policy,
  type ToLoad,
  type ToServer,
} from './slow-reader/messages.ts';
import { median } from './statistics.ts';

const MAX_RATIO = 1.1;
const SERVER_CORE = 0;
const LOAD_CORE = 1;
const TRY_AGAIN_LATER = 1013;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    smoke: { type: 'boolean', default: false },
  },
});
const rounds = values.smoke ? 1 : Number(values.rounds);
const clients = values.smoke ? 20 : Number(values.clients);
const isPinned = !values.smoke && canPin();

type Server = Part<FromServer, ToServer>;
type Load = Part<FromLoad, ToLoad>;

interface Sample {
  readonly alone: readonly number[];
  readonly withSlow: readonly number[];
  readonly heldBytes: number;
  readonly received: number;
  readonly dropped: number;
  readonly faults: readonly string[];
}

async function startRoom(): Promise<{ server: Server; load: Load }> {
  const core = (number: number): number | undefined => (isPinned ? number : undefined);
  const server: Server = new Part('slow-reader/server-process.ts', core(SERVER_CORE));
  const { port } = await server.next('port');
  const env = { PORT: String(port), CLIENTS: String(clients - 1) };
  const load: Load = new Part('slow-reader/load-process.ts', core(LOAD_CORE), env);
  await load.next('ready');
  return { server, load };
}

async function measure(server: Server, load: Load, messages: number = MESSAGES): Promise<readonly number[]> {
  // Each time behind a collection: it changes how the next ones go.
  await server.ask({ type: 'memory' }, 'memory');
  const { p50Micros, p99Micros } = await load.ask({ type: 'measure', messages }, 'measured');
  return [p50Micros, p99Micros];
}

/** One that stops reading while `MESSAGES` pass, and then reads what there is. */
async function runPolicy(server: Server, load: Load, policy: Policy): Promise<Omit<Sample, 'alone'>> {
  const before = await server.ask({ type: 'counters' }, 'counters');
  const { heldBytes } = await server.ask({ type: 'memory' }, 'memory');
  await load.ask({ type: 'open', policy }, 'open');
  await server.ask({ type: 'slow' }, 'slow');
  const withSlow = await measure(server, load);
  const during = await server.ask({ type: 'memory' }, 'memory');
  const read = await load.ask({ type: 'read' }, 'read');
  const after = await server.ask({ type: 'counters' }, 'counters');
  return {
    withSlow,
    heldBytes: Math.max(0, during.heldBytes - heldBytes),
    received: read.received,
    dropped: after.slowDropped,
    faults: checkOutcome(policy, read, before, after),
  };
}

/** What it was told must be what its policy says, and what is counted must be what it was told. */
function checkOutcome(
  policy: Policy,
  { received, isInOrder, closeCode }: Extract<FromLoad, { type: 'read' }>,
  before: Counters,
  after: Counters,
): string[] {
  const is = (what: string, actual: unknown, expected: unknown): string[] =>
    actual === expected ? [] : [`${policy}: ${what} is ${actual}, and not ${expected}`];
  const kept = { catchUp: MESSAGES, skip: CAPACITY, latest: 1, end: 0 }[policy];
  // It is ended as soon as one more than may wait has come.
  const dropped = policy === 'end' ? CAPACITY + 1 : MESSAGES - kept;
  return [
    ...is('in order', isInOrder, true),
    ...is('received', received, kept),
    ...is('the close code', closeCode, policy === 'end' ? TRY_AGAIN_LATER : 0),
    ...is('dropped', after.slowDropped, dropped),
    ...is('dropped of the topics', after.dropped - before.dropped, dropped),
    ...is('missed, as it was told', after.slowMissed, dropped),
    ...is('gaps', after.slowGaps, policy === 'catchUp' ? 0 : 1),
    ...is('ended', after.ended - before.ended, policy === 'end' ? 1 : 0),
    ...is('recovered', after.recovered - before.recovered > 0, policy === 'catchUp'),
  ];
}

async function runRound(policies: readonly Policy[]): Promise<Map<Policy, Sample>> {
  const { server, load } = await startRoom();
  try {
    // Code is compiled, and the history full.
    await measure(server, load, HISTORY_MESSAGES);
    const samples = new Map<Policy, Sample>();
    let alone = await measure(server, load);
    for (const policy of policies) {
      const sample = await runPolicy(server, load, policy);
      const next = await measure(server, load);
      samples.set(policy, { ...sample, alone: next.map((micros, i) => (micros + alone[i]!) / 2) });
      alone = next;
    }
    return samples;
  } finally {
    for (const { child } of [load, server]) child.kill('SIGKILL');
  }
}

const whole = (number: number): string => Math.round(number).toLocaleString('en');
const kib = (bytes: number): string => whole(bytes / 1024);

const wanted = POLICIES.filter((policy) => values.only.split(',').some((part) => policy.includes(part)));
const samples = new Map<Policy, Sample[]>(wanted.map((policy) => [policy, []]));
for (let i = 0; i < rounds; i++) {
  const round = await runRound(i % 2 === 0 ? wanted : wanted.toReversed());
  for (const [policy, sample] of round) samples.get(policy)!.push(sample);
}
console.log(
  `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}; medians of ${rounds} rounds, and the worst${isPinned ? '' : '; NOT PINNED to cores'}`,
);
console.log(
  `${clients} in a room, ${MESSAGES} messages of ${MESSAGE_BYTES} B, one at a time; capacity ${CAPACITY}, history ${HISTORY_MESSAGES}\n`,
);
const head = [
  'whenBehind',
  'p50 alone, µs',
  'one not reading',
  'p99 alone, µs',
  'one not reading',
  'p99 ratio',
  'worst',
];
head.push('held, KiB', 'bound', 'it got', 'dropped');
console.log(`| ${head.join(' | ')} |\n|---|${'---:|'.repeat(head.length - 1)}`);
const faults: string[] = [];
for (const [policy, all] of samples) {
  const of = (value: (sample: Sample) => number): number[] => all.map(value);
  const ratios = of(({ alone, withSlow }) => withSlow[1]! / alone[1]!);
  const held = Math.max(...of(({ heldBytes }) => heldBytes));
  faults.push(...all.flatMap((sample) => sample.faults));
  // In a smoke run nothing is measured, only shown to work.
  if (!values.smoke && median(ratios) > MAX_RATIO) faults.push(`${policy}: the others' p99 is above ${MAX_RATIO}`);
  if (!values.smoke && held > BOUND_BYTES) faults.push(`${policy}: more is held than ${BOUND_BYTES} bytes`);
  const cells = [
    policy,
    whole(median(of(({ alone }) => alone[0]!))),
    whole(median(of(({ withSlow }) => withSlow[0]!))),
    whole(median(of(({ alone }) => alone[1]!))),
    whole(median(of(({ withSlow }) => withSlow[1]!))),
    median(ratios).toFixed(2),
    Math.max(...ratios).toFixed(2),
    kib(held),
    kib(BOUND_BYTES),
    whole(median(of(({ received }) => received))),
    whole(median(of(({ dropped }) => dropped))),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
for (const fault of faults) console.log(`FAULT ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);
