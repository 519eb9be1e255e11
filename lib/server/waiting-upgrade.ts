import { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HandshakeError } from '../errors.ts';

/** How many bytes are read while an upgrade waits. RFC 6455 §4.1 lets a client send none before the answer. */
const MAX_HELD_BYTES = 64 * 1024;

/** The response that node:http is to send next on a socket, `undefined` when it owes none. Its own name for it. */
export function responseUnderWay(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}

/** Why an upgrade is refused that was not answered in time. */
export function tooLong(): HandshakeError {
  return new HandshakeError(408, 'the upgrade took too long', 'timeout');
}

/** Who answers an upgrade that waits. */
export interface WaitingHost {
  /**
   * Is told that the responses before an upgrade have left: it is to be answered. `head` are the bytes behind it, and
   * `refusal` is set when it is refused.
   */
  onTurn(head: Buffer, refusal: HandshakeError | undefined): void;
  /** Is told that the connection is gone before that. */
  onGone(): void;
}

/**
 * An upgrade request that a client sent behind others: it waits for their responses, which come first, and not in the
 * midst of a WebSocket.
 *
 * node:http has let go of the socket by then: it reads it no more, and does not say 'drain' to the responses. Both is done
 * here meanwhile. An upgrade that waits too long is refused in its turn, and what comes behind it is thrown away.
 */
export class WaitingUpgrade {
  readonly #socket: Duplex;
  readonly #host: WaitingHost;
  #response: ServerResponse;
  /** What was read behind the request. */
  #held: Buffer[];
  #heldBytes: number;
  #refusal: HandshakeError | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners: readonly (readonly [event: string, listener: (chunk: Buffer) => void])[];

  /** @param response - the one that is under way */
  constructor(socket: Duplex, head: Buffer, response: ServerResponse, timeoutMs: number, host: WaitingHost) {
    this.#socket = socket;
    this.#host = host;
    this.#response = response;
    this.#held = [head];
    this.#heldBytes = head.length;
    this.#timer = setTimeout(() => this.refuseFor(tooLong()), timeoutMs);
    this.#listeners = [
      ['data', (chunk) => this.#hold(chunk)],
      // As node:http does: what was written still leaves.
      ['end', () => socket.end()],
      ['drain', () => this.#drain()],
      ['close', () => this.#leave()],
    ];
    for (const [event, listener] of this.#listeners) socket.on(event, listener);
    // Its own name, too: it pauses a stream again whenever that is resumed, until the 'drain' that it hears no more.
    (socket as { _paused?: boolean })._paused = false;
    this.#waitFor(response);
  }

  /** Has the upgrade refused in its turn. */
  refuseFor(refusal: HandshakeError): void {
    this.#refusal ??= refusal;
    this.#held = [];
    clearTimeout(this.#timer);
    // What is read now is thrown away; but the end of the connection is seen.
    this.#socket.resume();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  #waitFor(response: ServerResponse): void {
    this.#response = response;
    response.once('close', () => this.#continue());
  }

  #continue(): void {
    if (this.#socket.destroyed) return;
    const next = responseUnderWay(this.#socket);
    if (next !== undefined) {
      this.#waitFor(next);
      return;
    }
    this.#stop();
    // Nothing is read until there is somebody to read it.
    this.#socket.pause();
    this.#host.onTurn(Buffer.concat(this.#held), this.#refusal);
  }

  #hold(chunk: Buffer): void {
    if (this.#refusal !== undefined) return;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#socket.pause();
  }

  #drain(): void {
    if (this.#response.writableNeedDrain) this.#response.emit('drain');
  }

  #leave(): void {
    this.#stop();
    this.#held = [];
    this.#host.onGone();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    for (const [event, listener] of this.#listeners) this.#socket.off(event, listener);
  }
}
