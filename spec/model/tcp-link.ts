import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type Behaviour, cut, type Link, type LinkEvents, SOCKET } from './link.ts';

/**
 * A link of TCP, by the loopback interface: what arrives when, and in which pieces, is for the kernel to say in the end. So
 * far fewer runs go this way.
 */
export class TcpLink implements Link {
  readonly behaviour: Behaviour = SOCKET;
  readonly unaskedBytes = 0;
  readonly hasThrown = false;
  readonly #events: LinkEvents;
  #client: Socket | undefined;
  /** The server's end, and where it is to be looked for. */
  #accepted: Socket | undefined;
  #acceptedOf: Acceptor | undefined;
  #onItsWay: Buffer = Buffer.alloc(0);
  #sentBytes = 0;
  #pieces: Buffer[] = [];
  #isWriting = false;
  #readBytes = 0;
  #endSent = false;
  isReset = false;
  isEnded = false;
  isReading = true;
  isCorrupted = false;
  #isClosed = false;

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  connect(acceptor: Acceptor): void {
    this.#acceptedOf = acceptor;
    const client = connect({ port: acceptor.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#client = client;
    client.on('error', () => {});
    client.on('data', (bytes) => {
      this.#readBytes += bytes.length;
      this.#events.onBytes(bytes);
    });
    client.on('end', () => {
      this.isEnded = true;
    });
    client.on('close', () => {
      this.#isClosed = true;
    });
    if (!this.isReading) client.pause();
  }

  get socket(): Socket | undefined {
    const port = this.#client?.localPort;
    if (port !== undefined) this.#accepted ??= this.#acceptedOf?.take(port);
    return this.#accepted;
  }

  get leftBytes(): number {
    return this.#readBytes;
  }

  get deliveredBytes(): number {
    return this.socket?.bytesRead ?? 0;
  }

  /** One read of the server may take all that fits in its receive buffer. */
  get largestPiece(): number {
    return 256 * 1024;
  }

  get bytesOnTheirWay(): number {
    return this.#onItsWay.length;
  }

  get hasEnded(): boolean {
    return this.#endSent;
  }

  get isDelivered(): boolean {
    const isWritten = this.#onItsWay.length + this.#pieces.length === 0;
    return (
      isWritten && this.deliveredBytes === this.#sentBytes && (!this.#endSent || (this.socket?.readableEnded ?? true))
    );
  }

  get isGone(): boolean {
    return this.socket?.closed ?? (this.#client === undefined || this.#isClosed);
  }

  get isRead(): boolean {
    return this.isReading;
  }

  get activity(): number {
    const server = this.socket;
    const states = [this.isEnded, this.#isClosed, server?.closed, server?.readableEnded, this.#isWriting];
    const changes = states.reduce((sum: number, state) => 2 * sum + (state === true ? 1 : 0), 0);
    return 64 * (this.#readBytes + (server?.bytesRead ?? 0) + (server?.bytesWritten ?? 0)) + changes;
  }

  send(bytes: Buffer): void {
    if (!this.#endSent && !this.isReset) this.#onItsWay = Buffer.concat([this.#onItsWay, bytes]);
  }

  sendEnd(): void {
    this.#endSent = true;
  }

  deliver(bytes: number, pieceBytes: number = bytes): void {
    const all = this.#onItsWay.subarray(0, bytes);
    this.#onItsWay = this.#onItsWay.subarray(all.length);
    this.#sentBytes += all.length;
    this.#pieces.push(...cut(all, pieceBytes));
    if (!this.#isWriting) this.#write();
  }

  /** Writes piece by piece, so that each can be a read of its own. */
  #write(): void {
    const piece = this.#pieces.shift();
    this.#isWriting = piece !== undefined;
    if (piece !== undefined) this.#client?.write(piece, () => this.#write());
    else if (this.#endSent && this.#onItsWay.length === 0) this.#client?.end();
  }

  reset(): void {
    this.isReset = true;
    this.#client?.resetAndDestroy();
  }

  stopReading(): void {
    this.isReading = false;
    this.#client?.pause();
  }

  read(bytes: number): void {
    if (bytes !== Number.POSITIVE_INFINITY) return;
    this.isReading = true;
    this.#client?.resume();
  }
}

/** The sockets that a server has accepted, by the ports of their clients. */
export class Acceptor {
  readonly #sockets = new Map<number, Socket>();
  readonly #server: Server;

  /** @param onSocket - is told of each before anybody else */
  constructor(server: Server, onSocket: (socket: Socket) => void) {
    this.#server = server;
    // Not by a listener: the door takes those there are for node:http's own.
    const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean;
    server.emit = (event: string, ...args: unknown[]) => {
      if (event === 'connection') {
        const socket = args[0] as Socket;
        onSocket(socket);
        if (socket.remotePort !== undefined) this.#sockets.set(socket.remotePort, socket);
      }
      return emit(event, ...args);
    };
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 1;
  }

  take(port: number): Socket | undefined {
    return this.#sockets.get(port);
  }
}
