import type { Buffer } from 'node:buffer';
import { copyAlone } from '../codec/copy-alone.ts';
import { type ConnectionClosedError, ConnectionEndError } from '../errors.ts';
import type { LivenessLimits } from './limits.ts';
import { Pings } from './pings.ts';
import { TICK_MS, timerWheel, type WheelEntry } from './timer-wheel.ts';

/** The connection that is watched. */
export interface LivenessHost {
  /** Whether the peer is made to wait: then it cannot be heard, nor blamed for its silence. */
  readonly isPaused: boolean;
  /** Whether bytes wait to leave that the transport has been given. */
  readonly hasUnsent: boolean;
  /** A count of the bytes that have left, of which the differences matter. Asked for at a heartbeat only. */
  readonly leftBytes: number;
  /** @throws {TypeError | RangeError | ConnectionClosedError} */
  sendPing(payload: Uint8Array): void;
  /** The error of those who wait for a Pong that will not come. */
  closedError(): ConnectionClosedError;
  /** No message came or went for too long. */
  onIdle(error: ConnectionEndError): void;
  /** The peer is gone, or reads nothing. */
  onDead(error: ConnectionEndError): void;
  /** The peer took too long to close. */
  onCloseTimeout(): void;
}

/** Watches whether the peer of one connection is still there: heartbeat, idle time, and the time it takes to close. */
export class Liveness implements WheelEntry {
  readonly #host: LivenessHost;
  readonly #limits: LivenessLimits;
  /** Made with the first Ping. */
  #pings: Pings | undefined;
  /** Whether anything was received since the last heartbeat, and whether there was one. */
  #heard = false;
  #heartbeatSent = false;
  /** How many bytes had left at the last heartbeat, if others were waiting. */
  #leftBytes: number | undefined = undefined;
  /** Ticks of the wheel: when the next heartbeat is due, and when the last message came or went. */
  #heartbeatDue: number;
  #lastMessage: number;
  #closing = false;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;

  constructor(host: LivenessHost, limits: LivenessLimits) {
    this.#host = host;
    this.#limits = limits;
    this.#lastMessage = timerWheel.now;
    this.#heartbeatDue = timerWheel.now + ticks(limits.heartbeatIntervalMs);
  }

  start(): void {
    this.#schedule();
  }

  /** Milliseconds from the latest answered Ping to its Pong, `undefined` before the first. */
  get latencyMs(): number | undefined {
    return this.#pings?.latencyMs;
  }

  /** Says that the peer sent something. */
  heard(): void {
    this.#heard = true;
  }

  /** Says that a message came or went. */
  active(): void {
    this.#lastMessage = timerWheel.now;
  }

  /** @returns the milliseconds since the Ping that it answers, `undefined` where it answers none */
  pongReceived(payload: Buffer): number | undefined {
    return this.#pings?.received(payload);
  }

  /** Sends a Ping and resolves with the milliseconds until its Pong. `timeoutMs` 0: waits for ever. */
  async ping(payload: Uint8Array | undefined, timeoutMs: number): Promise<number> {
    const bytes = this.#send(payload);
    return this.#pings!.answer(bytes, timeoutMs);
  }

  /** Gives the peer its time to close, and ends the heartbeat. Only the first call counts. */
  startClosing(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.extendClosing();
  }

