/**
 * Express 5 with express-session: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks && node --import tsx docs/examples/frameworks/express.ts
 */
// #region express
import { ServerResponse } from 'node:http';
import express, { type Request, type Response } from 'express';
import session from 'express-session';
import { Server } from 'hyperlane-ws';

declare module 'express-session' {
  interface SessionData {
    user: string;
  }
}

const app = express();
const withSession = session({ secret: 'change this', resave: false, saveUninitialized: false });
app.use(withSession);
app.post('/login', express.json(), (request, response) => {
  request.session.user = String(request.body.user);
  response.json({ user: request.session.user });
});
app.get('/', (_request, response) => {
  response.send('from Express');
});

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  const request = ctx.getHttpRequest() as Request;
  const response = new ServerResponse(request) as Response;
  await new Promise<void>((resolve, reject) => {
    withSession(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
  const { user } = request.session;
  if (user === undefined) await ctx.sendResponse(401, 'log in first');
  else ctx.setAttribute('user', user);
});
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(`${ctx.getAttribute('user')}: ${ctx.getRequestBodyString()}`);
});

const httpServer = app.listen(Number(process.env.PORT ?? 3000), () => {
  console.log('listening on', httpServer.address());
});
server.attach(httpServer);

process.once('SIGTERM', async () => {
  httpServer.close();
  await server.close();
});
// #endregion express
