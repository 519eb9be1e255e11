import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { skipUnless } from './external.ts';
import { freePort } from './free-port.ts';

/** A real redis-server on a free port of 127.0.0.1, with its data in a temporary folder. */
export class RedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port;
    this.#folder = folder;
    this.#args = args;
  }

  /** Starts one. It ends with this process at the latest. */
  static async start(...args: string[]): Promise<RedisServer> {
    for (let attempt = 0; ; attempt++) {
      const folder = mkdtempSync(join(tmpdir(), 'hyperlane-redis-'));
      const server = new RedisServer(await freePort(), folder, args);
      try {
        await server.begin();
        return server;
      } catch (error) {
        rmSync(folder, { recursive: true, force: true });
        // Another program may have taken the port meanwhile.
        if (attempt === 5) throw error;
      }
    }
  }

  /** Starts it, or starts it again: with the data it had. */
  async begin(): Promise<void> {
    const basics = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#folder, '--save', ''];
    basics.push('--repl-diskless-sync-delay', '0');
    const child = spawn('redis-server', [...basics, ...this.#args], { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    process.once('exit', this.#kill);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`redis-server has ended: ${output}`)));
      child.stdout.on('data', (bytes: Buffer) => {
        output += bytes;
        if (/Ready to accept connections/.test(output)) resolve();
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

  /** Has redis-cli run a command, and returns what it prints. */
  command(...args: string[]): string {
    return execFileSync('redis-cli', ['-p', `${this.port}`, ...args], { encoding: 'utf8' }).trim();
  }

  async commandLater(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('redis-cli', ['-p', `${this.port}`, ...args]);
    return stdout.trim();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  readonly #kill = (): void => {
    process.off('exit', this.#kill);
    this.#child?.kill('SIGKILL');
  };
}

/** Starts a Redis Cluster of some primaries, which share the slots evenly. */
export async function startRedisCluster(size: number): Promise<RedisServer[]> {
  const servers = await Promise.all(Array.from({ length: size }, startNode));
  const share = Math.ceil(16384 / size);
  for (const [i, server] of servers.entries()) {
    server.command('cluster', 'addslotsrange', `${i * share}`, `${Math.min((i + 1) * share, 16384) - 1}`);
    server.command('cluster', 'set-config-epoch', `${i + 1}`);
  }
  for (const server of servers.slice(1)) {
    const bus = servers[0]!.command('config', 'get', 'cluster-port').split('\n')[1]!;
    server.command('cluster', 'meet', '127.0.0.1', `${servers[0]!.port}`, bus);
  }
  while (!servers.every((server) => isWhole(server, size))) await new Promise((resolve) => setTimeout(resolve, 20));
  return servers;
}

async function startNode(): Promise<RedisServer> {
  return RedisServer.start('--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`);
}

function isWhole(server: RedisServer, size: number): boolean {
  const info = server.command('cluster', 'info');
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`);
}

/** Options for `describe`: skips where there is no redis-server. */
export function skipWithoutRedis(): { skip?: string } {
  return skipUnless('redis-server', redisIsThere());
}

function redisIsThere(): boolean {
  try {
    execFileSync('redis-server', ['--version']);
    return true;
  } catch {
    return false;
  }
}
