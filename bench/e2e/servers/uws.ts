/** uWebSockets.js, with its own topics for the chat and the fan-out. */
import { createRequire } from 'node:module';
import { MAX_BACKPRESSURE_BYTES, MAX_MESSAGE_BYTES, readTask, serveQuestions } from '../server-process.ts';

interface WebSocket {
  send(data: ArrayBuffer, isBinary: boolean, compress: boolean): number;
  subscribe(topic: string): void;
  publish(topic: string, data: ArrayBuffer, isBinary: boolean, compress: boolean): boolean;
}

interface App {
  ws(pattern: string, behavior: object): App;
  publish(topic: string, data: ArrayBuffer, isBinary: boolean, compress: boolean): void;
  listen(host: string, port: number, callback: (socket: object | false) => void): App;
}

interface Uws {
  readonly DISABLED: number;
  readonly SHARED_COMPRESSOR: number;
  App(): App;
  us_socket_local_port(socket: object): number;
}

const { work, peers } = readTask();
const require = createRequire(peers);
const uws = require('uwebsockets') as Uws;

const app = uws.App();
app.ws('/*', {
  compression: work.compressed ? uws.SHARED_COMPRESSOR : uws.DISABLED,
  maxPayloadLength: MAX_MESSAGE_BYTES,
  maxBackpressure: MAX_BACKPRESSURE_BYTES,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  open: (socket: WebSocket) => {
    if (work.kind === 'chat' || work.kind === 'fan-out') socket.subscribe('room');
  },
  message: (socket: WebSocket, data: ArrayBuffer, isBinary: boolean) => {
    if (work.kind === 'chat') app.publish('room', data, isBinary, work.compressed);
    else if (work.kind === 'fan-out') socket.publish('room', data, isBinary, work.compressed);
    else socket.send(data, isBinary, work.compressed);
  },
});
app.listen('127.0.0.1', 0, (socket) => {
  if (socket === false) throw new Error('uWebSockets.js cannot listen');
  serveQuestions(uws.us_socket_local_port(socket));
});
