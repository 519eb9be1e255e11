import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectionClosedError, type HandshakeError, InvalidStateError, LimitError } from '../errors.ts';
import { checkHost } from '../handshake/check-host.ts';
import { hasLength, hasNoContent } from '../handshake/response.ts';
import { rejected, unwatched } from '../net/promises.ts';
import type { Exchange } from './exchange.ts';
import type { ResolvedOptions } from './options.ts';
import { RequestHead } from './request-head.ts';
import type { Topics } from '../topics/topics.ts';
import { checkBody, Response } from './response.ts';

const EVENT_STREAM = 'text/event-stream';
const RESET_CONTENT = 205;

/** The bounds of one request and its response. */
export type HttpLimits = Pick<
  ResolvedOptions,
  'hosts' | 'maxRequestBodyBytes' | 'maxBackpressureBytes' | 'backpressurePolicy'
>;

/** The connection of a request, whose bounds hold for all requests of it together. */
export interface HttpExchangeHost {
  readonly limits: HttpLimits;
  /** Bytes of all responses that have not left. */
  readonly unsentBytes: number;
  /** Is told of a piece of a body. @returns when there is room for no more, what resolves when there is */
  takeBody(exchange: HttpExchange, bytes: number): Promise<void> | undefined;
  destroy(): void;
}

