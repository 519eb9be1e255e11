import { constants } from 'node:buffer';
import { inspect } from 'node:util';
import {
  type DeflateOptions,
  type PerMessageDeflateOptions,
  resolveDeflateOptions,
} from '../extensions/deflate-options.ts';
import { isToken } from '../handshake/header-list.ts';
import { type HostRule, isHost } from '../handshake/host.ts';
import type { OriginRule } from '../handshake/origin.ts';
import type { SubprotocolRule } from '../handshake/subprotocol.ts';
import type { BackpressurePolicy, ConnectionLimits, RateLimitPolicy } from '../net/limits.ts';
import type { Topics } from '../topics/topics.ts';
import type { TopicsOptions } from '../topics/topics-options.ts';
import { unknownName } from '../wording.ts';
import { NAMES_ELSEWHERE } from './names-elsewhere.ts';

/** Options of a server; each has a default. Sizes are in bytes, times in milliseconds. */
export interface ServerOptions {
  /** Address to listen on. Default: all, IPv4 and IPv6. */
  readonly host?: string;
  /** Port to listen on, 0 for any free one. Default 60000. */
  readonly port?: number;
  /** Send small packets at once (TCP_NODELAY). Default true. */
  readonly nodelay?: boolean;
  /** Names that this server answers to, each with a port or for all ports; anything else gets 421. Default `'*'`: all. */
  readonly hosts?: HostRule;
  /** Which pages may open a WebSocket. Default `'same-origin'`: those that came from this host. */
  readonly origins?: OriginRule;
  /** How a subprotocol is chosen among those a client offers. Default: none. */
  readonly subprotocols?: SubprotocolRule;
  /**
   * Whether messages may be compressed (permessage-deflate, RFC 7692) with clients that offer it, and how. Default false:
   * it saves bytes for time, 7 µs instead of 1 for a message of 1 KiB. `true`: all its defaults, which keep no memory for
   * a connection.
   */
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions;
  /** Largest message taken; a larger one closes with 1009. Default 1 MiB; no more than a string may have, 512 MiB. */
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
  /** Messages that a WebSocket may send in a second, on average. Default: no limit. */
  readonly maxMessagesPerSecond?: number;
  /** Messages that it may send at once, when it was silent before. Default: as many as in a second, and at least 1. */
  readonly messageBurst?: number;
  /**
   * What happens to a message above `maxMessagesPerSecond`: `'wait'` has it wait unread, so that the client has to, too
   * (default), `'drop'` throws it away, `'close'` closes the WebSocket with 1008.
   */
  readonly rateLimitPolicy?: RateLimitPolicy;
  /** Largest body of a plain HTTP request; a larger one gets 413. Default 1 MiB. */
  readonly maxRequestBodyBytes?: number;
  /** Plain HTTP requests of one connection that may be under way at once; what is behind them is not read. Default 16. */
  readonly maxPipelinedRequests?: number;
  /** Largest head of a request; a larger one gets 431. Default 16 KiB. */
  readonly maxHeaderBytes?: number;
  /** WebSockets that may be open at once; a further one is refused with 503. Default: no limit but the system's. */
  readonly maxConnections?: number;
  /** How long a request head, and the upgrade middleware, may take. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** How long a peer may take to answer a Close frame before it is cut off. Default 5 s. */
  readonly closeTimeoutMs?: number;
  /** How often a peer is sent a Ping; one that is silent until the next is cut off with 1006. 0: never. Default 30 s. */
  readonly heartbeatIntervalMs?: number;
  /** After how long without a message, in either direction, a WebSocket is closed with 1001. 0: never, the default. */
  readonly idleTimeoutMs?: number;
  /** Its topics, or their options: a broker, and how much history. Default: those of this process, without history. */
  readonly topics?: Topics | TopicsOptions;
}

