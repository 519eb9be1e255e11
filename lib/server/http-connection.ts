import type { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type FeedHost, RequestFeed } from '../net/request-feed.ts';
import { HttpExchange } from './http-exchange.ts';
import type { ResolvedOptions } from './options.ts';

/** A connection of plain HTTP, and the requests of it that are under way: a client may send several before the first is answered. */
export class HttpConnection implements FeedHost {
  readonly #options: ResolvedOptions;
  readonly #requests = new Set<HttpExchange>();
  readonly #feed: RequestFeed | undefined;

  /** @param socket - one that node:http has just taken */
  constructor(socket: Socket, options: ResolvedOptions) {
    this.#options = options;
    this.#feed = RequestFeed.make(socket, this);
    // Behind all that node:http does: it forgets those that wait behind another, and theirs would wait for ever.
    socket.once('close', () => {
      setImmediate(() => {
        for (const exchange of this.#requests) exchange.lose();
      });
    });
  }

  /** The requests whose responses have not left, in order. */
  get requests(): ReadonlySet<HttpExchange> {
    return this.#requests;
  }

  get isFull(): boolean {
    return this.#requests.size >= this.#options.maxPipelinedRequests;
  }

  /** Takes a request. @param onClosed - is called when its response has left, or never will */
  begin(request: IncomingMessage, response: ServerResponse, onClosed: (exchange: HttpExchange) => void): HttpExchange {
    // It cannot be, unless node:http reads otherwise than `RequestFeed` knows.
    if (this.isFull) request.socket.destroy();
    const exchange = new HttpExchange(request, response, this.#options);
    this.#requests.add(exchange);
    exchange.whenClosed(() => {
      this.#requests.delete(exchange);
      onClosed(exchange);
      this.#feed?.resume();
    });
    return exchange;
  }

  /** Lets go of the socket for an upgrade. @returns what was read behind it, and not given to node:http */
  release(): Buffer | undefined {
    return this.#feed?.release();
  }
}
