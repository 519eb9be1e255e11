import { HandshakeError, InvalidStateError } from '../errors.ts';
import type { DeflateOptions } from '../extensions/deflate-options.ts';
import { type Extension, parseExtensions } from '../extensions/extension-header.ts';
import { acceptDeflate, type PerMessageDeflate } from '../extensions/permessage-deflate.ts';
import type { HostRule } from '../handshake/host.ts';
import type { OriginRule } from '../handshake/origin.ts';
import { formatAccept, type HeaderLine } from '../handshake/response.ts';
import { chooseSubprotocol, type SubprotocolRule } from '../handshake/subprotocol.ts';
import { checkUpgrade, type UpgradeHead, type UpgradeRequest } from '../handshake/upgrade.ts';
import { show } from '../wording.ts';
import type { Response } from './response.ts';

/** Header lines of the 101 that the handshake writes itself, or that it may not have. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'upgrade',
  'connection',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
  'content-length',
  'transfer-encoding',
]);

/** What a valid upgrade request asks for, with the extensions that it offers. */
export interface ServerUpgrade extends UpgradeRequest {
  readonly offers: readonly Extension[];
}

/** What a server may agree to. */
export interface AcceptOptions {
  readonly subprotocols: SubprotocolRule;
  /** `undefined`: messages are not compressed. */
  readonly perMessageDeflate: DeflateOptions | undefined;
}

/** The answer that opens a WebSocket. */
export interface Acceptance {
  /** The head of the 101. */
  readonly head: string;
  /** The subprotocol that was chosen, empty for none. */
  readonly subprotocol: string;
  /** How messages are compressed, if that was agreed on. To be closed with the connection. */
  readonly compression: PerMessageDeflate | undefined;
}

/**
 * Checks a request that asks for an upgrade. RFC 6455 §4.2.1 and §9.1.
 *
 * @throws {HandshakeError} with the HTTP status of the refusal
 */
export function readUpgrade(request: UpgradeHead, origins: OriginRule, hosts: HostRule = '*'): ServerUpgrade {
  const upgrade = checkUpgrade(request, origins, hosts);
  const header = request.headers['sec-websocket-extensions'];
  const offers = typeof header === 'string' ? parseExtensions(header) : [];
  if (offers === undefined) {
    throw new HandshakeError(
      400,
      'the header Sec-WebSocket-Extensions must be a list of extensions (§9.1)',
      'handshake',
    );
  }
  return { ...upgrade, offers };
}

/**
 * Writes the answer to an upgrade request: what the server's rule or an upgrade middleware chose, and the headers that
 * the middleware set.
 *
 * @throws {InvalidStateError} WS_ERR_INVALID_SUBPROTOCOL
 */
export function acceptUpgrade(upgrade: ServerUpgrade, response: Response, options: AcceptOptions): Acceptance {
  const { subprotocols, perMessageDeflate } = options;
  const chosen =
    response.getHeader('sec-websocket-protocol') ?? chooseSubprotocol(subprotocols, upgrade.subprotocols) ?? '';
  if (chosen !== '' && !upgrade.subprotocols.includes(chosen)) {
    throw notOffered(chosen, upgrade.subprotocols);
  }
  const headers: HeaderLine[] = chosen === '' ? [] : [['Sec-WebSocket-Protocol', chosen]];
  for (const line of response.getHeaders()) {
    if (!OWN_HEADERS.has(line[0].toLowerCase())) headers.push(line);
  }
  const deflate = perMessageDeflate && acceptDeflate(upgrade.offers, perMessageDeflate);
  if (deflate !== undefined) headers.push(['Sec-WebSocket-Extensions', deflate.response]);
  return { head: formatAccept(upgrade.key, headers), subprotocol: chosen, compression: deflate?.compression };
}

function notOffered(chosen: string, offered: readonly string[]): InvalidStateError {
  const offer = offered.length === 0 ? 'it offered none' : `it offered ${offered.slice(0, 10).join(', ')}`;
  const advice = 'choose one of these, or set no Sec-WebSocket-Protocol';
  return new InvalidStateError(
    'WS_ERR_INVALID_SUBPROTOCOL',
    `the subprotocol ${show(chosen)} is not one that the client offered (§4.2.2): ${offer}; ${advice}`,
  );
}
