import type { Buffer } from 'node:buffer';
import { ReceiveQueue } from '../channel/receive-queue.ts';
import { copyAlone } from '../codec/copy-alone.ts';
import { type Flushable, flushSoon } from './flush-queue.ts';
import type { InboxLimits } from './limits.ts';

type Message = string | Buffer;

/** The messages of one connection that no handler has taken yet. */
export class Inbox extends ReceiveQueue<Message> implements Flushable {
  readonly #limits: InboxLimits;
  /** Length of the messages that wait: bytes, or characters of text. */
  #waitingBytes = 0;
  #hasTaken = false;
  #hasOverflown = false;
  /** Whether `flushOutput` is to come. */
  #settling = false;

  /** @param onTake - is called after each message that was taken */
  constructor(limits: InboxLimits, onTake: () => void) {
    super(onTake);
    this.#limits = limits;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether a message was ever taken. */
  get hasTaken(): boolean {
    return this.#hasTaken;
  }

  /** Whether the peer should be made to wait. */
  get isFull(): boolean {
    return this.length >= this.#limits.maxQueuedMessages || this.#waitingBytes >= this.#limits.maxQueuedBytes;
  }

  /** Whether somebody is waiting in `receive` for a message that has not come. */
  get hasReceivers(): boolean {
    return this.waiting > this.length;
  }

  /** Adds a message unless there is no room for it, or was none for one before: a gap in the middle is worse than an end. */
  offer(message: Message): void {
    this.#hasOverflown ||= this.isFull;
    if (!this.#hasOverflown) this.push(message);
  }

  override push(message: Message): boolean {
    if (this.isEnded) return false;
    this.#waitingBytes += message.length;
    super.push(message);
    if (!this.#settling && typeof message !== 'string') {
      this.#settling = true;
      flushSoon(this);
    }
    return true;
  }

  /**
   * Moves the messages that were not taken in the turn they came in to memory of their own: what waits for long must
   * keep no pool alive that others are in, and what is taken at once need not be copied for that.
   */
  flushOutput(): void {
    this.#settling = false;
    this.replaceAll(ownMemory);
  }

  protected override takeAt(index: number): Message {
    const message = super.takeAt(index);
    this.#waitingBytes -= message.length;
    this.#hasTaken = true;
    return message;
  }
}

function ownMemory(message: Message): Message {
  return typeof message === 'string' || message.buffer.byteLength <= 2 * message.length ? message : copyAlone(message);
}
