import type { BrokerMessage } from '../topics/broker.ts';

/** For how long a message waits for one before it, in milliseconds: after that it is missing. */
const EARLY_MS = 100;
/** How many do, at most. */
const MAX_EARLY = 1000;

/**
 * A topic that is subscribed, and how far it is known.
 *
 * A server that stores messages for several connections at once may pass them on in another order than it has stored them, by
 * some milliseconds. They are put in order here, so that nobody takes for lost what is on its way.
 */
export class FollowedTopic {
  /** The last message that was told; `undefined` as long as nobody knows where the topic stands. */
  newest: number | undefined;
  /** No other message of the topic was stored up to this number of the stream. */
  confirmed = 0;
  /** At which check that was. */
  round = 0;
  readonly #tell: (message: BrokerMessage) => void;
  /** What has come too early, by offset. */
  #early: BrokerMessage[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (message: BrokerMessage) => void) {
    this.#tell = tell;
  }

  /** The topic is known to stand at an offset. */
  stand(offset: number, confirmed: number, round: number): void {
    this.newest = Math.max(this.newest ?? 0, offset);
    this.confirm(Math.max(confirmed, this.newest), round);
    this.#tellWhatFits();
    this.#waitForMissing();
  }

  confirm(confirmed: number, round: number): void {
    this.confirmed = Math.max(this.confirmed, confirmed);
    this.round = round;
  }

  /** What is told from now on is of another order, or nobody knows where the topic stands in it. */
  forget(): void {
    this.newest = undefined;
    this.confirmed = 0;
    this.end();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#early = [];
  }

  receive(message: BrokerMessage, round: number): void {
    this.round = round;
    if (this.newest !== undefined && message.previous <= this.newest) {
      this.#next(message);
      this.#tellWhatFits();
      return;
    }
    this.#early.push(message);
    if (this.#early.length > MAX_EARLY) this.#tellAll();
    else this.#waitForMissing();
  }

  #next(message: BrokerMessage): void {
    this.newest = Math.max(this.newest ?? 0, message.offset);
    this.confirmed = Math.max(this.confirmed, message.offset);
    this.#tell(message);
  }

  #tellWhatFits(): void {
    if (this.#early.length === 0) return;
    this.#early.sort((one, other) => one.offset - other.offset);
    let count = 0;
    for (const message of this.#early) {
      if (message.previous > this.newest!) break;
      this.#next(message);
      count++;
    }
    this.#early.splice(0, count);
    if (this.#early.length === 0) this.end();
  }

  /** As long as nobody knows where the topic stands, that is what is waited for. */
  #waitForMissing(): void {
    if (this.#early.length === 0 || this.newest === undefined) return;
    this.#timer ??= setTimeout(() => this.#tellAll(), EARLY_MS);
  }

  /** What is missing has been lost: that shows by what is told now. */
  #tellAll(): void {
    const early = this.#early.sort((one, other) => one.offset - other.offset);
    this.end();
    for (const message of early) this.#next(message);
  }
}
