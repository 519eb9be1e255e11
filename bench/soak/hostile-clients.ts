import { constants, deflateRawSync } from 'node:zlib';
import { anyPort, type ClientContext, type Kind, sleep } from './client.ts';
import { downloadPiece } from './content.ts';
import { frame, getRequest, messageFrame, Peer, upgradeRequest } from './peer.ts';

/**
 * Clients that break the rules, do not read, or vanish. Nothing is asked of what they get: only that the server keeps its
 * bounds, answers the others, and is rid of them in time.
 */

const FIN = 0x80;
const RSV1 = 0x40;
/** How long a flood waits for a server that does not read, before it gives up. */
const FLOOD_PATIENCE_MS = 400;

const SMALL = Buffer.concat(Array.from({ length: 400 }, (_, i) => messageFrame(`small message ${i}`)));
const MEDIUM = Buffer.concat(Array.from({ length: 16 }, (_, i) => messageFrame(downloadPiece(i, 0, 4000))));
const PINGS = Buffer.concat(Array.from({ length: 300 }, (_, i) => frame(FIN | 9, downloadPiece(i, 0, 125))));
const EMPTY_FRAGMENTS = Buffer.concat([frame(1), ...Array<Buffer>(3000).fill(frame(0))]);
const BOMB = deflateRawSync(Buffer.alloc(8 * 1024 * 1024), { level: 9, finishFlush: constants.Z_SYNC_FLUSH });
const OFFER = 'permessage-deflate; client_max_window_bits';

const compressed = (text: string): Buffer =>
  frame(FIN | RSV1 | 1, deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4));
const COMPRESSED = compressed('a text that repeats itself. '.repeat(3000));

/** Leaves in one of the ways there are, some of which are none. */
function vanish(client: ClientContext, { socket }: Peer): void {
  const way = client.random.whole(0, 6);
  if (way === 0) socket.destroy();
  else if (way === 1) socket.resetAndDestroy();
  else if (way === 2) socket.end(frame(FIN | 8, Buffer.of(3, 232)));
  else if (way === 3) socket.write(frame(FIN | 8, Buffer.of(3, 232)));
  else if (way === 4) socket.end();
  // In these it stays, and reads or does not.
  if (client.random.chance(0.5)) socket.pause();
  client.stay(socket);
}

/** Sends the same again and again, as long as the server takes it. */
async function flood(client: ClientContext, peer: Peer, bytes: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times && peer.socket.writable && !client.isOver(); i++) {
    await client.turn();
    if (peer.socket.write(bytes)) continue;
    await Promise.race([new Promise((resolve) => peer.socket.once('drain', resolve)), sleep(FLOOD_PATIENCE_MS)]);
    if (peer.socket.writableNeedDrain) return;
  }
}

/** Opens a WebSocket that reads nothing. */
async function openDeaf(port: number, path: string, extensions?: string): Promise<Peer> {
  const peer = await Peer.connect(port);
  peer.socket.pause();
  await peer.write(upgradeRequest(path, extensions));
  return peer;
}

/** One of the ports of plain HTTP, which the attached one is not. */
function httpPort({ ports, random }: ClientContext): number {
  return random.pick([ports.close, ports.drop, ports.wait]);
}

