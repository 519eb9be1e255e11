import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 60_000;

/** A file of docs/examples that runs as its reader would run it, on a port that is free unless `env` has a PORT. */
export class ExampleProcess {
  /** The port it says that it listens on. */
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: string[];

  private constructor(child: ChildProcess, port: number, output: string[]) {
    this.#child = child;
    this.port = port;
    this.#output = output;
  }

  /** Starts a file of docs/examples, and waits until it has said its port. */
  static async start(name: string, env: Record<string, string> = {}, args: string[] = []): Promise<ExampleProcess> {
    const child = spawn(process.execPath, ['--import', 'tsx', `docs/examples/${name}`, ...args], {
      cwd: ROOT,
      env: { ...process.env, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: string[] = [];
    const collect = (chunk: string) => output.push(chunk);
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const exited = once(child, 'exit').then(() => {
      throw new Error(`${name} ended before it listened:\n${output.join('')}`);
    });
    exited.catch(() => {});
    const deadline = Date.now() + START_TIMEOUT_MS;
    let port: string | undefined;
    while (port === undefined) {
      if (Date.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`${name} did not say its port:\n${output.join('')}`);
      }
      await Promise.race([once(child.stdout, 'data', { signal: AbortSignal.timeout(1000) }).catch(() => {}), exited]);
      port = /(?:port:? |localhost:)(\d+)/.exec(output.join(''))?.[1];
    }
    return new ExampleProcess(child, Number(port), output);
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output.join('');
  }

  /** Waits until it has printed this. */
  async prints(text: string): Promise<void> {
    while (!this.output.includes(text)) await once(this.#child.stdout!, 'data');
  }

  /** Sends it a signal. */
  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends it a signal, and waits for its end. @returns its exit code, or the signal that ended it */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | string | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    const [code, by] = await ended;
    return code ?? by;
  }
}
