/** The server that is flooded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '../../lib/index.ts';
import { retainedBytes } from '../hostile/retained.ts';
import type { FromServer, ToServer } from './messages.ts';
import { OPTIONS, STREAM_PIECES } from './options.ts';

const piece = Buffer.alloc(16 * 1024, 'x');
const server = new Server({ host: '127.0.0.1', port: 0, ...OPTIONS });
server.errorHandle(() => {});
server.route('/echo', (ctx) => {
  ctx.sendResponseBody(ctx.getRequestBody()).catch(() => {});
});
server.route('/slow', async () => {
  await sleep(1);
});
server.route('/plain', (ctx) => {
  ctx.setResponseBody('hello');
});
server.route('/stream', async (ctx) => {
  for (let i = 0; i < STREAM_PIECES; i++) await ctx.sendResponseBody(piece);
});
await server.run();

const tell = (message: FromServer): void => void process.send?.(message);
process.once('disconnect', () => process.exit(0));
process.on('message', async (_message: ToServer) => {
  const heldBytes = await retainedBytes();
  tell({ type: 'memory', rssBytes: process.memoryUsage.rss(), heldBytes });
});
tell({ type: 'port', port: server.address()!.port });
