/**
 * Two server processes over one Redis: what a delivery takes of the processes of Node, and how long it takes. Ours with both
 * clients of Redis, without history and with, and socket.io with its adapters. The servers share one core; the load and Redis
 * have the other.
 *
 *     node --import tsx bench/redis.ts [--rounds n] [--seconds n] [--only part,...] [--profile dir] [--smoke]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './build.ts';
import { LOAD_CORE, SERVER_CORE } from './e2e/measure.ts';
import { type RunningServer, startLoadProcess, startServerProcess } from './e2e/processes.ts';
import type { Phase, PhaseResult, RedisLoadTask, RedisServerTask, Work } from './redis/messages.ts';
import { type RedisServer, redisVersion, startRedis } from './redis/redis-server.ts';
import { versionOf } from './runtimes.ts';
import { isInstalled, makeSetup, type Setup } from './setup.ts';
import { median } from './statistics.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
    smoke: { type: 'boolean', default: false },
  },
});
const rounds = values.smoke ? 1 : Number(values.rounds);
const ms = values.smoke ? 100 : Number(values.seconds) * 1000;
const WORK: Omit<Work, 'wire'> = values.smoke
  ? { rooms: 2, members: 10, payloadBytes: 100 }
  : { rooms: 20, members: 50, payloadBytes: 100 };
/** As many as the streams adapter keeps of all rooms, for each room. */
const HISTORY_MESSAGES = 1000;

interface Contestant {
  readonly name: string;
  /** The compiled file in `redis/` that it is. */
  readonly file: 'hyperlane' | 'socket-io';
  readonly client: RedisServerTask['client'];
  readonly hasHistory: boolean;
  /** The packages it needs. */
  readonly needs: readonly string[];
}

const CONTESTANTS: readonly Contestant[] = [false, true].flatMap((hasHistory) => {
  const adapter = hasHistory ? '@socket.io/redis-streams-adapter' : '@socket.io/redis-adapter';
  return (['redis', 'ioredis'] as const).flatMap((client): Contestant[] => [
    { name: `hyperlane${hasHistory ? ', history' : ''}; ${client}`, file: 'hyperlane', client, hasHistory, needs: [] },
    { name: `${adapter}; ${client}`, file: 'socket-io', client, hasHistory, needs: ['socket.io', adapter] },
  ]);
});

interface Sample {
  readonly busyMicros: number;
  readonly calmMicros: number;
  readonly perSecond: number;
  readonly redisMicros: number;
  readonly p50: number;
  readonly p99: number;
}

