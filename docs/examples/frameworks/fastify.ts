/**
 * Fastify 5 with @fastify/session: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks && node --import tsx docs/examples/frameworks/fastify.ts
 */
// #region fastify
import cookie from '@fastify/cookie';
import session from '@fastify/session';
import createFastify, { type Session } from 'fastify';
import { Server } from 'hyperlane-ws';

declare module 'fastify' {
  interface Session {
    user?: string;
  }
}

const fastify = createFastify();
await fastify.register(cookie);
await fastify.register(session, { secret: 'change this, it needs 32 characters', cookie: { secure: 'auto' } });
fastify.post<{ Body: { user: string } }>('/login', async (request) => {
  request.session.user = String(request.body.user);
  return { user: request.session.user };
});
fastify.get('/', async () => 'from Fastify');

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  const { sessionId } = fastify.parseCookie(ctx.getRequestHeader('cookie') ?? '');
  const request: { session?: Session } = {};
  await new Promise<void>((resolve, reject) => {
    fastify.decryptSession(sessionId ?? '', request, (error) => (error ? reject(error) : resolve()));
  });
  const user = request.session?.user;
  if (user === undefined) await ctx.sendResponse(401, 'log in first');
  else ctx.setAttribute('user', user);
});
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(`${ctx.getAttribute('user')}: ${ctx.getRequestBodyString()}`);
});

server.attach(fastify.server);
// Before Fastify waits for its connections, which WebSockets are too.
fastify.addHook('preClose', async () => {
  await server.close();
});

await fastify.listen({ port: Number(process.env.PORT ?? 3000) });
console.log('listening on', fastify.server.address());

process.once('SIGTERM', () => fastify.close());
// #endregion fastify
