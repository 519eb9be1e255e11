import type { Buffer } from 'node:buffer';
import { copyAlone } from '../codec/copy-alone.ts';
import type { Protocol } from '../protocol/protocol.ts';
import type { Transport } from './transport.ts';

/** Who gets what is read. */
export interface IntakeHost {
  /** Whether reading has to wait. */
  readonly mustPause: boolean;
  /** Gives bytes to the protocol, and returns the offset of the first that it did not read. */
  receiveBytes(bytes: Buffer, start: number, end: number): number;
  /** All that had to wait was read. */
  onReadOn(): void;
}

/**
 * What came in from one connection and has to wait: for a full queue, or for a message that takes time. Made when that
 * happens for the first time.
 */
export class Intake {
  readonly #host: IntakeHost;
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  /** Bytes behind the message that made reading wait, in order. */
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #paused = false;
  #resuming = false;
  /** Whether reading waits for the next turn of the event loop. */
  #yielding = false;
  #ended = false;

  constructor(host: IntakeHost, protocol: Protocol, transport: Transport) {
    this.#host = host;
    this.#protocol = protocol;
    this.#transport = transport;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** Whether what arrives has to wait. */
  get isWaiting(): boolean {
    return this.#paused || this.#unreadBytes > 0;
  }

  /**
   * Keeps bytes that came while others are being read, or wait: what comes behind them must not be read before. No more is
   * asked for meanwhile: a stream that brings some whenever it is written to might bring all it has.
   */
  keep(bytes: Buffer, start: number, end: number): void {
    if (start === end || this.#ended) return;
    this.#transport.pause();
    this.#unread.push(copyAlone(bytes.subarray(start, end)));
    this.#unreadBytes += end - start;
  }

  /** Keeps the rest of what was being read, from the first byte on that has to wait; and reads on, if nothing has to. */
  leave(bytes: Buffer, start: number, end: number): void {
    if (start < end && !this.#ended) {
      this.#unread.unshift(copyAlone(bytes.subarray(start, end)));
      this.#unreadBytes += end - start;
    }
    this.#readUnread();
    if (this.#paused) this.#transport.pause();
    else if (this.#transport.isPaused) this.#transport.resume();
  }

  /** Has reading wait behind the message that is being told. */
  pause(): void {
    this.#paused = true;
    this.#protocol.pauseReceiving();
  }

  /** Has reading wait for the next turn of the event loop, behind the message that is being told: others are to be read, too. */
  yieldTurn(): void {
    this.#yielding = true;
    this.pause();
    setImmediate(endTurn, this);
  }

  /** @internal */
  endTurn(): void {
    this.#yielding = false;
    this.resume();
  }

  /** Goes on when it may; in a tick of its own, since that may bring the next message. */
  resumeSoon(): void {
    if (!this.#paused || this.#resuming) return;
    this.#resuming = true;
    process.nextTick(resume, this);
  }

  /** Reads what was left when reading had to wait, and goes on if nothing has to. */
  resume(): void {
    this.#resuming = false;
    if (!this.#paused || this.#yielding || this.#host.mustPause) return;
    this.#paused = false;
    this.#protocol.resumeReceiving();
    this.#readUnread();
    if (this.#paused) return;
    this.#transport.resume();
    this.#host.onReadOn();
  }

  /** Throws away what waits, and all that is to come. */
  end(): void {
    this.#ended = true;
    this.#paused = false;
    this.#unread = [];
    this.#unreadBytes = 0;
  }

  #readUnread(): void {
    while (!this.#paused && this.#unread.length > 0) {
      const first = this.#unread[0]!;
      const read = this.#host.receiveBytes(first, 0, first.length);
      if (this.#ended) return;
      this.#unreadBytes -= read;
      // A view: to copy what is left behind every message would take quadratic time.
      if (read < first.length) this.#unread[0] = first.subarray(read);
      else this.#unread.shift();
    }
  }
}

function resume(intake: Intake): void {
  intake.resume();
}

function endTurn(intake: Intake): void {
  intake.endTurn();
}
