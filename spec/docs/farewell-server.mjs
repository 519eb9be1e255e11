/** A server that greets, and says goodbye when it is told to end: for programs that start others. */
import { createServer } from 'node:net';

const sockets = new Set();
const server = createServer((socket) => sockets.add(socket.on('error', () => {})) && socket.write('hello '));
process.once('SIGTERM', () => {
  server.close();
  for (const socket of sockets) socket.end('goodbye ');
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`server on port ${process.env.PORT}`));
