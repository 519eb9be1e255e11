import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { lend, own } from '../codec/borrowed.ts';
import { endKeptLoan, keepLoan } from '../codec/message-memory.ts';
import { InvalidStateError } from '../errors.ts';
import { rejected, unwatched } from '../net/promises.ts';
import type { ConnectionSubscription } from '../topics/connection-subscription.ts';
import type { Position } from '../topics/position.ts';
import type { ConnectionSubscribeOptions, PublishOptions } from '../topics/subscribe-options.ts';
import { warnOnce } from '../warnings.ts';
import type { ServerConnection } from './connections.ts';
import type { CookieOptions } from './cookies.ts';
import type { Exchange } from './exchange.ts';
import { type Body, CheckedRequest, Request } from './request.ts';
import type { SocketAddress } from './request-head.ts';
import { type HeaderValue, Response } from './response.ts';
import { stringifyJson } from './stringify-json.ts';
import { compressOf, type SendOptions, type WebSocketStream } from './websocket-stream.ts';

/** The body: is the handlers' own; is lent; and was read where it lies, or lay. */
const OWN = 0;
const LENT = 1;
const READ = 2;

/** The connection is to be closed behind the handlers; a body was set, which somebody has to send. */
const CLOSE = 1;
const LOOK_FOR_BODY = 2;

/** The type of a key where the application declares no attributes: any name goes then, and none where it does. */
export type AnyKey<Attributes> = [keyof Attributes] extends [never] ? string : never;

/**
 * What a handler gets: the request, the response, and the connection they belong to. The same for a plain HTTP request
 * and for a WebSocket message, which is a request whose body is the message.
 *
 * Reads are synchronous; what sends returns a promise, which need not be awaited.
 *
 * `Attributes` is what the application keeps with `setAttribute`, as in `new Server<Attributes>()`, and `Json` what the
 * schema of the route makes of a body.
 */
export class Context<Attributes extends object = object, out Json = unknown> {
  readonly #exchange: Exchange;
  #body: Body;
  /** Where the body lies while it is lent: then `#body` is nothing yet. */
  #lent: Buffer | undefined;
  #lentStart = 0;
  #lentEnd = 0;
  #state: typeof OWN | typeof LENT | typeof READ = OWN;
  #request: Request | undefined;
  #response: Response | undefined;
  #aborted = false;
  /** What is to be done behind the handlers, of CLOSE and LOOK_FOR_BODY. */
  #ending = 0;
  /** The handler that is to run when the one that takes time is done. @internal */
  nextHandler = 0;

  /** @internal */
  constructor(exchange: Exchange, body: Body, response?: Response) {
    this.#exchange = exchange;
    this.#body = body;
    this.#response = response;
  }

  /** Whether this is a WebSocket, where `sendResponseBody` is the one way to send. */
  isWebSocket(): boolean {
    return this.#exchange.isWebSocket;
  }

  /** The stream of a WebSocket; `undefined` for plain HTTP, and once the peer is gone. */
  getStream(): WebSocketStream | undefined {
    return this.#exchange.stream;
  }

  /** The WebSocket as `server.connections` shows it, also when the peer is gone; `undefined` before it is open, and for plain HTTP. */
  getConnection(): ServerConnection<Attributes> | undefined {
    return this.#exchange.shown as ServerConnection<Attributes> | undefined;
  }

  /** Where the peer is; `undefined` where the transport has no addresses. */
  getSocketAddr(): SocketAddress | undefined {
    return this.#exchange.head.address;
  }

  /**
   * The request of `node:http`, on which middleware of others leaves what it knows: a session, a user. Of a WebSocket it is
   * the upgrade request, the very one that came or was given to `handleUpgrade`, for as long as the WebSocket lives.
   */
  getHttpRequest(): IncomingMessage {
    return this.#exchange.head.httpRequest;
  }

  // --- request ----------------------------------------------------------------------------------------------------

  getRequest(): Request {
    this.#request ??= new Request(this.#exchange.head, this.#ownBody());
    return this.#request;
  }

  setRequest(request: Request): this {
    this.#request = request;
    return this;
  }

  getRequestMethod(): string {
    return this.getRequest().getMethod();
  }

  getRequestHost(): string | undefined {
    return this.getRequest().getHost();
  }

  /** The path without the query, decoded as for routes; a "/" that was encoded stays `%2F`. */
  getRequestPath(): string {
    return this.getRequest().getPath();
  }

