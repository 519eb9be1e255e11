import type { RefusalReason } from '../errors.ts';
import { warn } from '../warnings.ts';
import type { Request } from './request.ts';

/** An upgrade request that was refused. */
export interface Refusal {
  /** The HTTP status that the client got. */
  readonly status: number;
  /** Why, in one stable word. */
  readonly reason: RefusalReason;
  /** The body that the client got, where it is text. */
  readonly message: string;
  /** The path that was asked for, decoded as for routes. */
  readonly path: string;
  /** The page that asked, as browsers name it; `undefined` where no browser did. */
  readonly origin: string | undefined;
}

/** User code that is told of a refused upgrade request, when it is answered. It may return a promise. */
export type RefusedHandler = (request: Request, refusal: Refusal) => void | Promise<void>;

/** What is said of an upgrade to a route that is for plain HTTP. */
export const NOT_FOR_WEBSOCKETS = 'the route of this path is not for WebSockets';

/** How much is shown of what a client has sent. */
const MAX_SHOWN = 200;

/**
 * Warns of refused upgrades where nobody listens: once for each reason, so that no client can fill a log. What the
 * application has refused itself, or is told of otherwise, is no surprise, and not warned of.
 */
export class RefusalWarnings {
  readonly #warned = new Set<RefusalReason>();

  /** @param host - what the client asked for in the header Host */
  warn({ reason, status, message, path, origin }: Refusal, host: string | undefined): void {
    if (this.#warned.has(reason)) return;
    const why = explain(reason, message, path, origin, host);
    if (why === undefined) return;
    this.#warned.add(reason);
    warn('WS_WARN_UPGRADE_REFUSED', `an upgrade to ${shown(path)} was refused with ${status}: ${why}`);
  }
}

/** The cause and the cure of a refusal; `undefined` where nothing is to be said. */
function explain(
  reason: RefusalReason,
  message: string,
  path: string,
  origin: string | undefined,
  host: string | undefined,
): string | undefined {
  switch (reason) {
    case 'middleware':
    case 'error':
    case 'shutdown':
      return undefined;
    case 'route':
      if (message === NOT_FOR_WEBSOCKETS) return `${message}: it was given only: 'http'`;
      return `no route has this path; server.route(${shown(path)}, handler) adds one`;
    case 'origin': {
      if (origin === undefined) return 'the function of the option origins lets nobody in who names no origin';
      return (
        `pages of ${shown(origin)} may not connect to ${shown(host ?? '')}; if they are yours, new Server({ origins: [${shown(origin)}] }) ` +
        'lets them in: see "A page on another port in development" in the documentation'
      );
    }
    case 'host':
      return `it asked for the host ${shown(host ?? '')}, and the option hosts does not name that`;
    case 'timeout':
      return `${message}; the option handshakeTimeoutMs allows more`;
    default:
      return message;
  }
}

/** What a client has sent, as text between quotes that holds nothing which a terminal could take for more. */
function shown(text: string): string {
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return `'${short.replace(/[^ -~…]|['\\]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`;
}
