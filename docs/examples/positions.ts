/**
 * A page that misses nothing, without a library: a room whose messages have positions.
 *
 *     node --import tsx docs/examples/positions.ts
 *
 * Open http://localhost:60000/ in several tabs, stop the network of one for a while, and write in another.
 */
import { readFileSync } from 'node:fs';
import { type Context, Server } from 'hyperlane-ws';

// #region server
const server = new Server({
  subprotocols: ['positions.hyperlane'],
  topics: { historyMessages: 1000 },
});

server.route('/room/:name', (ctx) => ctx.publish(topicOf(ctx), ctx.getRequestBody()), {
  connected: (ctx) => ctx.subscribe(topicOf(ctx), { after: ctx.getRequestQuery('after') }),
});
// #endregion server

function topicOf(ctx: Context): string {
  return `room/${ctx.getRouteParam('name')}`;
}

const script = readFileSync(new URL('positions-page.js', import.meta.url), 'utf8');

server.route('/positions-page.js', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/javascript; charset=utf-8');
  await ctx.sendResponse(200, script);
});

server.route('/', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/html; charset=utf-8');
  await ctx.sendResponse(200, PAGE);
});

const PAGE = `<!doctype html>
<title>Positions</title>
<form><input autofocus><button>Send</button></form>
<ol></ol>
<script type="module">
  import { follow } from '/positions-page.js';
  const list = document.querySelector('ol');
  const show = (text) => list.append(Object.assign(document.createElement('li'), { textContent: text }));
  const send = follow('/room/7', show, () => show('(from here on)'));
  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    const { value } = document.querySelector('input');
    send(value);
    show(value);
  };
</script>
`;

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`positions on port ${server.address()?.port}`);
