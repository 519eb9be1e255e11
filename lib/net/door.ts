import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { type ParsedHead, parseUpgradeHead } from '../handshake/request-parser.ts';
import { ignoreError } from './transport.ts';

/** Takes an upgrade request that was read at the door. `head` are the bytes behind it. */
export type UpgradeListener = (request: ParsedHead, socket: Socket, head: Buffer) => void;

export interface DoorOptions {
  /** The largest request head that is taken, in bytes. */
  readonly maxHeaderBytes: number;
  /** How long a connection may be open before its first byte, in milliseconds. */
  readonly handshakeTimeoutMs: number;
}

/**
 * Takes the connections of a server of node:http first, and looks at their first bytes: a whole, plain upgrade request
 * goes straight to `onUpgrade`, and everything else to node:http, as if nothing had been read. What node:http does for a
 * request costs a quarter of an upgrade, and leaves memory behind that a WebSocket has no use for (measured: bench/e2e).
 */
export class Door {
  readonly #http: HttpServer;
  readonly #toHttp: (socket: Socket) => void;
  readonly #onUpgrade: UpgradeListener;
  readonly #options: DoorOptions;
  /** Connections that have sent nothing yet. */
  readonly #silent = new Set<Socket>();

  /** @param http - a server that does not listen yet */
  constructor(http: HttpServer, options: DoorOptions, onUpgrade: UpgradeListener) {
    this.#http = http;
    this.#options = options;
    this.#onUpgrade = onUpgrade;
    this.#toHttp = http.listeners('connection')[0] as (socket: Socket) => void;
    http.removeAllListeners('connection');
    http.on('connection', (socket: Socket) => this.#open(socket));
  }

  /** Cuts the connections that have sent nothing. */
  closeSilent(): void {
    for (const socket of this.#silent) socket.destroy();
  }

  #open(socket: Socket): void {
    this.#silent.add(socket);
    const onData = (chunk: Buffer) => {
      leave();
      const request = parseUpgradeHead(chunk, this.#options.maxHeaderBytes);
      if (request === undefined) {
        socket.unshift(chunk);
        this.#toHttp.call(this.#http, socket);
      } else {
        this.#onUpgrade(request, socket, chunk.subarray(request.bytes));
        // Nothing is read until there is somebody to read it.
        if (socket.listenerCount('data') === 0) socket.pause();
      }
    };
    const cut = () => socket.destroy();
    const leave = () => {
      this.#silent.delete(socket);
      socket.off('data', onData).off('end', cut).off('close', leave).off('timeout', cut).off('error', ignoreError);
      socket.setTimeout(0);
    };
    socket.on('data', onData).on('end', cut).on('close', leave).on('timeout', cut).on('error', ignoreError);
    socket.setTimeout(this.#options.handshakeTimeoutMs);
  }
}
