/**
 * Messages that are compressed: permessage-deflate, RFC 7692.
 *
 *     node --import tsx docs/examples/compress.ts
 */
import { Server } from 'hyperlane-ws';

const readings = Array.from({ length: 200 }, (_, hour) => ({ hour, celsius: 20 + (hour % 24) / 4 }));

// #region on
const server = new Server({
  origins: '*',
  perMessageDeflate: true,
});
// #endregion on

server.route('/readings', (ctx) => ctx.sendResponseBody(JSON.stringify(readings)));

// #region choose
server.route('/image', async (ctx) => {
  const image = Buffer.alloc(64 * 1024, 'x');
  // It would become no smaller, or holds a secret beside what somebody else has written.
  await ctx.sendResponseBody(image, { compress: false });
});
// #endregion choose

// #region contexts
export const withContexts = new Server({
  perMessageDeflate: {
    serverNoContextTakeover: false, // keep what was sent, up to 112 KiB a connection
    clientNoContextTakeover: false, // and what was received, up to 52 KiB
    maxContextBytes: 256 * 1024 * 1024, // for all connections together
  },
});
// #endregion contexts

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server that compresses on port ${server.address()?.port}`);
