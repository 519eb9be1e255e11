/**
 * Who may open a WebSocket is decided before it is open.
 *
 *     node --import tsx docs/examples/auth.ts
 *
 * ws://localhost:60000/me?token=secret-of-ada opens; without a token the answer is 401.
 */
import { Server } from 'hyperlane-ws';

const users = new Map([
  ['secret-of-ada', 'Ada'],
  ['secret-of-alan', 'Alan'],
]);

const server = new Server({ origins: '*' });

// #region middleware
server.upgradeMiddleware(async (ctx) => {
  const token = ctx.getRequestQuery('token') ?? '';
  const user = users.get(token);
  if (user === undefined) {
    ctx.setResponseHeader('WWW-Authenticate', 'Bearer');
    await ctx.sendResponse(401, 'give a token in the query: ?token=…');
    return;
  }
  ctx.setAttribute('user', user);
});

server.onWebsocketConnected(async (ctx) => {
  await ctx.sendResponseBody(`Hello, ${ctx.getAttribute<string>('user')}.`);
});

server.route('/me', async (ctx) => {
  await ctx.sendResponseBody(`${ctx.getAttribute<string>('user')} said: ${ctx.getRequestBodyString()}`);
});
// #endregion middleware

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`auth server on port ${server.address()?.port}`);