/** A plain HTTP request and its response, over node:http. */
export class HttpExchange implements Exchange {
  readonly head: RequestHead;
  readonly isWebSocket = false;
  readonly stream = undefined;
  attributes: Map<string, unknown> | undefined;
  /** Set by its server, before its handlers run. */
  topics!: Topics;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: HttpExchangeHost;
  /** Bytes of the body that are here. Counted by the connection. */
  bodyBytes = 0;
  /** Resolves when the client has caught up; shared by all sends that wait for it. */
  #drained: Promise<void> | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, connection: HttpExchangeHost) {
    this.head = new RequestHead(request, request.socket);
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
  }

  /** Why the request is not to be handled at all, if so. */
  get refusal(): HandshakeError | undefined {
    try {
      checkHost(this.#request, this.#connection.limits.hosts);
      return undefined;
    } catch (error) {
      return error as HandshakeError;
    }
  }

  /** Whether the client is still there to be answered. */
  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded && !this.#request.socket.destroyed;
  }

  /** Whether any of the response was sent. */
  get isStarted(): boolean {
    return this.#response.headersSent;
  }

  /** Bytes of the response that have not left; of the one that is under way also what else is in the socket. */
  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  /** Calls back when the response has left, or never will. */
  whenClosed(callback: () => void): void {
    this.#response.once('close', callback);
  }

  /** Says that the connection is gone, for a response of which node:http does not say so. */
  lose(): void {
    this.#response.destroy();
    this.#response.emit('close');
  }

  /** Has the connection end behind this response. */
  endConnection(): void {
    if (!this.isStarted) this.#response.shouldKeepAlive = false;
  }

  /**
   * Reads the body of the request.
   *
   * Rejects with LimitError (WS_ERR_REQUEST_BODY_TOO_LARGE) as soon as it is known to be larger than `maxBytes`, and with
   * ConnectionClosedError when the client goes away.
   */
  async readBody(): Promise<Buffer> {
    const maxBytes = this.#connection.limits.maxRequestBodyBytes;
    const announced = Number(this.#request.headers['content-length'] ?? 0);
    if (announced > maxBytes) throw new LimitError('WS_ERR_REQUEST_BODY_TOO_LARGE');
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
        length += chunk.length;
        if (length > maxBytes) throw new LimitError('WS_ERR_REQUEST_BODY_TOO_LARGE');
        chunks.push(chunk);
        const room = this.#connection.takeBody(this, chunk.length);
        if (room === undefined) continue;
        await room;
        // Whole as it may be, it is from nobody then.
        if (!this.isOpen) throw goneError();
      }
    } catch (error) {
      throw error instanceof LimitError ? error : goneError(error);
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  async sendResponse(response: Response): Promise<void> {
    if (this.isStarted || this.#response.writableEnded) throw new InvalidStateError('WS_ERR_RESPONSE_SENT');
    if (!this.isOpen) throw goneError();
    if (this.#isOverwhelmed) throw this.#cut();
    if (response.getHeader('content-type')?.startsWith(EVENT_STREAM)) {
      await this.#startEventStream(response);
      return;
    }
    const body = hasNoContent(response.getStatusCode()) ? '' : response.getBody();
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.#setHead(response);
    if (hasLength(response.getStatusCode()) && !this.#response.hasHeader('content-length')) {
      this.#response.setHeader('Content-Length', bytes.byteLength);
    }
    this.#response.end(bytes);
  }

  async send(response: Response, last: boolean): Promise<void> {
    if (last) this.endConnection();
    if (!this.isStarted && this.isOpen) await this.sendResponse(response);
    if (last) await this.close(response);
  }

  sendBody(response: Response | undefined, body: string | Uint8Array): Promise<void> {
    checkBody(body);
    if (!this.isOpen) return rejected(this.#endedError());
    if (this.#isOverwhelmed) return rejected(this.#cut());
    if (!this.isStarted) this.#setHead(response ?? new Response());
    return this.#write(body);
  }

  /** Sends the head, if that was not done, and resolves when what was sent has left this process, or never will. */
  flush(response: Response | undefined): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    if (!this.isStarted) {
      this.#setHead(response ?? new Response());
      this.#response.flushHeaders();
    }
    return new Promise((resolve) => {
      const done = () => {
        this.#response.off('close', done);
        resolve();
      };
      this.#response.once('close', done).write('', done);
    });
  }

  /** Ends the response, and with it the connection. */
  async close(response: Response | undefined): Promise<void> {
    this.endConnection();
    await this.finish(response ?? new Response());
    const { socket } = this.#request;
    if (this.#response.writableFinished) socket.end();
    else this.#response.once('finish', () => socket.end());
  }

  /** Ends the response after the last handler: sends what was set, if nobody sent it. */
  async finish(response: Response): Promise<void> {
    if (!this.isOpen) return;
    if (!this.isStarted) await this.sendResponse(response);
    if (this.isOpen) this.#response.end();
  }

  /** Says that there will be no proper response: an error before any of it was sent, or in the middle of it. */
  abandon(statusCode: number, response: Response): void {
    if (!this.isOpen) return;
    if (this.isStarted) this.#response.destroy();
    else {
      for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name);
      if (!response.hasStatus) response.setStatusCode(statusCode);
      // What cannot be sent must not end the process, and there is nobody left to tell.
      this.finish(response).catch(() => this.#response.destroy());
    }
  }

  /** Sets status and headers. How the content is framed is the connection's: Transfer-Encoding is left out. RFC 9112 §6. */
  #setHead(response: Response): void {
    const statusCode = response.getStatusCode();
    this.#response.statusCode = statusCode;
    for (const [name, value] of response.headerValues) {
      const key = name.toLowerCase();
      if (key === 'transfer-encoding' || (key === 'content-length' && hasNoContent(statusCode))) continue;
      this.#response.setHeader(name, value);
    }
    // To node:http it is a status as any other, which has content.
    if (statusCode === RESET_CONTENT) this.#response.setHeader('Content-Length', 0);
  }

  async #startEventStream(response: Response): Promise<void> {
    this.#setHead(response);
    this.#response.flushHeaders();
    const body = response.getBody();
    if (body.length > 0) await this.#write(body);
  }

  #write(body: string | Uint8Array): Promise<void> {
    if (body.length === 0 || hasNoContent(this.#response.statusCode)) return Promise.resolve();
    if (this.#response.write(body)) return Promise.resolve();
    this.#drained ??= this.#waitForDrain();
    return this.#drained;
  }

  #waitForDrain(): Promise<void> {
    const response = this.#response;
    const promise = new Promise<void>((resolve, reject) => {
      const done = () => {
        response.off('drain', done).off('close', done);
        this.#drained = undefined;
        // A response that was ended does not say 'drain'.
        if (response.destroyed && !response.writableFinished) reject(goneError());
        // Not before others have had their turn: to a client that reads as fast, all there is may be sent in one.
        else setImmediate(resolve);
      };
      response.on('drain', done).on('close', done);
    });
    return unwatched(promise);
  }

  get #isOverwhelmed(): boolean {
    const { maxBackpressureBytes, backpressurePolicy } = this.#connection.limits;
    return backpressurePolicy !== 'wait' && this.#connection.unsentBytes > maxBackpressureBytes;
  }

  /** Cuts the connection, with all its responses. None is dropped: a body with a hole in it is another body. */
  #cut(): LimitError {
    this.#connection.destroy();
    return new LimitError('WS_ERR_BACKPRESSURE');
  }

  #endedError(): Error {
    return this.#response.writableEnded ? new InvalidStateError('WS_ERR_RESPONSE_SENT') : goneError();
  }
}

function goneError(cause?: unknown): ConnectionClosedError {
  return new ConnectionClosedError(1006, '', { cause });
}
