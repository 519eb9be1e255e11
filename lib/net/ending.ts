import type { WebSocketError } from '../errors.ts';
import type { CloseInfo } from '../protocol/events.ts';
import { type Deferred, defer } from './promises.ts';

/** The connection that ends. */
export interface EndingHost {
  /** Whether bytes are being read, or a message is being decompressed: the end is told behind them. */
  readonly isReading: boolean;
  /** Whether bytes wait to be read. */
  readonly hasUnread: boolean;
  /** The peer has ended its side of the transport, and all that it sent before was told. */
  onHalfEnd(): void;
  /** The transport is gone. */
  onGone(): void;
}

/**
 * What the transport has told: nothing; that the peer has ended, which has to wait for what was read before, and that it
 * no more has; that it is gone, and the same of that.
 */
const ATTACHED = 0;
const ENDED = 1;
const HALF_ENDED = 2;
const CUT = 3;
const GONE = 4;

/** The end of one connection, from the first sign of it. Made with that, or when somebody wants to hear of it. */
export class Ending {
  readonly #host: EndingHost;
  #phase: typeof ATTACHED | typeof ENDED | typeof HALF_ENDED | typeof CUT | typeof GONE = ATTACHED;
  /** Whether nothing more will be received. */
  isFinished = false;
  /** What whoever waits for a message is told, where it is more than that the connection is closed. */
  failure: WebSocketError | undefined = undefined;
  #info: CloseInfo | undefined = undefined;
  #closed: Deferred<CloseInfo> | undefined = undefined;

  constructor(host: EndingHost) {
    this.#host = host;
  }

  /** Resolves when the connection is over. */
  get closed(): Promise<CloseInfo> {
    this.#closed ??= defer();
    if (this.#info !== undefined) this.#closed.resolve(this.#info);
    return this.#closed.promise;
  }

  /** Whether the transport has told that the peer has ended its side, or that it is gone. */
  get isTransportOver(): boolean {
    return this.#phase !== ATTACHED;
  }

  /** Whether the peer has ended its side of the transport, which is there, and that was told. */
  get isHalfEnded(): boolean {
    return this.#phase === HALF_ENDED;
  }

  /** Takes down that the peer has ended its side of the transport. */
  halfEnd(): void {
    if (this.#phase === ATTACHED) this.#phase = ENDED;
    this.tell();
  }

  /** Takes down that the transport is gone. */
  cut(): void {
    this.#phase = CUT;
    this.tell();
  }

  /** Makes of the end of the transport what is to be made of it, once all that was read before is told. */
  tell(): void {
    if (this.#host.isReading) return;
    if (this.#phase === CUT) {
      this.#phase = GONE;
      this.#host.onGone();
    } else if (this.#phase === ENDED && !this.#host.hasUnread) {
      this.#phase = HALF_ENDED;
      this.#host.onHalfEnd();
    }
  }

  /** The connection is over. */
  conclude(info: CloseInfo): void {
    this.#info = info;
    this.#closed?.resolve(info);
  }
}
