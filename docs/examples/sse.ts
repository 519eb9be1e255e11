/**
 * Server-Sent Events: the head first, then one `sendResponseBody` per event, then `close`.
 *
 *     node --import tsx docs/examples/sse.ts
 *
 * Then open http://localhost:60000/, or run `curl -N http://localhost:60000/events`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'hyperlane-ws';

const server = new Server();

// #region events
server.route('/events', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/event-stream');
  await ctx.sendResponse(200, '');
  for (let i = 1; i <= 5; i++) {
    await ctx.sendResponseBody(`data: event ${i}\n\n`);
    await sleep(200);
  }
  await ctx.close();
});
// #endregion events

server.route('/', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/html; charset=utf-8');
  await ctx.sendResponse(200, PAGE);
});

const PAGE = `<!doctype html>
<title>Server-Sent Events</title>
<pre></pre>
<script>
  const events = new EventSource('/events');
  events.onmessage = (event) => document.querySelector('pre').append(event.data + '\\n');
  events.onerror = () => events.close(); // the default is to connect again
</script>`;

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`event server on port ${server.address()?.port}`);
