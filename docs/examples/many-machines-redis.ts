/**
 * Rooms whose members may be connected to different processes, on any number of machines.
 *
 *     REDIS_URL=redis://127.0.0.1:6379 PORT=60000 node --import tsx docs/examples/many-machines-redis.ts
 *
 * Start it twice, with two ports, and connect to /room/7 of each.
 */
// #region server
import { Server } from 'hyperlane-ws';
import { redisBroker } from 'hyperlane-ws/redis';
import { createClient } from 'redis';

const client = createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' });
const server = new Server({
  topics: { broker: redisBroker({ client }), historyMessages: 100, historyMs: 600_000 },
});
// #endregion server

server.route('/room/:name', async (ctx) => {
  await ctx.publish(`room/${ctx.getRouteParam('name')}`, ctx.getRequestBody());
});

server.onWebsocketConnected(async (ctx) => {
  await ctx.subscribe(`room/${ctx.getRouteParam('name')}`);
  await ctx.sendResponseBody('welcome');
});

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`rooms on port ${server.address()?.port}`);
