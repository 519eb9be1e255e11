/**
 * A server whose page comes from another port while it is being developed, as that of a bundler does.
 *
 *     node --import tsx docs/examples/development.ts
 */
import { Server } from 'hyperlane-ws';

// #region server
const isProduction = process.env.NODE_ENV === 'production';

const server = new Server({
  origins: isProduction ? 'same-origin' : ['http://localhost:5173', 'http://127.0.0.1:5173'],
});
// #endregion server

// #region refused
server.onUpgradeRefused((_request, { status, reason, path, origin }) => {
  console.log(`refused: ${reason} ${status} ${path} from ${origin ?? 'no page'}`);
});
// #endregion refused

server.route('/websocket', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server under development on port ${server.address()?.port}`);
