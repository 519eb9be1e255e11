/**
 * Rooms: what one client sends, the others in its room get; and an HTTP request can send to all of them.
 *
 *     node --import tsx docs/examples/topics.ts
 */
// #region rooms
import { type Context, Server } from 'hyperlane-ws';

const server = new Server({ topics: { historyMessages: 100, historyMs: 60_000 } });
const roomOf = (ctx: Context): string => `room/${ctx.getRouteParam('name')}`;

async function enter(ctx: Context): Promise<void> {
  await ctx.subscribe(roomOf(ctx), {
    // Where this client was when its connection broke.
    after: ctx.getRequestQuery('after'),
    // It has missed something for good: it is to load anew.
    onGap: ({ position }) => void ctx.sendResponseJson({ reload: position }),
  });
}

server.route('/room/:name', (ctx) => ctx.publish(roomOf(ctx), ctx.getRequestBody()), {
  only: 'websocket',
  connected: enter,
});
// #endregion rooms

// #region publish
server.route('/announce/:name', async (ctx) => {
  const position = await server.publish(roomOf(ctx), ctx.getRequestBodyString(), {
    id: ctx.getRequestHeader('idempotency-key'),
  });
  ctx.setResponseBody(position);
});
// #endregion publish

// #region code
async function log(topic: string): Promise<void> {
  for await (const message of await server.topics.subscribe(topic)) {
    console.log(message.position, String(message.body));
  }
}
// #endregion code

void log('room/log');
await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`http://localhost:${server.address()!.port}/`);
