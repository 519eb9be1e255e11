/**
 * A server in a process of its own that is handed what it serves: `socket`, accepted sockets; `server`, a listening socket
 * that its parent accepts from, too; `cluster`, the port that workers of node:cluster share. It echoes, and says which process
 * it is to whoever asks.
 */
import { createServer } from 'node:http';
import type { Socket, Server as TcpServer } from 'node:net';
import { Server } from '../../lib/index.ts';

const [way, heartbeatMs] = process.argv.slice(2);
const server = new Server({
  host: '127.0.0.1',
  port: 0,
  perMessageDeflate: true,
  heartbeatIntervalMs: Number(heartbeatMs),
});
server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
server.route('/pid', (ctx) => ctx.sendResponseBody(String(process.pid)));

const http = createServer((_request, response) => response.end('plain'));

if (way === 'cluster') {
  await server.run();
  process.send?.({ port: server.address()!.port });
} else {
  server.attach(http);
  process.send?.('ready');
}

process.on('message', async (message: string, handle: Socket | TcpServer | undefined) => {
  if (message === 'socket') http.emit('connection', handle);
  else if (message === 'server') {
    (handle as TcpServer).on('connection', (socket) => http.emit('connection', socket));
    process.send?.('listening');
  } else if (message === 'close') {
    process.send?.(await server.close({ timeout: 5000 }));
    process.disconnect();
  }
});
