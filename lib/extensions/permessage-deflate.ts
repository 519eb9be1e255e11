import type { ErrorCode } from '../errors.ts';
import {
  deflateContextBytes,
  inflateContextBytes,
  reserveContextBytes,
  reservedContextBytes,
} from './context-budget.ts';
import { ContextInflater } from './context-inflater.ts';
import { type Deflated, Deflater, type DeflateSettings } from './deflate.ts';
import type { DeflateOptions } from './deflate-options.ts';
import { acceptOffer, type DeflateParams } from './deflate-params.ts';
import type { Extension } from './extension-header.ts';
import { type Inflated, type Inflater, sharedInflater } from './inflate.ts';
import { MAX_IN_PLACE_BYTES } from './scratch.ts';
import { canUseHandles } from './zlib-handle.ts';

type Role = 'server' | 'client';

/** What was agreed on with a client. */
export interface AcceptedDeflate {
  readonly compression: PerMessageDeflate;
  /** The value of Sec-WebSocket-Extensions that says so. */
  readonly response: string;
}

/**
 * Agrees on compression with a client, as far as it offers any.
 *
 * @returns `undefined` when messages are not to be compressed; otherwise what must be closed with the connection
 */
export function acceptDeflate(offers: readonly Extension[], options: DeflateOptions): AcceptedDeflate | undefined {
  const accepted = acceptOffer(offers, affordableWishes('server', options));
  if (accepted === undefined) return undefined;
  return { compression: compressionFor(accepted.params, options), response: accepted.response };
}

/** What keeps no context keeps nothing at all: one serves all connections that have agreed on the same. */
const contextFree = new WeakMap<DeflateOptions, Map<number, PerMessageDeflate>>();

function compressionFor(params: DeflateParams, options: DeflateOptions): PerMessageDeflate {
  if (!params.serverNoContextTakeover || !params.clientNoContextTakeover) {
    return new PerMessageDeflate('server', params, options);
  }
  const shared = contextFree.get(options) ?? new Map<number, PerMessageDeflate>();
  contextFree.set(options, shared);
  // The client's window makes no difference: any message of its fits in the largest.
  let compression = shared.get(params.serverMaxWindowBits);
  if (compression === undefined) {
    compression = new PerMessageDeflate('server', params, options);
    shared.set(params.serverMaxWindowBits, compression);
  }
  return compression;
}

/** What an endpoint wishes for: its options, less the contexts that there is no memory for, or that this Node cannot keep. */
export function affordableWishes(role: Role, options: DeflateOptions): DeflateParams {
  const leftBytes = canUseHandles() ? options.maxContextBytes - reservedContextBytes() : 0;
  const context = new ContextNeeds(role, options, options.memLevel);
  if (context.sendBytes + context.receiveBytes <= leftBytes) return options;
  // One direction is better than none: the one that this endpoint sends in.
  const canSend = context.sendBytes <= leftBytes;
  const isServer = role === 'server';
  return {
    ...options,
    serverNoContextTakeover: options.serverNoContextTakeover || !isServer || !canSend,
    clientNoContextTakeover: options.clientNoContextTakeover || isServer || !canSend,
  };
}

/** The parameters from the view of one endpoint, and what its contexts take. */
class ContextNeeds {
  readonly sendBits: number;
  readonly receiveBits: number;
  readonly sendTakeover: boolean;
  readonly receiveTakeover: boolean;
  readonly sendBytes: number;
  readonly receiveBytes: number;

  constructor(role: Role, params: DeflateParams, memLevel: number) {
    const server = { bits: params.serverMaxWindowBits, takeover: !params.serverNoContextTakeover };
    const client = { bits: params.clientMaxWindowBits, takeover: !params.clientNoContextTakeover };
    const [send, receive] = role === 'server' ? [server, client] : [client, server];
    this.sendBits = send.bits;
    this.receiveBits = receive.bits;
    this.sendTakeover = send.takeover;
    this.receiveTakeover = receive.takeover;
    this.sendBytes = send.takeover ? deflateContextBytes(send.bits, memLevel) : 0;
    this.receiveBytes = receive.takeover ? inflateContextBytes(receive.bits) : 0;
  }
}

/** The deflaters of this thread that keep no context, by their settings: at most a few. */
const sharedDeflaters = new Map<number, Deflater>();

function sharedDeflater(settings: DeflateSettings): Deflater {
  const { windowBits, level, memLevel } = settings;
  const key = windowBits * 100 + level * 10 + memLevel;
  let deflater = sharedDeflaters.get(key);
  if (deflater === undefined) {
    deflater = new Deflater(settings, false);
    sharedDeflaters.set(key, deflater);
  }
  return deflater;
}

/**
 * Compresses and decompresses the messages of one connection. RFC 7692.
 *
 * Without context takeover it holds a few numbers: the work is done by one deflate and one inflate that all connections
 * of the thread share. With it, it holds a context for either direction, from the first message on. Must be closed.
 */
export class PerMessageDeflate {
  readonly #deflater: Deflater;
  readonly #inflater: Inflater;
  readonly #thresholdBytes: number;
  readonly #maxRatio: number;
  /** What is reserved for the contexts. */
  #reservedBytes: number;

  constructor(role: Role, params: DeflateParams, options: DeflateOptions) {
    const { level, memLevel } = options;
    const context = new ContextNeeds(role, params, memLevel);
    const settings = { windowBits: context.sendBits, level, memLevel };
    this.#deflater = context.sendTakeover ? new Deflater(settings, true) : sharedDeflater(settings);
    this.#inflater = context.receiveTakeover ? new ContextInflater(context.receiveBits) : sharedInflater;
    this.#thresholdBytes = options.thresholdBytes;
    this.#maxRatio = options.maxRatio;
    this.#reservedBytes = context.sendBytes + context.receiveBytes;
    reserveContextBytes(this.#reservedBytes);
  }

  /**
   * Compresses a message, if that makes it smaller.
   *
   * @param data - bytes must not change before a promise is fulfilled
   * @param always - whether to try with a message below the threshold, too
   * @returns the payload of the frame with RSV1 that carries the message, of one's own; `undefined` when the message is
   * to be sent as it is; or a promise of either, which never rejects. The next call must wait for it.
   */
  compress(data: string | Uint8Array, always: boolean = false): Deflated | Promise<Deflated> {
    return this.#deflater.deflate(data, always ? 0 : this.#thresholdBytes);
  }

  /**
   * Decompresses the payload of a message, `bytes[start, end)`, which is not kept.
   *
   * @param isText - whether the message is text, and its UTF-8 is to be checked
   * @param maxBytes - the largest message that is taken; no more memory than that is used for one that is larger
   * @returns the message, a buffer being the caller's own; or the rule that it breaks; or a promise of either, which
   * never rejects. The next call must wait for it.
   */
  decompress(
    isText: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
    maxBytes: number,
  ): Inflated | Promise<Inflated> {
    const maxByRatio = Math.max((end - start) * this.#maxRatio, MAX_IN_PLACE_BYTES);
    const error: ErrorCode = maxByRatio < maxBytes ? 'WS_ERR_COMPRESSION_RATIO' : 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    return this.#inflater.inflate(isText, bytes, start, end, { maxBytes: Math.min(maxBytes, maxByRatio), error });
  }

  /** Frees the contexts. Safe to call again, and while a promise is pending. */
  close(): void {
    reserveContextBytes(-this.#reservedBytes);
    this.#reservedBytes = 0;
    this.#deflater.close();
    this.#inflater.close();
  }
}
