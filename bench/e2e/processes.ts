/** The processes of a measurement: servers, which answer lines, and loads, which answer messages. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { NotSupported } from '../job.ts';
import type { ServerHello, ServerUsage } from './server-process.ts';

const LIMIT_MS = 60_000;

export interface ProcessOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** What it is bound to; `undefined` for nothing. */
  readonly core: number | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface RunningServer {
  readonly hello: ServerHello;
  readonly process: ChildProcess;
  ask(question: 'usage' | 'gc'): Promise<ServerUsage>;
  stop(): Promise<void>;
}

/** @param channel - whether the server can be sent messages, which something that is loaded into it answers */
export async function startServerProcess(
  name: string,
  options: ProcessOptions,
  channel: boolean = false,
): Promise<RunningServer> {
  const stdio: Stdio[] = ['pipe', 'pipe', 'pipe'];
  const child = start(options, channel ? [...stdio, 'ipc'] : stdio);
  let complaints = '';
  child.stderr!.on('data', (chunk) => {
    complaints += chunk;
  });
  const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await withLimit(answers.next(), `${name} does not answer`);
    if (done === true) throw new Error(`${name} has ended: ${complaints}`);
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

/** What a load tells, besides its results. */
export type LoadMessage<Result> =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly result: Result }
  | { readonly type: 'failed'; readonly message: string };

export interface RunningLoad<Task, Result> {
  measure(task: Task): Promise<Result>;
  stop(): void;
}

/** Resolves when it is ready. @throws {NotSupported} when the server cannot do what it is to be loaded with */
export async function startLoadProcess<Task extends string, Result>(
  options: ProcessOptions,
): Promise<RunningLoad<Task, Result>> {
  const child = start(options, ['ignore', 'inherit', 'inherit', 'ipc']);
  const next = (): Promise<LoadMessage<Result>> => {
    const answer = new Promise<LoadMessage<Result>>((resolve, reject) => {
      child.once('message', (message) => resolve(message as LoadMessage<Result>));
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
    measure: async (task) => {
      child.send(task);
      const message = await next();
      if (message.type !== 'done') throw new Error('the load answered out of turn');
      return message.result;
    },
    stop,
  };
}

type Stdio = 'pipe' | 'ignore' | 'inherit' | 'ipc';

function start({ command, core, env }: ProcessOptions, stdio: Stdio[]): ChildProcess {
  const [program, ...args] = core === undefined ? command : ['taskset', '-c', `${core}`, ...command];
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
