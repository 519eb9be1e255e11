/**
 * Stops when it is told to: the WebSockets are closed with 1001, requests that run are finished, and the process ends.
 *
 *     node --import tsx docs/examples/shutdown.ts
 */
import { Server } from 'hyperlane-ws';

const server = new Server({ origins: '*' });
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});

// #region close
async function stop(): Promise<void> {
  const { closed, cut } = await server.close({ code: 1001, reason: 'restarting', timeout: 5000 });
  console.log(`${closed} closed, ${cut} cut`);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
// #endregion close

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server on port ${server.address()?.port}`);
