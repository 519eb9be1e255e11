import { TICK_MS } from '../../lib/net/timer-wheel.ts';
import type { Peer } from './peer.ts';
import { CLOSE_TIMEOUT_MS, HEARTBEAT_MS } from './timeouts.ts';

/** What is known of a peer's times: what it may be cut for. */
export class PeerTimes {
  readonly openedAt: number;
  isAtDoor = false;
  headBytes = Number.POSITIVE_INFINITY;
  cutAt = Number.POSITIVE_INFINITY;
  responses = 0;
  #delivered = 0;
  #deliveredAt: number;
  #left = 0;
  #leftAt: number;
  #closingSince: number | undefined;

  constructor(now: number) {
    this.openedAt = now;
    this.#deliveredAt = now;
    this.#leftAt = now;
  }

  get hasHead(): boolean {
    return this.#delivered >= this.headBytes;
  }

  note(peer: Peer, now: number): void {
    const { link } = peer;
    if (link.deliveredBytes > this.#delivered) this.#deliveredAt = now;
    this.#delivered = link.deliveredBytes;
    if (link.leftBytes > this.#left) this.#leftAt = now;
    this.#left = link.leftBytes;
    // A peer that does not read does not see that the server is closing: then it has an excuse already.
    const isClosing = peer.closeSent !== undefined || peer.closeReceived !== undefined || peer.excuseIn !== undefined;
    if (isClosing || link.hasEnded || link.isEnded) this.#closingSince ??= now;
  }

  /** Why a peer may be cut, or closed, when it is so late; `undefined` if it may not. */
  mayEnd(peer: Peer, now: number, idleTimeoutMs: number): string | undefined {
    const isLate = (since: number, timeoutMs: number) => now - since >= timeoutMs - 2 * TICK_MS;
    if (now >= this.cutAt) return 'the server is closed';
    if (this.#closingSince !== undefined && isLate(this.#closingSince, CLOSE_TIMEOUT_MS)) return 'close timeout';
    const since = Math.min(this.#deliveredAt, peer.link.isRead ? now : this.#leftAt);
    if (isLate(since, HEARTBEAT_MS)) return 'silent';
    if (idleTimeoutMs > 0 && isLate(this.openedAt, idleTimeoutMs)) return 'idle';
    return undefined;
  }
}
