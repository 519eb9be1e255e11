/**
 * Hours of good, slow, hostile and vanishing clients against one server with everything on: nothing grows, nobody gets a
 * wrong answer, and whoever is to go is gone. Server and clients are processes of their own. Any invariant that is broken
 * ends it with 1; see docs/explanation/hostile-peers.md for the bounds, and soak/growth.ts for what counts as growing.
 *
 *     npm run soak -- [--minutes n] [--seed n] [--load cores] [--wave seconds] [--only kind,...] [--without kind,...] [--save]
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './build.ts';
import { GOOD } from './soak/good-clients.ts';
import { HOSTILE } from './soak/hostile-clients.ts';
import type { FromClients, FromServer, Ports, ServerSample, Times, Violation, WaveResult } from './soak/messages.ts';
import {
  describeGrowth,
  draw,
  formatPage,
  growths,
  type SoakReport,
  tableHead,
  tableRow,
  type WaveRow,
} from './soak/report.ts';

const HELP = `npm run soak -- [options]

  --minutes <n>      how long (60)
  --seed <n>         what the clients do is a function of it (1)
  --load <cores>     how much CPU server and clients may use together (0.3)
  --wave <seconds>   how often all clients go, and what is left is counted (60)
  --at-once <n>      clients at once (40)
  --only <a,b>       kinds of clients whose name contains one of these
  --without <a,b>    all but these
  --list             names the kinds
  --save             writes bench/results/soak-node<version>.json, .md and .svg`;

/** Of a wave, the share in which clients come; then they go, and the server has the rest for its timeouts. */
const ACTIVE_SHARE = 0.6;
/** How many heartbeats it may take until all is gone: a peer is silent for two, and each may be late. */
const DEADLINE_HEARTBEATS = 8;
const MIN_DEADLINE_MS = 20_000;
const EXIT_MS = 20_000;

interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly load: number;
  readonly waveMs: number;
  readonly atOnce: number;
  readonly kinds: readonly string[];
  readonly save: boolean;
}

function readOptions(): SoakOptions {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      load: { type: 'string', default: '0.3' },
      wave: { type: 'string', default: '60' },
      'at-once': { type: 'string', default: '40' },
      only: { type: 'string' },
      without: { type: 'string' },
      list: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
    },
  });
  const all = [...Object.keys(GOOD), ...Object.keys(HOSTILE)];
  const isNamed = (list: string, kind: string): boolean => list.split(',').some((part) => kind.includes(part.trim()));
  const kinds = all.filter(
    (kind) =>
      (values.only === undefined || isNamed(values.only, kind)) &&
      (values.without === undefined || !isNamed(values.without, kind)),
  );
  if (values.help || values.list) {
    console.log(values.help ? HELP : kinds.join('\n'));
    process.exit(0);
  }
  if (kinds.length === 0) throw new RangeError('no kind of client is left: see --list');
  return {
    minutes: positive('minutes', values.minutes),
    seed: positive('seed', values.seed),
    load: positive('load', values.load),
    waveMs: positive('wave', values.wave) * 1000,
    atOnce: positive('at-once', values['at-once']),
    kinds,
    save: values.save,
  };
}

function positive(name: string, given: string): number {
  const value = Number(given);
  if (!(value > 0)) throw new RangeError(`--${name} is ${given}: give a number above 0`);
  return value;
}

/** A process of the soak, and what it tells. */
class Part<From extends { readonly type: string }> {
  readonly child: ChildProcess;
  readonly #waiting = new Map<string, (message: From) => void>();

  constructor(file: string, onOther: (message: From | Violation) => void, onExit: (how: string) => void) {
    const execArgv = ['--expose-gc', '--import', 'tsx'];
    this.child = fork(join(ROOT, 'bench', 'soak', file), { execArgv });
    this.child.on('message', (message: From) => {
      const waiting = this.#waiting.get(message.type);
      this.#waiting.delete(message.type);
      if (waiting === undefined) onOther(message);
      else waiting(message);
    });
    this.child.on('exit', (code, signal) => onExit(`ended with ${signal ?? code}`));
  }

  tell(message: object): void {
    if (this.child.connected) this.child.send(message);
  }

  /** Tells something, and resolves with the answer. */
  ask<T extends From['type']>(message: object, type: T): Promise<Extract<From, { type: T }>> {
    const answer = new Promise<From>((resolve) => this.#waiting.set(type, resolve));
    this.tell(message);
    return answer as Promise<Extract<From, { type: T }>>;
  }
}

/** The server, the clients, and the order of things between them. */
class Soak {
  readonly #options: SoakOptions;
  readonly #server: Part<FromServer>;
  readonly #clients: Part<FromClients>;
  readonly #deadlineMs: number;
  readonly #times: Times;
  #stopping = false;

