import { Buffer } from 'node:buffer';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { lend } from '../codec/borrowed.ts';
import { InvalidStateError } from '../errors.ts';
import { kindOf } from '../wording.ts';
import { readCookie, readCookies } from './cookies.ts';
import type { RequestHead } from './request-head.ts';
import { WebSocketStream } from './websocket-stream.ts';

/** A body: text is a string, anything else bytes. The body of a plain HTTP request is always bytes. */
export type Body = string | Uint8Array;

/** A request: the head of the HTTP request, and as body that of the HTTP request or one WebSocket message. */
export class Request {
  readonly #head: RequestHead;
  #body: Body;

  /** @internal */
  constructor(head: RequestHead, body: Body) {
    this.#head = head;
    this.#body = body;
  }

  /**
   * Receives the next whole message of a stream as a request. Calls are served in order.
   *
   * The result is a promise that `select` can also withdraw.
   *
   * @param stream - what `ctx.getStream()` returned
   * @param timeout - milliseconds; 0 or Infinity for none
   * @param options - `signal` ends the wait
   * @throws {InvalidStateError} WS_ERR_NOT_A_STREAM, at once, when `stream` is no stream
   * @throws {RangeError} when `timeout` is negative or no number
   *
   * Rejects with TimeoutError (the stream stays open, and no message is lost), with ConnectionClosedError once the peer
   * is gone and its messages are received, or with the ProtocolError, InvalidPayloadError or LimitError that ended it.
   */
  static websocketRequestFromStream(
    stream: WebSocketStream,
    timeout: number = 0,
    options?: { readonly signal?: AbortSignal },
  ): Receive<Request> {
    if (!(stream instanceof WebSocketStream)) throw notAStream(stream);
    const receiveOptions: ReceiveOptions | undefined =
      timeout === 0 && options?.signal === undefined ? undefined : { timeoutMs: timeout, signal: options?.signal };
    return stream.receive(receiveOptions, requestMaker);
  }

  getMethod(): string {
    return this.#head.method;
  }

  getHost(): string | undefined {
    return this.#head.host;
  }

  /** The path without the query, decoded as for routes; a "/" that was encoded stays `%2F`. */
  getPath(): string {
    return this.#head.path;
  }

  getQuery(name: string): string | undefined {
    return this.#head.querys.get(name);
  }

  getQuerys(): ReadonlyMap<string, string> {
    return this.#head.querys;
  }

  /** A header's value; names in any case. */
  getHeader(name: string): string | undefined {
    return this.#head.header(name);
  }

  /** All headers, names in lower case. */
  getHeaders(): ReadonlyMap<string, string> {
    return this.#head.headers;
  }

  /** The value of a cookie, decoded; `undefined` if there is none of that name. RFC 6265 §4.2. */
  getCookie(name: string): string | undefined {
    return readCookie(this.#head.header('cookie'), name);
  }

  /** All cookies, decoded. The map is made anew at each call. */
  getCookies(): ReadonlyMap<string, string> {
    return readCookies(this.#head.header('cookie'));
  }

  /** The body: a text message is a string, anything else a Buffer, which is the caller's own. */
  getBody(): Body {
    return this.#body;
  }

  /**
   * Calls `read` with the bytes of the body, and returns what it returns. They are valid during the call only; see
   * `Context.readRequestBody`.
   */
  readBody<T>(read: (bytes: Buffer) => T): T {
    const bytes = typeof this.#body === 'string' ? Buffer.from(this.#body) : this.#body;
    return lend(bytes, 0, bytes.byteLength, read);
  }

  /** The body as text; bytes are decoded as UTF-8. */
  getBodyString(): string {
    return typeof this.#body === 'string' ? this.#body : Buffer.from(this.#body).toString();
  }

  /** The body parsed as JSON. @throws {SyntaxError} when it is none */
  getBodyJson<T = unknown>(): T {
    return JSON.parse(this.getBodyString()) as T;
  }

  setBody(body: Body): this {
    this.#body = body;
    return this;
  }
}

function notAStream(value: unknown): InvalidStateError {
  const advice = 'pass what ctx.getStream() returned, and check it for undefined first';
  return new InvalidStateError('WS_ERR_NOT_A_STREAM', `this is no WebSocket stream, but ${kindOf(value)}: ${advice}`);
}

/** A request whose body was checked: `getBodyJson` returns what its schema made of it, until another body is set. */
export class CheckedRequest extends Request {
  #json: { readonly value: unknown } | undefined;

  /** @internal */
  constructor(head: RequestHead, body: Body, json: unknown) {
    super(head, body);
    this.#json = { value: json };
  }

  override getBodyJson<T = unknown>(): T {
    return this.#json === undefined ? super.getBodyJson<T>() : (this.#json.value as T);
  }

  override setBody(body: Body): this {
    this.#json = undefined;
    return super.setBody(body);
  }
}

function requestMaker(head: RequestHead): (data: Body) => Request {
  return (body) => new Request(head, body);
}
