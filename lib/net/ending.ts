import type { WebSocketError } from '../errors.ts';
import type { ConnectionEnd, EndCause } from './connection-end.ts';
import { type Deferred, defer } from './promises.ts';

/** The connection that ends. */
export interface EndingHost {
  /** Whether bytes are being read, or a message is being decompressed: the end is told behind them. */
  readonly isReading: boolean;
  /** Whether bytes wait to be read. */
  readonly hasUnread: boolean;
  /** What went wrong first, if anything does. */
  onError(cause: EndCause, error: WebSocketError): void;
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

/** The end of one connection, from the first sign of it. Made with that, or when somebody wishes to hear of it. */
export class Ending {
  readonly #host: EndingHost;
  #phase: typeof ATTACHED | typeof ENDED | typeof HALF_ENDED | typeof CUT | typeof GONE = ATTACHED;
  /** Whether nothing more will be received. */
  isFinished = false;
  /** What whoever waits for a message is told, where it is more than that the connection is closed. */
  failure: WebSocketError | undefined = undefined;
  #cause: EndCause | undefined = undefined;
  #error: WebSocketError | undefined = undefined;
  #end: ConnectionEnd | undefined = undefined;
  #closed: Deferred<ConnectionEnd> | undefined = undefined;

  constructor(host: EndingHost) {
    this.#host = host;
  }

  /** Resolves when the connection is over. */
  get closed(): Promise<ConnectionEnd> {
    this.#closed ??= defer();
    if (this.#end !== undefined) this.#closed.resolve(this.#end);
    return this.#closed.promise;
  }

  /** Why it ends: the first cause of those there were. */
  get cause(): EndCause | undefined {
    return this.#cause;
  }

  /** What went wrong first. */
  get error(): WebSocketError | undefined {
    return this.#error;
  }

  /** How it ended, once it is over. */
  get end(): ConnectionEnd | undefined {
    return this.#end;
  }

  /** Takes down why it ends, where that is known; what came before goes before. */
  begin(cause: EndCause, error: WebSocketError | undefined): void {
    this.#cause ??= cause;
    if (error !== undefined) this.blame(error);
  }

  /** Takes down what went wrong, be it while it was ending: the first counts. */
  blame(error: WebSocketError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#host.onError(this.#cause!, error);
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
  conclude(end: ConnectionEnd): void {
    this.#end = end;
    this.#closed?.resolve(end);
  }
}
