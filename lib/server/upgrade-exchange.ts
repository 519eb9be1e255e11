import type { Duplex } from 'node:stream';
import { type HandshakeError, InvalidStateError, type RefusalReason } from '../errors.ts';
import { formatRefusal, type HeaderLine } from '../handshake/response.ts';
import { rejected } from '../net/promises.ts';
import type { Topics } from '../topics/topics.ts';
import type { Exchange } from './exchange.ts';
import type { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import { tooLong } from './waiting-upgrade.ts';

/** What is sent by a middleware that refuses an upgrade and sets no status. */
const REFUSED = 403;
/** How long a client that was refused may take to leave. */
const LINGER_MS = 2000;

/** What keeps account of upgrades that take time. */
export interface UpgradeHost {
  readonly topics: Topics;
  /** Is told that a client waits for its answer, or was refused and is to leave. */
  onUpgradeWaiting(exchange: UpgradeExchange): void;
  /** Is told that it does no more: its WebSocket is open, or its connection is gone. */
  onUpgradeOver(exchange: UpgradeExchange): void;
  /** Is told that it was refused, with which status and why; and the body, where it is text. */
  onUpgradeRefused(exchange: UpgradeExchange, status: number, reason: RefusalReason, message: string): void;
}

/** An upgrade request that is not answered yet: what the context of an upgrade middleware speaks through. */
export class UpgradeExchange implements Exchange {
  readonly head: RequestHead;
  readonly isWebSocket = false;
  readonly stream = undefined;
  attributes: Map<string, unknown> | undefined;
  readonly #socket: Duplex;
  readonly #host: UpgradeHost;
  #answered = false;
  /** Until the answer: how long that may take. Behind a refusal: how long the client may take to leave. */
  #timer: NodeJS.Timeout | undefined;
  /** Ends the waiting; set while the client waits. */
  #over: (() => void) | undefined;

  constructor(head: RequestHead, socket: Duplex, host: UpgradeHost) {
    this.head = head;
    this.#socket = socket;
    this.#host = host;
  }

  get topics(): Topics {
    return this.#host.topics;
  }

  /** Whether the request was answered, or its client went away. */
  get isOver(): boolean {
    return this.#answered || this.#socket.destroyed || !this.#socket.writable;
  }

  /** Refuses the upgrade if it is not answered in time. */
  expireAfter(timeoutMs: number): void {
    if (!this.isOver) this.#wait(timeoutMs, () => this.refuseFor(tooLong()));
  }

  /** Opens the WebSocket: writes the head that says so. */
  accept(answer: string): void {
    this.#answered = true;
    try {
      this.#socket.write(answer, 'latin1');
    } catch {
      this.#socket.destroy();
    }
    this.#leave();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
    // What is no socket may never say 'close'.
    this.#leave();
  }

  /** Cuts a connection on which there can be no answer: an answer to an earlier request may have ended it. */
  giveUp(): void {
    if (!this.#answered) this.destroy();
  }

  /** Refuses the upgrade with what was set. */
  refuse(response: Response, fallbackStatus: number = REFUSED): void {
    const statusCode = response.hasStatus ? response.getStatusCode() : fallbackStatus;
    this.refuseWith(statusCode, response.getBody(), response.getHeaders());
  }

  /** Refuses the upgrade for what is wrong with it, or with the time. */
  refuseFor({ httpStatus, message, reason }: HandshakeError): void {
    this.refuseWith(httpStatus, message, [], reason);
  }

  refuseWith(
    statusCode: number,
    body: string | Uint8Array,
    headers: readonly HeaderLine[] = [],
    reason: RefusalReason = 'middleware',
  ): void {
    if (this.isOver) {
      this.giveUp();
      return;
    }
    this.#answered = true;
    try {
      this.#socket.end(formatRefusal(statusCode, body, headers, this.head.method));
    } catch {
      this.destroy();
      return;
    }
    // The client may go on sending, and keep the socket half open: it is read to its end, and cut if that takes long.
    this.#socket.on('data', ignore).resume();
    this.#wait(LINGER_MS, () => this.destroy());
    this.#host.onUpgradeRefused(this, statusCode, reason, typeof body === 'string' ? body : '');
  }

  async sendResponse(response: Response): Promise<void> {
    if (this.#answered) throw new InvalidStateError('WS_ERR_RESPONSE_SENT');
    this.refuse(response);
  }

  async send(response: Response): Promise<void> {
    if (response.isSet) this.refuse(response);
  }

  sendBody(): Promise<void> {
    return rejected(
      new InvalidStateError(
        'WS_ERR_SERVER_STATE',
        'the WebSocket is not open yet: send in onWebsocketConnected, or refuse it with sendResponse',
      ),
    );
  }

  async flush(): Promise<void> {}

  async close(response: Response | undefined): Promise<void> {
    if (response === undefined) this.refuseWith(REFUSED, '');
    else this.refuse(response);
  }

  /** Ends the waiting, if there was any. */
  #leave(): void {
    const over = this.#over;
    if (over === undefined) return;
    this.#over = undefined;
    this.#socket.off('close', over);
    over();
  }

  /** Waits for the client, or for what it waits for: in an upgrade that is answered at once, none of this is needed. */
  #wait(timeoutMs: number, onTimeout: () => void): void {
    if (this.#socket.closed) return;
    if (this.#over === undefined) {
      this.#over = () => {
        clearTimeout(this.#timer);
        this.#host.onUpgradeOver(this);
      };
      this.#socket.once('close', this.#over);
      this.#host.onUpgradeWaiting(this);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTimeout, timeoutMs);
  }
}

function ignore(): void {}
