import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { skipUnless } from './external.ts';

/** Debian's is where the path of a user does not lead. */
const PATH = `${process.env.PATH}:/usr/sbin`;

type Connection = Awaited<ReturnType<typeof connect>>;

/** A real nats-server on a free port of 127.0.0.1, with its data in a temporary folder. */
export class NatsServer {
  /** The one it got at its first start, and keeps. */
  port = -1;
  readonly #args: readonly string[];
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'hyperlane-nats-'));
  readonly #connections = new Set<Connection>();
  #child: ChildProcess | undefined;

  private constructor(args: readonly string[]) {
    this.#args = args;
  }

  /** Starts one, with JetStream unless there are other arguments. It ends with this process at the latest. */
  static async start(...args: string[]): Promise<NatsServer> {
    const server = new NatsServer(args.length === 0 ? ['-js'] : args);
    await server.begin();
    return server;
  }

  /** Starts it, or starts it again: with the data it had. */
  async begin(): Promise<void> {
    const args = ['-a', '127.0.0.1', '-p', `${this.port}`, '-sd', this.#folder, ...this.#args];
    const child = spawn('nats-server', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH },
    });
    this.#child = child;
    process.once('exit', this.#kill);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`nats-server has ended: ${output}`)));
      child.stderr.on('data', (bytes: Buffer) => {
        output += bytes;
        const [, port] = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(output) ?? [];
        if (port !== undefined) this.port = Number(port);
        if (/Server is ready/.test(output)) resolve();
      });
    });
  }

  /** Ends it with a signal, without a word to anybody. */
  async kill(): Promise<void> {
    const child = this.#child!;
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    this.#kill();
    await exited;
  }

  /** Removes what it has kept on the disk. */
  forget(): void {
    for (const name of readdirSync(this.#folder)) rmSync(join(this.#folder, name), { recursive: true });
  }

  /** Puts what it has kept on the disk aside, while it is not running. */
  save(): void {
    cpSync(this.#folder, `${this.#folder}-saved`, { recursive: true });
  }

  /** Gives it back what was put aside, and nothing else. */
  restore(): void {
    this.forget();
    renameSync(`${this.#folder}-saved`, this.#folder);
  }

  /** A connection as an application makes it, closed with the server. @param port - of what stands in between */
  async connect(port: number = this.port, options: object = {}): Promise<Connection> {
    const connection = await connect({
      port,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 20,
      reconnectJitter: 0,
      ...options,
    });
    this.#connections.add(connection);
    return connection;
  }

  /** Asks JetStream, as its own tools do. */
  async api<T>(name: string, body: object = {}): Promise<T> {
    const connection = await this.connect();
    const answer = await connection.request(`$JS.API.${name}`, JSON.stringify(body), { timeout: 5000 });
    await connection.close();
    this.#connections.delete(connection);
    return answer.json<T>();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.close()));
    await this.kill();
    for (const folder of [this.#folder, `${this.#folder}-saved`]) rmSync(folder, { recursive: true, force: true });
  }

  readonly #kill = (): void => {
    process.off('exit', this.#kill);
    this.#child?.kill('SIGKILL');
  };
}

/** Options for `describe`: skips where there is no nats-server. */
export function skipWithoutNats(): { skip?: string } {
  return skipUnless('nats-server', natsIsThere());
}

function natsIsThere(): boolean {
  try {
    execFileSync('nats-server', ['--version'], { stdio: 'ignore', env: { ...process.env, PATH } });
    return true;
  } catch {
    return false;
  }
}
