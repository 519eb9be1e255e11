import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ExampleProcess } from '../docs/example-process.ts';
import { FRAMEWORKS } from '../support/external.ts';
import { type HeaderLines, type ResponseHead, upgradeRequest, WsClient } from '../support/ws-client.ts';

const HOST = 'localhost';

/** How long a framework may take for what it does first, on a machine with much else to do. */
export const PATIENCE: { readonly timeout: number } = { timeout: 180_000 };

/** An example of docs/examples/frameworks that runs. */
export class FrameworkApp {
  readonly #process: ExampleProcess;

  private constructor(process: ExampleProcess) {
    this.#process = process;
  }

  static async start(name: string, env: Record<string, string> = {}, args: string[] = []): Promise<FrameworkApp> {
    const TSX_TSCONFIG_PATH = join(FRAMEWORKS, 'tsconfig.json');
    const settings = { TSX_TSCONFIG_PATH, NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1', ...env };
    return new FrameworkApp(await ExampleProcess.start(`frameworks/${name}`, settings, args));
  }

  get output(): string {
    return this.#process.output;
  }

  get url(): string {
    return `http://${HOST}:${this.#process.port}`;
  }

  /** Sends a signal, and waits for the end. @returns the exit code, or the signal that ended it */
  stop(signal: NodeJS.Signals): Promise<number | string | null> {
    return this.#process.stop(signal);
  }

  /** The text of a page. */
  async get(path: string): Promise<string> {
    const response = await fetch(this.url + path);
    assert.equal(response.status, 200, path);
    return response.text();
  }

  /** Logs in, and returns the cookie. */
  async login(user: string, path: string = '/login'): Promise<string> {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(this.url + path, { method: 'POST', headers, body: JSON.stringify({ user }) });
    assert.deepEqual(await response.json(), { user });
    return response.headers
      .getSetCookie()
      .map((line) => line.split(';')[0]!)
      .join('; ');
  }

  /** Opens a WebSocket, as a page of this host does. */
  async open(path: string, headers: HeaderLines = {}): Promise<WsClient> {
    const client = await this.#connect();
    const host = new URL(this.url).host;
    client.write(upgradeRequest(path, { Host: host, Origin: this.url, ...headers }));
    const head = await client.readHead();
    assert.equal(head.status, 101, head.text);
    return client;
  }

  /** Asks for a WebSocket that it does not open. */
  async ask(path: string, headers: HeaderLines = {}): Promise<ResponseHead> {
    const client = await this.#connect();
    return client.write(upgradeRequest(path, { Host: new URL(this.url).host, ...headers })).readHead();
  }

  #connect(): Promise<WsClient> {
    return WsClient.connect(this.#process.port, { host: HOST });
  }
}
