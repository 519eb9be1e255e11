/** A Redis of the bench's own: on a free port, with its data in a temporary folder, and gone with the bench. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface RedisServer {
  readonly port: number;
  /** What it has used so far. */
  cpuMicros(): Promise<number>;
  stop(): void;
}

/** The version of the redis-server that is installed, `undefined` for none. */
export function redisVersion(): string | undefined {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return /\bv=(\S+)/.exec(stdout ?? '')?.[1];
}

/** @param core - what it is bound to; `undefined` for nothing */
export async function startRedis(core: number | undefined): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'hyperlane-bench-redis-'));
  const options = { port, bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const pinned = core === undefined ? [] : ['taskset', '-c', `${core}`];
  const [program, ...rest] = [...pinned, 'redis-server', ...args];
  const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', stop);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('Ready to accept connections')) break;
  }
  child.stdout.resume();
  return { port, cpuMicros: () => askCpuMicros(port), stop };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function askCpuMicros(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('INFO cpu\r\n'));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      answer += chunk;
      const seconds = /^used_cpu_sys:(.*)\r\nused_cpu_user:(.*)\r\n/m.exec(answer);
      if (seconds === null) return;
      socket.destroy();
      resolve((Number(seconds[1]) + Number(seconds[2])) * 1e6);
    });
  });
}
