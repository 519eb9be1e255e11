import type { Buffer } from 'node:buffer';
import { isTokenChar, listHasToken } from './header-list.ts';
import type { UpgradeHead } from './upgrade.ts';

/** More header lines than any browser sends; a request that has more is left to node:http. */
const MAX_HEADERS = 64;
const CHAR_TAB = 0x09;
const CHAR_LF = 0x0a;
const CHAR_CR = 0x0d;
const CHAR_SPACE = 0x20;
const CHAR_SLASH = 0x2f;
const CHAR_COLON = 0x3a;
const CHAR_DEL = 0x7f;
const METHOD = 'GET ';
const VERSION = ' HTTP/1.1';

/** Headers that change how a request is to be read, or that ask for an answer of their own. */
const LEFT_TO_HTTP: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'expect', 'te', 'trailer']);

/** The head of a request that was parsed here. */
export interface ParsedHead extends UpgradeHead {
  readonly method: string;
  readonly url: string;
  /** The lines of the head, from which `parseHeaderLines` makes the headers again: all that is worth keeping. */
  readonly lines: string;
  /** Length of the head in bytes, the empty line included. */
  readonly bytes: number;
}

/**
 * Parses the head of an upgrade request that came whole and plain, as browsers and clients send it: one pass, no
 * tolerance. Anything else is not an error, but left to node:http: what it cannot read without a doubt, what is no
 * GET or asks for no upgrade, what repeats a header, and what came in pieces. RFC 9112 §2 to §5.
 *
 * @param chunk - the first bytes of a connection; not kept
 * @param maxBytes - the largest head that is taken
 * @returns the head, or `undefined` for node:http to answer
 */
export function parseUpgradeHead(chunk: Buffer, maxBytes: number): ParsedHead | undefined {
  if (chunk.length < 4 || chunk[0] !== 0x47 /* G */) return undefined;
  const headEnd = chunk.indexOf('\r\n\r\n');
  if (headEnd === -1 || headEnd + 4 > maxBytes) return undefined;
  const text = chunk.toString('latin1', 0, headEnd + 2);

  const lineEnd = text.indexOf('\r\n');
  const url = parseRequestLine(text, lineEnd);
  if (url === undefined) return undefined;
  const headers = parseHeaders(text, lineEnd + 2);
  // Without both it is a plain request, whatever it may have meant (RFC 9110 §7.8).
  if (headers?.upgrade === undefined || !hasUpgradeToken(headers.connection)) return undefined;
  return { method: 'GET', url, httpVersionMajor: 1, httpVersionMinor: 1, headers, lines: text, bytes: headEnd + 4 };
}

/** The headers in the lines of a head that was parsed before. */
export function parseHeaderLines(lines: string): UpgradeHead['headers'] {
  return parseHeaders(lines, lines.indexOf('\r\n') + 2)!;
}

/** Reads `GET /target HTTP/1.1` and returns the target. */
function parseRequestLine(text: string, lineEnd: number): string | undefined {
  const targetEnd = lineEnd - VERSION.length;
  if (!text.startsWith(METHOD) || !text.startsWith(VERSION, targetEnd)) return undefined;
  if (targetEnd <= METHOD.length || text.charCodeAt(METHOD.length) !== CHAR_SLASH) return undefined;
  for (let i = METHOD.length; i < targetEnd; i++) {
    const char = text.charCodeAt(i);
    if (char <= CHAR_SPACE || char >= CHAR_DEL) return undefined;
  }
  return text.slice(METHOD.length, targetEnd);
}

/** Reads the header lines from `position` to the end of `text`. */
function parseHeaders(text: string, start: number): UpgradeHead['headers'] | undefined {
  const headers: Record<string, string> = Object.create(null);
  let position = start;
  for (let count = 0; position < text.length; count++) {
    if (count === MAX_HEADERS) return undefined;
    let colon = position;
    while (isTokenChar(text.charCodeAt(colon))) colon++;
    if (colon === position || text.charCodeAt(colon) !== CHAR_COLON) return undefined;
    const name = text.slice(position, colon).toLowerCase();
    if (headers[name] !== undefined || LEFT_TO_HTTP.has(name)) return undefined;

    const lineEnd = findValueEnd(text, colon + 1);
    if (lineEnd === -1) return undefined;
    headers[name] = trimValue(text, colon + 1, lineEnd);
    position = lineEnd + 2;
  }
  return headers;
}

/** The offset of the line break behind a value of visible ASCII, spaces and tabs; -1 if there is anything else in it. */
function findValueEnd(text: string, start: number): number {
  let i = start;
  for (;;) {
    const char = text.charCodeAt(i);
    if (char === CHAR_CR) return text.charCodeAt(i + 1) === CHAR_LF ? i : -1;
    if ((char < CHAR_SPACE && char !== CHAR_TAB) || char >= CHAR_DEL) return -1;
    i++;
  }
}

function hasUpgradeToken(connection: string | string[] | undefined): boolean {
  return typeof connection === 'string' && listHasToken(connection, 'upgrade');
}

function trimValue(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(char: number): boolean {
  return char === CHAR_SPACE || char === CHAR_TAB;
}
