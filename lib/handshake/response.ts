import { Buffer } from 'node:buffer';
import { acceptKey } from './accept-key.ts';
import { WEBSOCKET_VERSION } from './upgrade.ts';

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

/** Writes a whole HTTP response that refuses an upgrade, after which the connection is to be closed. */
export function formatRefusal(status: number, body: string | Uint8Array, headers: readonly HeaderLine[] = []): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  const type: readonly HeaderLine[] = given.has('content-type') ? [] : [['Content-Type', 'text/plain; charset=utf-8']];
  const head = formatHead(`${status} ${REASON_PHRASES.get(status) ?? ''}`, [
    ['Connection', status === 426 ? 'Upgrade, close' : 'close'],
    ['Content-Length', String(bytes.byteLength)],
    ...type,
    ...(STATUS_HEADERS.get(status) ?? []).filter(([name]) => !given.has(name.toLowerCase())),
    ...headers.filter(([name]) => !OWN_HEADERS.has(name.toLowerCase())),
  ]);
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

function formatHead(statusLine: string, headers: readonly HeaderLine[]): string {
  let head = `HTTP/1.1 ${statusLine}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}
