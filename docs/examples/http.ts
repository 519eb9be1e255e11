/**
 * Plain HTTP beside WebSockets: one port, the same handlers and the same middleware.
 *
 *     node --import tsx docs/examples/http.ts
 *
 * Then run `curl -i http://localhost:60000/hello/World`, or send text to ws://localhost:60000/upper.
 */
import { Server } from 'hyperlane-ws';

const server = new Server({ origins: '*' });

// #region middleware
// Runs before the route: for each HTTP request, and for each WebSocket message.
server.requestMiddleware((ctx) => {
  ctx.setResponseHeader('X-Powered-By', 'hyperlane-ws');
  if (ctx.getRequestBody().length > 1000) {
    ctx.setResponseStatusCode(413);
    ctx.aborted(); // neither the route nor a response middleware runs
  }
});

// Runs after the route. On a WebSocket `send` does nothing, so this is safe for both.
server.responseMiddleware(async (ctx) => {
  await ctx.send();
});
// #endregion middleware

// #region routes
server.route('/hello/:name', (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/plain; charset=utf-8');
  ctx.setResponseBody(`Hello, ${ctx.getRouteParam('name')}!`);
});

server.route('/sum', (ctx) => {
  const numbers = ctx.getRequestBodyJson<number[]>();
  ctx.setResponseHeader('Content-Type', 'application/json');
  ctx.setResponseBody(JSON.stringify({ sum: numbers.reduce((sum, number) => sum + number, 0) }));
});

// Answers a message with a message, and a POST with a response.
server.route('/upper', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBodyString().toUpperCase());
});
// #endregion routes

// #region errors
server.errorHandle((error, ctx) => {
  console.error(ctx.getRequestPath(), error);
  if (error instanceof SyntaxError) ctx.setResponseStatusCode(400).setResponseBody('the body is not JSON');
});
// #endregion errors

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`http server on port ${server.address()?.port}`);