  constructor(options: SoakOptions) {
    this.#options = options;
    const { waveMs } = options;
    this.#times = {
      heartbeatMs: Math.round(Math.max(2000, waveMs / 6)),
      idleMs: Math.round(Math.max(5000, waveMs / 4)),
      handshakeMs: Math.round(Math.max(2000, waveMs / 6)),
      closeMs: Math.round(Math.max(1000, waveMs / 20)),
    };
    this.#deadlineMs = Math.max(MIN_DEADLINE_MS, this.#times.heartbeatMs * DEADLINE_HEARTBEATS);
    this.#clients = new Part<FromClients>(
      'client-process.ts',
      (message) => this.#hear(message),
      (how) => {
        if (!this.#stopping) this.#fail(`the process of the clients ${how}`);
      },
    );
    this.#server = new Part<FromServer>(
      'server-process.ts',
      (message) => {
        if (message.type === 'cpu') this.#clients.tell(message);
        else this.#hear(message);
      },
      (how) => {
        if (!this.#stopping) this.#fail(`the process of the server ${how}`);
      },
    );
  }

  async start(): Promise<void> {
    const { seed, load, atOnce, kinds } = this.#options;
    const { ports }: { ports: Ports } = await this.#server.ask({ type: 'start', times: this.#times }, 'ports');
    await this.#clients.ask({ type: 'start', ports, plan: { seed, load, atOnce, kinds } }, 'ready');
    await this.#server.ask({ type: 'base' }, 'based');
  }

  async runWave(number: number): Promise<{ sample: ServerSample; wave: WaveResult }> {
    this.#server.tell({ type: 'wave' });
    const activeMs = this.#options.waveMs * ACTIVE_SHARE;
    const { result: wave } = await this.#clients.ask({ type: 'wave', number, activeMs }, 'wave-over');
    const { sample } = await this.#server.ask({ type: 'settle', deadlineMs: this.#deadlineMs }, 'sample');
    this.#clients.tell({ type: 'let-go' });
    return { sample, wave };
  }

  /** Ends all, and sees to it that the server ends by itself. */
  async stop(): Promise<void> {
    await this.#clients.ask({ type: 'stop' }, 'stopped');
    this.#stopping = true;
    const exited = once(this.#server.child, 'exit');
    this.#server.tell({ type: 'stop' });
    const timer = setTimeout(() => this.#fail(`the server was closed, and its process goes on`), EXIT_MS);
    const [code] = await exited;
    clearTimeout(timer);
    if (code !== 0) this.#fail(`the process of the server ended with ${code}`);
    this.#clients.child.kill();
  }

  #hear(message: { readonly type: string }): void {
    if (message.type === 'violation') this.#fail((message as Violation).text);
  }

  #fail(what: string): never {
    this.#stopping = true;
    console.log(`\nVIOLATION: ${what}`);
    for (const { child } of [this.#server, this.#clients]) child.kill('SIGKILL');
    process.exit(1);
  }
}

async function run(options: SoakOptions): Promise<readonly WaveRow[]> {
  const soak = new Soak(options);
  await soak.start();
  console.log(tableHead());
  const from = performance.now();
  const rows: WaveRow[] = [];
  for (let number = 0; performance.now() - from < options.minutes * 60_000; number++) {
    const { sample, wave } = await soak.runWave(number);
    const row: WaveRow = { minute: (performance.now() - from) / 60_000, ...sample, wave };
    rows.push(row);
    console.log(tableRow(row));
    // One wave a minute, unless the last one took longer to settle.
    const next = from + (number + 1) * options.waveMs;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  await soak.stop();
  return rows;
}

const options = readOptions();
// Of what is run, and not of what may lie there an hour later.
const commit = execFileSync('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const rows = await run(options);
const report: SoakReport = {
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  node: process.versions.node,
  commit,
  seed: options.seed,
  minutes: options.minutes,
  load: options.load,
  rows,
};
const found = Object.entries(growths(report));
for (const [name, growth] of found) console.log(describeGrowth(name, growth));
if (options.save) {
  const folder = join(ROOT, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const name = `soak-node${process.versions.node}`;
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(folder, `${name}.md`), formatPage(report, `${name}.svg`));
  writeFileSync(join(folder, `${name}.svg`), draw(report));
  console.log(`written to bench/results/${name}.*`);
}
const grown = found.filter(([, { hasGrown }]) => hasGrown === true);
for (const [name] of grown) console.log(`VIOLATION: ${name} grows`);
console.log(grown.length === 0 ? `no invariant was broken in ${rows.length} waves` : '');
process.exit(grown.length === 0 ? 0 : 1);
