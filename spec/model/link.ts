import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { nextTurn } from './virtual-time.ts';

/**
 * What lies between a peer and the server: bytes that are cut anywhere, arrive when they are told to, and block when the
 * peer does not read. At the server's end is a `Duplex`, or a socket of node:net over one.
 */

/** How a stream behaves, within what streams may do and beyond. */
export interface Behaviour {
  /** Whether it is a `net.Socket`, with a handle: then the rest is as sockets are. */
  readonly isSocket: boolean;
  /** Whether a write is done when it returns, or a tick later. */
  readonly writesAtOnce: boolean;
  /** Whether it takes several chunks at once. */
  readonly hasWritev: boolean;
  /** Whether it tells that it is closed. */
  readonly emitsClose: boolean;
  /** Whether it delivers once more after it was paused. */
  readonly deliversLate: boolean;
  /** Whether it brings what is on its way, with the end, while it is being written to. */
  readonly deliversInWrite: boolean;
  /** The write that throws, counted from 1; 0 for none. */
  readonly throwsAt: number;
  /** The high-water mark of both directions, in bytes. */
  readonly highWaterMark: number;
}

export const SOCKET: Behaviour = {
  isSocket: true,
  writesAtOnce: false,
  hasWritev: true,
  emitsClose: true,
  deliversLate: false,
  deliversInWrite: false,
  throwsAt: 0,
  highWaterMark: 16_384,
};

/** What a peer's side of a link is told. */
export interface LinkEvents {
  /** Bytes that the peer has read. */
  onBytes(bytes: Buffer): void;
}

/** What lies between a peer and the server. The peer's side of it is called by steps, the rest is asked by oracles. */
export interface Link {
  readonly behaviour: Behaviour;
  /** The server's end; `undefined` until it is there. */
  readonly socket: Duplex | undefined;
  /** Bytes that have left the server. */
  readonly leftBytes: number;
  readonly deliveredBytes: number;
  /** Bytes that were delivered though nobody asked for them. */
  readonly unaskedBytes: number;
  /** The largest piece that was delivered. */
  readonly largestPiece: number;
  readonly bytesOnTheirWay: number;
  /** Whether all that was sent has been taken by the server, the end included. */
  readonly isDelivered: boolean;
  /** Whether the peer has ended its side, or cut the connection. */
  readonly hasEnded: boolean;
  readonly isReset: boolean;
  /** Whether the server has ended its side, and whether its end is gone. */
  readonly isEnded: boolean;
  readonly isGone: boolean;
  readonly isReading: boolean;
  /** Whether the peer has read all that the server has sent. */
  readonly isRead: boolean;
  readonly hasThrown: boolean;
  /** Whether the server's application took bytes away that were being written. */
  isCorrupted: boolean;
  /** Changes with all that happens. */
  readonly activity: number;
  send(bytes: Buffer): void;
  sendEnd(): void;
  /** Has so many bytes arrive, in pieces of that size, and the end if it is next. */
  deliver(bytes: number, pieceBytes?: number): void;
  /** Cuts the connection, as a reset does. */
  reset(): void;
  stopReading(): void;
  /** Reads so many bytes more, or all and goes on reading. */
  read(bytes: number): void;
}

/** A delivery is cut into so many pieces at most: more would tell nothing new, and take time. */
const MAX_PIECES = 300;

/** Cuts bytes into pieces of a size. */
export function cut(bytes: Buffer, pieceBytes: number): Buffer[] {
  const size = Math.max(pieceBytes, Math.ceil(bytes.length / MAX_PIECES), 1);
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) pieces.push(bytes.subarray(start, start + size));
  return pieces;
}

interface Write {
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
  readonly done: (error?: Error) => void;
}

/** A link in memory: deterministic to the last byte. */
export class MemoryLink implements Link {
  readonly behaviour: Behaviour;
  /** What the server is given. */
  readonly socket: Duplex;
  readonly #stream: MemoryStream;
  readonly #events: LinkEvents;
  /** Sent by the peer, and on its way. */
  #onItsWay: Buffer = Buffer.alloc(0);
  /** Arrived, and not taken by the stream. */
  #arrived: Buffer[] = [];
  #endSent = false;
  #endArrived = false;
  #endTold = false;
  /** Writes whose bytes the peer has no room for. */
  #held: Write[] = [];
  /** Left for the peer, which has not read it. */
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  /** How much fits between a server and a peer that does not read. */
  #room: number;
  #isReading = true;
  #writes = 0;
  #isPumping = false;
  /** Bytes that have left the server, and when the latest did. */
  leftBytes = 0;
  /** Bytes that were delivered though nobody asked for them. */
  unaskedBytes = 0;
  /** The largest piece that was delivered. */
  largestPiece = 0;
  deliveredBytes = 0;
  /** Whether the server has ended its side. */
  isEnded = false;
  /** Whether the server's end is gone. */
  isGone = false;
  /** Whether the peer's end is. */
  isReset = false;
  hasThrown = false;
  /** Whether the server's application took bytes away that were being written. */
  isCorrupted = false;
  /** Grows with all that happens. */
  activity = 0;

