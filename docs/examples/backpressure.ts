/**
 * Clients that read slower than they are sent to.
 *
 *     node --import tsx docs/examples/backpressure.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'hyperlane-ws';

const chunk = Buffer.alloc(64 * 1024, 'x');

const server = new Server({
  origins: '*',
  // #region options
  highWaterMarkBytes: 256 * 1024, // above this an awaited send waits
  maxBackpressureBytes: 4 * 1024 * 1024, // above this the policy decides
  backpressurePolicy: 'drop', // 'close' (the default), 'drop' or 'wait'
  // #endregion options
});

// #region await
// A download of 16 MiB: each send waits until the client has taken most of what came before.
server.route('/download', async (ctx) => {
  for (let i = 0; i < 256; i++) await ctx.sendResponseBody(chunk);
});
// #endregion await

// #region skip
// A live value: one that a slow client would get too late is not sent at all.
server.route('/ticker', async (ctx) => {
  const stream = ctx.getStream();
  for (let tick = 0; stream?.state === 'open'; tick++) {
    if (stream.bufferedBytes < 16 * 1024) void ctx.sendResponseBody(`tick ${tick}`);
    await sleep(50);
  }
});
// #endregion skip

server.enableInnerWebsocketHandle('/download').enableInnerWebsocketHandle('/ticker');

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`download server on port ${server.address()?.port}`);
