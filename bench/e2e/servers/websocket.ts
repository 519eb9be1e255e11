/** websocket, used as its documentation shows. */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { MAX_MESSAGE_BYTES, readTask, serveQuestions } from '../server-process.ts';

interface Message {
  readonly type: 'utf8' | 'binary';
  readonly utf8Data: string;
  readonly binaryData: Buffer;
}

interface Connection {
  on(event: 'message', listener: (message: Message) => void): void;
  on(event: 'close', listener: () => void): void;
  sendUTF(data: string): void;
  sendBytes(data: Buffer): void;
}

interface WebSocket {
  server: new (
    options: object,
  ) => { readonly connections: Connection[]; on(event: 'connect', listener: (connection: Connection) => void): void };
}

const { work, peers } = readTask();
const isToAll = work.kind === 'chat' || work.kind === 'fan-out';
const require = createRequire(peers);
const { server: WebSocketServer } = require('websocket') as WebSocket;

const http = createServer();
const server = new WebSocketServer({
  httpServer: http,
  autoAcceptConnections: true,
  keepalive: false,
  fragmentOutgoingMessages: false,
  maxReceivedFrameSize: MAX_MESSAGE_BYTES,
  maxReceivedMessageSize: MAX_MESSAGE_BYTES,
});
server.on('connect', (connection) => {
  connection.on('message', (message) => {
    for (const target of isToAll ? server.connections : [connection]) {
      if (work.kind === 'fan-out' && target === connection) continue;
      if (message.type === 'utf8') target.sendUTF(message.utf8Data);
      else target.sendBytes(message.binaryData);
    }
  });
});
http.listen(0, '127.0.0.1', () => serveQuestions((http.address() as AddressInfo).port));
