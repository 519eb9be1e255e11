import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { VirtualTime } from './virtual-time.ts';

/** What a parser of node:http is known by. */
interface Parser {
  readonly socket: Duplex | null;
  readonly incoming: IncomingMessage | null;
}

interface ConnectionsList {
  active(): Parser[];
  expired(headersTimeout: number, requestTimeout: number): Parser[];
}

/**
 * What node:http does by itself in a server that listens, in virtual time: it looks for heads and requests that take too
 * long. Knows what the responses of a connection hold, too.
 */
export class HttpChecks {
  readonly #server: Server;
  readonly #time: VirtualTime;
  readonly #responses = new Map<Duplex, Set<ServerResponse>>();
  /** When the message that a parser is in the midst of has begun. */
  #begun = new Map<Parser, number>();
  #interval: NodeJS.Timeout | undefined;
  #connections: ConnectionsList | undefined;

  constructor(server: Server, time: VirtualTime) {
    this.#server = server;
    this.#time = time;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#note(request.socket, response));
    this.#takeOver();
  }

  /** Bytes that wait in the responses of a connection, and in its socket. */
  heldBytes(socket: Duplex): number {
    let held = 0;
    for (const response of this.#responses.get(socket) ?? []) held += response.writableLength;
    return held;
  }

  stop(): void {
    clearInterval(this.#interval);
  }

  #note(socket: Duplex, response: ServerResponse): void {
    const responses = this.#responses.get(socket) ?? new Set();
    this.#responses.set(socket, responses);
    responses.add(response);
    response.once('close', () => responses.delete(response));
  }

  /** Does what listening does, and puts its interval and its clock in virtual time. */
  #takeOver(): void {
    const server = this.#server as Server & { connectionsCheckingInterval: number } & Record<symbol, unknown>;
    const [start] = server.listeners('listening') as (() => void)[];
    start?.call(server);
    const symbol = (name: string) => Object.getOwnPropertySymbols(server).find((key) => key.description === name);
    const intervalKey = symbol('http.server.connectionsCheckingInterval');
    const connectionsKey = symbol('http.server.connections');
    if (intervalKey === undefined || connectionsKey === undefined)
      throw new Error('this Node does not check by itself');
    const timer = server[intervalKey] as NodeJS.Timeout & { _onTimeout: () => void };
    const check = timer._onTimeout;
    timer.close();
    const connections = server[connectionsKey] as ConnectionsList;
    connections.expired = (headersTimeout, requestTimeout) => this.#expired(headersTimeout, requestTimeout);
    this.#connections = connections;
    this.#interval = setInterval(check, server.connectionsCheckingInterval);
  }

  /** Sees what has begun since it last looked. */
  notice(): void {
    const begun = new Map<Parser, number>();
    for (const parser of this.#connections?.active() ?? []) {
      begun.set(parser, this.#begun.get(parser) ?? this.#time.now);
    }
    this.#begun = begun;
  }

  #expired(headersTimeout: number, requestTimeout: number): Parser[] {
    this.notice();
    return [...this.#begun].flatMap(([parser, since]) => {
      const tookMs = this.#time.now - since;
      const hasHead = parser.incoming !== null && !parser.incoming.complete;
      const isHeadLate = !hasHead && headersTimeout > 0 && tookMs >= headersTimeout;
      return isHeadLate || (requestTimeout > 0 && tookMs >= requestTimeout) ? [parser] : [];
    });
  }
}
