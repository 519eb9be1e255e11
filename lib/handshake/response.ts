import { Buffer } from 'node:buffer';
import { acceptKey } from './accept-key.ts';
import { WEBSOCKET_VERSION } from './upgrade.ts';

const EMPTY = Buffer.alloc(0);

/** A header line to be written. */
export type HeaderLine = readonly [name: string, value: string];

/** Statuses a refusal is likely to have; others go by their number alone, which RFC 9112 §4 allows. */
const REASON_PHRASES: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [408, 'Request Timeout'],
  [413, 'Content Too Large'],
  [421, 'Misdirected Request'],
  [426, 'Upgrade Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
]);

/** Headers that a refusal must carry: what would be right. RFC 9110 §15.5.6 and §15.5.22, RFC 6455 §4.4. */
const STATUS_HEADERS: ReadonlyMap<number, readonly HeaderLine[]> = new Map([
  [405, [['Allow', 'GET']]],
  [
    426,
    [
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', WEBSOCKET_VERSION],
    ],
  ],
]);

/**
 * Writes the head that opens a WebSocket. RFC 6455 §4.2.2 step 5.
 *
 * @param key - the client's Sec-WebSocket-Key
 * @param headers - further lines, such as Sec-WebSocket-Protocol or Set-Cookie; the caller has checked that they hold
 * no line breaks
 */
export function formatAccept(key: string, headers: readonly HeaderLine[]): string {
  return formatHead('101 Switching Protocols', [
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Accept', acceptKey(key)],
    ...headers,
  ]);
}

/** Headers of a refusal that are written here, whatever was given: a body of another length would be another response. */
const OWN_HEADERS: ReadonlySet<string> = new Set(['connection', 'content-length', 'transfer-encoding']);

/** Statuses of responses that have no content, and no header that says so. RFC 9110 §8.6, §15.3.5 and §15.4.5. */
const WITHOUT_CONTENT: ReadonlySet<number> = new Set([204, 304]);
/** Reset Content: it has none either, and says so. RFC 9110 §15.3.6. */
const RESET_CONTENT = 205;

/** Tells whether a response of this status has no content, whatever was set. */
export function hasNoContent(status: number): boolean {
  return status === RESET_CONTENT || WITHOUT_CONTENT.has(status);
}

/** Tells whether a response of this status is to say how long its content is, be it 0. */
export function hasLength(status: number): boolean {
  return !WITHOUT_CONTENT.has(status);
}

/**
 * Writes a whole HTTP response that refuses an upgrade, after which the connection is to be closed.
 *
 * @param method - that of the request: to HEAD only the head is sent
 */
export function formatRefusal(
  status: number,
  body: string | Uint8Array,
  headers: readonly HeaderLine[] = [],
  method: string = 'GET',
): Buffer {
  const bytes = hasNoContent(status) ? EMPTY : typeof body === 'string' ? Buffer.from(body) : body;
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  const lines: HeaderLine[] = [['Connection', status === 426 ? 'Upgrade, close' : 'close']];
  if (hasLength(status)) lines.push(['Content-Length', String(bytes.byteLength)]);
  if (!hasNoContent(status) && !given.has('content-type')) lines.push(['Content-Type', 'text/plain; charset=utf-8']);
  const head = formatHead(`${status} ${REASON_PHRASES.get(status) ?? ''}`, [
    ...lines,
    ...(STATUS_HEADERS.get(status) ?? []).filter(([name]) => !given.has(name.toLowerCase())),
    ...headers.filter(([name]) => !OWN_HEADERS.has(name.toLowerCase())),
  ]);
  return Buffer.concat([Buffer.from(head, 'latin1'), method === 'HEAD' ? EMPTY : bytes]);
}

function formatHead(statusLine: string, headers: readonly HeaderLine[]): string {
  let head = `HTTP/1.1 ${statusLine}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}
