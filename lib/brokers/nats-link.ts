import { randomBytes } from 'node:crypto';
import { BrokerError } from '../errors.ts';
import type { NatsConnection, NatsMessage } from './nats-connection.ts';

/** How often it is asked whether the server is there. Specs have less patience. */
export interface NatsTiming {
  /** Between two checks, in milliseconds. */
  readonly checkMs: number;
  /** For how long an answer is waited for, in milliseconds. */
  readonly answerMs: number;
  /** After how many checks a topic in which nothing happens is asked for. */
  readonly quietChecks: number;
}

export const NATS_TIMING: NatsTiming = { checkMs: 2000, answerMs: 4000, quietChecks: 30 };

/** What a link tells. */
export interface NatsLinkEvents {
  /** Asks whether the broker can be used, at the beginning, again and again, and when the connection is back. */
  check(): Promise<void>;
  /** It can be used again. */
  up(): void;
  down(error: Error): void;
}

interface Waiting {
  /** @returns whether it was all that is waited for */
  readonly take: (message: NatsMessage) => boolean;
  readonly reject: (error: Error) => void;
  /** Of the pulse: not of a clock, which goes on while this process is held. */
  beats: number;
}

/** Into how many beats the wait for an answer is cut. */
const BEATS = 8;
/** Between two tries while it cannot be used, in milliseconds. */
const RETRY_MS = 100;

/**
 * What is between this process and its server. The user's connection finds its way back by itself and subscribes again; but what
 * it was asked meanwhile it forgets without a word, and a connection that is half open it notices only after minutes. So each
 * answer is waited for here, for a bounded time, and whether the server answers is asked every few seconds.
 */
export class NatsLink {
  isUp = false;
  readonly #connection: NatsConnection;
  readonly #inbox: string;
  readonly #timing: NatsTiming;
  readonly #events: NatsLinkEvents;
  readonly #waiting = new Map<string, Waiting>();
  #lastToken = 0;
  #ponging: Promise<void> | undefined;
  #inboxSubscription: { unsubscribe(): void } | undefined;
  #inboxError: Error | undefined;
  #pulse: NodeJS.Timeout | undefined;
  #status: AsyncIterable<unknown> | undefined;
  /** Whether the connection has one: as it says itself. */
  #isConnected = true;
  /** It will not come back. */
  #isGone = false;
  #isClosed = false;
  #isDue = false;
  #wake: (() => void) | undefined;

  constructor(connection: NatsConnection, prefix: string, timing: NatsTiming, events: NatsLinkEvents) {
    this.#connection = connection;
    this.#inbox = `${prefix}.inbox.${randomBytes(9).toString('hex')}`;
    this.#timing = timing;
    this.#events = events;
  }

