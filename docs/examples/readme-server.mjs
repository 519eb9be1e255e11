import { Server } from 'hyperlane-ws';

const server = new Server();

server.route('/', (ctx) => ctx.sendResponse(200, 'Open the console of this page.'));

server.route('/websocket', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`http://localhost:${server.address().port}/`);
