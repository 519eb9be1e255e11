import { HandshakeError } from '../errors.ts';
import { type Extension, type ExtensionParameter, formatExtension, parseExtensions } from './extension-header.ts';

/**
 * The parameters of permessage-deflate. Section numbers are RFC 7692; RFC 6455 is written in full.
 */

/** The name under which the extension is registered, §7. */
const EXTENSION_NAME = 'permessage-deflate';

/** The least and the most that a window may have, §7.1.2. */
export const MIN_WINDOW_BITS = 8;
export const MAX_WINDOW_BITS = 15;

/** What was agreed on, for both directions. */
export interface DeflateParams {
  /** Whether the server starts each message it sends with an empty window, §7.1.1.1. */
  readonly serverNoContextTakeover: boolean;
  /** Whether the client does, §7.1.1.2. */
  readonly clientNoContextTakeover: boolean;
  /** The base-2 logarithm of the window that the server compresses with, 8 to 15, §7.1.2.1. */
  readonly serverMaxWindowBits: number;
  /** The same for the client, §7.1.2.2. */
  readonly clientMaxWindowBits: number;
}

/** What this endpoint wishes for; the peer may make it stricter. */
export type DeflateWishes = DeflateParams;

/** The parameters of one offer or answer, checked. Windows that were not named are `undefined`. */
interface NamedParams {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  serverMaxWindowBits: number | undefined;
  /** `true` for one without a value, which only an offer may have. */
  clientMaxWindowBits: number | true | undefined;
}

/** What a server agrees to. */
export interface DeflateAgreement {
  readonly params: DeflateParams;
  /** The element of Sec-WebSocket-Extensions that answers the offer. */
  readonly response: string;
}

/**
 * Chooses among the extensions that a client offers: the first offer of permessage-deflate whose parameters are all
 * known, valid and given once. Any other offer is declined, §7.1, which is no error.
 *
 * Every such offer can be met: a server may always add the `no_context_takeover` of either side (§7.1.1), and lower
 * its own window (§7.1.2.1). A client that did not offer to lower its window cannot be asked to (§7.1.2.2): it is asked
 * not to take over its context instead, so that no window is kept for it.
 */
export function acceptOffer(offers: readonly Extension[], wishes: DeflateWishes): DeflateAgreement | undefined {
  for (const { name, parameters } of offers) {
    const offer = name === EXTENSION_NAME ? checkParameters(parameters) : undefined;
    if (offer !== undefined) return answerOffer(offer, wishes);
  }
  return undefined;
}

function answerOffer(offer: NamedParams, wishes: DeflateWishes): DeflateAgreement {
  const offeredServerBits = offer.serverMaxWindowBits ?? MAX_WINDOW_BITS;
  const canLimitClient = offer.clientMaxWindowBits !== undefined;
  const offeredClientBits = typeof offer.clientMaxWindowBits === 'number' ? offer.clientMaxWindowBits : MAX_WINDOW_BITS;
  const clientMaxWindowBits = canLimitClient
    ? Math.min(offeredClientBits, wishes.clientMaxWindowBits)
    : MAX_WINDOW_BITS;
  const params = {
    serverNoContextTakeover: offer.serverNoContextTakeover || wishes.serverNoContextTakeover,
    clientNoContextTakeover:
      offer.clientNoContextTakeover ||
      wishes.clientNoContextTakeover ||
      clientMaxWindowBits > wishes.clientMaxWindowBits,
    serverMaxWindowBits: Math.min(offeredServerBits, wishes.serverMaxWindowBits),
    clientMaxWindowBits,
  };
  const parameters = formatTakeover(params);
  // §7.1.2.1: an offer with a window is accepted by naming one that is not larger.
  if (offer.serverMaxWindowBits !== undefined || params.serverMaxWindowBits < MAX_WINDOW_BITS) {
    parameters.push({ name: 'server_max_window_bits', value: String(params.serverMaxWindowBits) });
  }
  if (clientMaxWindowBits < MAX_WINDOW_BITS) {
    parameters.push({ name: 'client_max_window_bits', value: String(clientMaxWindowBits) });
  }
  return { params, response: formatExtension({ name: EXTENSION_NAME, parameters }) };
}

/** Writes the offer of a client: its wishes, and that the server may lower the client's window (§7.1.2.2). */
export function formatOffer(wishes: DeflateWishes): string {
  const parameters = formatTakeover(wishes);
  if (wishes.serverMaxWindowBits < MAX_WINDOW_BITS) {
    parameters.push({ name: 'server_max_window_bits', value: String(wishes.serverMaxWindowBits) });
  }
  const clientBits = wishes.clientMaxWindowBits < MAX_WINDOW_BITS ? String(wishes.clientMaxWindowBits) : undefined;
  parameters.push({ name: 'client_max_window_bits', value: clientBits });
  return formatExtension({ name: EXTENSION_NAME, parameters });
}

