import { validateHeaderName, validateHeaderValue } from 'node:http';
import { notABody, show } from '../wording.ts';
import { type CookieOptions, formatCookie, isSameCookie } from './cookies.ts';
import type { Body } from './request.ts';

/** The key of a header that may have several lines which cannot be joined. */
const SET_COOKIE = 'set-cookie';

/** The value of a header: a list where it has several lines, such as two of Set-Cookie. */
export type HeaderValue = string | readonly string[];

/** What is to be sent as the answer to an HTTP request, or to refuse an upgrade. */
export class Response {
  #statusCode: number | undefined;
  #body: Body | undefined;
  /** Whether a message of a WebSocket was sent beside it. @internal */
  isUsed = false;
  /** Whether the WebSocket was closed by the handlers that it is for. @internal */
  isClosed = false;
  readonly #headers = new Map<string, readonly [name: string, value: HeaderValue]>();

  /** The status that was set, else 200. */
  getStatusCode(): number {
    return this.#statusCode ?? 200;
  }

  /** @throws {RangeError} unless it is a whole number from 200 to 599 */
  setStatusCode(statusCode: number): this {
    if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 599) {
      throw new RangeError(
        `the status code ${show(statusCode)} cannot end a request: use a whole number from 200 to 599`,
      );
    }
    this.#statusCode = statusCode;
    return this;
  }

  /** The value of a header, names in any case; those of several lines are joined by commas. */
  getHeader(name: string): string | undefined {
    const value = this.#headers.get(name.toLowerCase())?.[1];
    return typeof value === 'object' ? value.join(', ') : value;
  }

  /** The header lines in the order they were set, as name and value. */
  getHeaders(): readonly (readonly [name: string, value: string])[] {
    const lines: (readonly [string, string])[] = [];
    for (const [name, value] of this.#headers.values()) {
      if (typeof value === 'object') for (const line of value) lines.push([name, line]);
      else lines.push([name, value]);
    }
    return lines;
  }

  /** The headers in the order they were set, each once. @internal */
  get headerValues(): Iterable<readonly [name: string, value: HeaderValue]> {
    return this.#headers.values();
  }

  /**
   * Sets a header in place of any of the same name. A list is written as one line each, and an empty one is no header.
   *
   * @throws {TypeError} for what no header may hold, such as a line break
   */
  setHeader(name: string, value: HeaderValue): this {
    validateHeaderName(name);
    const key = name.toLowerCase();
    if (!Array.isArray(value)) {
      validateHeaderValue(name, value as string);
      this.#headers.set(key, [name, value]);
      return this;
    }
    // A copy: what is changed behind the check would not be checked.
    const values = [...value];
    for (const line of values) validateHeaderValue(name, line);
    if (values.length === 0) this.#headers.delete(key);
    else this.#headers.set(key, [name, values]);
    return this;
  }

  /**
   * Adds a cookie, in place of one of the same name, domain and path. RFC 6265 §4.1.
   *
   * @param value - any text: it is percent-encoded, and `Request.getCookie` decodes it
   * @throws {TypeError | RangeError} for what a browser would not take
   */
  setCookie(name: string, value: string, options: CookieOptions = {}): this {
    const line = formatCookie(name, value, options);
    const before = this.#headers.get(SET_COOKIE)?.[1] ?? [];
    const lines = typeof before === 'string' ? [before] : before;
    return this.setHeader('Set-Cookie', [...lines.filter((other) => !isSameCookie(other, line)), line]);
  }

  getBody(): Body {
    return this.#body ?? '';
  }

  /** @throws {TypeError} unless it is a string or bytes */
  setBody(body: Body): this {
    this.#body = checkBody(body);
    return this;
  }

  /** Forgets all that was set. @internal */
  clear(): void {
    this.#statusCode = undefined;
    this.#body = undefined;
    this.#headers.clear();
  }

  /** Whether a status was set. @internal */
  get hasStatus(): boolean {
    return this.#statusCode !== undefined;
  }

  /** Whether anything was set that is worth sending. @internal */
  get isSet(): boolean {
    return this.#statusCode !== undefined || this.#body !== undefined;
  }
}

/** Returns a body as it is. @throws {TypeError} when it is neither a string nor bytes, and would fail only when it is sent */
export function checkBody(body: Body): Body {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw notABody('a body', body);
}