  /** Resolves once the broker can be used. */
  async open(): Promise<void> {
    this.#pulse = setInterval(() => this.#beat(), this.#timing.answerMs / BEATS).unref();
    try {
      this.#inboxSubscription = this.subscribe(`${this.#inbox}.*`, (error, message) => {
        if (error === null) this.#take(message.subject.slice(this.#inbox.length + 1), message);
        else this.#inboxError = error;
      });
      await this.#checkEcho();
      await this.#events.check();
      if (this.#isClosed) throw unavailable('the broker is closed');
    } catch (error) {
      this.close();
      throw error;
    }
    this.isUp = true;
    void this.#followStatus();
    void this.#watch();
  }

  /** What a connection does not hear of itself, others may not hear either; and signals are for this process, too. */
  async #checkEcho(): Promise<void> {
    let isHeard = false;
    const token = this.#expect({ take: () => (isHeard = true), reject: () => {} });
    this.publish(`${this.#inbox}.${token}`, new Uint8Array());
    await this.flush();
    this.#waiting.delete(token);
    if (isHeard) return;
    throw unavailable(
      this.#inboxError === undefined
        ? 'the connection does not hear what it publishes itself: connect without noEcho'
        : `NATS does not let this user subscribe to ${this.#inbox}.*: it needs all subjects of the prefix`,
      this.#inboxError,
    );
  }

  /** @throws {BrokerError} when the connection is closed, or the message is too large for the server */
  publish(subject: string, payload: Uint8Array, options?: { reply?: string; headers?: unknown }): void {
    try {
      this.#connection.publish(subject, payload, options);
    } catch (error) {
      throw unavailable(`NATS does not take the message: ${messageOf(error)}`, error);
    }
  }

  subscribe(subject: string, callback: (error: Error | null, message: NatsMessage) => void): { unsubscribe(): void } {
    try {
      return this.#connection.subscribe(subject, { callback });
    } catch (error) {
      throw unavailable(`NATS does not take the subscription: ${messageOf(error)}`, error);
    }
  }

  /** Asks, and resolves with the answer. Rejects soon when none comes. */
  request(subject: string, payload: Uint8Array, headers?: unknown): Promise<NatsMessage> {
    return new Promise((resolve, reject) => {
      const take = (message: NatsMessage): boolean => {
        if (message.headers?.code === 503) reject(new NoRespondersError(subject));
        else resolve(message);
        return true;
      };
      this.#ask(subject, payload, { take, reject }, headers);
    });
  }

  /**
   * Asks, and takes answers until there have been all. Rejects soon when one does not come. What JetStream has kept comes with the
   * subject it was published to, by which nobody knows what it answers: so each question has a subscription of its own.
   */
  async collect(subject: string, payload: Uint8Array, isLast: (message: NatsMessage) => boolean): Promise<void> {
    const token = `page.${++this.#lastToken}`;
    const reply = `${this.#inbox}.${token}`;
    let subscription: { unsubscribe(): void } | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const take = (message: NatsMessage): boolean => {
          const isOver = isLast(message);
          if (isOver) resolve();
          return isOver;
        };
        this.#expect({ take, reject }, token);
        subscription = this.subscribe(reply, (error, message) => {
          if (error === null) this.#take(token, message);
          else reject(error);
        });
        this.publish(subject, payload, { reply });
      });
    } finally {
      this.#waiting.delete(token);
      subscription?.unsubscribe();
    }
  }

  #ask(subject: string, payload: Uint8Array, waiting: Omit<Waiting, 'beats'>, headers?: unknown): void {
    if (this.#isClosed) {
      waiting.reject(unavailable('the broker is closed'));
      return;
    }
    const token = this.#expect(waiting);
    try {
      this.publish(subject, payload, { reply: `${this.#inbox}.${token}`, headers });
    } catch (error) {
      this.#waiting.delete(token);
      waiting.reject(error as Error);
    }
  }

  /** Resolves once the server has taken all that was sent before. One question for all that ask in the same turn. */
  flush(): Promise<void> {
    this.#ponging ??= Promise.resolve().then(() => {
      this.#ponging = undefined;
      return this.#ping();
    });
    return this.#ponging;
  }

  #ping(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(unavailable('the broker is closed'));
      const token = this.#expect({ take: () => true, reject });
      const settle = (settled: () => void): void => {
        if (this.#waiting.delete(token)) settled();
      };
      this.#connection.flush().then(
        () => settle(resolve),
        (error: unknown) => settle(() => reject(unavailable('the connection to NATS is lost', error))),
      );
    });
  }

  #expect({ take, reject }: Omit<Waiting, 'beats'>, token: string = String(++this.#lastToken)): string {
    this.#waiting.set(token, { take, reject, beats: 0 });
    return token;
  }

  #take(token: string, message: NatsMessage): void {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    waiting.beats = 0;
    if (waiting.take(message)) this.#waiting.delete(token);
  }

  #beat(): void {
    for (const [token, waiting] of this.#waiting) {
      if (++waiting.beats <= BEATS) continue;
      this.#waiting.delete(token);
      waiting.reject(unavailable(`NATS did not answer within ${this.#timing.answerMs} ms`));
    }
  }

  async #followStatus(): Promise<void> {
    this.#status = this.#connection.status();
    for await (const { type } of this.#status as AsyncIterable<{ type: string }>) {
      if (this.#isClosed) return;
      if (type === 'disconnect') {
        this.#isConnected = false;
        this.#lose(unavailable('the connection to NATS is lost'));
      }
      if (type !== 'reconnect') continue;
      this.#isConnected = true;
      this.checkNow();
    }
    this.#isConnected = false;
    this.#isGone = true;
    this.#lose(
      unavailable(
        'the connection to NATS is closed for good: connect with maxReconnectAttempts: -1, and close it behind the server',
      ),
    );
  }

  /** Has it checked now whether the broker can be used. */
  checkNow(): void {
    this.#isDue = true;
    this.#wake?.();
  }

  async #watch(): Promise<void> {
    while (!this.#isClosed && !this.#isGone) {
      if (!this.#isDue) await this.#pause();
      this.#isDue = false;
      if (this.#isClosed || !this.#isConnected) continue;
      try {
        await this.#probe();
        this.#find();
      } catch (error) {
        this.#lose(error as Error);
      }
    }
  }

  async #probe(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      // It would take minutes until the connection notices by itself that nobody is there.
      if (this.#isConnected && !this.#isClosed) await reconnect(this.#connection);
      throw error;
    }
    await this.#events.check();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), this.isUp ? this.#timing.checkMs : RETRY_MS).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #find(): void {
    if (this.isUp || this.#isClosed || !this.#isConnected) return;
    this.isUp = true;
    this.#events.up();
  }

  #lose(error: Error): void {
    const { isUp } = this;
    this.isUp = false;
    this.#rejectAll(error);
    if (isUp && !this.#isClosed) this.#events.down(error);
  }

  /** Nothing that was asked is asked again by the connection, and no answer comes to what was asked before. */
  #rejectAll(error: Error): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(error);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isUp = false;
    clearInterval(this.#pulse);
    this.#wake?.();
    // Otherwise the connection would keep what happens for a listener that has left.
    (this.#status as { stop?: () => void } | undefined)?.stop?.();
    this.#inboxSubscription?.unsubscribe();
    this.#rejectAll(unavailable('the broker is closed'));
  }
}

/** Nobody answers a subject: of JetStream, or of a stream that is not there. */
export class NoRespondersError extends BrokerError {
  constructor(subject: string) {
    super('WS_ERR_BROKER_UNAVAILABLE', `nobody at NATS answers ${subject}`);
  }
}

/** The error of what cannot be done now. */
export function unavailable(message: string, cause?: unknown): BrokerError {
  return new BrokerError('WS_ERR_BROKER_UNAVAILABLE', message, cause === undefined ? undefined : { cause });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function reconnect(connection: NatsConnection): Promise<void> {
  await (connection as { reconnect?: () => Promise<void> }).reconnect?.().catch(() => {});
}
