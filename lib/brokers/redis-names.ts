import { Buffer } from 'node:buffer';
import type { BrokerTop } from '../topics/broker.ts';

/**
 * The names of keys and channels, and the bytes of what goes over a channel. All names of a topic have one hash tag, so
 * that a Redis Cluster keeps them in one slot; the tag is never empty, as an empty one is none.
 */
export class RedisNames {
  /** The channel of what is for all processes. */
  readonly everyone: string;
  readonly #prefix: string;
  readonly #channelPrefix: string;

  /** @param database - its number: keys are apart in each database of a server, channels are not */
  constructor(prefix: string, database: number) {
    this.#prefix = prefix;
    this.everyone = `${prefix}@${database}`;
    this.#channelPrefix = `${this.everyone}{t:`;
  }

  channelOf(topic: string): string {
    return `${this.#channelPrefix}${topic}}`;
  }

  topicOf(channel: string): string {
    return channel.slice(this.#channelPrefix.length, -1);
  }

  /** The hash of a topic's epoch, offset and server, the stream of its messages, and the key of a message's id if it has one. */
  keysOf(topic: string, id?: string): string[] {
    const key = `${this.#prefix}{t:${topic}}`;
    return id === undefined ? [`${key}:top`, `${key}:messages`] : [`${key}:top`, `${key}:messages`, `${key}:id:${id}`];
  }
}

const VERSION = 1;
const MESSAGE = 1;
const SIGNAL = 2;
const SIGNAL_HEAD: Uint8Array = Uint8Array.of(VERSION, SIGNAL);
const LINE_FEED = 0x0a;

/** What came over a channel: a message with its place, or a signal without. */
export interface ChannelBytes {
  readonly place: BrokerTop | undefined;
  /** Fresh bytes: those that came may lie in a large block, which a small message would keep. */
  readonly data: Uint8Array;
}

/** The bytes of a signal. */
export function encodeSignal(data: Uint8Array): Buffer {
  return Buffer.concat([SIGNAL_HEAD, data]);
}

/**
 * Reads what came over a channel: a byte of version, a byte of kind; of a message (which the script of a publish has put
 * together) `epoch.offset` and a line feed; and the data.
 *
 * @returns `undefined` for what another version, or somebody else, has sent
 */
export function decodeChannelBytes(bytes: Uint8Array): ChannelBytes | undefined {
  if (bytes[0] !== VERSION) return undefined;
  if (bytes[1] === SIGNAL) return { place: undefined, data: copy(bytes, 2) };
  const end = bytes.indexOf(LINE_FEED, 2);
  if (bytes[1] !== MESSAGE || end === -1) return undefined;
  const place = parsePlace(Buffer.from(bytes.buffer, bytes.byteOffset + 2, end - 2).toString('latin1'));
  return place && { place, data: copy(bytes, end + 1) };
}

function copy(bytes: Uint8Array, start: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start));
}

/** Reads `epoch.offset`. */
export function parsePlace(text: string): BrokerTop | undefined {
  const dot = text.indexOf('.');
  const offset = Number(text.slice(dot + 1));
  return dot > 0 && Number.isSafeInteger(offset) ? { epoch: text.slice(0, dot), offset } : undefined;
}