/** Options with the defaults filled in. */
export interface ResolvedOptions extends ConnectionLimits {
  readonly host: string | undefined;
  readonly port: number;
  readonly nodelay: boolean;
  readonly hosts: HostRule;
  readonly origins: OriginRule;
  readonly subprotocols: SubprotocolRule;
  readonly perMessageDeflate: DeflateOptions | undefined;
  readonly maxRequestBodyBytes: number;
  readonly maxPipelinedRequests: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  readonly handshakeTimeoutMs: number;
  readonly topics: Topics | TopicsOptions | undefined;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const DEFAULTS: ResolvedOptions = {
  host: undefined,
  port: 60000,
  nodelay: true,
  hosts: '*',
  origins: 'same-origin',
  subprotocols: [],
  perMessageDeflate: undefined,
  maxMessageBytes: MIB,
  maxFrameBytes: Number.POSITIVE_INFINITY,
  maxQueuedMessages: 64,
  maxQueuedBytes: MIB,
  highWaterMarkBytes: 64 * KIB,
  maxBackpressureBytes: 16 * MIB,
  backpressurePolicy: 'close',
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  messageBurst: undefined,
  rateLimitPolicy: 'wait',
  maxRequestBodyBytes: MIB,
  maxPipelinedRequests: 16,
  maxHeaderBytes: 16 * KIB,
  maxConnections: Number.POSITIVE_INFINITY,
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  heartbeatIntervalMs: 30_000,
  idleTimeoutMs: 0,
  topics: undefined,
};

/** A timer of a longer time fires at once. 24.8 days. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

const POLICIES: readonly string[] = ['wait', 'drop', 'close'] satisfies BackpressurePolicy[];

/** Times that may be 0, which means never. */
const MAY_BE_OFF: ReadonlySet<string> = new Set(['heartbeatIntervalMs', 'idleTimeoutMs']);

/**
 * Fills in the defaults.
 *
 * @throws {TypeError} for an option that does not exist
 * @throws {RangeError} for a value that an option cannot have
 */
export function resolveOptions(options: ServerOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Server takes its options as an object, such as { port: 60000 }, and not ${inspect(options)}`);
  }
  const resolved: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      throw unknownName('Server', name, Object.keys(DEFAULTS), NAMES_ELSEWHERE);
    }
    if (value !== undefined) resolved[name] = bound(name, checkOption(name, value));
  }
  return resolved as unknown as ResolvedOptions;
}

/** Makes of Infinity, or of a fraction, what timers and node:http take; and fills in the defaults of options in options. */
function bound(name: string, value: unknown): unknown {
  if (name === 'perMessageDeflate') return resolveDeflateOptions(value as boolean | PerMessageDeflateOptions);
  // A text of more bytes may come to a string of more characters than there can be.
  if (name === 'maxMessageBytes') return Math.min(value as number, constants.MAX_STRING_LENGTH);
  if (!name.endsWith('Ms') && name !== 'maxHeaderBytes') return value;
  return Math.min(Math.ceil(value as number), MAX_TIMER_MS);
}

/** Checks one value, and returns it. @param owner - whose option it is, if not the server's. @throws {RangeError} */
export function checkOption<T>(name: string, value: T, owner?: string): T {
  const advice = adviceFor(name, value);
  if (advice === undefined) return value;
  throw new RangeError(`${owner === undefined ? '' : `${owner}: `}${name} is ${inspect(value)}: ${advice}`);
}

/** What to give instead of a value that an option cannot have; `undefined` for one that it can. */
function adviceFor(name: string, value: unknown): string | undefined {
  switch (name) {
    case 'host':
      return typeof value === 'string' ? undefined : "give an address or a name as a string, such as '127.0.0.1'";
    case 'port':
      return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65535
        ? undefined
        : 'give a whole number from 0 to 65535, 0 for any free port';
    case 'nodelay':
      return typeof value === 'boolean' ? undefined : 'give true or false';
    case 'hosts':
      return value === '*' || (Array.isArray(value) && value.every((name) => typeof name === 'string' && isHost(name)))
        ? undefined
        : "give '*', or a list of names with or without a port, such as ['localhost', '127.0.0.1:8080', '[::1]']";
    case 'origins':
      return adviceForOrigins(value);
    case 'subprotocols':
      return typeof value === 'function' || (Array.isArray(value) && value.every(isToken))
        ? undefined
        : 'give a list of names, or a function that chooses among those offered';
    case 'perMessageDeflate':
      return typeof value === 'boolean' || (typeof value === 'object' && value !== null)
        ? undefined
        : 'give true, false or its options, such as { thresholdBytes: 1024 }';
    case 'topics':
      return typeof value === 'object' && value !== null
        ? undefined
        : 'give options of topics, such as { historyMessages: 100 }, or a Topics';
    case 'messageBurst':
      return typeof value === 'number' && value >= 1 ? undefined : 'give a number of messages from 1 on';
    case 'backpressurePolicy':
    case 'rateLimitPolicy':
      return POLICIES.includes(value as string) ? undefined : `give one of ${POLICIES.join(', ')}`;
    default:
      if (typeof value === 'number' && (value > 0 || (value === 0 && MAY_BE_OFF.has(name)))) return undefined;
      return MAY_BE_OFF.has(name) ? 'give milliseconds, or 0 for never' : 'give a number above 0';
  }
}

function adviceForOrigins(value: unknown): string | undefined {
  if (value === 'same-origin' || value === '*' || typeof value === 'function') return undefined;
  if (!Array.isArray(value)) return "give 'same-origin', '*', a list of origins, or a function that decides";
  if (value.every(isOrigin)) return undefined;
  return "give origins as browsers send them, such as 'https://example.com', or a function that decides";
}

/** Whether a browser could send this as Origin. One that no browser sends would never match, and nobody would know why. */
function isOrigin(text: unknown): boolean {
  if (text === 'null') return true;
  if (typeof text !== 'string' || text.includes('*') || !URL.canParse(text)) return false;
  const { protocol, host } = new URL(text);
  return text === `${protocol}//${host}`;
}
