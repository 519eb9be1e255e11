/** Several servers of one broker, and clients that speak to them: what the trials and specs of topics across processes use. */
import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setUpPrimary } from '../../lib/brokers/cluster-primary.ts';
import type { TopicsStats } from '../../lib/topics/topic-tally.ts';
import type { ServerTask } from './brokers.ts';
import { Subscriber } from './subscriber.ts';
import type { RoomReport } from './watcher.ts';

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

/** The next message that has such a property: those of the broker go the same way. */
function nextWith<T>(told: Told, property: keyof T & string): Promise<T> {
  return new Promise((resolve) => {
    const listen = (message: unknown): void => {
      if (typeof message === 'object' && message !== null && property in message) resolve(message as T);
      else told.once('message', listen);
    };
    told.once('message', listen);
  });
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
    const report = nextWith<ServerReport>(this.#told, 'published');
    this.process.send('report');
    return report;
  }

  /** Who is in each room, as it knows. */
  async presence(): Promise<readonly RoomReport[]> {
    const report = nextWith<{ readonly presence: readonly RoomReport[] }>(this.#told, 'presence');
    this.process.send('presence');
    return (await report).presence;
  }

  /** Ends it in order, as an operator does: its connections with 1001. Returns what it has to tell last. */
  async stop(): Promise<ServerReport | undefined> {
    if (!this.isRunning) return undefined;
    const exited = once(this.process, 'exit');
    const report = nextWith<ServerReport>(this.#told, 'published');
    // Behind its last message.
    const silent = once(this.process, 'disconnect').then(() => undefined);
    this.process.send('end');
    await exited;
    return Promise.race([report, silent]);
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
  /** Where clients come in, if not at the servers themselves. */
  entryPort: number | undefined;
  readonly #task: ServerTask;
  /** What was published by servers that have ended in order. */
  readonly #published: string[] = [];

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
    const ended = once(child, 'exit').then(() => {
      throw new Error('a server ended before it ran');
    });
    const { port } = await Promise.race([nextWith<{ readonly port: number }>(told, 'port'), ended]);
    const server = new FleetServer(child, told, port);
    this.servers.push(server);
    return server;
  }

  async startServers(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.startServer()));
  }

  /** Ends a server in order, and starts another one in its place. */
  async restartServer(server: FleetServer): Promise<void> {
    const report = await server.stop();
    this.#published.push(...(report?.published ?? []));
    this.servers.splice(this.servers.indexOf(server), 1);
    // Workers of node:cluster have one port in common, which is the same again.
    await this.startServer(this.#task.broker === 'cluster' ? this.#task : { ...this.#task, listenPort: server.port });
  }

  /** Starts clients, in so many rooms, those of each at all servers in turn; and when it comes back, at one that runs. */
  async startSubscribers(count: number, rooms: number): Promise<void> {
    const started: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) started.push(this.startSubscriber(String(i % rooms)));
    await Promise.all(started);
  }

  /** Starts one more client. Two that follow each other in a room are one member, and each a tab of it, at another server. */
  async startSubscriber(room: string): Promise<Subscriber> {
    const place = this.subscribers.filter((other) => other.room === room).length;
    // Those of a room are at all servers.
    const own = this.servers[(place + Number(room)) % this.servers.length]!;
    const portOf = (): number => this.entryPort ?? (own.isRunning ? own : this.#anyServer()).port;
    const name = `c${this.subscribers.length}`;
    const subscriber = new Subscriber(name, room, `k${Math.floor(place / 2)}`, portOf);
    this.subscribers.push(subscriber);
    return subscriber.start();
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

  /** Has each client send a message each period, until it is stopped: that resolves with how many were sent. */
  keepSending(periodMs: number): () => Promise<number> {
    let isSending = true;
    let sent = 0;
    const senders = this.subscribers.map(async (subscriber) => {
      await sleep(Math.random() * periodMs);
      for (let i = 0; isSending && !subscriber.isRetired; i++) {
        if (subscriber.send(`${subscriber.room}:${subscriber.name}:${i}`)) sent++;
        await sleep(periodMs);
      }
    });
    return async () => {
      isSending = false;
      await Promise.all(senders);
      return sent;
    };
  }

  /** What was published, by room, as servers were told that were not killed. */
  async published(): Promise<Map<string, string[]>> {
    const byRoom = new Map<string, string[]>();
    const running = this.servers.filter((server) => server.isRunning);
    const reports = await Promise.all(running.map((server) => server.report()));
    for (const id of [...this.#published, ...reports.flatMap(({ published }) => published)]) {
      const room = id.slice(0, id.indexOf(':'));
      const ids = byRoom.get(room) ?? [];
      ids.push(id);
      byRoom.set(room, ids);
    }
    return byRoom;
  }

  async end(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.end();
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
