/** Several servers of one broker, and clients that speak to them: what the trials and specs of topics across processes use. */
import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setUpPrimary } from '../../lib/brokers/cluster-primary.ts';
import type { TopicsStats } from '../../lib/topics/topic-tally.ts';
import type { ServerTask } from './brokers.ts';
import { Subscriber } from './subscriber.ts';

const SERVER_PROCESS = fileURLToPath(new URL('server-process.ts', import.meta.url));

/** Messages that a client has under way at once. */
const WINDOW = 4;

/** What a server tells when it is asked. */
export interface ServerReport {
  readonly published: readonly string[];
  readonly givenUp: readonly string[];
  readonly rejections: number;
  readonly topics: TopicsStats;
}

/** What there is of a child process, and of a worker of node:cluster. */
interface Told {
  once(event: 'message', listener: (message: unknown) => void): unknown;
}

export class FleetServer {
  readonly process: ChildProcess;
  readonly port: number;
  readonly #told: Told;

  constructor(process: ChildProcess, told: Told, port: number) {
    this.process = process;
    this.port = port;
    this.#told = told;
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async report(): Promise<ServerReport> {
    const report = new Promise<ServerReport>((resolve) => {
      const listen = (message: unknown): void => {
        if (typeof message === 'object' && message !== null && 'published' in message) resolve(message as ServerReport);
        // Those of the broker go the same way.
        else this.#told.once('message', listen);
      };
      this.#told.once('message', listen);
    });
    this.process.send('report');
    return report;
  }

  /** Ends it in order, as an operator does. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const exited = once(this.process, 'exit');
    this.process.send('end');
    await exited;
  }

  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}

export class Fleet {
  readonly servers: FleetServer[] = [];
  readonly subscribers: Subscriber[] = [];
  readonly #task: ServerTask;

  constructor(task: ServerTask) {
    this.#task = task;
    if (task.broker === 'cluster') setUpPrimary();
  }

  async startServer(task: ServerTask = this.#task): Promise<FleetServer> {
    const env = { ...process.env, FLEET_TASK: JSON.stringify(task) };
    let child: ChildProcess;
    let told: Told;
    if (task.broker === 'cluster') {
      cluster.setupPrimary({ exec: SERVER_PROCESS, execArgv: ['--import', 'tsx'], serialization: 'advanced' });
      const worker = cluster.fork(env);
      child = worker.process;
      told = worker;
    } else {
      child = fork(SERVER_PROCESS, { env, execArgv: ['--import', 'tsx'] });
      told = child;
    }
    const port = await new Promise<number>((resolve, reject) => {
      child.once('exit', () => reject(new Error('a server ended before it ran')));
      const listen = (message: unknown): void => {
        if (typeof message === 'object' && message !== null && 'port' in message) resolve(message.port as number);
        else told.once('message', listen);
      };
      told.once('message', listen);
    });
    const server = new FleetServer(child, told, port);
    this.servers.push(server);
    return server;
  }

  async startServers(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.startServer()));
  }

  /** Starts clients, in so many rooms, each at a server in turn; and when it comes back, at one that runs. */
  async startSubscribers(count: number, rooms: number): Promise<void> {
    const started: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const own = this.servers[i % this.servers.length]!;
      const subscriber = new Subscriber(
        `c${i}`,
        String(i % rooms),
        () => (own.isRunning ? own : this.#anyServer()).port,
      );
      this.subscribers.push(subscriber);
      started.push(subscriber.start());
    }
    await Promise.all(started);
  }

  #anyServer(): FleetServer {
    const running = this.servers.filter((server) => server.isRunning);
    return running[Math.floor(Math.random() * running.length)] ?? this.servers[0]!;
  }

  /** Has so many messages sent, each client some at a time, and waits until all of a room have come to all of it. */
  async sendAll(messages: number): Promise<void> {
    const each = Math.floor(messages / this.subscribers.length);
    const begun = new Map(this.subscribers.map((subscriber) => [subscriber, subscriber.entries.length]));
    await Promise.all(
      this.subscribers.map(async (subscriber) => {
        const members = this.subscribers.filter(({ room }) => room === subscriber.room).length;
        const before = begun.get(subscriber)!;
        for (let i = 0; i < each; i++) {
          // All of the room advance together: so many came as all have sent that are not under way.
          await subscriber.until(before + (i - WINDOW) * members);
          subscriber.send(`${subscriber.room}:${subscriber.name}:${before + i}`);
        }
        await subscriber.until(before + each * members);
      }),
    );
  }

  /** What was published, by room, as servers were told that still run. */
  async published(): Promise<Map<string, string[]>> {
    const byRoom = new Map<string, string[]>();
    for (const server of this.servers) {
      if (!server.isRunning) continue;
      for (const id of (await server.report()).published) {
        const room = id.slice(0, id.indexOf(':'));
        const ids = byRoom.get(room) ?? [];
        ids.push(id);
        byRoom.set(room, ids);
      }
    }
    return byRoom;
  }

  async end(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.end();
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
