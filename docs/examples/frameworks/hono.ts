/**
 * Hono on Node, with a signed cookie: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks && node --import tsx docs/examples/frameworks/hono.ts
 */
// #region hono
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
import { Server } from 'hyperlane-ws';

const SECRET = 'change this';

const app = new Hono();
app.post('/login', async (c) => {
  const { user } = await c.req.json<{ user: string }>();
  await setSignedCookie(c, 'user', user, SECRET, { httpOnly: true, sameSite: 'Lax' });
  return c.json({ user });
});
app.get('/me', async (c) => {
  const user = await getSignedCookie(c, SECRET, 'user');
  return user ? c.json({ user }) : c.text('log in first', 401);
});
app.get('/', (c) => c.text('from Hono'));

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  // The application itself says who that is, with all its middleware.
  const me = await app.request('/me', { headers: { cookie: ctx.getRequestHeader('cookie') ?? '' } });
  if (!me.ok) return void (await ctx.sendResponse(me.status, await me.text()));
  const { user } = (await me.json()) as { user: string };
  ctx.setAttribute('user', user);
});
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(`${ctx.getAttribute('user')}: ${ctx.getRequestBodyString()}`);
});

const httpServer = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, (address) => {
  console.log('listening on', address);
});
server.attach(httpServer);

process.once('SIGTERM', async () => {
  httpServer.close();
  await server.close();
});
// #endregion hono
