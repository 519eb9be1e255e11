import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { parseHeaderLines } from '../handshake/request-parser.ts';

/**
 * Makes a request of node:http from the lines of a head that was read at the door: for the middleware of others, which
 * takes nothing else. It has no body.
 *
 * @param lines - request line and headers, which were found valid
 */
export function makeHttpRequest(lines: string, socket: Socket): IncomingMessage {
  const [requestLine, ...headerLines] = lines.trimEnd().split('\r\n') as [string, ...string[]];
  const headers = parseHeaderLines(lines) as Record<string, string>;
  const request = new IncomingMessage(socket);
  request.method = 'GET';
  request.url = requestLine.split(' ')[1]!;
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.httpVersion = '1.1';
  request.headers = { ...headers };
  request.headersDistinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  request.rawHeaders = headerLines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  request.complete = true;
  request.push(null);
  return request;
}
