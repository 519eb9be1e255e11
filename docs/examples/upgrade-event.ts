/**
 * The 'upgrade' event by hand: for a server that decides by itself which upgrades are whose.
 *
 *     node --import tsx docs/examples/upgrade-event.ts
 */
import { createServer } from 'node:http';
import { Server } from 'hyperlane-ws';

const server = new Server({ origins: '*' });
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});

const httpServer = createServer((_request, response) => {
  response.end('from the app');
});

// #region upgrade
httpServer.on('upgrade', (request, socket, head) => {
  if (request.headers.host?.startsWith('internal.')) socket.destroy();
  else server.handleUpgrade(request, socket, head);
});
// #endregion upgrade

httpServer.listen(Number(process.env.PORT ?? 60000), () => {
  console.log('listening on', httpServer.address());
});
