import type { Buffer } from 'node:buffer';
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { type ParsedHead, parseUpgradeHead } from '../handshake/request-parser.ts';
import { TICK_MS, timerWheel, type WheelEntry } from './timer-wheel.ts';
import { surviveErrors } from './transport.ts';

/** Who takes those that were let in. */
export interface DoorEvents {
  /** Takes an upgrade request that was read at the door. `head` are the bytes behind it. */
  onUpgrade(request: ParsedHead, socket: Socket, head: Buffer): void;
  /** Is told that node:http has taken a connection, and not read it yet. `headMs`: what is left of the handshake timeout. */
  onHttp(socket: Socket, headMs: number): void;
}

export interface DoorOptions {
  /** The largest request head that is taken, in bytes. */
  readonly maxHeaderBytes: number;
  /** How long a connection may be open before its first request head is whole, in milliseconds. */
  readonly handshakeTimeoutMs: number;
}

const kVisitor = Symbol('visitor');

interface VisitorSocket extends Socket {
  [kVisitor]?: Visitor | undefined;
}

/**
 * Takes the connections of a server of node:http first, and looks at their first bytes: a whole, plain upgrade request
 * goes straight to whoever opens WebSockets, and everything else to node:http, as if nothing had been read. What node:http does for a
 * request costs a quarter of an upgrade, and leaves memory behind that a WebSocket has no use for (measured: bench/e2e).
 */
export class Door {
  readonly #http: HttpServer;
  readonly #toHttp: (socket: Socket) => void;
  readonly #events: DoorEvents;
  readonly #options: DoorOptions;
  /** Connections that have sent nothing yet. */
  readonly #silent = new Set<Visitor>();

  /** @param http - a server that does not listen yet */
  constructor(http: HttpServer, options: DoorOptions, events: DoorEvents) {
    this.#http = http;
    this.#options = options;
    this.#events = events;
    this.#toHttp = http.listeners('connection')[0] as (socket: Socket) => void;
    http.removeAllListeners('connection');
    http.on('connection', (socket: Socket) => {
      const visitor = new Visitor(this, socket);
      this.#silent.add(visitor);
      timerWheel.schedule(visitor, options.handshakeTimeoutMs);
    });
  }

  /** Cuts the connections that have sent nothing. */
  closeSilent(): void {
    for (const visitor of this.#silent) visitor.onTimer();
  }

  /** Forgets a visitor that has spoken or left. */
  forget(visitor: Visitor): void {
    this.#silent.delete(visitor);
  }

  /** Shows a visitor the way by the first bytes it sent. @param waitedMs - for how long it had sent nothing */
  admit(socket: Socket, chunk: Buffer, waitedMs: number): void {
    const request = parseUpgradeHead(chunk, this.#options.maxHeaderBytes);
    if (request === undefined) {
      socket.unshift(chunk);
      this.#toHttp.call(this.#http, socket);
      this.#events.onHttp(socket, this.#options.handshakeTimeoutMs - waitedMs);
      return;
    }
    this.#events.onUpgrade(request, socket, chunk.subarray(request.bytes));
    // Nothing is read until there is somebody to read it.
    if (socket.listenerCount('data') === 0) socket.pause();
  }
}

/** A connection that has sent nothing yet. Its listeners are shared functions, so that it costs no closures. */
class Visitor implements WheelEntry {
  readonly #door: Door;
  readonly #socket: VisitorSocket;
  /** The tick of the wheel at which it came. */
  readonly #since = timerWheel.now;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;
  wheelTurns = 0;

  constructor(door: Door, socket: VisitorSocket) {
    this.#door = door;
    this.#socket = socket;
    socket[kVisitor] = this;
    surviveErrors(socket);
    socket.on('data', onData).on('end', onEnd).on('close', onClose);
  }

  onTimer(): void {
    this.#socket.destroy();
  }

  speak(chunk: Buffer): void {
    this.leave();
    this.#door.admit(this.#socket, chunk, (timerWheel.now - this.#since) * TICK_MS);
  }

  leave(): void {
    const socket = this.#socket;
    socket[kVisitor] = undefined;
    // 'error' is still heard: whoever takes the socket over may not be ready for it yet.
    socket.off('data', onData).off('end', onEnd).off('close', onClose);
    timerWheel.cancel(this);
    this.#door.forget(this);
  }
}

function onData(this: VisitorSocket, chunk: Buffer): void {
  this[kVisitor]?.speak(chunk);
}

function onEnd(this: VisitorSocket): void {
  this.destroy();
}

function onClose(this: VisitorSocket): void {
  this[kVisitor]?.leave();
}
