/** This library over Redis: a topic for each room. */
import { serveQuestions } from '../e2e/server-process.ts';
import { makeClient } from './clients.ts';
import type { RedisServerTask } from './messages.ts';

const task = JSON.parse(process.argv[2]!) as RedisServerTask;
const { Server } = (await import(`${task.lib}index.js`)) as typeof import('../../lib/index.ts');
const { redisBroker } = (await import(`${task.lib}brokers/redis.js`)) as typeof import('../../lib/brokers/redis.ts');

const server = new Server({
  host: '127.0.0.1',
  port: 0,
  origins: '*',
  topics: { broker: redisBroker({ client: makeClient(task) }), historyMessages: task.historyMessages },
});
server.onWebsocketConnected(async (ctx) => {
  await ctx.subscribe(`room/${ctx.getRouteParam('name')}`);
  await ctx.sendResponseBody('joined');
});
server.route('/room/:name', (ctx) => {
  ctx.publish(`room/${ctx.getRouteParam('name')}`, ctx.getRequestBody());
});
await server.run();
serveQuestions(server.address()!.port);
