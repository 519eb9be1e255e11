import type { OriginRule } from '../handshake/origin.ts';
import type { SubprotocolRule } from '../handshake/subprotocol.ts';
import type { BackpressurePolicy, ConnectionLimits } from '../net/connection.ts';

/** Options of a server; each has a default. Sizes are in bytes, times in milliseconds. */
export interface ServerOptions {
  /** Address to listen on. Default: all, IPv4 and IPv6. */
  readonly host?: string;
  /** Port to listen on, 0 for any free one. Default 60000. */
  readonly port?: number;
  /** Send small packets at once (TCP_NODELAY). Default true. */
  readonly nodelay?: boolean;
  /** Which pages may open a WebSocket. Default `'same-origin'`: those that came from this host. */
  readonly origins?: OriginRule;
  /** How a subprotocol is chosen among those a client offers. Default: none. */
  readonly subprotocols?: SubprotocolRule;
  /** Largest message taken; a larger one closes with 1009. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Largest frame taken; a larger one closes with 1009. Default: no more than `maxMessageBytes`. */
  readonly maxFrameBytes?: number;
  /** Messages that may wait for a busy handler before the peer is made to wait. Default 64. */
  readonly maxQueuedMessages?: number;
  /** Bytes of messages that may wait for a busy handler before the peer is made to wait. Default 1 MiB. */
  readonly maxQueuedBytes?: number;
  /** Above this many unsent bytes `sendResponseBody` waits for the peer. Default 64 KiB. */
  readonly highWaterMarkBytes?: number;
  /** Above this many unsent bytes `backpressurePolicy` decides. Default 16 MiB. */
  readonly maxBackpressureBytes?: number;
  /**
   * What happens to a message above `maxBackpressureBytes`: `'close'` cuts the connection (default), `'drop'` throws the
   * message away, `'wait'` keeps it, so that only handlers that await their sends are bounded.
   */
  readonly backpressurePolicy?: BackpressurePolicy;
  /** Largest body of a plain HTTP request; a larger one gets 413. Default 1 MiB. */
  readonly maxRequestBodyBytes?: number;
  /** Largest head of a request; a larger one gets 431. Default 16 KiB. */
  readonly maxHeaderBytes?: number;
  /** How long a request head, and the upgrade middleware, may take. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** How long a peer may take to answer a Close frame before it is cut off. Default 5 s. */
  readonly closeTimeoutMs?: number;
  /** How often a peer is sent a Ping; one that is silent until the next is cut off with 1006. 0: never. Default 30 s. */
  readonly heartbeatIntervalMs?: number;
  /** After how long without a message, in either direction, a WebSocket is closed with 1001. 0: never, the default. */
  readonly idleTimeoutMs?: number;
}

/** Options with the defaults filled in. */
export interface ResolvedOptions extends ConnectionLimits {
  readonly host: string | undefined;
  readonly port: number;
  readonly nodelay: boolean;
  readonly origins: OriginRule;
  readonly subprotocols: SubprotocolRule;
  readonly maxRequestBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly handshakeTimeoutMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const DEFAULTS: ResolvedOptions = {
  host: undefined,
  port: 60000,
  nodelay: true,
  origins: 'same-origin',
  subprotocols: [],
  maxMessageBytes: MIB,
  maxFrameBytes: Number.POSITIVE_INFINITY,
  maxQueuedMessages: 64,
  maxQueuedBytes: MIB,
  highWaterMarkBytes: 64 * KIB,
  maxBackpressureBytes: 16 * MIB,
  backpressurePolicy: 'close',
  maxRequestBodyBytes: MIB,
  maxHeaderBytes: 16 * KIB,
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  heartbeatIntervalMs: 30_000,
  idleTimeoutMs: 0,
};

const POLICIES: readonly string[] = ['wait', 'drop', 'close'] satisfies BackpressurePolicy[];

/** How the names of options end whose value is a number above 0, or Infinity. */
const LIMIT_ENDINGS: readonly string[] = ['Bytes', 'Messages', 'Ms'];
/** Times that may be 0, which means never. */
const MAY_BE_OFF: ReadonlySet<string> = new Set(['heartbeatIntervalMs', 'idleTimeoutMs']);

/**
 * Fills in the defaults.
 *
 * @throws {TypeError} for an option that does not exist
 * @throws {RangeError} for a value that an option cannot have
 */
export function resolveOptions(options: ServerOptions): ResolvedOptions {
  const resolved: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      throw new TypeError(`"${name}" is no option of Server: there are ${Object.keys(DEFAULTS).join(', ')}`);
    }
    if (value !== undefined) resolved[name] = checkOption(name, value);
  }
  return resolved as unknown as ResolvedOptions;
}

/** Checks one value, and returns it. @throws {RangeError} */
export function checkOption(name: string, value: unknown): unknown {
  if (name === 'port' && !(Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65535)) {
    throw new RangeError(`port is ${String(value)}: give a whole number from 0 to 65535, 0 for any free port`);
  }
  if (MAY_BE_OFF.has(name)) {
    if (!((value as number) >= 0))
      throw new RangeError(`${name} is ${String(value)}: give milliseconds, or 0 for never`);
  } else if (LIMIT_ENDINGS.some((ending) => name.endsWith(ending)) && !((value as number) > 0)) {
    throw new RangeError(`${name} is ${String(value)}: give a number above 0`);
  }
  if (name === 'backpressurePolicy' && !POLICIES.includes(value as string)) {
    throw new RangeError(`backpressurePolicy is ${String(value)}: give one of ${POLICIES.join(', ')}`);
  }
  return value;
}
