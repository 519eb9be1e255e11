/**
 * Who is connected: a message to one user, a list for the operator, and the end of a connection.
 *
 *     node --import tsx docs/examples/connections.ts
 *
 * The chat is at ws://localhost:60000/chat and wants a cookie `user`, the operator's list at
 * http://localhost:60000/admin/connections.
 */
import { Server } from 'hyperlane-ws';
import * as z from 'zod';

interface Attributes {
  user: string;
}

const server = new Server<Attributes>({ origins: '*' });

// #region chat
function connectionsOf(user: string) {
  return [...server.connections].filter((connection) => connection.getAttribute('user') === user);
}

server.route(
  '/chat',
  async (ctx) => {
    const { to, text } = ctx.getRequestBodyJson();
    const receivers = connectionsOf(to); // one for each of their windows
    for (const connection of receivers) void connection.sendJson({ from: ctx.getAttribute('user'), text });
    if (receivers.length === 0) await ctx.sendResponseJson({ error: `${to} is not here` });
  },
  {
    only: 'websocket',
    body: z.object({ to: z.string(), text: z.string() }),
    upgrade: async (ctx) => {
      const user = ctx.getRequestCookie('user');
      if (user === undefined) await ctx.sendResponse(401, 'log in first');
      else ctx.setAttribute('user', user);
    },
    closed: (ctx, end) => console.log(`${ctx.getAttribute('user')} has left: ${end.cause}`),
  },
);
// #endregion chat

// #region operator
server.route(
  '/admin/connections',
  (ctx) =>
    ctx.sendResponseJson(
      [...server.connections].map((connection) => ({
        id: connection.id,
        user: connection.getAttribute('user'),
        address: connection.address?.address,
        path: connection.path,
        since: connection.openedAt,
        messages: connection.traffic.messagesReceived,
        unsentBytes: connection.bufferedBytes,
      })),
    ),
  { only: 'http' },
);

server.route(
  '/admin/kick/:id',
  (ctx) => {
    if (ctx.getRequestMethod() !== 'POST') return void ctx.setResponseStatusCode(405);
    const connection = server.connections.get(ctx.getRouteParam('id') ?? '');
    connection?.close(4001, 'kicked by the operator');
    ctx.setResponseStatusCode(connection === undefined ? 404 : 204);
  },
  { only: 'http' },
);
// #endregion operator

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`connections server on port ${server.address()?.port}`);
