/**
 * Koa with koa-session: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks && node --import tsx docs/examples/frameworks/koa.ts
 */
// #region koa
import { ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { Server } from 'hyperlane-ws';
import Koa from 'koa';
import session from 'koa-session';

const app = new Koa();
app.keys = ['change this'];
const withSession = session({}, app);
app.use(withSession);
app.use(async (ctx) => {
  if (ctx.method === 'POST' && ctx.path === '/login') {
    const { user } = (await json(ctx.req)) as { user: string };
    ctx.session!.user = user;
    ctx.body = { user };
  } else if (ctx.path === '/') {
    ctx.body = 'from Koa';
  }
});

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  const request = ctx.getHttpRequest();
  const koaContext = app.createContext(request, new ServerResponse(request));
  await withSession(koaContext, async () => {});
  const user = koaContext.session?.user;
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
// #endregion koa
