/**
 * WebSockets over TLS (`wss:`), on a server of node:https.
 *
 *     TLS_KEY=key.pem TLS_CERT=cert.pem node --import tsx docs/examples/attach-https.ts
 */
// #region attach
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Server } from 'hyperlane-ws';

const httpsServer = createServer({
  key: readFileSync(process.env.TLS_KEY ?? 'key.pem'),
  cert: readFileSync(process.env.TLS_CERT ?? 'cert.pem'),
});

const server = new Server();
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});
server.attach(httpsServer);

httpsServer.listen(Number(process.env.PORT ?? 60000), () => {
  console.log('listening on', httpsServer.address());
});
// #endregion attach
