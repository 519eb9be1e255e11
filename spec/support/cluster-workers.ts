import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ClusterBrokerOptions } from '../../lib/brokers/cluster.ts';
import { BrokerError } from '../../lib/errors.ts';
import type { Broker, BrokerEvents, BrokerPage, BrokerSettings, BrokerTop } from '../../lib/topics/broker.ts';

/** Workers of their own, whose brokers a spec uses as if they were here. What they say goes over the same channel as what the brokers say. */

export interface ToWorker {
  readonly spec: true;
  readonly broker: number;
  readonly call: number;
  readonly method: Exclude<keyof Broker, 'name'>;
  readonly args: readonly unknown[];
}

export type FromWorker =
  | { readonly spec: true; readonly isReady: true }
  | { readonly spec: true; readonly broker: number; readonly event: string; readonly args: readonly unknown[] }
  | {
      readonly spec: true;
      readonly broker: number;
      readonly call: number;
      readonly result?: unknown;
      readonly error?: string;
    };

/** Writes bytes so that a channel of either serialization carries them. */
export function encodeBytes(value: unknown): object {
  return mapValues(value, (one) =>
    one instanceof Uint8Array ? { base64: Buffer.from(one).toString('base64') } : undefined,
  ) as object;
}

export function decodeBytes(value: unknown): unknown {
  return mapValues(value, (one) =>
    'base64' in one && typeof one.base64 === 'string' ? new Uint8Array(Buffer.from(one.base64, 'base64')) : undefined,
  );
}

function mapValues(value: unknown, change: (one: object) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const changed = change(value);
  if (changed !== undefined) return changed;
  if (Array.isArray(value)) return value.map((one) => mapValues(one, change));
  if (ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapValues(one, change)]));
}

const EXEC = fileURLToPath(new URL('cluster-worker.ts', import.meta.url));
const EXEC_ARGV = ['--import', 'tsx'];

/** Starts a worker of node:cluster. */
export async function forkWorker(serialization: 'json' | 'advanced' = 'json'): Promise<ChildProcess> {
  cluster.setupPrimary({ exec: EXEC, execArgv: EXEC_ARGV, serialization });
  const child = cluster.fork().process;
  await once(child, 'message');
  return child;
}

/** Starts a child that is none of node:cluster. */
export async function forkChild(serialization: 'json' | 'advanced' = 'json'): Promise<ChildProcess> {
  const child = fork(EXEC, { execArgv: EXEC_ARGV, serialization });
  await once(child, 'message');
  return child;
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

let brokers = 0;

/** A `clusterBroker()` in a worker. */
export class RemoteBroker implements Broker {
  readonly name = 'remote';
  readonly #child: ChildProcess;
  readonly #id = ++brokers;
  readonly #options: ClusterBrokerOptions;
  readonly #calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #lastCall = 0;
  #events: BrokerEvents | undefined;

  /** @param options - without any, it has more patience than a busy machine needs */
  constructor(child: ChildProcess, options: ClusterBrokerOptions = { timeoutMs: 30_000 }) {
    this.#child = child;
    this.#options = options;
    child.on('message', this.#receive);
  }

  open(events: BrokerEvents, settings: BrokerSettings): Promise<void> {
    this.#events = events;
    return this.#call('open', settings, this.#options);
  }

  subscribe(topic: string): Promise<BrokerTop> {
    return this.#call('subscribe', topic);
  }

  unsubscribe(topic: string): Promise<void> {
    return this.#call('unsubscribe', topic);
  }

  publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    return this.#call('publish', topic, data, ...(id === undefined ? [] : [id]));
  }

  read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    return this.#call('read', topic, after, limit);
  }

  signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    return this.#call('signal', topic, data);
  }

  close(): Promise<void> {
    return this.#call('close');
  }

  /** Listens no more. */
  end(): void {
    this.#child.off('message', this.#receive);
  }

  readonly #receive = (raw: unknown): void => {
    const message = decodeBytes(raw) as FromWorker;
    if (!message.spec || !('broker' in message) || message.broker !== this.#id) return;
    if ('event' in message) {
      const args = message.args.map((one) => (message.event === 'down' ? new Error(String(one)) : (one ?? undefined)));
      (this.#events![message.event as keyof BrokerEvents] as (...args: unknown[]) => void)(...args);
      return;
    }
    const call = this.#calls.get(message.call)!;
    this.#calls.delete(message.call);
    if (message.error !== undefined) call.reject(new BrokerError('WS_ERR_BROKER_UNAVAILABLE', message.error));
    else call.resolve(message.result as never);
  };

  #call<T>(method: ToWorker['method'], ...args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      this.#calls.set(call, { resolve, reject });
      const request: ToWorker = { spec: true, broker: this.#id, call, method, args };
      this.#child.send(encodeBytes(request));
    });
  }
}
