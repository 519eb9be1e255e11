import type { Buffer } from 'node:buffer';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import type { Connection } from '../net/connection.ts';
import type { ConnectionEnd } from '../net/connection-end.ts';
import type { ProtocolState } from '../protocol/events.ts';
import { checkNames } from '../wording.ts';
import type { RequestHead } from './request-head.ts';

/** How one message is sent. */
export interface SendOptions {
  /**
   * Whether to compress the message, where the option `perMessageDeflate` is on, the peer agreed, and it becomes smaller.
   * Unless given, messages from the option's threshold on are compressed.
   */
  readonly compress?: boolean;
}

/** The one thing that options of a send tell. @throws {TypeError} when they ask for something else */
export function compressOf(options: SendOptions): boolean | undefined {
  if (options.compress === undefined) checkNames('a send', options, ['compress']);
  return options.compress;
}

/** A WebSocket as handlers see it: what `ctx.getStream()` returns. */
export class WebSocketStream {
  readonly #connection: Connection;
  readonly #head: RequestHead;
  #map: ((data: string | Buffer) => unknown) | undefined;

  /** @internal */
  constructor(connection: Connection, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
  }

  /** `'open'`, `'closing'` once either side sent a Close frame, `'closed'`. */
  get state(): ProtocolState {
    return this.#connection.state;
  }

  /** The subprotocol that was agreed on, empty for none. */
  get subprotocol(): string {
    return this.#connection.subprotocol;
  }

  /** Bytes that were sent and have not left this process. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  /** Bytes that were received and that no handler has taken. */
  get receivedBytes(): number {
    return this.#connection.receivedBytes;
  }

  /**
   * Resolves when the connection is over, with the close code and reason of the peer, and with who ended it, and why.
   * Handlers of its messages may still be running: what is to come behind them is for `onWebsocketClosed`. Never rejects.
   */
  get closed(): Promise<ConnectionEnd> {
    return this.#connection.closed;
  }

  /**
   * Sends a message: a string as text, bytes as binary. Bytes of 16 KiB and more must not change until they have left.
   * Resolves at once, or, above the high-water mark, when the peer has caught up.
   */
  send(data: string | Uint8Array, options?: SendOptions): Promise<void> {
    return this.#connection.send(data, options === undefined ? undefined : compressOf(options));
  }

  /** Milliseconds from the latest Ping that was answered to its Pong; `undefined` before the first. */
  get latency(): number | undefined {
    return this.#connection.latencyMs;
  }

  /**
   * Sends a Ping, and resolves with the milliseconds until its own Pong. RFC 6455 §5.5.2
   *
   * @param payload - at most 125 bytes; one of its own unless given
   * @param options - `timeout` in milliseconds; 0 for none
   *
   * Rejects with RangeError for a longer payload, with TimeoutError, and with ConnectionClosedError. Not awaiting it is safe.
   */
  ping(payload?: Uint8Array, options: { readonly timeout?: number } = {}): Promise<number> {
    checkNames('ping', options, ['timeout']);
    return this.#connection.ping(payload, options.timeout);
  }

  /** Writes at once what was sent; resolves when it has left this process. */
  flush(): Promise<void> {
    return this.#connection.flush();
  }

  /**
   * Starts the closing handshake. RFC 6455 §7.1.2
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  close(code?: number, reason?: string): void {
    this.#connection.close(code, reason);
  }

  /** Cuts the connection without a closing handshake. */
  destroy(): void {
    this.#connection.destroy();
  }

  /**
   * Receives the next message, as what the function that `makeMap` returns makes of it. Only the first call makes one:
   * it is the same for all messages of a stream, and a loop over `select` calls this many times for each message.
   *
   * @internal
   */
  receive<T>(
    options: ReceiveOptions | undefined,
    makeMap: (head: RequestHead) => (data: string | Buffer) => T,
  ): Receive<T> {
    this.#map ??= makeMap(this.#head);
    return this.#connection.receive(options, this.#map as (data: string | Buffer) => T);
  }
}