  /** Gives it that time anew, from now on: what it was waiting for came late. */
  extendClosing(): void {
    timerWheel.schedule(this, this.#limits.closeTimeoutMs);
  }

  /** Says that no Pong will come any more: whoever waits for one is told. */
  endPings(): void {
    this.#pings?.close(this.#host.closedError());
  }

  /** Ends all waiting, for good. */
  stop(): void {
    // A handler that closes what is gone would have it kept until nobody answers.
    this.#closing = true;
    timerWheel.cancel(this);
    this.endPings();
  }

  onTimer(): void {
    if (this.#closing) {
      this.#host.onCloseTimeout();
      return;
    }
    const { idleTimeoutMs, heartbeatIntervalMs } = this.#limits;
    const { now } = timerWheel;
    if (idleTimeoutMs > 0 && now - this.#lastMessage >= ticks(idleTimeoutMs) && this.#isIdle()) {
      this.#host.onIdle(new ConnectionEndError('WS_ERR_IDLE', `no message came or went for ${idleTimeoutMs} ms`));
      return;
    }
    if (heartbeatIntervalMs > 0 && now >= this.#heartbeatDue) {
      const fault = this.#whyGone();
      if (fault !== undefined) {
        this.#host.onDead(new ConnectionEndError('WS_ERR_HEARTBEAT', `${fault} for ${heartbeatIntervalMs} ms`));
        return;
      }
      // A Pong may lie behind what is not read, and the handlers that are busy wait for that very Pong.
      if (this.#host.isPaused) this.#pings?.expireAfter(heartbeatIntervalMs);
      else this.#beat();
      this.#heartbeatDue = now + ticks(heartbeatIntervalMs);
    }
    this.#schedule();
  }

  /** Waits for the next heartbeat, or for the time when the connection has been idle for too long. */
  #schedule(): void {
    const { idleTimeoutMs, heartbeatIntervalMs } = this.#limits;
    const { now } = timerWheel;
    const heartbeat = heartbeatIntervalMs > 0 ? this.#heartbeatDue - now : Number.POSITIVE_INFINITY;
    const idle = idleTimeoutMs > 0 ? this.#lastMessage + ticks(idleTimeoutMs) - now : Number.POSITIVE_INFINITY;
    const next = Math.min(heartbeat, idle);
    if (next !== Number.POSITIVE_INFINITY) timerWheel.schedule(this, next * TICK_MS);
  }

  /**
   * Says what the peer has not done since the last heartbeat, if that was no sign of life. A peer that reads is there, though its Pong has to wait
   * behind all that it has still to read; what leaves at once, with nothing in front of it, only shows that the system had
   * room for it. One that makes bytes wait, and has read none of them, is as good as gone, whatever it sends.
   */
  #whyGone(): string | undefined {
    const before = this.#leftBytes;
    const hasRead = this.#countLeft();
    if (before !== undefined && this.#leftBytes !== undefined && !hasRead) {
      return 'the peer has read nothing of what waits for it';
    }
    // What it sends is not read, and may be there already: it is asked again before it is blamed.
    if (this.#host.isPaused) this.#heartbeatSent = false;
    return this.#heartbeatSent && !this.#heard && !hasRead ? 'the peer has not answered a Ping' : undefined;
  }

  /** Whether the idle time is over. A peer that is made to wait has it anew, unless it makes others wait itself. */
  #isIdle(): boolean {
    if (!this.#host.isPaused) return true;
    this.#lastMessage = timerWheel.now;
    // Where there are heartbeats, they count.
    if (this.#limits.heartbeatIntervalMs > 0) return false;
    const before = this.#leftBytes;
    const hasRead = this.#countLeft();
    return before !== undefined && this.#leftBytes !== undefined && !hasRead;
  }

  /** Counts the bytes that have left, if others wait. @returns whether any has, of those that waited at the last count */
  #countLeft(): boolean {
    const { hasUnsent, leftBytes } = this.#host;
    const hasRead = this.#leftBytes !== undefined && leftBytes > this.#leftBytes;
    this.#leftBytes = hasUnsent ? leftBytes : undefined;
    return hasRead;
  }

  #beat(): void {
    this.#heard = false;
    this.#heartbeatSent = true;
    const payload = this.#send(undefined);
    this.#pings!.sent(payload);
  }

  #send(payload: Uint8Array | undefined): Buffer {
    this.#pings ??= new Pings();
    const bytes = payload ?? this.#pings.makePayload();
    // Before it is copied: a number, or elements wider than a byte, would be made into something else.
    this.#host.sendPing(bytes);
    return copyAlone(bytes);
  }
}

function ticks(ms: number): number {
  return Math.ceil(ms / TICK_MS);
}
