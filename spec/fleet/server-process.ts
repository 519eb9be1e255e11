/**
 * One server of a fleet: rooms, each a topic of a broker that all servers share, and a page for browsers that follows one. Its
 * task is in FLEET_TASK; it tells its port by IPC, what became of what it published when it is asked and when it ends, and who
 * is in the rooms that it watches.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, Server } from '../../lib/index.ts';
import { connectBroker, type ServerTask } from './brokers.ts';
import type { ServerReport } from './fleet.ts';
import { Watcher } from './watcher.ts';

/** A message whose fate is unknown is published again, with the same id: once it is there, once is what all get. */
const ATTEMPTS = 50;
const PAUSE_MS = 200;

/** The page that is tried: what the reference tells to copy, and what keeps all that it was told. */
const SCRIPT = readFileSync(new URL('../../docs/examples/positions-page.js', import.meta.url), 'utf8');
const PAGE = `<!doctype html><title>fleet</title><script type="module">
  import { follow } from '/positions-page.js';
  window.told = [];
  follow('/room' + location.hash.replace('#', '/'), (body) => told.push(body), () => told.push('start'));
</script>`;

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

const isWatching = task.watchedRooms !== undefined;
server.onWebsocketConnected((ctx) => {
  // A page has none, and is no member.
  const key = isWatching ? ctx.getRequestQuery('key') : undefined;
  const after = ctx.getRequestQuery('after');
  return ctx.subscribe(roomOf(ctx), { after, ...(key !== undefined && { presence: { key } }) });
});
server.route('/', (ctx) => show(ctx, 'text/html', PAGE));
server.route('/positions-page.js', (ctx) => show(ctx, 'text/javascript', SCRIPT));
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
  if (message === 'report') process.send!(report());
  if (message === 'presence') process.send!({ presence: watchers.map((watcher) => watcher.report()) });
  if (message === 'end') void end();
});
process.once('disconnect', () => process.exit());

await server
  .port(task.listenPort ?? 0)
  .host('127.0.0.1')
  .run();
const watchers = Array.from(
  { length: task.watchedRooms ?? 0 },
  (_, room) => new Watcher(server.topics.presence(`room/${room}`)),
);
process.send!({ port: server.address()!.port });

function roomOf(ctx: Context): string {
  return `room/${ctx.getRouteParam('name')}`;
}

function report(): ServerReport {
  return { published, givenUp, rejections, topics: server.topics.stats() };
}

async function show(ctx: Context, type: string, body: string): Promise<void> {
  ctx.setResponseHeader('Content-Type', type);
  await ctx.sendResponse(200, body);
}

async function end(): Promise<void> {
  isEnding = true;
  await server.close({ timeout: 2000 });
  await server.topics.close();
  await disconnect();
  // It is sent before the process ends.
  process.send!(report(), () => process.exit());
}
