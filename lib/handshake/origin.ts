import { isHost } from './host.ts';
import type { UpgradeHead } from './upgrade.ts';

/**
 * Which pages may connect: `'same-origin'` (what asks from the host it asks for), `'*'` (all), a list of origins such as
 * `https://example.com`, or a function that decides. A request without Origin comes from no browser, and is let in
 * by all but a function.
 */
export type OriginRule =
  | 'same-origin'
  | '*'
  | readonly string[]
  | ((origin: string | undefined, request: UpgradeHead) => boolean);

const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http:', '80'],
  ['https:', '443'],
]);

/**
 * Tells whether a request may connect, by its Origin header. RFC 6455 §4.2.2 step 4 and §10.2.
 *
 * A browser sends a page's cookies along with a WebSocket to anywhere, and reads the answer: without this check any page
 * could act as its visitor (cross-site WebSocket hijacking).
 */
export function isOriginAllowed(rule: OriginRule, request: UpgradeHead): boolean {
  const origin = request.headers.origin;
  // Nothing but true: a function that forgot to be synchronous has returned a promise, which is no permission.
  if (typeof rule === 'function') return rule(origin, request) === true;
  if (origin === undefined || rule === '*') return true;
  if (rule === 'same-origin') return isSameOrigin(origin, request.headers.host);
  return rule.includes(origin);
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined || !isHost(host) || !URL.canParse(origin)) return false;
  const { protocol, hostname, port } = new URL(origin);
  const defaultPort = DEFAULT_PORTS.get(protocol);
  if (defaultPort === undefined || !URL.canParse(`${protocol}//${host}`)) return false;
  const asked = new URL(`${protocol}//${host}`);
  // A proxy that ends TLS may name the port that the browser left out, or leave out the one it named.
  return asked.hostname === hostname && (asked.port || defaultPort) === (port || defaultPort);
}
