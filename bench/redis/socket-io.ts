/** socket.io with one of its adapters for Redis, used as their documentation shows: over WebSocket alone. */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveQuestions } from '../e2e/server-process.ts';
import { makeClient, type RedisClient } from './clients.ts';
import type { RedisServerTask } from './messages.ts';

interface Socket {
  readonly handshake: { readonly query: { readonly room: string } };
  join(room: string): void;
  to(room: string): { emit(event: string, data: string): void };
  on(event: 'message', listener: (data: string) => void): void;
}

interface SocketIo {
  readonly Server: new (
    http: object,
    options: object,
  ) => { on(event: 'connection', listener: (socket: Socket) => void): void };
}

/** Nobody says when an adapter has subscribed. */
const SUBSCRIBE_MS = 300;
/** Neither side asks whether the other is there while something is measured. */
const PING_MS = 24 * 60 * 60 * 1000;

const task = JSON.parse(process.argv[2]!) as RedisServerTask;
const require = createRequire(task.peers);
const { Server } = require('socket.io') as SocketIo;

async function connectClient(): Promise<RedisClient> {
  const client = makeClient(task);
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function makeAdapter(): Promise<unknown> {
  const client = await connectClient();
  if (task.historyMessages === 0) {
    const { createAdapter } = require('@socket.io/redis-adapter');
    return createAdapter(client, await connectClient());
  }
  // One stream is for all rooms.
  const { createAdapter } = require('@socket.io/redis-streams-adapter');
  return createAdapter(client);
}

const http = createServer();
const io = new Server(http, {
  adapter: await makeAdapter(),
  transports: ['websocket'],
  serveClient: false,
  pingInterval: PING_MS,
  // What it keeps messages for.
  ...(task.historyMessages > 0 && { connectionStateRecovery: {} }),
});
io.on('connection', (socket) => {
  const { room } = socket.handshake.query;
  socket.join(room);
  socket.on('message', (data) => socket.to(room).emit('message', data));
});
await sleep(SUBSCRIBE_MS);
http.listen(0, '127.0.0.1', () => serveQuestions((http.address() as AddressInfo).port));
