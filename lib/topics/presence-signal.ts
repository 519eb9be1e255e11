import { Buffer } from 'node:buffer';
import { decodeUtf8 } from '../codec/utf8.ts';
import { MAX_INFO_BYTES, MAX_KEY_BYTES, MAX_PRESENCE_TOPIC_BYTES, MAX_SIGNAL_BYTES } from './presence-limits.ts';

/**
 * The signals of presence, byte by byte: docs/reference/presence-wire.md. Numbers are big endian; a version, like a stamp,
 * takes 6 bytes; a text is 2 bytes of length and its UTF-8.
 */

/** What is told of a key of one process: what its newest seat there says. */
export interface Seat {
  /** JSON, or empty for nothing. */
  readonly json: string;
  /** What `json` stands for. */
  readonly info: unknown;
  /** When the seat was taken, by the clock of its process: of several seats with one key the latest is shown. */
  readonly stamp: number;
}

/** "I am there; at `version`; behind `from` these topics were changed, the last time at these versions, and no others." */
export interface LeaseSignal {
  readonly kind: 'lease';
  readonly process: string;
  readonly from: number;
  readonly version: number;
  readonly changed: ReadonlyMap<string, number>;
}

/** "Who knew this topic at `since` knows it at `version` by these changes." `undefined` is a key that left. */
export interface ChangeSignal {
  readonly kind: 'change';
  readonly process: string;
  readonly since: number;
  readonly version: number;
  readonly seats: ReadonlyMap<string, Seat | undefined>;
}

/** "Tell me who is in these topics": to one process, or to all. */
export interface AskSignal {
  readonly kind: 'ask';
  readonly process: string;
  readonly target: string | undefined;
  readonly topics: readonly string[];
}

/** A topic as it is at a process, or a part of it. */
export interface StatePart {
  readonly topic: string;
  /** From 0 on. */
  readonly part: number;
  readonly parts: number;
  readonly seats: ReadonlyMap<string, Seat>;
}

/** "This is who is in these topics, at `version`." */
export interface StateSignal {
  readonly kind: 'state';
  readonly process: string;
  readonly version: number;
  readonly states: readonly StatePart[];
}

/** "I am closing." */
export interface ByeSignal {
  readonly kind: 'bye';
  readonly process: string;
}

export type PresenceSignal = LeaseSignal | ChangeSignal | AskSignal | StateSignal | ByeSignal;

const WIRE_VERSION = 1;
const KINDS = ['lease', 'change', 'ask', 'state', 'bye'] as const;
/** In place of a process: all of them. */
const EVERYBODY = '0000000000000000';
const ID_BYTES = 8;
const GONE = 0;
const THERE = 1;

/** How many bytes an entry of a signal takes, at most: what is gathered into one is cut by these. */
export function sizeOfTopic(topic: string): number {
  return 8 + Buffer.byteLength(topic);
}
export function sizeOfSeat(key: string, seat: Seat | undefined): number {
  return 11 + Buffer.byteLength(key) + (seat === undefined ? 0 : Buffer.byteLength(seat.json));
}

/** Encodes a signal. Nothing in it is checked: see to the limits before. */
export function encodeSignal(signal: PresenceSignal): Uint8Array {
  const writer = new Writer();
  writer.number(WIRE_VERSION, 1);
  writer.number(KINDS.indexOf(signal.kind) + 1, 1);
  writer.process(signal.process);
  switch (signal.kind) {
    case 'lease':
      writer.number(signal.from, 6);
      writer.number(signal.version, 6);
      writer.number(signal.changed.size, 2);
      for (const [topic, version] of signal.changed) {
        writer.text(topic);
        writer.number(version, 6);
      }
      break;
    case 'change':
      writer.number(signal.since, 6);
      writer.number(signal.version, 6);
      writer.number(signal.seats.size, 2);
      for (const [key, seat] of signal.seats) {
        writer.text(key);
        writer.number(seat === undefined ? GONE : THERE, 1);
        if (seat !== undefined) writer.seat(seat);
      }
      break;
    case 'ask':
      writer.process(signal.target ?? EVERYBODY);
      writer.number(signal.topics.length, 2);
      for (const topic of signal.topics) writer.text(topic);
      break;
    case 'state':
      writer.number(signal.version, 6);
      writer.number(signal.states.length, 2);
      for (const { topic, part, parts, seats } of signal.states) {
        writer.text(topic);
        writer.number(part, 2);
        writer.number(parts, 2);
        writer.number(seats.size, 2);
        for (const [key, seat] of seats) {
          writer.text(key);
          writer.seat(seat);
        }
      }
      break;
    case 'bye':
      break;
  }
  return writer.end();
}