  constructor(behaviour: Behaviour, room: number, events: LinkEvents) {
    this.behaviour = behaviour;
    this.#room = room;
    this.#events = events;
    this.#stream = new MemoryStream(this, behaviour);
    this.socket = behaviour.isSocket ? makeSocket(this.#stream) : this.#stream;
  }

  // --- what the peer does -------------------------------------------------------------------------------------------

  send(bytes: Buffer): void {
    if (!this.#endSent && !this.isGone && !this.isReset) this.#onItsWay = Buffer.concat([this.#onItsWay, bytes]);
  }

  sendEnd(): void {
    this.#endSent = true;
  }

  get hasEnded(): boolean {
    return this.#endSent;
  }

  get bytesOnTheirWay(): number {
    return this.#onItsWay.length;
  }

  /** Whether all that was sent has been taken by the stream, the end included. */
  get isDelivered(): boolean {
    return this.#onItsWay.length + this.#arrived.length === 0 && this.#endSent === this.#endTold;
  }

  /** Has so many bytes arrive, in pieces of that size, and the end if it is next. */
  deliver(bytes: number, pieceBytes: number = bytes): void {
    if (this.isGone) return;
    const all = this.#onItsWay.subarray(0, bytes);
    this.#onItsWay = this.#onItsWay.subarray(all.length);
    this.#arrived.push(...cut(all, pieceBytes));
    if (this.#endSent && this.#onItsWay.length === 0) this.#endArrived = true;
    this.pump();
  }

  /** Takes so many bytes that are on their way, for whoever gives them to the server in another way. */
  takeFirst(bytes: number): Buffer {
    const first = this.#onItsWay.subarray(0, bytes);
    this.#onItsWay = this.#onItsWay.subarray(first.length);
    return first;
  }

  /** Cuts the connection, as a reset does. */
  reset(): void {
    if (this.isReset) return;
    this.isReset = true;
    this.#onItsWay = Buffer.alloc(0);
    this.#arrived = [];
    this.#stream.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  }

  stopReading(): void {
    this.#isReading = false;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Reads so many bytes more, or all and goes on reading. */
  read(bytes: number): void {
    if (bytes === Number.POSITIVE_INFINITY) this.#isReading = true;
    let left = bytes;
    while (left > 0 && this.#unread.length > 0) {
      const first = this.#unread[0]!;
      const part = first.subarray(0, left);
      left -= part.length;
      this.#unreadBytes -= part.length;
      if (part.length === first.length) this.#unread.shift();
      else this.#unread[0] = first.subarray(part.length);
      this.#events.onBytes(part);
      this.#takeHeld();
    }
    this.#takeHeld();
  }

  /** Whether the peer has read all that the server has sent. */
  get isRead(): boolean {
    return this.#unread.length + this.#held.length === 0;
  }

  // --- what the stream asks -----------------------------------------------------------------------------------------

  /** Gives the stream what has arrived, as long as it asks for it. */
  pump(): void {
    if (this.behaviour.isSocket) this.#pumpOne();
    else this.#pumpAll();
    const isAtEnd = this.#endArrived && this.#arrived.length === 0 && !this.#isPumping;
    if (this.isGone || !isAtEnd || this.#endTold) return;
    this.#endTold = true;
    this.#stream.push(null);
  }

  /** Node does all that waits between two reads of a socket. */
  #pumpOne(): void {
    if (this.isGone || this.#isPumping || this.#arrived.length === 0 || !this.#stream.isWanted) return;
    this.#isPumping = true;
    this.give(this.#arrived.shift()!);
    nextTurn(() => {
      this.#isPumping = false;
      this.pump();
    });
  }

  #pumpAll(): void {
    while (!this.isGone && this.#arrived.length > 0 && (this.#stream.isWanted || this.behaviour.deliversInWrite)) {
      this.give(this.#arrived.shift()!);
    }
  }

  /** Whether anything has arrived that was not asked for. */
  takeLate(): Buffer | undefined {
    return this.#arrived.shift() ?? this.#takeOnItsWay();
  }

  #takeOnItsWay(): Buffer | undefined {
    if (this.#onItsWay.length === 0) return undefined;
    const all = this.#onItsWay;
    this.#onItsWay = Buffer.alloc(0);
    return all;
  }

  give(piece: Buffer): void {
    this.count(piece);
    // A copy: the stream's reader may write to it.
    this.#stream.giveAsked(Buffer.from(piece));
  }

  count(piece: Buffer): void {
    this.activity++;
    this.largestPiece = Math.max(this.largestPiece, piece.length);
    this.deliveredBytes += piece.length;
    if (!this.#stream.isWanted) this.unaskedBytes += piece.length;
  }

  write(chunks: readonly Buffer[], done: (error?: Error) => void): void {
    this.#writes++;
    if (
      this.behaviour.throwsAt > 0 &&
      this.#writes >= this.behaviour.throwsAt &&
      this.#stream.isInCall &&
      !this.hasThrown
    ) {
      this.hasThrown = true;
      throw new Error('thrown by a stream');
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#held.push({ chunks, bytes, done });
    this.#takeHeld();
    if (!this.behaviour.deliversInWrite) return;
    const late = this.#takeOnItsWay();
    if (late !== undefined) this.#arrived.push(late);
    if (this.#endSent) this.#endArrived = true;
    this.pump();
  }

  end(done: () => void): void {
    this.isEnded = true;
    this.activity++;
    done();
  }

  destroyed(): void {
    this.activity++;
    this.isGone = true;
    this.#arrived = [];
    this.#onItsWay = Buffer.alloc(0);
    this.#held = [];
  }

  #copy(chunks: readonly Buffer[]): Buffer {
    try {
      return Buffer.concat(chunks);
    } catch {
      // Memory that its owner has given away, though it was told to leave it alone.
      this.isCorrupted = true;
      return Buffer.alloc(0);
    }
  }

  #takeHeld(): void {
    while (this.#held.length > 0) {
      const first = this.#held[0]!;
      if (!this.#isReading && this.#unreadBytes + first.bytes > this.#room) return;
      this.#held.shift();
      this.activity++;
      // Only now: what the server changes before a write is done arrives changed.
      const bytes = this.#copy(first.chunks);
      this.leftBytes += bytes.length;
      if (this.#isReading && this.#unread.length === 0) {
        this.#events.onBytes(bytes);
      } else {
        this.#unread.push(bytes);
        this.#unreadBytes += bytes.length;
      }
      if (this.behaviour.writesAtOnce) first.done();
      else process.nextTick(first.done);
    }
  }
}

/** A stream that is not of node:net, and need not keep to what a Duplex promises. */
class MemoryStream extends Duplex {
  readonly #link: MemoryLink;
  readonly #behaviour: Behaviour;
  isWanted = false;
  #calls = 0;

  constructor(link: MemoryLink, behaviour: Behaviour) {
    super({ allowHalfOpen: true, emitClose: behaviour.emitsClose, highWaterMark: behaviour.highWaterMark });
    this.#link = link;
    this.#behaviour = behaviour;
    this.on('error', () => {});
    if (!behaviour.hasWritev) Object.assign(this, { _writev: null });
  }

  override resume(): this {
    this.#link.activity++;
    return super.resume();
  }

  /** Whether somebody has called who can catch what is thrown. */
  get isInCall(): boolean {
    return this.#calls > 0;
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    return this.#called(() => super.write(chunk, ...(rest as [])));
  }

  override end(...args: unknown[]): this {
    return this.#called(() => super.end(...(args as [])));
  }

  /** As sockets do: node:http ends connections by it. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override uncork(): void {
    this.#called(() => super.uncork());
  }

  #called<T>(call: () => T): T {
    this.#calls++;
    try {
      return call();
    } finally {
      this.#calls--;
    }
  }

  override _read(): void {
    this.#link.activity++;
    this.isWanted = true;
    process.nextTick(() => this.#link.pump());
  }

  giveAsked(piece: Buffer): void {
    this.isWanted = this.push(piece);
  }

  override pause(): this {
    super.pause();
    this.#link.activity++;
    if (this.#behaviour.deliversLate) process.nextTick(() => this.#deliverLate());
    return this;
  }

  /** Delivers though it was told to pause, if there is anybody to hear it: never ahead of what was delivered before. */
  #deliverLate(): void {
    if (this.#link.isGone || this.readableLength > 0 || !this.isPaused() || this.listenerCount('data') === 0) return;
    const late = this.#link.takeLate();
    if (late === undefined) return;
    this.isWanted = false;
    this.#link.count(late);
    this.emit('data', Buffer.from(late));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#link.write([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#link.write(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: () => void): void {
    this.#link.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#link.destroyed();
    done(error);
  }
}

type StreamSocket = new (stream: Duplex) => Socket;

/** The class of Node that makes a socket, with a handle, of any stream: node:tls has it do so. */
const StreamSocket: StreamSocket = findStreamSocket();

function findStreamSocket(): StreamSocket {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const socket = new TLSSocket(stream).on('error', () => {});
  const handle = (socket as unknown as { _handle: { _parentWrap: object } })._handle;
  const found = handle._parentWrap.constructor as StreamSocket;
  socket.destroy();
  return found;
}

/** Makes a socket as a server of node:net does. */
function makeSocket(stream: MemoryStream): Socket {
  const socket = new StreamSocket(stream);
  socket.allowHalfOpen = true;
  return socket;
}
