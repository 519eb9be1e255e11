/**
 * A server that says why its clients have gone: a line of log for each.
 *
 *     node --import tsx docs/examples/endings.ts
 */
import { Server } from 'hyperlane-ws';

const server = new Server({ origins: '*', maxMessageBytes: 1000 });

// #region closed
const here = new Set<string>();

server.upgradeMiddleware((ctx) => void ctx.setAttribute('name', ctx.getRequestQuery('name') ?? 'guest'));
server.onWebsocketConnected((ctx) => void here.add(ctx.getAttribute<string>('name')!));
server.onWebsocketClosed((ctx, end) => {
  const name = ctx.getAttribute<string>('name')!;
  here.delete(name);
  const { by, cause, code, durationMs, error, traffic } = end;
  const why = error === undefined ? cause : `${cause}: ${error.code}`;
  console.log(`${name} is gone, by the ${by} (${why}), code ${code}, after ${durationMs} ms`);
  console.log(`${traffic.messagesReceived} messages in, ${traffic.messagesSent} out; ${here.size} are here`);
});
// #endregion closed

server.route('/websocket', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server that knows why on port ${server.address()?.port}`);
