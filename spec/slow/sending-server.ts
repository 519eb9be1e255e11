/**
 * A server that sends numbered messages to each WebSocket as fast as it takes them, until its parent says 'close'. Tells
 * how many sends had resolved by then for each, closes, and then ends by itself or not at all.
 */
import { Server } from '../../lib/index.ts';

const server = new Server({ host: '127.0.0.1', port: 0 });
const sent = new Map<string, number>();
let closing = false;

server.enableInnerWebsocketHandle('/:id').route('/:id', async (ctx) => {
  for (let i = 0; !closing; i++) {
    await ctx.sendResponseBody(`message ${i}`);
    // The loop may have been told to end while this send was under way.
    if (!closing) sent.set(ctx.getRouteParam('id')!, i + 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

process.once('message', async () => {
  closing = true;
  const resolved = Object.fromEntries(sent);
  const result = await server.close({ timeout: 20_000 });
  process.send?.({ resolved, result }, () => process.disconnect());
});

await server.run();
process.send?.({ port: server.address()?.port });
