/**
 * Rooms whose members see who is there.
 *
 *     node --import tsx docs/examples/presence.ts
 *
 * Connect to ws://localhost:60000/room/7?user=ann with any client, several times and with other names.
 */
import { type Context, Server } from 'hyperlane-ws';

const server = new Server();

// #region subscribe
server.route('/room/:name', (ctx) => ctx.publish(roomOf(ctx), ctx.getRequestBody()), {
  connected: async (ctx) => {
    const user = ctx.getRequestQuery('user') ?? 'guest';
    await ctx.subscribe(roomOf(ctx), { presence: { key: user, info: { since: new Date() } } });
    // It ends with the connection.
    tellWhoIsThere(ctx).catch(() => {});
  },
});
// #endregion subscribe

// #region watch
interface Info {
  since: string;
}

async function tellWhoIsThere(ctx: Context): Promise<void> {
  const presence = server.topics.presence<Info>(roomOf(ctx));
  void ctx.getStream()?.closed.then(() => presence.unsubscribe());
  for await (const event of presence) {
    if (event.type === 'snapshot') await ctx.sendResponseJson({ here: Object.fromEntries(event.members) });
    else await ctx.sendResponseJson({ [event.type]: event.key, ...event.info });
  }
}
// #endregion watch

server.route('/count/:name', async (ctx) => {
  // #region count
  const presence = server.topics.presence(roomOf(ctx));
  await presence.ready;
  await ctx.sendResponse(200, `${presence.size}`);
  presence.unsubscribe();
  // #endregion count
});

function roomOf(ctx: Context): string {
  return `room/${ctx.getRouteParam('name')}`;
}

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`presence on port ${server.address()?.port}`);
