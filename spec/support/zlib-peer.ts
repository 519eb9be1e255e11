import assert from 'node:assert/strict';
import { constants, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib';
import type { DeflateParams } from '../../lib/extensions/deflate-params.ts';
import type { Role } from '../../lib/protocol/events.ts';

/**
 * The other end of permessage-deflate, of node:zlib alone: nothing of lib/ runs here. What a direction has carried is
 * kept as plain bytes, and given to zlib as a dictionary: so a message that takes over more context than was agreed on
 * cannot be read, and one that is sent takes over all of it.
 */

/** What a sender leaves out of the end of a message, RFC 7692 §7.2.1. */
const TAIL: Buffer = Buffer.from('0000ffff', 'hex');
/** zlib makes 9 of 8: its references reach back 250 bytes at most then, so that they keep to a window of 256. */
const MIN_DEFLATE_BITS = 9;
/** The least that zlib writes at once, and what it writes at once where it does not matter. */
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 128 * 1024;
/** With the tail, what an empty message is: RFC 7692 §7.2.3.6. */
const EMPTY: Buffer = Buffer.of(0);

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** One direction of a connection. */
class Direction {
  readonly bits: number;
  readonly #takeover: boolean;
  #window: Buffer = Buffer.alloc(0);

  constructor(bits: number, noTakeover: boolean) {
    this.bits = bits;
    this.#takeover = !noTakeover;
  }

  /** The options of zlib for the next message. */
  get context(): { dictionary?: Buffer } {
    return this.#window.length > 0 ? { dictionary: this.#window } : {};
  }

  carried(data: Buffer): void {
    if (!this.#takeover) return;
    const size = 1 << this.bits;
    this.#window = Buffer.from(Buffer.concat([this.#window, data.subarray(-size)]).subarray(-size));
  }
}

/** The endpoint that a server or a client of ours talks to. */
export class ZlibPeer {
  readonly #sends: Direction;
  readonly #receives: Direction;

  /** @param role - of the endpoint that is tested */
  constructor(role: Role, params: DeflateParams) {
    const server = new Direction(params.serverMaxWindowBits, params.serverNoContextTakeover);
    const client = new Direction(params.clientMaxWindowBits, params.clientNoContextTakeover);
    [this.#sends, this.#receives] = role === 'server' ? [client, server] : [server, client];
  }

  /** The payload of a compressed message. @param how - level and strategy of zlib */
  compress(data: Buffer, how: ZlibOptions = {}): Buffer {
    if (data.length === 0) return EMPTY;
    const { bits, context } = this.#sends;
    const windowBits = Math.max(bits, MIN_DEFLATE_BITS);
    const payload = deflateRawSync(data, { ...how, ...context, windowBits, finishFlush: constants.Z_SYNC_FLUSH });
    this.#sends.carried(data);
    return payload.subarray(0, -TAIL.length);
  }

  /**
   * The message in the payload of a compressed one.
   *
   * @param isStrict - whether it may refer to nothing before the window. zlib knows what it has just written, too: that
   * is bounded by letting it write no more than half a window at once, which takes its time
   * @throws {Error} of zlib
   */
  decompress(payload: Buffer, isStrict: boolean = true): Buffer {
    const { bits, context } = this.#receives;
    const input = Buffer.concat([payload, TAIL]);
    const options = {
      ...context,
      windowBits: bits,
      chunkSize: isStrict ? Math.max(1 << (bits - 1), MIN_CHUNK_BYTES) : MAX_CHUNK_BYTES,
      finishFlush: constants.Z_SYNC_FLUSH,
      info: true,
    };
    // With the option `info`, which the types do not know.
    const { buffer: data, engine } = inflateRawSync(input, options) as unknown as Inflated;
    assert.equal(engine.bytesWritten, input.length, 'no block has BFINAL');
    this.#receives.carried(data);
    return data;
  }
}
