import { HandshakeError } from '../errors.ts';
import { isValidKey } from './accept-key.ts';
import { checkUpgradeHost } from './check-host.ts';
import { listHasToken, parseTokenList } from './header-list.ts';
import type { HostRule } from './host.ts';
import { isOriginAllowed, type OriginRule } from './origin.ts';

/** The head of a request, as `node:http` gives it: header names in lower case, repeated headers joined by commas. */
export interface UpgradeHead {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>> & {
    readonly host?: string | undefined;
    readonly origin?: string | undefined;
  };
  /** Names and values by turns, as they came: `node:http` keeps the first Host, and hides the others. */
  readonly rawHeaders?: readonly string[] | undefined;
}

/** What a valid upgrade request asks for. */
export interface UpgradeRequest {
  /** Sec-WebSocket-Key, as sent. */
  readonly key: string;
  /** The subprotocols that the client offers, in its order of preference. */
  readonly subprotocols: readonly string[];
}

/** The only version of the protocol, RFC 6455 §4.1 item 9; the drafts before it are not served. */
export const WEBSOCKET_VERSION = '13';

/**
 * Checks a request that asks for an upgrade. RFC 6455 §4.2.1.
 *
 * @throws {HandshakeError} with the HTTP status of the refusal: 400, 403 (origin), 405 (method), 421 (host),
 * 426 (version)
 */
export function checkUpgrade(request: UpgradeHead, origins: OriginRule, hosts: HostRule = '*'): UpgradeRequest {
  if (request.method !== 'GET') throw new HandshakeError(405, 'a WebSocket is opened with GET (§4.2.1)', 'handshake');
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor < 1) {
    throw new HandshakeError(400, 'a WebSocket is opened over HTTP/1.1 (§4.2.1)', 'handshake');
  }
  // Any header may be missing, even the one that made this an upgrade: servers limit how many they keep.
  if (header(request, 'upgrade')?.toLowerCase() !== 'websocket') {
    throw new HandshakeError(400, 'the header Upgrade must be "websocket" (§4.2.1)', 'handshake');
  }
  if (!listHasToken(header(request, 'connection') ?? '', 'upgrade')) {
    throw new HandshakeError(400, 'the header Connection must contain "Upgrade" (§4.2.1)', 'handshake');
  }
  checkUpgradeHost(request, hosts);
  // What follows the head is taken for frames, here; to a proxy in between it would be the body, and what follows that.
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) !== 0) {
    throw new HandshakeError(400, 'an upgrade request has no body', 'handshake');
  }
  const version = header(request, 'sec-websocket-version');
  if (version === undefined)
    throw new HandshakeError(400, 'the header Sec-WebSocket-Version is missing (§4.2.1)', 'handshake');
  if (version !== WEBSOCKET_VERSION) {
    throw new HandshakeError(426, `the header Sec-WebSocket-Version must be ${WEBSOCKET_VERSION} (§4.4)`, 'version');
  }
  const key = header(request, 'sec-websocket-key');
  if (key === undefined || !isValidKey(key)) {
    throw new HandshakeError(400, 'the header Sec-WebSocket-Key must be 16 bytes in base64 (§4.2.1)', 'handshake');
  }
  if (!isOriginAllowed(origins, request)) {
    throw new HandshakeError(
      403,
      'pages of this origin may not connect; the option origins of the server allows more',
      'origin',
    );
  }
  return { key, subprotocols: parseSubprotocols(header(request, 'sec-websocket-protocol')) };
}

/** Reads Sec-WebSocket-Protocol: one token or more, each once. RFC 6455 §4.1 item 10. */
function parseSubprotocols(text: string | undefined): string[] {
  if (text === undefined) return [];
  const names = parseTokenList(text);
  if (names === undefined || names.length === 0 || new Set(names).size !== names.length) {
    throw new HandshakeError(
      400,
      'the header Sec-WebSocket-Protocol must be a list of different names (§4.1)',
      'handshake',
    );
  }
  return names;
}

function header(request: UpgradeHead, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
