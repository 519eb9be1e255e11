// #region imports
import { BroadcastMap, Request, Server, select } from 'hyperlane-ws';

const server = new Server();
const rooms = new BroadcastMap();
// #endregion imports

// #region page
const page = `<!doctype html>
<title>Rooms</title>
<form><input autofocus placeholder="Type, and press Enter"></form>
<pre></pre>
<script>
  const room = location.hash.slice(1) || 'lobby';
  const ws = new WebSocket('ws://' + location.host + '/rooms/' + encodeURIComponent(room));
  const show = (text) => document.querySelector('pre').append(text + '\\n');

  ws.onopen = () => show('you are in ' + room);
  ws.onmessage = (event) => show(event.data);
  ws.onclose = (event) => show('closed with code ' + event.code);

  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    ws.send(event.target[0].value);
    event.target.reset();
  };
  onhashchange = () => location.reload();
</script>`;

server.route('/', async (ctx) => {
  ctx.setResponseHeader('Content-Type', 'text/html; charset=utf-8');
  await ctx.sendResponse(200, page);
});
// #endregion page

// #region handler
async function chat(ctx) {
  const stream = ctx.getStream();
  if (stream === undefined) return;

  const room = ctx.getRouteParam('room');
  const receiver = rooms.subscribeOrInsert(room);
  try {
    while (true) {
      const { key, value } = await select({
        request: Request.websocketRequestFromStream(stream),
        message: receiver.recv(),
      });
      if (key === 'request') rooms.send(room, value.getBodyString());
      else await ctx.sendResponseBody(value);
    }
  } finally {
    receiver.unsubscribe();
  }
}
// #endregion handler

// #region route
server.route('/rooms/:room', chat).enableInnerWebsocketHandle('/rooms/:room');
// #endregion route

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`Open http://localhost:${server.address().port}/`);
