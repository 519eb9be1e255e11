import { Buffer } from 'node:buffer';
import { type ConnectionClosedError, TimeoutError } from '../errors.ts';

/** A Ping whose Pong has not come. */
interface PendingPing {
  readonly payload: Buffer;
  readonly sentAt: number;
  readonly resolve: ((latencyMs: number) => void) | undefined;
  readonly reject: ((error: unknown) => void) | undefined;
  readonly timer: NodeJS.Timeout | undefined;
}

/** setTimeout fires at once above this. 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Pings on their way are remembered up to this number; of a peer that answers none, no more need be known. */
const MAX_PENDING = 64;

/**
 * The Pings of one connection and the Pongs that answer them. RFC 6455 §5.5.2 and §5.5.3.
 *
 * A Pong answers the Ping with the same payload, and all that were sent before it: a peer may answer the latest only.
 */
export class Pings {
  #pending: PendingPing[] = [];
  #latencyMs: number | undefined;
  #counter = 0;

  /** Milliseconds from the latest answered Ping to its Pong, `undefined` before the first. */
  get latencyMs(): number | undefined {
    return this.#latencyMs;
  }

  /** Whether a Ping is on its way. */
  get waiting(): boolean {
    return this.#pending.length > 0;
  }

  /** Makes a payload that no Ping on its way has. */
  makePayload(): Buffer {
    const payload = Buffer.alloc(4);
    this.#counter = (this.#counter + 1) >>> 0;
    payload.writeUInt32BE(this.#counter);
    return payload;
  }

  /** Remembers a Ping that nobody waits for. */
  sent(payload: Buffer): void {
    this.#remember({ payload, sentAt: performance.now(), resolve: undefined, reject: undefined, timer: undefined });
  }

  /**
   * Remembers a Ping, and resolves with its latency in milliseconds.
   *
   * Rejects with TimeoutError, or with ConnectionClosedError once `close` was called.
   */
  answer(payload: Buffer, timeoutMs: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const timer =
        timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS
          ? setTimeout(() => this.#expire(ping, timeoutMs), timeoutMs)
          : undefined;
      const ping: PendingPing = { payload, sentAt: performance.now(), resolve, reject, timer };
      this.#remember(ping);
    });
  }

  /**
   * Takes a Pong; one that answers no Ping is as good as none (§5.5.3).
   *
   * @returns the milliseconds since the Ping that it answers, if there is one
   */
  received(payload: Buffer): number | undefined {
    const index = this.#pending.findIndex((ping) => ping.payload.equals(payload));
    if (index === -1) return undefined;
    const answered = this.#pending.splice(0, index + 1);
    const now = performance.now();
    this.#latencyMs = now - answered[index]!.sentAt;
    for (const ping of answered) {
      clearTimeout(ping.timer);
      ping.resolve?.(now - ping.sentAt);
    }
    return this.#latencyMs;
  }

  /** Ends the waiting for Pongs that takes so long already: TimeoutError. */
  expireAfter(timeoutMs: number): void {
    const now = performance.now();
    for (const ping of [...this.#pending]) {
      if (ping.reject === undefined || now - ping.sentAt < timeoutMs) continue;
      clearTimeout(ping.timer);
      this.#expire(ping, timeoutMs);
    }
  }

  /** Ends all waiting. */
  close(error: ConnectionClosedError): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const ping of pending) {
      clearTimeout(ping.timer);
      ping.reject?.(error);
    }
  }

  #remember(ping: PendingPing): void {
    this.#pending.push(ping);
    if (this.#pending.length <= MAX_PENDING) return;
    const forgotten = this.#pending.findIndex((old) => old.resolve === undefined);
    if (forgotten !== -1) this.#pending.splice(forgotten, 1);
  }

  #expire(ping: PendingPing, timeoutMs: number): void {
    const index = this.#pending.indexOf(ping);
    if (index !== -1) this.#pending.splice(index, 1);
    ping.reject?.(new TimeoutError(timeoutMs));
  }
}
