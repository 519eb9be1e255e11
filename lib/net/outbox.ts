import type { Buffer } from 'node:buffer';
import { returnMemory } from '../codec/message-memory.ts';
import type { Protocol } from '../protocol/protocol.ts';
import { type Flushable, flushSoon, isFlushDue } from './flush-queue.ts';
import type { ConnectionLimits } from './limits.ts';
import { type Deferred, defer, RESOLVED, unwatched } from './promises.ts';
import type { Transport } from './transport.ts';

/** What all senders wait for that are above the high-water mark: one promise, however many they are. */
interface Drain extends Deferred<void> {
  /** Whether the transport was asked to say when it has drained. */
  asked: boolean;
}

/** To a peer that reads as fast all there is could be sent in one turn of the event loop: others have theirs behind so much. */
const MAX_RELIEVED_BYTES = 1024 * 1024;

/** How much was written in this turn since it was above a mark. */
let relievedBytes = 0;

function countRelieved(bytes: number): boolean {
  if (relievedBytes === 0) setImmediate(endTurn);
  relievedBytes += bytes;
  return relievedBytes > MAX_RELIEVED_BYTES;
}

function endTurn(): void {
  relievedBytes = 0;
}

const OPEN = 0;
/** The transport is to end behind the last byte. */
const ENDING = 1;
const CLOSED = 2;

/**
 * What leaves one connection, and when: everything sent while bytes are being received, or within one turn of the event
 * loop, in one write; and what senders are told when the peer does not keep up.
 */
export class Outbox implements Flushable {
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  readonly #limits: ConnectionLimits;
  /** Whether a flush is certain to come: at the end of this read, or of this turn. */
  #corked = false;
  #scheduled = false;
  #state = OPEN;
  /** Whether the transport has nothing that has not left: to ask it takes more than all the rest of a short message. */
  #isClear = false;
  /** Made when a sender has to wait for the peer to catch up. */
  #drain: Drain | undefined;

  constructor(protocol: Protocol, transport: Transport, limits: ConnectionLimits) {
    this.#protocol = protocol;
    this.#transport = transport;
    this.#limits = limits;
  }

  /** Bytes that were sent and have not left this process. */
  get bufferedBytes(): number {
    return this.#protocol.outputBytes + this.#pendingBytes;
  }

  /** Bytes that the transport was given and that have not left. */
  get #pendingBytes(): number {
    if (this.#isClear) return 0;
    const { pendingBytes } = this.#transport;
    this.#isClear = pendingBytes === 0;
    return pendingBytes;
  }

  /** Sends a message. Resolves at once, or, above the high-water mark, when the peer has caught up. */
  send(data: string | Uint8Array, compress?: boolean): Promise<void> {
    this.#protocol.sendMessage(data, compress);
    return this.bufferedBytes > this.#limits.highWaterMarkBytes ? this.#relieved() : RESOLVED;
  }

  /** Whether no more waits than may, if need be since it is written at once. */
  makeRoom(): boolean {
    const { highWaterMarkBytes } = this.#limits;
    if (this.bufferedBytes <= highWaterMarkBytes) return true;
    // Who waits already is told first.
    if (this.#drain !== undefined) return false;
    const isTurnOver = countRelieved(this.bufferedBytes);
    this.flushOutput();
    return this.bufferedBytes <= highWaterMarkBytes && !isTurnOver;
  }

  /** Resolves in a later turn of the event loop, when no more waits than may. */
  drained(): Promise<void> {
    return this.#drain?.promise ?? this.#drained();
  }

  /** Writes at once all that was sent, and resolves when it has left this process, or never will. */
  flush(): Promise<void> {
    const { compressing } = this.#protocol;
    if (compressing !== undefined) return compressing.then(() => this.flush());
    // Also to a socket that asked to wait: what is told to have left must have been written before.
    this.#write();
    if (this.bufferedBytes === 0 || this.#state === CLOSED) return RESOLVED;
    return new Promise((resolve) => this.#transport.afterWrites(resolve));
  }

  /** Holds all output back until `uncork`. */
  cork(): void {
    this.#corked = true;
  }

  /**
   * Writes what was held back: at the end of this turn where more may be on its way, from handlers that are running or,
   * where others wait for that as well, from their messages to this connection; and at once otherwise.
   */
  uncork(moreToCome: boolean): void {
    this.#corked = false;
    if (this.#state === ENDING || !(moreToCome || isFlushDue())) this.flushOutput();
    else if (this.#protocol.outputBytes > 0) this.schedule();
  }

  /** Says that there is output where there was none: it is written soon. */
  schedule(): void {
    if (this.#corked || this.#scheduled) return;
    this.#scheduled = true;
    flushSoon(this);
  }

  /** Ends the transport once all output has been written. */
  end(): void {
    if (this.#state === OPEN) this.#state = ENDING;
    if (!this.#corked) this.flushOutput();
  }

  /** Writes what the transport will take, and tells the senders that wait. */
  flushOutput(): void {
    this.#scheduled = false;
    if (this.#transport.blocked) this.#protocol.holdOutput();
    else this.#write();
  }

  #write(): void {
    if (this.#state === CLOSED) return;
    // Behind bytes that have not left, these will wait too.
    if (this.#pendingBytes > 0) this.#protocol.holdOutput();
    const chunks = this.#protocol.takeOutput();
    if (chunks.length > 0) {
      this.#isClear = false;
      if (this.#transport.write(chunks)) this.#protocol.outputReleased();
      else this.#returnLater(this.#protocol.outputRetained());
    }
    if (this.#state === ENDING) this.#transport.end();
    this.#wake();
  }

  /** Has memory used again when it has left, where that is known. */
  #returnLater(memory: readonly Buffer[]): void {
    if (memory.length === 0 || !this.#transport.isPlain) return;
    this.#transport.afterWrites(() => {
      for (const one of memory) returnMemory(one);
    });
  }

  /** Says that nothing can leave any more: the senders that wait are told. */
  close(): void {
    this.#state = CLOSED;
    this.#drain?.reject(this.#protocol.closedError());
    this.#drain = undefined;
  }

  /** Writes at once, also while bytes are being received, and has the sender wait only if that was not enough. */
  #relieved(): Promise<void> {
    if (this.#drain !== undefined) return this.#drain.promise;
    const isTurnOver = countRelieved(this.bufferedBytes);
    this.flushOutput();
    return this.bufferedBytes > this.#limits.highWaterMarkBytes || isTurnOver ? this.#drained() : RESOLVED;
  }

  #drained(): Promise<void> {
    const drain = { ...defer<void>(), asked: false };
    unwatched(drain.promise);
    this.#drain = drain;
    this.#wake();
    return drain.promise;
  }

  #wake(): void {
    const drain = this.#drain;
    if (drain === undefined) return;
    if (this.bufferedBytes > this.#limits.highWaterMarkBytes) {
      // What is being compressed comes here by itself when it is written.
      if (this.#protocol.compressing !== undefined) return;
      // A socket with a higher mark than ours does not say when it has drained, so it is asked to. What was sent
      // meanwhile is written then: waiting for it here, tick by tick, would keep its own flush from ever coming.
      if (drain.asked || this.#transport.blocked) return;
      drain.asked = true;
      this.#transport.afterWrites(() => {
        drain.asked = false;
        this.flushOutput();
      });
      return;
    }
    this.#drain = undefined;
    setImmediate(drain.resolve);
  }
}
