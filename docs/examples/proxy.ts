/**
 * Behind a proxy that ends TLS: it listens on this machine only, knows whose pages may connect, and asks the proxy's
 * header for the address of the client.
 *
 *     node --import tsx docs/examples/proxy.ts
 */
import { type Context, Server } from 'hyperlane-ws';

// #region server
const server = new Server({
  host: '127.0.0.1',
  origins: ['https://example.com', 'https://www.example.com'],
});

/** The address of the client; to be believed only because nobody but the proxy can reach this port. */
function clientAddress(ctx: Context): string | undefined {
  const forwarded = ctx.getRequestHeader('X-Forwarded-For')?.split(',').at(-1)?.trim();
  return forwarded ?? ctx.getSocketAddr()?.address;
}

server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(`you are ${clientAddress(ctx)}`);
});
// #endregion server

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server behind a proxy on port ${server.address()?.port}`);
