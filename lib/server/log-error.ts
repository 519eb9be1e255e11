import { show } from '../wording.ts';
import type { Context } from './context.ts';

/** What is told of the errors of handlers unless `errorHandle` says otherwise: prints them, and where they come from. */
export function logError(error: unknown, ctx?: Context): void {
  const where = ctx === undefined ? '' : ` ${whereabouts(ctx)}`;
  if (error instanceof Error) console.error('%s', `hyperlane-ws: an error${where}:`, error);
  // It has no stack, so that this is all there is to find it by.
  else console.error('%s', `hyperlane-ws: ${show(error)} was thrown${where}, and is no Error: throw new Error(…)`);
}

/** Of which request: its path, which the peer chose, is quoted. */
function whereabouts(ctx: Context): string {
  const address = ctx.getSocketAddr();
  const peer = address === undefined ? '' : ` from ${address.address} port ${address.port}`;
  const request = ctx.isWebSocket() ? 'a WebSocket' : `${ctx.getRequestMethod()}`;
  return `in a handler of ${request} ${show(ctx.getRequestPath())}${peer}`;
}
