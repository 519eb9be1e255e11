/**
 * One server of a fleet: rooms, each a topic of a broker that all servers share. Its task is in FLEET_TASK; it tells its port
 * by IPC, and what became of what it published when it is asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, Server } from '../../lib/index.ts';
import { connectBroker, type ServerTask } from './brokers.ts';

/** A message whose fate is unknown is published again, with the same id: once it is there, once is what all get. */
const ATTEMPTS = 50;
const PAUSE_MS = 200;

const task = JSON.parse(process.env.FLEET_TASK!) as ServerTask;
const { broker, disconnect } = await connectBroker(task);
const server = new Server({
  subprotocols: ['positions.hyperlane'],
  topics: { broker, historyMessages: task.historyMessages },
});
const published: string[] = [];
const givenUp: string[] = [];
let rejections = 0;
let isEnding = false;

server.onWebsocketConnected((ctx) => ctx.subscribe(roomOf(ctx), { after: ctx.getRequestQuery('after') }));
server.route('/room/:name', async (ctx) => {
  const id = ctx.getRequestBodyString();
  for (let attempt = 0; attempt < ATTEMPTS && !isEnding; attempt++) {
    try {
      await server.publish(roomOf(ctx), id, { id });
      published.push(id);
      return;
    } catch {
      rejections++;
      await sleep(PAUSE_MS);
    }
  }
  givenUp.push(id);
});

process.on('message', (message) => {
  if (message === 'report') process.send!({ published, givenUp, rejections, topics: server.topics.stats() });
  if (message === 'end') void end();
});
process.once('disconnect', () => process.exit());

await server.port(0).host('127.0.0.1').run();
process.send!({ port: server.address()!.port });

function roomOf(ctx: Context): string {
  return `room/${ctx.getRouteParam('name')}`;
}

async function end(): Promise<void> {
  isEnding = true;
  await server.close({ timeout: 2000 });
  await server.topics.close();
  await disconnect();
  process.exit();
}
