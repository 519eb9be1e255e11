import { InvalidStateError } from '../errors.ts';
import { formatAccept, type HeaderLine } from '../handshake/response.ts';
import { chooseSubprotocol, type SubprotocolRule } from '../handshake/subprotocol.ts';
import type { UpgradeRequest } from '../handshake/upgrade.ts';
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

/** The answer that opens a WebSocket. */
export interface Acceptance {
  /** The head of the 101. */
  readonly head: string;
  /** The subprotocol that was chosen, empty for none. */
  readonly subprotocol: string;
}

/**
 * Writes the answer to an upgrade request: what the server's rule or an upgrade middleware chose, and the headers that
 * the middleware set.
 *
 * @throws {InvalidStateError} WS_ERR_INVALID_SUBPROTOCOL
 */
export function acceptUpgrade(upgrade: UpgradeRequest, response: Response, rule: SubprotocolRule): Acceptance {
  const chosen = response.getHeader('sec-websocket-protocol') ?? chooseSubprotocol(rule, upgrade.subprotocols) ?? '';
  if (chosen !== '' && !upgrade.subprotocols.includes(chosen)) {
    throw new InvalidStateError('WS_ERR_INVALID_SUBPROTOCOL');
  }
  const headers: HeaderLine[] = chosen === '' ? [] : [['Sec-WebSocket-Protocol', chosen]];
  for (const line of response.getHeaders()) {
    if (!OWN_HEADERS.has(line[0].toLowerCase())) headers.push(line);
  }
  return { head: formatAccept(upgrade.key, headers), subprotocol: chosen };
}
