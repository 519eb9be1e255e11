/** The peer that floods, from one connection, as fast as the server takes it, until it is killed. */
import type { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { constants, deflateRawSync } from 'node:zlib';
import { frame, getRequest, messageFrame, Peer, upgradeRequest } from '../soak/peer.ts';
import type { Flood, FromFlooder, ToFlooder } from './messages.ts';

const FIN = 0x80;
const RSV1 = 0x40;
const CHUNK_BYTES = 64 * 1024;
const TELL_MS = 50;

interface Plan {
  /** The WebSocket that it opens first; none for plain HTTP. */
  readonly path?: string;
  readonly extensions?: string;
  readonly unit: Buffer;
  readonly reads: boolean;
}

const SMALL = messageFrame('x'.repeat(20));
const json = JSON.stringify(
  Array.from({ length: 12 }, (_, i) => ({ id: i, name: `number ${i}`, at: i * 1000, on: true })),
);
const deflated = deflateRawSync(json.slice(0, 1024), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

const PLANS: Readonly<Record<Flood, Plan>> = {
  'requests, answers read': { unit: Buffer.from(getRequest('/plain')), reads: true },
  'requests, answers not read': { unit: Buffer.from(getRequest('/plain')), reads: false },
  'streams, read': { unit: Buffer.from(getRequest('/stream')), reads: true },
  'streams, not read': { unit: Buffer.from(getRequest('/stream')), reads: false },
  'small messages, read': { path: '/echo', unit: SMALL, reads: true },
  'small messages, not read': { path: '/echo', unit: SMALL, reads: false },
  'large messages, read': { path: '/echo', unit: messageFrame(Buffer.alloc(64 * 1024, 'x')), reads: true },
  'messages to a slow handler': { path: '/slow', unit: SMALL, reads: true },
  'compressed messages, read': {
    path: '/echo',
    extensions: 'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    unit: frame(FIN | RSV1 | 1, deflated),
    reads: true,
  },
};

let bytes = 0;
process.once('disconnect', () => process.exit(0));
process.once('message', async ({ port, flood }: ToFlooder) => {
  // What is measured is how the server shares its time, and not how the system shares the cores.
  setPriority(10);
  setInterval(() => process.send?.({ type: 'flooding', bytes } satisfies FromFlooder), TELL_MS);
  const plan = PLANS[flood];
  // One that is cut comes again, as it would.
  for (;;) await floodOnce(port, plan);
});

async function floodOnce(port: number, { path, extensions, unit, reads }: Plan): Promise<void> {
  const chunk = Buffer.concat(Array<Buffer>(Math.ceil(CHUNK_BYTES / unit.length)).fill(unit));
  const { socket } = await Peer.connect(port);
  // Without its listener for what comes: nothing is to be kept.
  socket.removeAllListeners('data');
  if (reads) socket.on('data', () => {}).resume();
  else socket.pause();
  if (path !== undefined) socket.write(upgradeRequest(path, extensions));
  while (socket.writable) {
    bytes += chunk.length;
    if (socket.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
    else await drainOf(socket);
  }
  socket.destroy();
}

function drainOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
