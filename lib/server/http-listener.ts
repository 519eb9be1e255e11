import { Buffer } from 'node:buffer';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { InvalidStateError } from '../errors.ts';
import type { UpgradeHead } from '../handshake/upgrade.ts';
import { Door } from '../net/door.ts';
import { HttpConnection } from './http-connection.ts';
import type { HttpExchange } from './http-exchange.ts';
import type { ResolvedOptions } from './options.ts';

/** How long a whole request may take: the default of node:http. */
const REQUEST_TIMEOUT_MS = 300_000;
/** How often node:http looks for requests that take too long. */
const CHECK_INTERVAL_MS = 1000;
const NOTHING = Buffer.alloc(0);
const CLOSED_EARLY = 'the server was closed before it listened: await run() before close()';

/** What a listener does with what comes in. */
export interface ListenerEvents {
  onRequest(exchange: HttpExchange): void;
  onUpgrade(request: UpgradeHead, socket: Duplex, head: Buffer): void;
  /** An error of the listening socket, such as too many open files; it goes on listening. */
  onError(error: Error): void;
}

/** The port of a server: a server of node:http with a door in front of it, and the connections of plain HTTP. */
export class HttpListener {
  readonly #http: HttpServer;
  readonly #door: Door;
  readonly #options: ResolvedOptions;
  readonly #events: ListenerEvents;
  /** Whether `close` was called. */
  isClosing = false;
  /** The connections of plain HTTP. */
  readonly #connections = new Map<Duplex, HttpConnection>();

  constructor(options: ResolvedOptions, events: ListenerEvents) {
    this.#options = options;
    this.#events = events;
    const { nodelay, maxHeaderBytes, handshakeTimeoutMs } = options;
    const http = createServer({
      noDelay: nodelay,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: handshakeTimeoutMs,
      requestTimeout: Math.max(REQUEST_TIMEOUT_MS, handshakeTimeoutMs),
      // Seen to here, as all that is wrong with a request: what node:http answers by itself, nobody counts.
      requireHostHeader: false,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, handshakeTimeoutMs),
    });
    // It is called by http.close() too, and cuts responses that are on their way. A head in part is idle, and not to it.
    http.closeIdleConnections = () => {};
    http.on('request', (request, response) => this.#handleRequest(request, response));
    http.on('checkExpectation', (request, response) => this.#refuseExpectation(request, response));
    http.on('upgrade', (request, socket, head) => this.#handleUpgrade(request, socket, head));
    this.#door = new Door(http, options, {
      onUpgrade: (request, socket, head) => events.onUpgrade(request, socket, head),
      onHttp: (socket, headMs) => this.#handleConnection(socket, headMs),
    });
    this.#http = http;
  }

  /**
   * Opens the port. Resolves once it is open; rejects with InvalidStateError (WS_ERR_PORT_IN_USE, or WS_ERR_SERVER_STATE
   * if it was closed meanwhile), or with the error of the system.
   */
  async listen(): Promise<void> {
    const { host, port } = this.#options;
    if (this.isClosing) throw new InvalidStateError('WS_ERR_SERVER_STATE', CLOSED_EARLY);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#http.once('error', reject);
        // While a name is being looked up nothing listens yet, and what is closed then never will.
        this.#http.once('close', () => reject(new InvalidStateError('WS_ERR_SERVER_STATE', CLOSED_EARLY)));
        this.#http.listen({ port, host }, resolve);
      });
    } catch (error) {
      throw explainListenError(error, port);
    }
    this.#http.removeAllListeners('error').on('error', (error) => this.#events.onError(error));
  }

  get address(): AddressInfo | undefined {
    const address = this.#http.address();
    return typeof address === 'object' && address !== null ? address : undefined;
  }

  /** Accepts no more, and ends what is idle. Resolves when the last connection is gone, WebSockets included. */
  close(): Promise<void> {
    this.isClosing = true;
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#door.closeSilent();
    for (const connection of this.#connections.values()) connection.close();
    return closed;
  }

  /** Cuts all connections of plain HTTP. */
  destroyAll(): void {
    for (const connection of this.#connections.values()) connection.destroy();
  }

  #handleConnection(socket: Socket, headMs: number): void {
    const forget = () => this.#connections.delete(socket);
    this.#connections.set(socket, new HttpConnection(socket, this.#options, headMs, forget));
  }

  #handleRequest(request: IncomingMessage, response: ServerResponse): void {
    const exchange = this.#connections.get(request.socket)!.begin(request, response);
    // Of a connection that was cut for too many of them node:http may tell more.
    if (!request.socket.destroyed) this.#events.onRequest(exchange);
  }

  /** Refuses a request that expects something else than 100-continue. RFC 9110 §10.1.1. */
  #refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
    this.#connections.get(request.socket)!.begin(request, response);
    response.writeHead(417).end();
  }

  #handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const rest = this.#connections.get(socket)?.release() ?? NOTHING;
    // A copy: the head may lie where the next read goes.
    this.#events.onUpgrade(request, socket, Buffer.concat([head, rest]));
  }
}

function explainListenError(error: unknown, port: number): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new InvalidStateError(
    'WS_ERR_PORT_IN_USE',
    `another program listens on port ${port}: choose another with server.port(number), or 0 for any free one`,
    { cause: error },
  );
}
