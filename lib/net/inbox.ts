import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { ReceiveQueue } from '../channel/receive-queue.ts';
import { copyAlone } from '../codec/copy-alone.ts';
import { type Flushable, flushSoon } from './flush-queue.ts';
import type { InboxLimits } from './limits.ts';

type Message = string | Buffer;

/** The messages of one connection that no handler has taken yet. */
export class Inbox implements Flushable {
  readonly #limits: InboxLimits;
  readonly #queue: ReceiveQueue<Message>;
  /** Length of the messages that wait: bytes, or characters of text. */
  #waitingBytes = 0;
  /** Whether `flushOutput` is to come. */
  #settling = false;

  /** @param onTake - is called after each message that was taken */
  constructor(limits: InboxLimits, onTake: () => void) {
    this.#limits = limits;
    this.#queue = new ReceiveQueue(onTake);
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether the peer should be made to wait. */
  get isFull(): boolean {
    return this.#queue.length >= this.#limits.maxQueuedMessages || this.#waitingBytes >= this.#limits.maxQueuedBytes;
  }

  /** Whether somebody is waiting in `receive` for a message that has not come. */
  get hasReceivers(): boolean {
    return this.#queue.waiting > this.#queue.length;
  }

  push(message: Message): void {
    this.#waitingBytes += message.length;
    this.#queue.push(message);
    if (this.#settling || typeof message === 'string') return;
    this.#settling = true;
    flushSoon(this);
  }

  /**
   * Moves the messages that were not taken in the turn they came in to memory of their own: what waits for long must
   * keep no pool alive that others are in, and what is taken at once need not be copied for that.
   */
  flushOutput(): void {
    this.#settling = false;
    this.#queue.replaceAll(ownMemory);
  }

  /** Takes the first message that is not promised to a receive. */
  tryTake(): Message | undefined {
    const message = this.#queue.tryTake();
    if (message !== undefined) this.#waitingBytes -= message.length;
    return message;
  }

  /** Receives the next message; `map` makes of it what the receiver gets. */
  receive<T>(options: ReceiveOptions | undefined, map: (message: Message) => T): Receive<T> {
    return this.#queue.receive(options, (message) => {
      this.#waitingBytes -= message.length;
      return map(message);
    });
  }

  /** Has every receive reject with `error` once all messages are taken. */
  fail(error: unknown): void {
    this.#queue.fail(error);
  }
}

function ownMemory(message: Message): Message {
  return typeof message === 'string' || message.buffer.byteLength <= 2 * message.length ? message : copyAlone(message);
}
