/**
 * Next with a server of your own, and a session of iron-session: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks && node --import tsx docs/examples/frameworks/next.ts
 */
// #region next
import { createServer, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Server } from 'hyperlane-ws';
import { getIronSession } from 'iron-session';
import next from 'next';
import { type Session, sessionOptions } from './next-app/session.js';

const httpServer = createServer((request, response) => handle(request, response));
const app = next({
  dev: process.env.NODE_ENV !== 'production',
  dir: process.env.NEXT_DIR ?? fileURLToPath(new URL('next-app', import.meta.url)),
  httpServer,
});
const handle = app.getRequestHandler();
await app.prepare();

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  const request = ctx.getHttpRequest();
  const { user } = await getIronSession<Session>(request, new ServerResponse(request), sessionOptions);
  if (user === undefined) await ctx.sendResponse(401, 'log in first');
  else ctx.setAttribute('user', user);
});
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(`${ctx.getAttribute('user')}: ${ctx.getRequestBodyString()}`);
});
server.attach(httpServer);

httpServer.listen(Number(process.env.PORT ?? 3000), () => {
  console.log('listening on', httpServer.address());
});

process.once('SIGTERM', async () => {
  httpServer.close();
  await server.close();
  await app.close();
  // In development Next goes on watching files.
  process.exit();
});
// #endregion next
