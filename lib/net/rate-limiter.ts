import type { Buffer } from 'node:buffer';
import type { RateLimits } from './limits.ts';

/** A timer of a longer time fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * How many messages a peer may send: a bucket of tokens, one for each message, that fills with time. Made with the first
 * message of a connection that has a limit.
 *
 * The first message that comes too early is kept until its time has come, and nothing is read behind it. So a Ping or Close
 * frame waits only for messages that have to wait themselves.
 */
// A timer runs only while a message is kept. It is one of its own, and not of the wheel, which is too coarse: at 100 messages
// a second there is one every 10 ms.
export class RateLimiter {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #onReady: (message: string | Buffer) => void;
  #tokens: number;
  /** When the tokens were counted. */
  #countedAt: number;
  #kept: string | Buffer | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  /** How many messages were thrown away. */
  dropped = 0;

  /** @param onReady - is given the message that was kept when its time has come */
  constructor({ maxMessagesPerSecond, messageBurst }: RateLimits, onReady: (message: string | Buffer) => void) {
    this.#perMs = maxMessagesPerSecond / 1000;
    this.#burst = messageBurst ?? Math.max(1, maxMessagesPerSecond);
    this.#onReady = onReady;
    this.#tokens = this.#burst;
    this.#countedAt = performance.now();
  }

  /** Whether a message is kept. */
  get isWaiting(): boolean {
    return this.#kept !== undefined;
  }

  /** Length of the message that is kept: bytes, or characters of text. */
  get waitingBytes(): number {
    return this.#kept?.length ?? 0;
  }

  /** Takes a token for a message. @returns whether there was one */
  take(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#countedAt) * this.#perMs);
    this.#countedAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Keeps a message for which there was no token until there is one. None may be kept before. */
  keep(message: string | Buffer): void {
    this.#kept = message;
    this.#wait();
  }

  /** Gives back the message that is kept, if there is one, before its time. */
  release(): string | Buffer | undefined {
    const kept = this.#kept;
    this.#kept = undefined;
    clearTimeout(this.#timer);
    return kept;
  }

  /** @internal */
  onTimer(): void {
    // Timers may be early, and their longest is not for ever.
    if (this.take()) this.#onReady(this.release()!);
    else this.#wait();
  }

  #wait(): void {
    const delayMs = Math.ceil((1 - this.#tokens) / this.#perMs);
    // It keeps no process alive: the socket does.
    this.#timer = setTimeout(onTimer, Math.min(delayMs, MAX_TIMER_MS), this).unref();
  }
}

function onTimer(limiter: RateLimiter): void {
  limiter.onTimer();
}