export const HOSTILE: Readonly<Record<string, Kind>> = {
  async 'never reads, and is sent much'(client) {
    const peer = await openDeaf(anyPort(client), '/feed', client.random.chance(0.5) ? OFFER : undefined);
    await peer.write(messageFrame(`400 ${client.random.pick([200, 5000, 40_000])}`));
    await sleep(client.random.whole(0, 500));
    vanish(client, peer);
  },

  async 'never reads what it floods with'(client) {
    const path = client.random.pick(['/echo', '/async', '/inner']);
    const peer = await openDeaf(anyPort(client), path);
    // What was sent is handled, whether or not somebody is there; many small messages would take a handler that sleeps for long.
    await flood(client, peer, path === '/async' ? MEDIUM : client.random.pick([SMALL, MEDIUM]), 100);
    vanish(client, peer);
  },

  async 'floods a slow handler'(client) {
    const peer = await Peer.open(anyPort(client), '/slow');
    if (client.random.chance(0.5)) await flood(client, peer, SMALL, 4);
    else await flood(client, peer, MEDIUM, 100);
    vanish(client, peer);
  },

  async 'floods an echo, and reads'(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    await flood(client, peer, client.random.pick([SMALL, MEDIUM]), 60);
    vanish(client, peer);
  },

  async 'floods behind a head of many messages'(client) {
    const peer = await Peer.connect(anyPort(client));
    const path = `/slow?wait=${client.random.pick([0, 100])}`;
    await peer.write(Buffer.concat([Buffer.from(upgradeRequest(path)), SMALL]));
    await flood(client, peer, MEDIUM, 60);
    vanish(client, peer);
  },

  async 'floods with Pings'(client) {
    const reads = client.random.chance(0.5);
    const peer = reads ? await Peer.open(anyPort(client), '/echo') : await openDeaf(anyPort(client), '/echo');
    await flood(client, peer, PINGS, 50);
    vanish(client, peer);
  },

  async 'sends fragments without an end'(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    const piece = downloadPiece(1, 0, client.random.pick([1, 1000, 60_000]));
    await peer.write(frame(2, piece));
    const count = client.random.whole(0, 20);
    for (let i = 0; i < count && peer.socket.writable; i++) {
      await client.turn();
      await flood(client, peer, frame(0, piece), 1);
    }
    vanish(client, peer);
  },

  async 'sends empty fragments'(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    await flood(client, peer, EMPTY_FRAGMENTS, 1);
    await flood(client, peer, Buffer.concat(Array<Buffer>(3000).fill(frame(0))), 10);
    vanish(client, peer);
  },

  async 'stops in the middle of a message'(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    const bytes = messageFrame(downloadPiece(5, 0, client.random.whole(1, 60_000)));
    await peer.write(bytes.subarray(0, client.random.whole(1, bytes.length - 1)));
    vanish(client, peer);
  },

  async 'is reset in the middle of a message'(client) {
    const peer = await Peer.open(anyPort(client), client.random.pick(['/echo', '/async', '/inner', '/slow']));
    await peer.write(MEDIUM.subarray(0, client.random.whole(1, MEDIUM.length - 1)));
    if (client.random.chance(0.5)) await sleep(client.random.whole(0, 20));
    peer.socket.resetAndDestroy();
  },

  async 'sends garbage instead of a request'(client) {
    const peer = await Peer.connect(anyPort(client));
    await peer.write(client.random.bytes(client.random.whole(1, 2000)));
    vanish(client, peer);
  },

  async 'sends garbage instead of frames'(client) {
    const peer = await Peer.open(anyPort(client), '/echo', client.random.chance(0.5) ? OFFER : undefined);
    await peer.write(client.random.bytes(client.random.whole(1, 5000)));
    vanish(client, peer);
  },

  async 'announces more than it may send'(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    await peer.write(Buffer.from('82ff001fffffffffffff00000000', 'hex'));
    vanish(client, peer);
  },

  async 'sends a bomb'(client) {
    const peer = await Peer.open(anyPort(client), '/echo', OFFER);
    await peer.write(frame(FIN | RSV1 | 2, BOMB.subarray(0, -4)));
    vanish(client, peer);
  },

  async 'floods with what is to be decompressed'(client) {
    const peer = await Peer.open(anyPort(client), '/async', OFFER);
    await flood(client, peer, COMPRESSED, 20);
    vanish(client, peer);
  },

  async 'leaves while its answers are compressed'(client) {
    const peer = client.random.chance(0.5)
      ? await Peer.open(anyPort(client), '/large', OFFER)
      : await openDeaf(anyPort(client), '/large', OFFER);
    await peer.write(messageFrame('now'));
    if (client.random.chance(0.5)) await sleep(client.random.whole(0, 30));
    vanish(client, peer);
  },

  async 'is silent before its request'(client) {
    const peer = await Peer.connect(anyPort(client));
    vanish(client, peer);
  },

  async 'sends its request byte by byte'(client) {
    const peer = await Peer.connect(anyPort(client));
    const request = client.random.pick([upgradeRequest('/echo'), getRequest('/http/hello')]);
    const count = client.random.whole(1, request.length - 1);
    for (let i = 0; i < count && !client.isOver() && peer.socket.writable; i++) {
      await client.turn();
      peer.socket.write(request[i]!);
      await sleep(client.random.whole(1, 60));
    }
    vanish(client, peer);
  },

  async 'sends a body that is never whole'(client) {
    const peer = await Peer.connect(httpPort(client));
    await peer.write('POST /http/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nnot all');
    await sleep(client.random.whole(0, 500));
    // The time a whole request may take is longer than any wave.
    if (client.random.chance(0.5)) peer.socket.destroy();
    else peer.socket.resetAndDestroy();
  },

  async 'waits for its upgrade, and leaves'(client) {
    const peer = await Peer.connect(anyPort(client));
    await peer.write(upgradeRequest(`/echo?wait=${client.random.whole(10, 500)}`));
    await sleep(client.random.whole(0, 100));
    vanish(client, peer);
  },

  async 'waits for its upgrade, and floods'(client) {
    const peer = await Peer.connect(anyPort(client));
    await peer.write(upgradeRequest(`/slow?wait=${client.random.whole(100, 500)}`));
    await flood(client, peer, MEDIUM, 40);
    vanish(client, peer);
  },

  async 'is refused, and stays'(client) {
    const peer = await Peer.connect(anyPort(client));
    await peer.write(upgradeRequest(client.random.pick(['/nowhere', '/echo?refuse=403', '/echo?refuse=503&wait=30'])));
    vanish(client, peer);
  },

  async 'http, does not read a download'(client) {
    const isBurst = client.random.chance(0.5);
    // With the policy `wait` nothing bounds handlers that do not await.
    const peer = await Peer.connect(
      isBurst ? client.random.pick([client.ports.close, client.ports.drop]) : httpPort(client),
    );
    peer.socket.pause();
    await peer.write(getRequest(isBurst ? '/http/burst' : '/http/download?seed=1&bytes=20000000'));
    await sleep(client.random.whole(0, 500));
    vanish(client, peer);
  },

  async 'http, pipelines without an end'(client) {
    const peer = await Peer.connect(httpPort(client));
    if (client.random.chance(0.5)) peer.socket.pause();
    const request = getRequest(
      client.random.pick(['/http/echo?wait=20', '/http/hello?name=x', '/http/download?seed=1&bytes=90000']),
    );
    await flood(client, peer, Buffer.from(request.repeat(200)), 20);
    vanish(client, peer);
  },

  async 'an upgrade behind a download that it does not read'(client) {
    const peer = await Peer.connect(httpPort(client));
    peer.socket.pause();
    await peer.write(getRequest('/http/download?seed=1&bytes=20000000') + upgradeRequest('/echo'));
    await sleep(client.random.whole(0, 500));
    vanish(client, peer);
  },

  async 'listens to events, and leaves'(client) {
    const peer = await Peer.connect(httpPort(client));
    await peer.write(getRequest('/http/events?count=100&name=x'));
    await sleep(client.random.whole(0, 400));
    vanish(client, peer);
  },

  async 'comes and goes'(client) {
    for (let i = 0; i < 30 && !client.isOver(); i++) {
      await client.turn();
      const peer = await Peer.connect(anyPort(client));
      await peer.write(upgradeRequest('/echo'));
      if (client.random.chance(0.7)) await sleep(client.random.whole(0, 5));
      if (client.random.chance(0.5)) peer.socket.destroy();
      else peer.socket.resetAndDestroy();
    }
  },
};