async function runRound(setup: Setup, { name, file, client, hasHistory }: Contestant): Promise<Sample> {
  const core = setup.pinned ? { server: SERVER_CORE, load: LOAD_CORE } : { server: undefined, load: undefined };
  const redis = await startRedis(core.load);
  const servers: RunningServer[] = [];
  try {
    const task: RedisServerTask = {
      client,
      redisPort: redis.port,
      historyMessages: hasHistory ? HISTORY_MESSAGES : 0,
      lib: setup.lib,
      peers: setup.peers,
      clients: join(ROOT, 'package.json'),
    };
    const script = join(setup.bench, 'redis', `${file}.js`);
    // Only what is ours is profiled.
    const flags = file === 'hyperlane' ? setup.nodeFlags : [];
    const command = [setup.runtimes.main!, ...flags, script, JSON.stringify(task)];
    const env = { NODE_ENV: 'production' };
    for (let i = 0; i < 2; i++) servers.push(await startServerProcess(name, { command, core: core.server, env }));
    return await measure(setup, core.load, redis, servers, {
      ...WORK,
      wire: file === 'hyperlane' ? 'plain' : 'socket.io',
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    redis.stop();
  }
}

async function measure(
  setup: Setup,
  core: number | undefined,
  redis: RedisServer,
  servers: readonly RunningServer[],
  work: Work,
): Promise<Sample> {
  const ports = [servers[0]!.hello.port, servers[1]!.hello.port] as const;
  const task: RedisLoadTask = { work, ports, milliseconds: { busy: ms, calm: ms } };
  const command = [setup.loadNode, join(setup.bench, 'redis', 'load.js'), JSON.stringify(task)];
  const load = await startLoadProcess<Phase, PhaseResult>({ command, core });
  const usedMicros = async (): Promise<number> => {
    const usages = await Promise.all(servers.map((server) => server.ask('usage')));
    return usages.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0);
  };
  try {
    const start = await usedMicros();
    const redisStart = await redis.cpuMicros();
    const busy = await load.measure('busy');
    const redisMicros = (await redis.cpuMicros()) - redisStart;
    const between = await usedMicros();
    const calm = await load.measure('calm');
    const end = await usedMicros();
    return {
      busyMicros: (between - start) / busy.deliveries,
      calmMicros: (end - between) / calm.deliveries,
      perSecond: (busy.deliveries / busy.elapsedMs) * 1000,
      redisMicros: redisMicros / busy.published,
      p50: calm.p50Micros,
      p99: calm.p99Micros,
    };
  } finally {
    load.stop();
  }
}

const whole = (number: number): string => Math.round(number).toLocaleString('en');

/** How many times the deliveries of one ours has in a CPU second: by the same client, with the same history, in the same round. */
function timesOf(
  samples: ReadonlyMap<string, readonly Sample[]>,
  { name, client, hasHistory, file }: Contestant,
  of: (sample: Sample) => number,
): string {
  const ours = CONTESTANTS.find(
    (one) => one.file === 'hyperlane' && one.client === client && one.hasHistory === hasHistory,
  )!;
  const own = samples.get(ours.name);
  if (file === 'hyperlane' || own === undefined) return '–';
  const times = samples.get(name)!.map((sample, i) => of(sample) / of(own[i]!));
  return `${median(times).toFixed(1)} (${Math.min(...times).toFixed(1)}–${Math.max(...times).toFixed(1)})`;
}

function printTable(contestants: readonly Contestant[], samples: ReadonlyMap<string, readonly Sample[]>): void {
  const head = [
    '',
    'deliveries per CPU second, busy',
    'ours / it',
    'calm',
    'ours / it',
    'deliveries/s',
    'Redis, CPU µs per message',
    'p50, µs',
    'p99, µs',
  ];
  console.log(`| ${head.join(' | ')} |\n|---|${'---:|'.repeat(head.length - 1)}`);
  for (const contestant of contestants) {
    const all = samples.get(contestant.name)!;
    const of = (value: (sample: Sample) => number): number => median(all.map(value));
    const cells = [
      contestant.name,
      whole(1e6 / of(({ busyMicros }) => busyMicros)),
      timesOf(samples, contestant, ({ busyMicros }) => busyMicros),
      whole(1e6 / of(({ calmMicros }) => calmMicros)),
      timesOf(samples, contestant, ({ calmMicros }) => calmMicros),
      whole(of(({ perSecond }) => perSecond)),
      whole(of(({ redisMicros }) => redisMicros)),
      whole(of(({ p50 }) => p50)),
      whole(of(({ p99 }) => p99)),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

async function main(folder: string, version: string): Promise<void> {
  const setup = makeSetup(folder, {
    ...values,
    profile: values.profile,
    node: undefined,
    fetch: false,
    ref: undefined,
  });
  const wanted = CONTESTANTS.filter(({ name }) => values.only.split(',').some((part) => name.includes(part)));
  const present = wanted.filter(({ needs }) => needs.every((name) => isInstalled(setup, name)));
  for (const { name } of wanted)
    if (!present.some((one) => one.name === name)) console.log(`SKIPPED ${name}: not installed`);
  const samples = new Map<string, Sample[]>(present.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Forth and back: a machine that gets slower meanwhile favours nobody.
    for (const contestant of round % 2 === 0 ? present : present.toReversed()) {
      samples.get(contestant.name)!.push(await runRound(setup, contestant));
    }
  }
  const { rooms, members, payloadBytes } = WORK;
  console.log(
    `Node ${versionOf(setup.runtimes.main!)}, redis-server ${version}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}; medians of ${rounds} rounds${setup.pinned ? '' : '; NOT PINNED to cores'}`,
  );
  console.log(
    `2 processes, ${rooms} rooms of ${members}, ${payloadBytes} B; busy: everybody publishes at once; calm: one in all\n`,
  );
  printTable(present, samples);
}

// So that what it has started ends, too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const version = redisVersion();
if (version === undefined) console.log('SKIPPED: redis-server is not installed (apt-get install redis-server)');
else {
  const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-'));
  try {
    await main(folder, version);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
