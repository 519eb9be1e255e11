/**
 * An echo server: what a client sends, it gets back.
 *
 *     node --import tsx docs/examples/echo.ts
 *
 * Then open http://localhost:60000/ and look at the console, or connect with any other client.
 */
import { Server } from 'hyperlane-ws';

// An echo has no secrets, so any page may talk to it. Leave `origins` out where cookies mean something.
const server = new Server({ origins: '*' });

server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});

server.route('/', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/html; charset=utf-8');
  await ctx.sendResponse(200, '<!doctype html><title>echo</title><script src="/client.js"></script>See the console.');
});

server.route('/client.js', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/javascript; charset=utf-8');
  await ctx.sendResponse(200, CLIENT);
});

const CLIENT = `
const ws = new WebSocket('ws://localhost:60000/websocket');

ws.onopen = () => {
  console.log('WebSocket opened');
  setInterval(() => {
    ws.send(\`Now time: \${new Date().toISOString()}\`);
  }, 1000);
};

ws.onmessage = (event) => {
  console.log('Receive: ', event.data);
};

ws.onerror = (error) => {
  console.error('WebSocket error: ', error);
};

ws.onclose = () => {
  console.log('WebSocket closed');
};
`;

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`echo server on port ${server.address()?.port}`);
