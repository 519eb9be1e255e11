import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onCleanUp } from './clean-up.ts';
import { freePort } from './free-port.ts';
import { until } from './watchdog.ts';

/** The file that the page shows. */
export const SITE: string = readFileSync(
  fileURLToPath(new URL('../../docs/examples/nginx/site.conf', import.meta.url)),
  'utf8',
);

/** Debian's user without rights, whose nginx would run its workers as another if it were root itself. */
const NOBODY = 65534;

/** An nginx of Debian with the site of the docs, on a free port of this machine, until the end of the test. */
export class Nginx {
  readonly port: number;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #change: (site: string) => string;
  /** Its log. */
  #said = '';

  private constructor(port: number, folder: string, child: ChildProcess, change: (site: string) => string) {
    this.port = port;
    this.#folder = folder;
    this.#child = child;
    this.#change = change;
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.#said += chunk;
    });
  }

  /**
   * @param program - its path
   * @param upstreams - the ports to pass requests on to
   * @param change - changes the site further
   */
  static async start(
    program: string,
    upstreams: readonly number[],
    change: (site: string) => string = (site) => site,
  ): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), 'hyperlane-nginx-'));
    onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'temp'));
    const isRoot = process.getuid?.() === 0;
    if (isRoot) for (const path of [folder, join(folder, 'temp')]) chownSync(path, NOBODY, NOBODY);
    const port = await freePort();
    writeFileSync(join(folder, 'nginx.conf'), configure());
    writeFileSync(join(folder, 'site.conf'), siteFor(port, upstreams, change));
    const child = spawn(program, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    const nginx = new Nginx(port, folder, child, change);
    // Its workers would outlive a harder end.
    const kill = (): void => void child.kill('SIGTERM');
    process.once('exit', kill);
    onCleanUp(async () => {
      process.off('exit', kill);
      await nginx.#stop();
    });
    await until('nginx answers', () => {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${nginx.#said}`);
      return nginx.#said.includes('start worker process');
    });
    return nginx;
  }

  /** Has it read its configuration anew, with these ports, and waits until all new connections go by that. */
  async reload(upstreams: readonly number[]): Promise<void> {
    writeFileSync(join(this.#folder, 'site.conf'), siteFor(this.port, upstreams, this.#change));
    const told = this.#said.length;
    this.#child.kill('SIGHUP');
    // The old worker says so when it has closed its port.
    await until('an old worker that leaves', () => this.#said.includes('gracefully shutting down', told));
  }

  async #stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    // Fast: its workers cut what is open.
    this.#child.kill('SIGTERM');
    await ended;
  }
}

function configure(): string {
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp/${name};`);
  return `daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  ${temps.join('\n  ')}
  include site.conf;
}
`;
}

function siteFor(port: number, upstreams: readonly number[], change: (site: string) => string): string {
  const servers = upstreams.map((upstream) => `server 127.0.0.1:${upstream} max_fails=0;`).join('\n  ');
  const site = SITE.replace(/server 127\.0\.0\.1:60000 .*\n.*60001 .*;/, servers).replace(
    'listen 80',
    `listen 127.0.0.1:${port}`,
  );
  return change(site);
}
