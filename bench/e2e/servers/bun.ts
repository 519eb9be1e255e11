/** The WebSocket server of Bun, with its own topics for the chat and the fan-out. Runs on Bun. */
import { MAX_BACKPRESSURE_BYTES, MAX_MESSAGE_BYTES, readTask, serveQuestions } from '../server-process.ts';

interface WebSocket {
  send(data: string | Uint8Array, compress: boolean): number;
  subscribe(topic: string): void;
  publish(topic: string, data: string | Uint8Array, compress: boolean): number;
}

interface BunServer {
  readonly port: number;
  upgrade(request: unknown): boolean;
  publish(topic: string, data: string | Uint8Array, compress: boolean): number;
}

const { Bun } = globalThis as unknown as { Bun: { serve(options: object): BunServer } };
const { work } = readTask();

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request: unknown) => {
    if (server.upgrade(request)) return undefined;
    return new Response('not a WebSocket', { status: 400 });
  },
  websocket: {
    perMessageDeflate: work.compressed && { compress: 'shared', decompress: 'shared' },
    maxPayloadLength: MAX_MESSAGE_BYTES,
    backpressureLimit: MAX_BACKPRESSURE_BYTES,
    idleTimeout: 0,
    sendPings: false,
    open: (socket: WebSocket) => {
      if (work.kind === 'chat' || work.kind === 'fan-out') socket.subscribe('room');
    },
    message: (socket: WebSocket, data: string | Uint8Array) => {
      if (work.kind === 'chat') server.publish('room', data, work.compressed);
      else if (work.kind === 'fan-out') socket.publish('room', data, work.compressed);
      else socket.send(data, work.compressed);
    },
  },
});
serveQuestions(server.port);
