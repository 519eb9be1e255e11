import { Buffer } from 'node:buffer';
import { copyAlone } from '../codec/copy-alone.ts';
import type { Protocol } from '../protocol/protocol.ts';
import type { Transport } from './transport.ts';

/** Who gets what is read. */
export interface IntakeHost {
  /** Whether reading has to wait. */
  readonly mustPause: boolean;
  /** Gives bytes to the protocol, and returns the offset of the first that it did not read. */
  receiveBytes(bytes: Buffer, start: number, end: number): number;
}

/**
 * What came in from one connection and has to wait: for a full queue, or for a message that takes time. Made when that
 * happens for the first time.
 */
export class Intake {
  readonly #host: IntakeHost;
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  /** Bytes behind the message that made reading wait. */
  #unread: Buffer | undefined;
  #paused = false;
  #resuming = false;
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
    return this.#unread?.length ?? 0;
  }

  /** Reads what has arrived, as far as it may. */
  read(bytes: Buffer, start: number, end: number): void {
    if (this.#unread === undefined) this.leave(bytes, this.#host.receiveBytes(bytes, start, end), end);
    // Only a transport that was told to pause and delivers once more.
    else if (!this.#ended) this.#unread = Buffer.concat([this.#unread, bytes.subarray(start, end)]);
  }

  /** Keeps the rest of what was read, from the first byte on that has to wait. */
  leave(bytes: Buffer, start: number, end: number): void {
    if (start < end && !this.#ended) this.#unread = copyAlone(bytes.subarray(start, end));
    if (this.#paused) this.#transport.pause();
  }

  /** Has reading wait behind the message that is being told. */
  pause(): void {
    this.#paused = true;
    this.#protocol.pauseReceiving();
  }

  /** Goes on when it may; in a tick of its own, since that may bring the next message. */
  resumeSoon(): void {
    if (!this.#paused || this.#resuming) return;
    this.#resuming = true;
    process.nextTick(resume, this);
  }

  /** @internal */
  resume(): void {
    this.#resuming = false;
    if (!this.#paused || this.#host.mustPause) return;
    this.readOn();
    if (!this.#paused) this.#transport.resume();
  }

  /** Reads what was left when reading had to wait. */
  readOn(): void {
    this.#paused = false;
    this.#protocol.resumeReceiving();
    const unread = this.#unread;
    if (unread === undefined) return;
    this.#unread = undefined;
    const read = this.#host.receiveBytes(unread, 0, unread.length);
    // A view: to copy what is left behind every message would take quadratic time.
    if (read < unread.length && !this.#ended) this.#unread = unread.subarray(read);
  }

  /** Throws away what waits, and all that is to come. */
  end(): void {
    this.#ended = true;
    this.#paused = false;
    this.#unread = undefined;
  }
}

function resume(intake: Intake): void {
  intake.resume();
}