  /** The value of one query parameter, decoded. */
  getRequestQuery(name: string): string | undefined {
    return this.getRequest().getQuery(name);
  }

  /** All query parameters, decoded. */
  getRequestQuerys(): ReadonlyMap<string, string> {
    return this.getRequest().getQuerys();
  }

  /** The value of a header; names in any case. */
  getRequestHeader(name: string): string | undefined {
    return this.getRequest().getHeader(name);
  }

  /** All headers, names in lower case. */
  getRequestHeaders(): ReadonlyMap<string, string> {
    return this.getRequest().getHeaders();
  }

  /** The value of a cookie, decoded; `undefined` if there is none of that name. */
  getRequestCookie(name: string): string | undefined {
    return this.getRequest().getCookie(name);
  }

  /** All cookies, decoded. The map is made anew at each call. */
  getRequestCookies(): ReadonlyMap<string, string> {
    return this.getRequest().getCookies();
  }

  /** The body: a text message is a string, anything else a Buffer, which is the handler's own. */
  getRequestBody(): Body {
    return this.#request === undefined ? this.#ownBody() : this.#request.getBody();
  }

  /**
   * Calls `read` with the bytes of the body, and returns what it returns: the bytes of a message as they were received,
   * without a copy where they still lie there. They are valid during the call only, and somebody else's afterwards: copy
   * what is to be kept (`Buffer.from`). To send them on is safe. Unless `NODE_ENV` is `production` they are overwritten
   * behind the call, so that a mistake is noticed.
   */
  readRequestBody<T>(read: (bytes: Buffer) => T): T {
    if (this.#lent === undefined) return this.getRequest().readBody(read);
    this.#state = READ;
    return lend(this.#lent, this.#lentStart, this.#lentEnd, read);
  }

  /** The body as text; bytes are decoded as UTF-8. */
  getRequestBodyString(): string {
    return this.getRequest().getBodyString();
  }

  /**
   * The body parsed as JSON; on a route with a schema what that has made of it, the same value at each call.
   *
   * @throws {SyntaxError} when it is no JSON
   */
  getRequestBodyJson<T = Json>(): T {
    return this.getRequest().getBodyJson<T>();
  }

  setRequestBody(body: Body): this {
    this.#lent = undefined;
    this.#state = OWN;
    this.#body = body;
    this.#request?.setBody(body);
    return this;
  }

  /** Has the body be known to hold `json`. @internal */
  setBodyJson(json: unknown): void {
    this.#request = new CheckedRequest(this.#exchange.head, this.getRequestBody(), json);
  }

  /** Has the body be `bytes[start, end)`, until `keepBody` or `endBody`. @internal */
  lendBody(bytes: Buffer, start: number, end: number): void {
    this.#lent = bytes;
    this.#lentStart = start;
    this.#lentEnd = end;
    this.#state = LENT;
  }

  /**
   * The handlers wait for something, and may want a body that is lent behind it: it is made theirs. What they read where it
   * lies, in memory of its own, stays lent. @internal
   */
  keepBody(): void {
    if (this.#lent === undefined || (this.#state === READ && keepLoan(this.#lent))) return;
    this.#ownBody();
  }

  /** The handlers are done. What they read where it lies they want no more; what they have not read they may want later. @internal */
  endBody(): void {
    if (this.#state === LENT) this.#ownBody();
    else if (this.#lent !== undefined) endKeptLoan(this.#lent);
    this.#lent = undefined;
  }

  #ownBody(): Body {
    if (this.#state === OWN) return this.#body;
    if (this.#lent === undefined) throw new InvalidStateError('WS_ERR_BODY_GONE');
    this.#body = own(this.#lent, this.#lentStart, this.#lentEnd);
    this.#lent = undefined;
    this.#state = OWN;
    return this.#body;
  }

  /** The value of a route's `:name` parameter, decoded. */
  getRouteParam(name: string): string | undefined {
    return this.#exchange.head.params.get(name);
  }

  getRouteParams(): ReadonlyMap<string, string> {
    return this.#exchange.head.params;
  }

  // --- response ---------------------------------------------------------------------------------------------------

  getResponse(): Response {
    this.#response ??= new Response();
    return this.#response;
  }

  /** @throws {RangeError} unless it is a whole number from 200 to 599 */
  setResponseStatusCode(statusCode: number): this {
    this.getResponse().setStatusCode(statusCode);
    return this;
  }

  /**
   * Sets a response header, in place of any of the same name. A list is written as one line each: `Set-Cookie`.
   *
   * @throws {TypeError} for what no header may hold, such as a line break
   */
  setResponseHeader(name: string, value: HeaderValue): this {
    this.getResponse().setHeader(name, value);
    return this;
  }

  getResponseHeader(name: string): string | undefined {
    return this.getResponse().getHeader(name);
  }

  /**
   * Adds a cookie to the response, in place of one of the same name, domain and path. In an upgrade middleware it goes out
   * with the 101; once a WebSocket is open there is no response, and a warning says so.
   *
   * @param value - any text: it is percent-encoded, and `getRequestCookie` decodes it
   * @throws {TypeError | RangeError} for what a browser would not take
   */
  setResponseCookie(name: string, value: string, options?: CookieOptions): this {
    this.getResponse().setCookie(name, value, options);
    if (this.#exchange.isWebSocket) warnOnce('WS_WARN_COOKIE_ON_WEBSOCKET');
    return this;
  }

  setResponseBody(body: Body): this {
    this.getResponse().setBody(body);
    this.#ending |= LOOK_FOR_BODY;
    return this;
  }

  /**
   * Sends a whole HTTP response and keeps the connection. Under `Content-Type: text/event-stream` it sends the head, and
   * leaves the response open for `sendResponseBody`.
   *
   * Rejects with InvalidStateError: WS_ERR_SEND_RESPONSE_ON_WEBSOCKET (use `sendResponseBody`), WS_ERR_RESPONSE_SENT.
   */
  sendResponse(statusCode?: number, body?: Body): Promise<void> {
    const response = this.getResponse();
    if (statusCode !== undefined) response.setStatusCode(statusCode);
    if (body !== undefined) response.setBody(body);
    return unwatched(this.#exchange.sendResponse(response));
  }

  /** Sends the response as set, unless that was done. Does nothing on a WebSocket. */
  send(): Promise<void>;
  send(argument?: unknown): Promise<void> {
    if (argument !== undefined) warnOnce('WS_WARN_SEND_ARGUMENT', 'send was given something');
    return unwatched(this.#exchange.send(this.getResponse(), false));
  }

  /** Sends the response as set, unless that was done, and ends the connection. Does nothing on a WebSocket. */
  sendOnce(): Promise<void>;
  sendOnce(argument?: unknown): Promise<void> {
    if (argument !== undefined) warnOnce('WS_WARN_SEND_ARGUMENT', 'sendOnce was given something');
    return unwatched(this.#exchange.send(this.getResponse(), true));
  }

  /**
   * Sends a WebSocket message (a string as text, bytes as binary), or a piece of a streamed HTTP response, which it starts
   * when need be. Bytes of 16 KiB and more must not change until they have left.
   *
   * Resolves at once, or, when more than `highWaterMarkBytes` wait, when the peer has caught up. Rejects with
   * ConnectionClosedError when the peer is gone.
   */
  sendResponseBody(body: Body, options?: SendOptions): Promise<void> {
    return this.#exchange.sendBody(this.#response, body, options === undefined ? undefined : compressOf(options));
  }

  /**
   * Sends a value as JSON: as a text message, or as a whole HTTP response, whose Content-Type is `application/json` unless
   * another was set; of a response that was started, as a piece.
   *
   * Resolves and rejects as `sendResponseBody` does, or with InvalidStateError: WS_ERR_RESPONSE_SENT.
   *
   * @throws {TypeError} for what JSON does not have: `undefined`, a function, a circle, a BigInt
   */
  sendResponseJson(value: unknown, options?: SendOptions): Promise<void> {
    const text = stringifyJson('sendResponseJson', value);
    if (this.#exchange.isWebSocket || this.#exchange.isStarted) return this.sendResponseBody(text, options);
    const response = this.getResponse();
    if (response.getHeader('content-type') === undefined) response.setHeader('Content-Type', 'application/json');
    return this.sendResponse(undefined, text);
  }

  /** Sends what `setResponseBody` set, as `sendResponseBody` does. */
  sendBody(): Promise<void> {
    return this.#exchange.sendBody(this.#response, this.getResponse().getBody());
  }

  /** Writes at once all that was sent, and resolves when it has left this process. */
  flush(): Promise<void> {
    return this.#exchange.flush(this.#response);
  }

  /**
   * Ends the connection: a WebSocket with the closing handshake (code 1000 unless given), an HTTP response by sending what
   * is left of it.
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  close(code?: number, reason?: string): Promise<void> {
    // What is sent with it shall find that it was closed.
    if (this.#exchange.isWebSocket) this.getResponse();
    return unwatched(this.#exchange.close(this.#response, code, reason));
  }

  // --- topics -----------------------------------------------------------------------------------------------------

  /**
   * Subscribes this WebSocket to a topic: it is sent what is published from now on, until `unsubscribe` or its end. One that is
   * subscribed to it already stays as it is.
   *
   * Resolves when it has begun. Rejects with BrokerError when the broker cannot be reached, with ConnectionClosedError when the
   * peer is gone, and with InvalidStateError (WS_ERR_SUBSCRIBE_ON_HTTP) before the WebSocket is open.
   *
   * @throws {TypeError | RangeError} for what names no topic, and for options that it cannot have
   */
  subscribe(topic: string, options?: ConnectionSubscribeOptions): Promise<ConnectionSubscription> {
    const exchange = this.#exchange;
    if (exchange.subscribe === undefined) return rejected(new InvalidStateError('WS_ERR_SUBSCRIBE_ON_HTTP'));
    return exchange.subscribe(this as Context, topic, options);
  }

  /** Ends the subscription of this WebSocket to a topic; returns false, and does nothing, if there is none. */
  unsubscribe(topic: string): boolean {
    const { connection, topics } = this.#exchange;
    return connection !== undefined && topics.part(connection, topic);
  }

  /** The topics that this WebSocket is subscribed to. */
  getTopics(): string[] {
    const { connection, topics } = this.#exchange;
    return connection === undefined ? [] : topics.topicsOf(connection);
  }

  /**
   * Publishes a message to all that are subscribed to a topic, but not to this WebSocket: a string as text, bytes as binary.
   *
   * Resolves with its position, and rejects, as `server.publish` does. Not awaiting it is safe.
   *
   * @throws {TypeError | RangeError} for what names no topic, is no body or no id
   */
  publish(topic: string, body: Body, options?: PublishOptions): Promise<Position> {
    const { connection, topics } = this.#exchange;
    if (connection === undefined) return topics.publish(topic, body, options);
    return topics.publishFrom(connection, topic, body, options);
  }

  // --- lifecycle --------------------------------------------------------------------------------------------------

  /** Has the connection closed once the handlers of this request have run. */
  closed(): this {
    this.#ending |= CLOSE;
    return this;
  }

  /** The handlers for a WebSocket's message are done. @returns whether it is to be closed @internal */
  endOnWebSocket(): boolean {
    if (this.#ending === 0) return false;
    // What was set is lost, unless something was sent behind it: itself, or something else in its place.
    if ((this.#ending & LOOK_FOR_BODY) !== 0 && this.#response?.isUsed !== true) warnOnce('WS_WARN_BODY_NOT_SENT');
    return this.getClosed();
  }

  /** Whether `closed` was called. */
  getClosed(): boolean {
    return (this.#ending & CLOSE) !== 0;
  }

  /** Has no further handler run for this request. */
  aborted(): this {
    this.#aborted = true;
    return this;
  }

  setAborted(aborted: boolean = true): this {
    this.#aborted = aborted;
    return this;
  }

  /** Takes `aborted` back. */
  cancelAborted(): this {
    this.#aborted = false;
    return this;
  }

  getAborted(): boolean {
    return this.#aborted;
  }

  // --- attributes -------------------------------------------------------------------------------------------------

  /** Keeps a value for later handlers: of this HTTP request, or of this WebSocket with all its messages. */
  setAttribute(key: AnyKey<Attributes>, value: unknown): this;
  setAttribute<Key extends keyof Attributes & string>(key: Key, value: Attributes[Key]): this;
  setAttribute(key: string, value: unknown): this {
    this.#exchange.attributes ??= new Map();
    this.#exchange.attributes.set(key, value);
    return this;
  }

  getAttribute<T = unknown>(key: AnyKey<Attributes>): T | undefined;
  getAttribute<Key extends keyof Attributes & string>(key: Key): Attributes[Key] | undefined;
  getAttribute(key: string): unknown {
    return this.#exchange.attributes?.get(key);
  }

  removeAttribute(key: AnyKey<Attributes> | (keyof Attributes & string)): this {
    this.#exchange.attributes?.delete(key);
    return this;
  }

  clearAttribute(): this {
    this.#exchange.attributes?.clear();
    return this;
  }
}
