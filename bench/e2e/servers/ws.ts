/** ws, used as its documentation shows. With bufferutil unless WS_NO_BUFFER_UTIL is set. */
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { MAX_MESSAGE_BYTES, readTask, serveQuestions } from '../server-process.ts';
import { SERVER_TLS } from '../tls.ts';

interface WebSocket {
  send(data: Uint8Array, options: { binary: boolean }): void;
  on(event: 'message', listener: (data: Uint8Array, isBinary: boolean) => void): void;
  on(event: 'error' | 'close', listener: () => void): void;
}

interface Ws {
  WebSocketServer: new (
    options: object,
  ) => {
    readonly clients: Set<WebSocket>;
    on(event: 'connection', listener: (socket: WebSocket) => void): void;
  };
}

const { work, peers } = readTask();
const require = createRequire(peers);
const { WebSocketServer } = require('ws') as Ws;

const http = work.secure ? createHttpsServer(SERVER_TLS) : createHttpServer();
const server = new WebSocketServer({
  server: http,
  maxPayload: MAX_MESSAGE_BYTES,
  perMessageDeflate: work.compressed && {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    threshold: 0,
  },
});
server.on('connection', (socket) => {
  socket.on('error', () => {});
  if (work.kind === 'chat') {
    socket.on('message', (data, isBinary) => {
      for (const client of server.clients) client.send(data, { binary: isBinary });
    });
  } else if (work.kind === 'fan-out') {
    socket.on('message', (data, isBinary) => {
      for (const client of server.clients) if (client !== socket) client.send(data, { binary: isBinary });
    });
  } else {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  }
});
http.listen(0, '127.0.0.1', () => serveQuestions((http.address() as AddressInfo).port));
