// #region start
import { Server } from 'hyperlane-ws';

const server = new Server();
// #endregion start

// #region page
const page = `<!doctype html>
<title>Echo</title>
<form><input autofocus placeholder="Type, and press Enter"></form>
<pre></pre>
<script>
  const ws = new WebSocket('ws://' + location.host + '/websocket');
  const show = (text) => document.querySelector('pre').append(text + '\\n');

  ws.onopen = () => show('open');
  ws.onmessage = (event) => show('received: ' + event.data);
  ws.onclose = (event) => show('closed with code ' + event.code);

  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    ws.send(event.target[0].value);
    event.target.reset();
  };
</script>`;

server.route('/', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/html; charset=utf-8');
  await ctx.sendResponse(200, page);
});
// #endregion page

// #region echo
server.route('/websocket', async (ctx) => {
  await ctx.sendResponseBody(ctx.getRequestBody());
});
// #endregion echo

// #region run
await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`Open http://localhost:${server.address().port}/`);
// #endregion run
