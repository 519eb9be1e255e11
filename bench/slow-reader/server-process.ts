/** A room, and the one in it that does not read. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, Server } from '../../lib/index.ts';
import type { ConnectionSubscription } from '../../lib/topics/connection-subscription.ts';
import { retainedBytes } from '../hostile/retained.ts';
import {
  CAPACITY,
  type FromServer,
  HIGH_WATER_MARK_BYTES,
  HISTORY_MESSAGES,
  PIECE_BYTES,
  type Policy,
  type ToServer,
} from './messages.ts';

/** A send that takes longer than this is stuck. */
const STUCK_MS = 300;

const piece = Buffer.alloc(PIECE_BYTES);
const server = new Server({
  host: '127.0.0.1',
  port: 0,
  origins: '*',
  heartbeatIntervalMs: 0,
  // One that is to be closed is told when it reads again.
  closeTimeoutMs: 60_000,
  highWaterMarkBytes: HIGH_WATER_MARK_BYTES,
  topics: { capacity: CAPACITY, historyMessages: HISTORY_MESSAGES },
});
let slow: ConnectionSubscription | undefined;
let slowMissed = 0;
let slowGaps = 0;
let stuck: Promise<void> | undefined;

server.errorHandle(() => {});
server.route('/room', () => {}, { connected: (ctx) => ctx.subscribe('room') });
server.route('/publish', (ctx) => ctx.publish('room', ctx.getRequestBody()));
server.route('/slow/:policy', () => {}, {
  connected: async (ctx) => {
    [slowMissed, slowGaps] = [0, 0];
    slow = await ctx.subscribe('room', {
      whenBehind: ctx.getRouteParam('policy') as Policy,
      onGap: ({ missed }) => {
        slowMissed += missed;
        slowGaps++;
      },
    });
    stuck = fill(ctx);
  },
});
await server.run();

/** Sends to one alone, until nothing more leaves. */
async function fill(ctx: Context): Promise<void> {
  for (;;) {
    const sent = ctx.sendResponseBody(piece).then(
      () => true,
      () => false,
    );
    if (!(await Promise.race([sent, sleep(STUCK_MS, false)]))) return;
  }
}

const tell = (message: FromServer): void => void process.send?.(message);
process.once('disconnect', () => process.exit(0));
process.on('message', async ({ type }: ToServer) => {
  if (type === 'memory') tell({ type, heldBytes: await retainedBytes() });
  else if (type === 'slow') {
    while (stuck === undefined) await sleep(10);
    await stuck;
    stuck = undefined;
    tell({ type });
  } else {
    const { ended, dropped, recovered } = server.topics.stats();
    tell({ type, ended, dropped, recovered, slowDropped: slow?.dropped ?? 0, slowMissed, slowGaps });
  }
});
tell({ type: 'port', port: server.address()!.port });
