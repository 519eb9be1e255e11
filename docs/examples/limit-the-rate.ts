/**
 * How many messages a client may send in a second.
 *
 *     node --import tsx docs/examples/limit-the-rate.ts
 *
 * ws://localhost:60000/websocket slows down who sends too much, ws://localhost:60000/search closes.
 */
import { Server } from 'hyperlane-ws';

// #region server
const server = new Server({ origins: '*', maxMessagesPerSecond: 20, messageBurst: 40 });

server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});
// #endregion server

// #region route
server.route('/search', (ctx) => void ctx.sendResponseBody(`results for ${ctx.getRequestBodyString()}`), {
  maxMessagesPerSecond: 1,
  messageBurst: 5,
  rateLimitPolicy: 'close',
});
// #endregion route

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`limit-the-rate server on port ${server.address()?.port}`);
