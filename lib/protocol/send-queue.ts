import { Buffer } from 'node:buffer';
import { isBorrowed } from '../codec/borrowed.ts';
import { REFERENCE_BYTES } from '../codec/frame-encoder.ts';
import type { Compressed, MessageCompression } from './compression.ts';

type Message = string | Uint8Array;

interface WaitingMessage {
  readonly data: Message;
  /** Its length when it was sent: bytes, or characters of text. */
  readonly length: number;
  readonly compress: boolean | undefined;
}

/** Who writes the messages. */
export interface MessageWriter {
  /** Writes the compressed payload of a message, or the message itself where there is none. */
  writeMessage(data: Message, payload: Compressed): void;
  /** A message is no longer what it was when it was sent: it cannot be written, nor what is behind it. `dropMessages` goes on. */
  onMessageChanged(): void;
}

/**
 * Compresses messages before they are sent, and keeps their order where that takes time: what is sent meanwhile waits.
 */
export class SendQueue {
  readonly #compression: MessageCompression;
  readonly #writer: MessageWriter;
  /** Messages behind the one that is being compressed; `undefined` when none is. */
  #waiting: WaitingMessage[] | undefined;
  #waitingBytes = 0;
  /** What is to be done behind the last of them. */
  #actions: (() => void)[] | undefined;
  #work: Promise<void> | undefined;

  constructor(compression: MessageCompression, writer: MessageWriter) {
    this.#compression = compression;
    this.#writer = writer;
  }

  /** Length of the messages that wait, with the one that is being compressed: bytes, or characters of text. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether messages wait. */
  get isBusy(): boolean {
    return this.#waiting !== undefined;
  }

  /** Resolves when no message waits any more; `undefined` when none does. */
  get work(): Promise<void> | undefined {
    return this.isBusy ? this.#work : undefined;
  }

  /** @param compress - what the sender wishes; `undefined`: what the compression thinks best */
  send(data: Message, compress: boolean | undefined): void {
    // A thread may read it, later than it is lent.
    const isLent = compress !== false && typeof data !== 'string' && isBorrowed(data);
    this.#send(isLent ? Buffer.from(data) : data, compress);
  }

  #send(data: Message, compress: boolean | undefined): void {
    if (this.#waiting !== undefined) {
      this.#waitingBytes += data.length;
      this.#waiting.push({ data: keep(data), length: data.length, compress });
      return;
    }
    const payload = this.#compress(data, compress);
    if (!(payload instanceof Promise)) this.#writer.writeMessage(data, payload);
    else this.#work = this.#sendLater({ data: keep(data), length: data.length, compress }, payload);
  }

  /** Does something once all messages so far are written: at once, if none waits. */
  whenWritten(action: () => void): void {
    if (!this.isBusy) {
      action();
      return;
    }
    this.#actions ??= [];
    this.#actions.push(action);
  }

  /** Throws away what waits. */
  drop(): void {
    this.#waiting = undefined;
    this.#waitingBytes = 0;
    this.#actions = undefined;
  }

  #compress(data: Message, compress: boolean | undefined): Compressed | Promise<Compressed> {
    return compress === false ? undefined : this.#compression.compress(data, compress === true);
  }

  /** Writes a message when it is compressed, and then those that came meanwhile. */
  async #sendLater(first: WaitingMessage, pending: Promise<Compressed>): Promise<void> {
    const waiting: WaitingMessage[] = [];
    this.#waiting = waiting;
    this.#waitingBytes = first.length;
    let message = first;
    let payload = await pending;
    while (this.#waiting === waiting) {
      const { data, length } = message;
      // Bytes that are referred to may be transferred, or resized, meanwhile; what was compressed is of before or after.
      if (data.length !== length) {
        this.#writer.onMessageChanged();
        return;
      }
      this.#waitingBytes -= length;
      this.#writer.writeMessage(data, payload);
      const next = waiting.shift();
      if (next === undefined) {
        this.#finish();
        return;
      }
      message = next;
      payload = await this.#compress(next.data, next.compress);
    }
  }

  /** Throws away the messages that wait, and does what was to be done behind them. */
  dropMessages(): void {
    if (this.isBusy) this.#finish();
  }

  #finish(): void {
    const actions = this.#actions ?? [];
    this.drop();
    for (const action of actions) action();
  }
}

/** Copies small bytes: only of large ones it is asked that they do not change. And those that are only lent. */
function keep(data: Message): Message {
  if (typeof data === 'string' || (data.length >= REFERENCE_BYTES && !isBorrowed(data))) return data;
  return Buffer.from(data);
}
