import { HandshakeError } from '../errors.ts';
import { type HostRule, isHost, isHostAllowed } from './host.ts';
import type { UpgradeHead } from './upgrade.ts';

/**
 * Checks the header Host of an upgrade request, which must stand once, and be a host: RFC 6455 §4.2.1 item 2, RFC 9112 §3.2.
 *
 * @throws {HandshakeError} 400, or 421 for a host that the server does not answer to
 */
export function checkUpgradeHost(request: UpgradeHead, hosts: HostRule): void {
  const { host } = request.headers;
  if (host === undefined) throw new HandshakeError(400, 'the header Host is missing (§4.2.1)', 'handshake');
  // The host of ws: and http: is never empty (RFC 6455 §3, RFC 9110 §4.2.1).
  if (!isHost(host)) throw new HandshakeError(400, 'the header Host must be a host and a port (§4.2.1)', 'handshake');
  checkHost(request, hosts);
}

/**
 * Checks the header Host of a plain request, which may be missing before HTTP/1.1. RFC 9112 §3.2.
 *
 * @throws {HandshakeError} 400, or 421 for a host that the server does not answer to
 */
export function checkHost(request: UpgradeHead, hosts: HostRule): void {
  const { host } = request.headers;
  if (host === undefined && request.httpVersionMajor === 1 && request.httpVersionMinor === 1) {
    throw new HandshakeError(400, 'the header Host is missing (RFC 9112 §3.2)', 'handshake');
  }
  if (countHosts(request.rawHeaders ?? []) > 1) {
    throw new HandshakeError(400, 'the header Host must stand once (RFC 9112 §3.2)', 'handshake');
  }
  if (!isHostAllowed(hosts, host)) {
    throw new HandshakeError(421, 'this server does not answer to this host; its option hosts allows more', 'host');
  }
}

/** @param rawHeaders - names and values by turns */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}
