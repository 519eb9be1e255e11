import { Buffer } from 'node:buffer';
import { kindOf } from '../wording.ts';

/** What is used of a connection to NATS: of `@nats-io/transport-node`, and of the package `nats` before it. */
export interface NatsConnection {
  publish(subject: string, payload?: Uint8Array, options?: { reply?: string; headers?: unknown }): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): { unsubscribe(): void };
  flush(): Promise<void>;
  status(): AsyncIterable<{ readonly type: string }>;
  isClosed(): boolean;
}

/** A message as those packages give it. */
export interface NatsMessage {
  readonly subject: string;
  readonly reply?: string;
  /** A view on what the socket has received: copy to keep. */
  readonly data: Uint8Array;
  readonly headers?: { readonly code: number; get(name: string): string };
}

const METHODS = ['publish', 'subscribe', 'flush', 'status', 'isClosed'] as const;
const WHAT_TO_PASS = "pass what connect() of '@nats-io/transport-node' resolves with";

/**
 * Refuses what is no connection to NATS.
 *
 * @throws {TypeError} that says what it is, and what to pass
 */
export function checkConnection(value: unknown): asserts value is NatsConnection {
  if (hasAll(value, METHODS)) return;
  throw new TypeError(`natsBroker takes a connection to NATS, and this is ${nameOf(value)}: ${WHAT_TO_PASS}`);
}

function nameOf(value: unknown): string {
  if (hasAll(value, ['then'])) return 'a promise: await it first, or';
  if (hasAll(value, ['publish', 'getOptions']) || hasAll(value, ['publish', 'consumers'])) {
    return 'a client of JetStream, which natsBroker makes do without';
  }
  if (hasAll(value, ['sendCommand']) || hasAll(value, ['psubscribe'])) {
    return "a client of Redis, which is for redisBroker of 'hyperlane-ws/redis'";
  }
  return kindOf(value);
}

function hasAll(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/** Headers as a connection sends them: it asks for nothing but their bytes, and its package need not be imported. */
export function headersOf(name: string, value: string): { encode(): Uint8Array } {
  const bytes = Buffer.from(`NATS/1.0\r\n${name}: ${value}\r\n\r\n`);
  return { encode: () => bytes };
}
