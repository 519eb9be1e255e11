/**
 * WebSockets on a server that is there already. `app` stands for any request listener: one of your own, or what Express
 * gives you with `express()`.
 *
 *     node --import tsx docs/examples/attach-http.ts
 */
// #region attach
import { createServer, type RequestListener } from 'node:http';
import { Server } from 'hyperlane-ws';

const app: RequestListener = (_request, response) => {
  response.end('from the app');
};
const httpServer = createServer(app);

const server = new Server({ origins: '*' });
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});
server.attach(httpServer);

httpServer.listen(Number(process.env.PORT ?? 60000), () => {
  console.log('listening on', httpServer.address());
});
// #endregion attach
