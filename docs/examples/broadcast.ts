/**
 * What one client sends, all of them get: hyperlane's broadcast handler, line for line.
 *
 *     node --import tsx docs/examples/broadcast.ts
 *
 * On `/websocket` the server reads a message before it runs the handler, so a client must send one (an empty one will do)
 * before it is sent anything, and that first message is not passed on. On `/inner` the handler runs at once.
 */
// #region handler
import { type Body, Broadcast, type Context, LaggedError, Request, Server, select } from 'hyperlane-ws';

const broadcast = new Broadcast<Body>();

async function handle(ctx: Context): Promise<void> {
  const stream = ctx.getStream();
  if (stream === undefined) {
    ctx.aborted();
    return;
  }
  const firstRequest = ctx.getRequest();
  const receiver = broadcast.subscribe();
  while (true) {
    try {
      const ready = await select({
        request: Request.websocketRequestFromStream(stream, 10_000),
        message: receiver.recv(),
      });
      if (ready.key === 'request') {
        const body = ready.value.getBody();
        firstRequest.setBody(body);
        broadcast.send(body);
      } else {
        await ctx.sendResponseBody(ready.value);
        await ctx.flush();
      }
    } catch (error) {
      // A receiver that fell behind has missed messages, and goes on.
      if (!(error instanceof LaggedError)) break;
    }
  }
  receiver.unsubscribe();
}
// #endregion handler

const server = new Server({ origins: '*' });
server.route('/websocket', handle);
server.route('/inner', handle).enableInnerWebsocketHandle('/inner');

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`broadcast server on port ${server.address()?.port}`);