/**
 * Checks the server's Sec-WebSocket-Extensions against the offer that `formatOffer` made of the same wishes.
 *
 * @param header - the header, or `undefined` where the response has none
 * @param wishes - `undefined` when nothing was offered
 * @returns what was agreed on, or `undefined` when the server uses no extension
 * @throws {HandshakeError} WS_ERR_INVALID_EXTENSIONS when the server answers with what was not offered: the client then
 * fails the connection (RFC 6455 §4.1, §7.1)
 */
export function checkResponse(
  header: string | undefined,
  wishes: DeflateWishes | undefined,
): DeflateParams | undefined {
  if (header === undefined) return undefined;
  const extensions = parseExtensions(header);
  if (extensions === undefined) throw refuse('it is malformed');
  const [extension] = extensions;
  if (wishes === undefined || extensions.length !== 1 || extension!.name !== EXTENSION_NAME) {
    throw refuse('it names an extension that was not offered, or one twice');
  }
  const answer = checkParameters(extension!.parameters);
  if (answer === undefined || answer.clientMaxWindowBits === true) throw refuse('a parameter is not valid');
  const serverMaxWindowBits = answer.serverMaxWindowBits ?? MAX_WINDOW_BITS;
  // §7.1.1.1 and §7.1.2.1: what the client asks of the server is accepted or declined, not ignored.
  if (wishes.serverNoContextTakeover && !answer.serverNoContextTakeover) {
    throw refuse('server_no_context_takeover was asked for, and is missing');
  }
  if (serverMaxWindowBits > wishes.serverMaxWindowBits) {
    throw refuse(`server_max_window_bits is larger than the ${wishes.serverMaxWindowBits} that were asked for`);
  }
  // §7.1.2.2: without the parameter the client may use what window it likes.
  const clientMaxWindowBits = answer.clientMaxWindowBits ?? wishes.clientMaxWindowBits;
  if (clientMaxWindowBits > wishes.clientMaxWindowBits) {
    throw refuse(`client_max_window_bits is larger than the ${wishes.clientMaxWindowBits} that were offered`);
  }
  return {
    serverNoContextTakeover: answer.serverNoContextTakeover,
    clientNoContextTakeover: answer.clientNoContextTakeover || wishes.clientNoContextTakeover,
    serverMaxWindowBits,
    clientMaxWindowBits,
  };
}

function refuse(why: string): HandshakeError {
  const message = `the server's Sec-WebSocket-Extensions does not fit what was offered: ${why} (RFC 7692 §7.1)`;
  return new HandshakeError(101, message, 'handshake', 'WS_ERR_INVALID_EXTENSIONS');
}

function formatTakeover(params: DeflateParams): ExtensionParameter[] {
  const parameters: ExtensionParameter[] = [];
  if (params.serverNoContextTakeover) parameters.push({ name: 'server_no_context_takeover', value: undefined });
  if (params.clientNoContextTakeover) parameters.push({ name: 'client_no_context_takeover', value: undefined });
  return parameters;
}

/** Reads the parameters of one element; `undefined` if one is unknown, has a value it may not have, or comes twice. */
function checkParameters(parameters: readonly ExtensionParameter[]): NamedParams | undefined {
  const named: NamedParams = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  for (const { name, value } of parameters) {
    const bits = value === undefined ? undefined : parseWindowBits(value);
    switch (name) {
      case 'server_no_context_takeover':
        if (named.serverNoContextTakeover || value !== undefined) return undefined;
        named.serverNoContextTakeover = true;
        break;
      case 'client_no_context_takeover':
        if (named.clientNoContextTakeover || value !== undefined) return undefined;
        named.clientNoContextTakeover = true;
        break;
      case 'server_max_window_bits':
        if (named.serverMaxWindowBits !== undefined || bits === undefined) return undefined;
        named.serverMaxWindowBits = bits;
        break;
      case 'client_max_window_bits':
        if (named.clientMaxWindowBits !== undefined || (bits === undefined && value !== undefined)) return undefined;
        named.clientMaxWindowBits = bits ?? true;
        break;
      default:
        return undefined;
    }
  }
  return named;
}

/** §7.1.2: a decimal integer without leading zeros, from 8 to 15. */
function parseWindowBits(value: string): number | undefined {
  const bits = Number(value);
  const isInRange = Number.isInteger(bits) && bits >= MIN_WINDOW_BITS && bits <= MAX_WINDOW_BITS;
  return isInRange && String(bits) === value ? bits : undefined;
}
