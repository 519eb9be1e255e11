import { show, unknownName } from '../wording.ts';
import { MAX_WINDOW_BITS, MIN_WINDOW_BITS } from './deflate-params.ts';

/** Options of permessage-deflate (RFC 7692); each has a default. */
export interface PerMessageDeflateOptions {
  /**
   * Messages shorter than this many bytes of payload are sent as they are, unless the sender says otherwise. Default
   * 1024, or 128 for a sender that keeps its context.
   */
  readonly thresholdBytes?: number;
  /** From 1, fast, to 9, small. Default 3. */
  readonly level?: number;
  /** Memory of the compressor, from 1 to 9: 2^(level + 9) bytes. Default 8, or 5 for one per connection. */
  readonly memLevel?: number;
  /**
   * Whether the server starts each message with an empty window. Default true: `false` compresses alike small messages
   * far better, and holds some 110 KiB a connection from the first one on.
   */
  readonly serverNoContextTakeover?: boolean;
  /** Whether clients must do so. Default true: `false` holds some 25 KiB a connection. */
  readonly clientNoContextTakeover?: boolean;
  /** The base-2 logarithm of the server's window, 8 to 15. Default 15, or 12 for one per connection. */
  readonly serverMaxWindowBits?: number;
  /** The same for clients that can limit theirs; of others no context is kept if this is below 15. Default 15. */
  readonly clientMaxWindowBits?: number;
  /**
   * How much memory the contexts of all connections may take; to connections beyond it none is granted. The sum is that
   * of the thread. Default 64 MiB.
   */
  readonly maxContextBytes?: number;
  /**
   * How many times its compressed size a message may have, if it has more than 64 KiB; one that has more closes with
   * 1009. Default Infinity: `maxMessageBytes` bounds it, and deflate cannot do more than about 1030.
   */
  readonly maxRatio?: number;
}

/** Options with the defaults filled in. */
export type DeflateOptions = Required<PerMessageDeflateOptions>;

const MIB = 1024 * 1024;

/** The least and the most that a number may be. */
const RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  thresholdBytes: [0, Number.POSITIVE_INFINITY],
  level: [1, 9],
  memLevel: [1, 9],
  serverMaxWindowBits: [MIN_WINDOW_BITS, MAX_WINDOW_BITS],
  clientMaxWindowBits: [MIN_WINDOW_BITS, MAX_WINDOW_BITS],
  maxContextBytes: [0, Number.POSITIVE_INFINITY],
  maxRatio: [1, Number.POSITIVE_INFINITY],
};

const SWITCHES: readonly string[] = ['serverNoContextTakeover', 'clientNoContextTakeover'];

/**
 * Fills in the defaults.
 *
 * @param given - `true` for the defaults alone
 * @returns `undefined` for `false`: nothing is to be compressed
 * @throws {TypeError} for an option that does not exist, or is not of its type
 * @throws {RangeError} for a number that an option cannot be
 */
export function resolveDeflateOptions(given: boolean | PerMessageDeflateOptions): DeflateOptions | undefined {
  if (given === false) return undefined;
  const options = given === true ? {} : given;
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checkOption(name, value);
  }
  const serverNoContextTakeover = options.serverNoContextTakeover ?? true;
  return {
    thresholdBytes: options.thresholdBytes ?? (serverNoContextTakeover ? 1024 : 128),
    level: options.level ?? 3,
    memLevel: options.memLevel ?? (serverNoContextTakeover ? 8 : 5),
    serverNoContextTakeover,
    clientNoContextTakeover: options.clientNoContextTakeover ?? true,
    serverMaxWindowBits: options.serverMaxWindowBits ?? (serverNoContextTakeover ? MAX_WINDOW_BITS : 12),
    clientMaxWindowBits: options.clientMaxWindowBits ?? MAX_WINDOW_BITS,
    maxContextBytes: options.maxContextBytes ?? 64 * MIB,
    maxRatio: options.maxRatio ?? Number.POSITIVE_INFINITY,
  };
}

function checkOption(name: string, value: unknown): void {
  if (SWITCHES.includes(name)) {
    if (typeof value !== 'boolean')
      throw new TypeError(`perMessageDeflate.${name} is ${show(value)}: give true or false`);
    return;
  }
  if (!Object.hasOwn(RANGES, name)) {
    throw unknownName('perMessageDeflate', name, [...SWITCHES, ...Object.keys(RANGES)]);
  }
  const [min, max] = RANGES[name]!;
  const isWhole = Number.isInteger(value) || max === Number.POSITIVE_INFINITY;
  if (typeof value !== 'number' || !(value >= min && value <= max) || !isWhole) {
    const range =
      max === Number.POSITIVE_INFINITY ? `a number of at least ${min}` : `a whole number from ${min} to ${max}`;
    throw new RangeError(`perMessageDeflate.${name} is ${show(value)}: give ${range}`);
  }
}
