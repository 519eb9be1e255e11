import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseHeaderLines } from '../handshake/request-parser.ts';
import type { UpgradeHead } from '../handshake/upgrade.ts';
import { makeHttpRequest } from './http-request.ts';
import { decodePath } from './path.ts';

/** Where a peer is. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

/**
 * The head of an HTTP request: method, target, headers and route parameters. That of an upgrade request is kept for as
 * long as the WebSocket lives, and shared by all its messages; so it keeps no more than it must.
 */
export class RequestHead {
  readonly method: string;
  /** The path as sent, without the query: what routes are matched with. */
  readonly rawPath: string;
  /** Values of the route's `:name` parameters, decoded. */
  params: ReadonlyMap<string, string> = NO_PARAMS;
  readonly #socket: Partial<Socket>;
  /** The request; or, of one that was read at the door, its lines, with the headers once somebody has wanted one. */
  #source: UpgradeHead | string | { readonly lines: string; readonly headers: UpgradeHead['headers'] };
  #headerMap: ReadonlyMap<string, string> | undefined;
  /** The query, or its text until somebody wants it. */
  #query: ReadonlyMap<string, string> | string;

  constructor(request: UpgradeHead & { readonly lines?: string }, socket: Duplex) {
    this.method = request.method ?? 'GET';
    const target = splitTarget(request.url ?? '/');
    this.rawPath = target.path;
    this.#query = target.query;
    this.#source = request.lines ?? request;
    this.#socket = socket as Partial<Socket>;
  }

  /** Where the peer is; `undefined` where the transport has no addresses, and when it is gone and nobody asked before. */
  get address(): SocketAddress | undefined {
    // Asked of the system only when somebody wants to know, and remembered by the socket.
    const { remoteAddress, remotePort } = this.#socket;
    if (remoteAddress === undefined || remotePort === undefined) return undefined;
    return { address: remoteAddress, port: remotePort };
  }

  /** The path without the query, decoded as routes do. */
  get path(): string {
    return decodePath(this.rawPath);
  }

  get host(): string | undefined {
    return this.header('host');
  }

  /** The value of a header, names in any case; repeated headers are joined by commas. */
  header(name: string): string | undefined {
    const key = name.toLowerCase();
    const headers = this.#parsedHeaders();
    return Object.hasOwn(headers, key) ? joinValues(headers[key]) : undefined;
  }

  /** All headers, names in lower case. */
  get headers(): ReadonlyMap<string, string> {
    if (this.#headerMap === undefined) {
      const map = new Map<string, string>();
      for (const [name, value] of Object.entries(this.#parsedHeaders())) map.set(name, joinValues(value) ?? '');
      this.#headerMap = map;
    }
    return this.#headerMap;
  }

  /** The query, decoded; of a name that stands twice the last value. */
  get querys(): ReadonlyMap<string, string> {
    if (typeof this.#query === 'string') this.#query = new Map(new URLSearchParams(this.#query));
    return this.#query;
  }

  /** The request of node:http. One that was read at the door is made into one when somebody wants it, and then kept. */
  get httpRequest(): IncomingMessage {
    const lines = typeof this.#source === 'string' ? this.#source : (this.#source as { lines?: string }).lines;
    if (lines !== undefined) this.#source = makeHttpRequest(lines, this.#socket as Socket);
    return this.#source as IncomingMessage;
  }

  #parsedHeaders(): UpgradeHead['headers'] {
    const source = this.#source;
    if (typeof source !== 'string') return source.headers;
    const headers = parseHeaderLines(source);
    this.#source = { lines: source, headers };
    return headers;
  }
}

function joinValues(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Splits a request target, in origin or in absolute form, RFC 9112 §3.2. */
function splitTarget(target: string): { path: string; query: string } {
  if (!target.startsWith('/') && URL.canParse(target)) {
    const { pathname, search } = new URL(target);
    return { path: pathname, query: search.slice(1) };
  }
  const hash = target.indexOf('#');
  const visible = hash === -1 ? target : target.slice(0, hash);
  const mark = visible.indexOf('?');
  return mark === -1 ? { path: visible, query: '' } : { path: visible.slice(0, mark), query: visible.slice(mark + 1) };
}