/** Decodes a signal; `undefined` for what is none, or of a version that is not known, or beyond a limit. */
export function decodeSignal(bytes: Uint8Array): PresenceSignal | undefined {
  if (bytes.length > 4 * MAX_SIGNAL_BYTES) return undefined;
  const reader = new Reader(bytes);
  if (reader.number(1) !== WIRE_VERSION) return undefined;
  const kind = KINDS[reader.number(1) - 1];
  const process = reader.process();
  const signal = readBody(reader, kind, process);
  return process !== EVERYBODY && reader.hasReadAll ? signal : undefined;
}

function readBody(
  reader: Reader,
  kind: (typeof KINDS)[number] | undefined,
  process: string,
): PresenceSignal | undefined {
  switch (kind) {
    case 'lease': {
      const from = reader.number(6);
      const version = reader.number(6);
      const changed = new Map<string, number>();
      for (let left = reader.number(2); left > 0 && !reader.failed; left--) {
        changed.set(reader.text(MAX_PRESENCE_TOPIC_BYTES), reader.number(6));
      }
      return { kind, process, from, version, changed };
    }
    case 'change': {
      const since = reader.number(6);
      const version = reader.number(6);
      const seats = new Map<string, Seat | undefined>();
      for (let left = reader.number(2); left > 0 && !reader.failed; left--) {
        const key = reader.text(MAX_KEY_BYTES);
        const state = reader.number(1);
        if (state > THERE) reader.failed = true;
        seats.set(key, state === GONE ? undefined : reader.seat());
      }
      return { kind, process, since, version, seats };
    }
    case 'ask': {
      const target = reader.process();
      const topics: string[] = [];
      for (let left = reader.number(2); left > 0 && !reader.failed; left--) {
        topics.push(reader.text(MAX_PRESENCE_TOPIC_BYTES));
      }
      return { kind, process, target: target === EVERYBODY ? undefined : target, topics };
    }
    case 'state': {
      const version = reader.number(6);
      const states: StatePart[] = [];
      for (let left = reader.number(2); left > 0 && !reader.failed; left--) states.push(reader.state());
      return { kind, process, version, states };
    }
    case 'bye':
      return { kind, process };
    default:
      return undefined;
  }
}

class Writer {
  #bytes = Buffer.alloc(256);
  #length = 0;

  number(value: number, size: number): void {
    this.#reserve(size);
    this.#length = this.#bytes.writeUIntBE(value, this.#length, size);
  }

  process(id: string): void {
    this.#reserve(ID_BYTES);
    this.#length += this.#bytes.write(id, this.#length, 'hex');
  }

  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.number(size, 2);
    this.#reserve(size);
    this.#length += this.#bytes.write(value, this.#length);
  }

  seat({ stamp, json }: Seat): void {
    this.number(stamp, 6);
    this.text(json);
  }

  end(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = Buffer.alloc(2 * (this.#length + size));
    this.#bytes.copy(grown);
    this.#bytes = grown;
  }
}

/** Reads what may be anything. Once something is wrong it has failed, and what it reads is of no use. */
class Reader {
  failed = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get hasReadAll(): boolean {
    return !this.failed && this.#at === this.#bytes.length;
  }

  number(size: number): number {
    const start = this.#advance(size);
    return this.failed ? 0 : this.#bytes.readUIntBE(start, size);
  }

  process(): string {
    const start = this.#advance(ID_BYTES);
    return this.#bytes.toString('hex', start, this.#at);
  }

  text(maxBytes: number): string {
    const size = this.number(2);
    if (size > maxBytes) this.failed = true;
    const start = this.#advance(size);
    const text = decodeUtf8(this.#bytes, start, this.#at);
    if (text === undefined) this.failed = true;
    return text ?? '';
  }

  seat(): Seat {
    const stamp = this.number(6);
    const json = this.text(MAX_INFO_BYTES);
    return { json, info: this.#parse(json), stamp };
  }

  state(): StatePart {
    const topic = this.text(MAX_PRESENCE_TOPIC_BYTES);
    const part = this.number(2);
    const parts = this.number(2);
    if (part >= parts) this.failed = true;
    const seats = new Map<string, Seat>();
    for (let left = this.number(2); left > 0 && !this.failed; left--) {
      seats.set(this.text(MAX_KEY_BYTES), this.seat());
    }
    // Of several parts none is empty: so they are no more than there may be members.
    if (parts > 1 && seats.size === 0) this.failed = true;
    return { topic, part, parts, seats };
  }

  #parse(json: string): unknown {
    if (json === '') return undefined;
    try {
      return JSON.parse(json);
    } catch {
      this.failed = true;
      return undefined;
    }
  }

  /** Passes so many bytes and returns where they start; none, once it has failed. */
  #advance(size: number): number {
    const start = this.#at;
    if (this.failed || size > this.#bytes.length - start) this.failed = true;
    else this.#at += size;
    return start;
  }
}
