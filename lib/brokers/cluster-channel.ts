import { Buffer } from 'node:buffer';
import type { BrokerSettings } from '../topics/broker.ts';

/** What goes between a worker and its primary, and how it is queued. The channel of Node carries other messages as well. */

/** Tells what is ours from other messages of a channel. */
const MARK = 'hyperlane-ws/cluster';
/** Changes with what frames mean: a primary and a worker of two versions do not understand each other. */
const VERSION = 1;

/** Bytes, as a channel can carry them: as they are if it serializes as `advanced`, or in base64 if as `json`. */
export type Packed = Uint8Array | string;

/** The place of a message: epoch and offset. */
export type Place = readonly [epoch: string, offset: number];

/** A message without its topic and epoch. */
export type PackedMessage = readonly [offset: number, previous: number, data: Packed];

/** What a worker says. What has an answer has a number. */
export type ToPrimary =
  | readonly ['hello', settings: BrokerSettings, probe: Packed]
  | readonly ['subscribe' | 'unsubscribe', call: number, topic: string]
  | readonly ['publish', call: number, topic: string, data: Packed, id: string | null]
  | readonly ['read', call: number, topic: string, after: number, limit: number]
  | readonly ['signal', topic: string | null, data: Packed]
  | readonly ['bye'];

/** What the primary says. */
export type ToWorker =
  | readonly ['welcome', isBinary: boolean]
  /** It knows nothing of this worker: say hello. */
  | readonly ['unknown']
  | readonly ['answer', call: number, place: Place | null, messages?: readonly PackedMessage[]]
  | readonly ['message', topic: string, epoch: string, message: PackedMessage]
  | readonly ['signal', topic: string | null, data: Packed]
  /** Too much waited for this worker: messages were left out. */
  | readonly ['lost']
  | readonly ['bye'];

/** What is sent at once. */
export interface Batch<Frame> {
  /** Which broker of the worker it is of. */
  readonly broker: string;
  /** None if the other end is of another version. */
  readonly frames: readonly Frame[];
  readonly isOtherVersion: boolean;
}

/** The message of a channel that carries frames. */
export function toMessage(broker: string, frames: readonly (ToPrimary | ToWorker)[]): object {
  return { [MARK]: VERSION, broker, frames };
}

/** The frames of a message of a channel; `undefined` if it is somebody else's. */
export function fromMessage<Frame extends ToPrimary | ToWorker>(message: unknown): Batch<Frame> | undefined {
  if (typeof message !== 'object' || message === null || !(MARK in message)) return undefined;
  const { [MARK]: version, broker, frames } = message as { [MARK]: number; broker: string; frames: readonly Frame[] };
  const isOtherVersion = version !== VERSION;
  return { broker, frames: isOtherVersion ? [] : frames, isOtherVersion };
}

/** Packs bytes, or packs them otherwise. What is bytes already is not copied. */
export function pack(data: Packed, isBinary: boolean): Packed {
  if (isBinary) return typeof data === 'string' ? Buffer.from(data, 'base64') : data;
  if (typeof data === 'string') return data;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}

/** Bytes that are the caller's own: those of a channel lie in the memory of all that came at once. */
export function unpack(data: Packed): Uint8Array {
  return typeof data === 'string' ? new Uint8Array(Buffer.from(data, 'base64')) : new Uint8Array(data);
}

/** About how much memory a frame takes, besides its bytes. */
const FRAME_BYTES = 200;
/** As much is sent at once. */
const BATCH_BYTES = 256 * 1024;

interface Queued<Frame> {
  readonly frame: Frame;
  readonly bytes: number;
  readonly canBeLost: boolean;
}

/**
 * The frames that wait for a channel. All of a turn of the event loop are sent as one message, and the next when that one has
 * left the process: what the other end does not read waits here, where it is counted.
 */
export class Outbox<Frame> {
  /** Memory that waits, in bytes. */
  bytes = 0;
  #queue: Queued<Frame>[] = [];
  #isSending = false;
  #isScheduled = false;
  readonly #send: (frames: readonly Frame[], sent: () => void) => void;
  #onEmpty: (() => void) | undefined;

  constructor(send: (frames: readonly Frame[], sent: () => void) => void) {
    this.#send = send;
  }

  push(frame: Frame, dataBytes: number, canBeLost: boolean = false): void {
    const bytes = dataBytes + FRAME_BYTES;
    this.#queue.push({ frame, bytes, canBeLost });
    this.bytes += bytes;
    if (this.#isScheduled || this.#isSending) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Lets go of what can be lost, and tells whether there was any. */
  loseSome(): boolean {
    const kept = this.#queue.filter(({ canBeLost }) => !canBeLost);
    const isLost = kept.length < this.#queue.length;
    this.#queue = kept;
    this.bytes = kept.reduce((sum, { bytes }) => sum + bytes, 0);
    return isLost;
  }

  /** Resolves when all has left the process, or after so many milliseconds. */
  async emptied(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  /** Lets go of everything. */
  clear(): void {
    this.#queue = [];
    this.bytes = 0;
  }

  #flush(): void {
    if (this.#isSending) return;
    if (this.#queue.length === 0) {
      this.#onEmpty?.();
      return;
    }
    let count = 0;
    let bytes = 0;
    while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count]!.bytes <= BATCH_BYTES))
      bytes += this.#queue[count++]!.bytes;
    this.bytes -= bytes;
    const batch = this.#queue.splice(0, count).map(({ frame }) => frame);
    this.#isSending = true;
    this.#send(batch, () => {
      this.#isSending = false;
      this.#flush();
    });
  }
}
