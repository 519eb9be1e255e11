import { Server } from 'hyperlane-ws';

// Unless told otherwise, only pages of the same host may connect. An echo has no secrets.
const server = new Server({ origins: '*' });

server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`listening on port ${server.address().port}`);
