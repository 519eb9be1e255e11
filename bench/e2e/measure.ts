import { join } from 'node:path';
import type { Sample } from '../job.ts';
import type { Setup } from '../setup.ts';
import type { Effort, EndToEndCase } from './cases.ts';
import type { Contestant } from './contestants.ts';
import type { LoadResult, LoadTask } from './load.ts';
import { type RunningLoad, type RunningServer, startLoadProcess, startServerProcess } from './processes.ts';
import type { ServerTask } from './server-process.ts';

export const SERVER_CORE = 0;
export const LOAD_CORE = 1;
/** For buffers and closed sockets to be let go of before memory is read. */
const SETTLE_MS = 500;

/** Runs one contestant in one case, in processes of their own. @throws {NotSupported} */
export async function measureEndToEnd(
  setup: Setup,
  contestant: Contestant,
  work: EndToEndCase,
  effort: Effort,
): Promise<Sample> {
  const server = await startServer(setup, contestant, work);
  try {
    const task: LoadTask = { work, effort, port: server.hello.port, handshake: contestant.handshake };
    const load = await startLoad(setup, task);
    try {
      return await measureWindow(server, load, work);
    } finally {
      load.stop();
    }
  } finally {
    await server.stop();
  }
}

type Go = 'go';

async function measureWindow(
  server: RunningServer,
  load: RunningLoad<Go, LoadResult>,
  work: EndToEndCase,
): Promise<Sample> {
  const isIdle = work.kind === 'idle';
  if (isIdle) await sleep(SETTLE_MS);
  const before = await server.ask(isIdle ? 'gc' : 'usage');
  const result = await load.measure('go');
  if (isIdle) await sleep(SETTLE_MS);
  const after = await server.ask(isIdle ? 'gc' : 'usage');
  const cpuMicros = after.cpuMicros - before.cpuMicros;
  const elapsedMicros = result.elapsedMs * 1000;
  return {
    /** CPU time of the server per message, or per connection that was opened. */
    cpuMicros: cpuMicros / result.messages,
    perSecond: (result.messages / result.elapsedMs) * 1000,
    megabytesPerSecond: result.bytes / elapsedMicros,
    p50Micros: result.p50Micros,
    p99Micros: result.p99Micros,
    /** Garbage collections in the measured window. */
    collections: after.collections - before.collections,
    fullCollections: after.fullCollections - before.fullCollections,
    collectingMs: after.collectingMs - before.collectingMs,
    rssMegabytes: after.rssBytes / 1e6,
    bytesPerConnection: (after.rssBytes - before.rssBytes) / result.messages,
    heapPerConnection: (after.heapBytes - before.heapBytes) / result.messages,
    /** How much of its core each side used: below 1, it waited for the other. */
    serverLoad: cpuMicros / elapsedMicros,
    generatorLoad: result.cpuMicros / elapsedMicros,
  };
}

/** @param channel - whether the server can be sent messages, which something that is loaded into it answers */
export function startServer(
  setup: Setup,
  contestant: Contestant,
  work: EndToEndCase,
  channel: boolean = false,
): Promise<RunningServer> {
  const { name, variant, file, env, runtime } = contestant;
  const task: ServerTask = { work, variant, lib: setup.lib, peers: setup.peers };
  const flags = runtime === 'bun' ? [] : ['--expose-gc', ...work.nodeFlags, ...setup.nodeFlags];
  const script = join(setup.bench, 'e2e', 'servers', `${file}.js`);
  const command = [setup.runtimes[runtime]!, ...flags, script, JSON.stringify(task)];
  return startServerProcess(name, { command, core: setup.pinned ? SERVER_CORE : undefined, env }, channel);
}

export function startLoad(setup: Setup, task: LoadTask): Promise<RunningLoad<Go, LoadResult>> {
  const command = [setup.loadNode, join(setup.bench, 'e2e', 'load.js'), JSON.stringify(task)];
  return startLoadProcess({ command, core: setup.pinned ? LOAD_CORE : undefined });
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
