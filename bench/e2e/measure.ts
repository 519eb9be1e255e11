import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { NotSupported, type Sample } from '../job.ts';
import type { Setup } from '../setup.ts';
import type { Effort, EndToEndCase } from './cases.ts';
import type { Contestant } from './contestants.ts';
import type { LoadMessage, LoadResult, LoadTask } from './load.ts';
import type { ServerHello, ServerTask, ServerUsage } from './server-process.ts';

const SERVER_CORE = '0';
const LOAD_CORE = '1';
const LIMIT_MS = 60_000;
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

async function measureWindow(server: RunningServer, load: RunningLoad, work: EndToEndCase): Promise<Sample> {
  const isIdle = work.kind === 'idle';
  if (isIdle) await sleep(SETTLE_MS);
  const before = await server.ask(isIdle ? 'gc' : 'usage');
  const result = await load.measure();
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

export interface RunningServer {
  readonly hello: ServerHello;
  readonly process: ChildProcess;
  ask(question: 'usage' | 'gc'): Promise<ServerUsage>;
  stop(): Promise<void>;
}

/** @param channel - whether the server can be sent messages, which something that is loaded into it answers */
export async function startServer(
  setup: Setup,
  contestant: Contestant,
  work: EndToEndCase,
  channel: boolean = false,
): Promise<RunningServer> {
  const { variant, file, env } = contestant;
  const task: ServerTask = { work, variant, lib: setup.lib, peers: setup.peers };
  const flags = contestant.runtime === 'bun' ? [] : ['--expose-gc', ...work.nodeFlags, ...setup.nodeFlags];
  const script = join(setup.bench, 'e2e', 'servers', `${file}.js`);
  const command = [setup.runtimes[contestant.runtime]!, ...flags, script, JSON.stringify(task)];
  const stdio: Stdio[] = ['pipe', 'pipe', 'pipe'];
  const child = start(setup, SERVER_CORE, command, channel ? [...stdio, 'ipc'] : stdio, env);
  let complaints = '';
  child.stderr!.on('data', (chunk) => {
    complaints += chunk;
  });
  const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await withLimit(answers.next(), `${contestant.name} does not answer`);
    if (done === true) throw new Error(`${contestant.name} has ended: ${complaints}`);
    return JSON.parse(value) as T;
  };
  return {
    hello: await next<ServerHello>(),
    process: child,
    ask: (question) => {
      child.stdin!.write(`${question}\n`);
      return next<ServerUsage>();
    },
    stop: async () => {
      child.stdin!.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
      clearTimeout(timer);
    },
  };
}

export interface RunningLoad {
  measure(): Promise<LoadResult>;
  stop(): void;
}

export async function startLoad(setup: Setup, task: LoadTask): Promise<RunningLoad> {
  const command = [setup.loadNode, join(setup.bench, 'e2e', 'load.js'), JSON.stringify(task)];
  const child = start(setup, LOAD_CORE, command, ['ignore', 'inherit', 'inherit', 'ipc']);
  const next = (): Promise<LoadMessage> => {
    const answer = new Promise<LoadMessage>((resolve, reject) => {
      child.once('message', (message) => resolve(message as LoadMessage));
      child.once('exit', (code) => reject(new Error(`the load has ended with ${code}`)));
    });
    return withLimit(answer, 'the load does not answer').then((message) => {
      if (message.type !== 'failed') return message;
      throw message.message.startsWith('not supported')
        ? new NotSupported(message.message)
        : new Error(message.message);
    });
  };
  const stop = (): void => void child.kill('SIGKILL');
  try {
    await next();
  } catch (error) {
    stop();
    throw error;
  }
  return {
    measure: async () => {
      child.send('go');
      const message = await next();
      if (message.type !== 'done') throw new Error('the load answered out of turn');
      return message.result;
    },
    stop,
  };
}

type Stdio = 'pipe' | 'ignore' | 'inherit' | 'ipc';

function start(
  setup: Setup,
  core: string,
  command: readonly string[],
  stdio: Stdio[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const [program, ...args] = setup.pinned ? ['taskset', '-c', core, ...command] : command;
  return spawn(program!, args, { stdio, env: { ...process.env, ...env } });
}

async function withLimit<T>(promise: Promise<T>, complaint: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${complaint} within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
