import { anyPort, type ClientContext, type Kind, sleep } from './client.ts';
import { downloadPiece, Expected, type Message, makeMessage, show } from './content.ts';
import { type Link, RawLink, WsLink } from './link.ts';
import { frame, getRequest, messageFrame, Peer, upgradeRequest } from './peer.ts';

/** Clients that keep to the rules, and check that each answer is whole, in its place, and theirs. */

const FIN = 0x80;
/** No more in flight than any policy lets wait, so that nothing of theirs is ever dropped. */
const MAX_IN_FLIGHT_BYTES = 250_000;
const MAX_BYTES = 200_000;
/** Codes that either side may close with. */
const CLOSE_CODES = [1000, 1001, 3000, 4999] as const;

/** How often a client sends, and how many messages at most at a time. */
export interface Effort {
  readonly rounds: number;
  readonly burst: number;
  /** What comes back in any case before the first round. */
  readonly first?: Expected;
}

/** Sends messages that all come back. */
export async function echo(client: ClientContext, link: Link, effort: Effort): Promise<void> {
  const { random } = client;
  const expected = effort.first ?? new Expected();
  const receive = async (): Promise<void> => {
    const message = await link.receive();
    expected.received(message);
    client.verified(message.length);
  };
  let index = 0;
  for (let round = 0; round < effort.rounds && !client.isOver(); round++) {
    await client.turn();
    const burst = random.whole(1, effort.burst);
    for (let i = 0; i < burst && expected.waitingBytes < MAX_IN_FLIGHT_BYTES; i++) {
      const message = makeMessage(client.name, index++, random, MAX_BYTES);
      expected.sent(message);
      await link.send(message);
    }
    const waiting = random.chance(0.3) ? random.whole(0, expected.waiting) : 0;
    while (expected.waiting > waiting) await receive();
  }
  while (expected.waiting > 0) await receive();
}

/** Echoes until it has enough, and closes. */
async function echoAndClose(client: ClientContext, link: Link, rounds: number, burst: number): Promise<void> {
  await echo(client, link, { rounds, burst });
  await link.close(client.random.pick(CLOSE_CODES));
}

const ECHOES = ['/echo', '/async', '/inner'];

export const GOOD: Readonly<Record<string, Kind>> = {
  async 'echo, ws, no compression'(client) {
    const link = await WsLink.open(anyPort(client), client.random.pick(ECHOES), false);
    await echoAndClose(client, link, client.random.whole(1, 40), 24);
  },

  async 'echo, ws, context takeover'(client) {
    const link = await WsLink.open(anyPort(client), client.random.pick(ECHOES), { threshold: 0 });
    await echoAndClose(client, link, client.random.whole(1, 20), 8);
  },

  async 'echo, ws, no context takeover'(client) {
    const link = await WsLink.open(anyPort(client), client.random.pick(ECHOES), {
      threshold: 0,
      clientNoContextTakeover: true,
      serverNoContextTakeover: client.random.chance(0.7),
      ...(client.random.chance(0.5) && { clientMaxWindowBits: client.random.whole(9, 15) }),
      ...(client.random.chance(0.5) && { serverMaxWindowBits: client.random.whole(9, 15) }),
    });
    await echoAndClose(client, link, client.random.whole(1, 20), 8);
  },

  async 'echo, in fragments and pieces'(client) {
    const link = await RawLink.open(anyPort(client), client.random.pick(ECHOES), client.random);
    await echoAndClose(client, link, client.random.whole(1, 40), 16);
  },

  async 'messages with the upgrade'(client) {
    const wait = client.random.chance(0.5) ? 0 : client.random.whole(10, 300);
    const path = `${client.random.pick(ECHOES)}?wait=${wait}`;
    const expected = new Expected();
    const head: Message[] = [];
    const count = client.random.whole(1, 100);
    for (let i = 0; i < count; i++) head.push(makeMessage(`${client.name}/head`, i, client.random, 800));
    for (const message of head) expected.sent(message);
    const link = await RawLink.openWith(anyPort(client), path, client.random, head);
    await echo(client, link, { rounds: client.random.whole(1, 10), burst: 16, first: expected });
    await link.close(1000);
  },

  async 'messages, and a Close right behind'(client) {
    const { peer } = await RawLink.open(anyPort(client), client.random.pick(['/echo', '/async']), client.random);
    const expected = new Expected();
    const bytes: Buffer[] = [];
    const count = client.random.whole(1, 12);
    for (let i = 0; i < count; i++) {
      const message = makeMessage(client.name, i, client.random, 20_000);
      expected.sent(message);
      bytes.push(messageFrame(message));
    }
    await peer.write(Buffer.concat([...bytes, frame(FIN | 8, Buffer.of(3, 232))]));
    // It may end its side as well: nothing more is to come from it.
    if (client.random.chance(0.5)) peer.socket.end();
    while (expected.waiting > 0) {
      const message = await peer.readMessage();
      expected.received(message);
      client.verified(message.length);
    }
    const { bits, payload } = await peer.readFrame();
    if (bits !== (FIN | 8) || payload.readUInt16BE() !== 1000) throw new Error('no Close frame behind the messages');
    await peer.readEnd();
    peer.socket.end();
  },

  async 'closed by the server'(client) {
    const peer = await Peer.open(anyPort(client), '/close');
    const code = client.random.pick(CLOSE_CODES);
    await peer.write(messageFrame(`${code} ${client.name.replaceAll(' ', '')}`));
    const { bits, payload } = await peer.readFrame();
    if (bits !== (FIN | 8) || payload.readUInt16BE() !== code) throw new Error('no Close frame with the code');
    if (payload.toString('utf8', 2) !== client.name.replaceAll(' ', ''))
      throw new Error('no Close frame with the reason');
    await peer.write(frame(FIN | 8, payload.subarray(0, 2)));
    await peer.readEnd();
    client.verified(payload.length);
    peer.socket.end();
  },

  async 'a handler throws'(client) {
    const peer = await Peer.open(anyPort(client), '/throw');
    await peer.write(messageFrame('now'));
    const { bits, payload } = await peer.readFrame();
    if (bits !== (FIN | 8) || payload.toString('hex') !== '03f3') throw new Error('not closed with 1011');
    await peer.write(frame(FIN | 8, payload));
    await peer.readEnd();
    client.verified(0);
    peer.socket.end();
  },

  async pings(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    for (let i = 0; i < 30 && !client.isOver(); i++) {
      await client.turn();
      const payload = Buffer.from(`${client.name}#${i}`).subarray(0, 125);
      // With a message behind it: for Pings alone it would be idle.
      await peer.write(Buffer.concat([frame(FIN | 9, payload), messageFrame(payload)]));
      const pong = await peer.readFrame();
      if (pong.bits !== (FIN | 10) || !pong.payload.equals(payload)) throw new Error('no Pong to a Ping');
      if (!payload.equals((await peer.readMessage()) as Buffer)) throw new Error('no answer behind a Pong');
      client.verified(payload.length);
    }
    await peer.close(1000);
  },

  async idle(client) {
    const peer = await Peer.open(anyPort(client), '/echo');
    const { bits, payload } = await peer.readFrame();
    if (bits !== (FIN | 8) || payload.readUInt16BE() !== 1001) throw new Error('not closed with 1001 for being idle');
    await peer.write(frame(FIN | 8, payload.subarray(0, 2)));
    await peer.readEnd();
    client.verified(0);
    peer.socket.end();
  },

  async 'chat, by a Broadcast'(client) {
    const port = anyPort(client);
    const path = `/chat/${encodeURIComponent(client.name)}`;
    const members = await Promise.all(
      Array.from({ length: client.random.whole(2, 8) }, (_, i): Promise<Link> => {
        if (i % 3 === 0) return RawLink.open(port, path, client.random);
        return WsLink.open(port, path, i % 3 === 1 ? { threshold: 0 } : false);
      }),
    );
    for (const member of members) {
      const message = await member.receive();
      if (message !== 'joined') throw new Error(`not said to have joined, but ${show(message)}`);
    }
    const rounds = client.random.whole(1, 15);
    for (let round = 0; round < rounds && !client.isOver(); round++) {
      await client.turn();
      await chatRound(client, members, round);
    }
    for (const member of members) await member.close(1000);
  },

  async 'slow, of what it asked for'(client) {
    // With the policy `wait` nothing is lost, however slow.
    const peer = await Peer.open(client.ports.wait, '/feed');
    const count = client.random.whole(20, 120);
    const bytes = client.random.whole(5000, 40_000);
    await peer.write(messageFrame(`${count} ${bytes}`));
    for (let i = 0; i < count; i++) {
      await client.turn();
      if (client.random.chance(0.2)) {
        peer.socket.pause();
        await sleep(client.random.whole(5, 100));
        peer.socket.resume();
      }
      const message = await peer.readMessage();
      if (!downloadPiece(i, 0, bytes).equals(message as Buffer)) throw new Error(`not message ${i} of the feed`);
      client.verified(bytes);
    }
    // When it has read the last one, nothing may have been sent for so long that the server takes it for idle.
    await peer.close(1000, 1001);
  },

  async 'large messages, compressed in threads'(client) {
    const link = await WsLink.open(anyPort(client), '/large', { threshold: 0 });
    await link.send('now');
    const first = await link.receive();
    for (let i = 1; i < 4; i++) {
      await client.turn();
      const message = (await link.receive()) as Buffer;
      if (!message.equals(first as Buffer)) throw new Error(`message ${i} is not like the first`);
      client.verified(message.length);
    }
    await link.close(1000);
  },

  async 'refused upgrades'(client) {
    const peer = await Peer.connect(anyPort(client));
    const [path, status] = client.random.pick([
      ['/echo?refuse=401', 401],
      ['/echo?refuse=429&wait=50', 429],
      ['/nowhere', 404],
    ] as const);
    await peer.write(upgradeRequest(path));
    const head = await peer.readHead();
    if (head.status !== status) throw new Error(`${path} was answered with ${head.status}`);
    for await (const _ of peer.readBody(head));
    await peer.readEnd();
    client.verified(0);
    peer.socket.end();
  },

  async 'http, one after the other'(client) {
    const { ports, random } = client;
    await client.turn();
    const peer = await Peer.connect(random.pick([ports.close, ports.drop, ports.wait]));
    const rounds = random.whole(1, 30);
    // Without a turn for each: a connection that waits for too long may be ended.
    for (let i = 0; i < rounds && !client.isOver(); i++) {
      const body = downloadPiece(i, 0, random.whole(0, 30_000));
      await peer.write(postRequest('/http/echo', body));
      await expectBody(client, peer, body);
    }
    peer.socket.end();
    await peer.readEnd();
  },

  async 'http, pipelined'(client) {
    const { ports, random } = client;
    await client.turn();
    const peer = await Peer.connect(random.pick([ports.close, ports.drop, ports.wait]));
    for (let round = 0; round < 5 && !client.isOver(); round++) {
      const bodies = Array.from({ length: random.whole(1, 40) }, (_, i) =>
        Buffer.from(`${client.name}#${round}/${i}${'.'.repeat(random.whole(0, 3000))}`),
      );
      // Each at a time of its own, so that later ones are ready before earlier ones.
      await peer.write(
        Buffer.concat(bodies.map((body) => postRequest(`/http/echo?wait=${random.whole(0, 20)}`, body))),
      );
      for (const body of bodies) await expectBody(client, peer, body);
    }
    peer.socket.end();
    await peer.readEnd();
  },

  async 'http, a download'(client) {
    const { ports, random } = client;
    const peer = await Peer.connect(random.pick([ports.close, ports.drop, ports.wait]));
    await download(client, peer, random.whole(1, 3_000_000), '');
    peer.socket.end();
    await peer.readEnd();
  },

  async 'server-sent events'(client) {
    const { ports, random } = client;
    const peer = await Peer.connect(random.pick([ports.close, ports.drop, ports.wait]));
    const count = random.whole(1, 40);
    const name = encodeURIComponent(client.name);
    await peer.write(getRequest(`/http/events?count=${count}&name=${name}`));
    const head = await peer.readHead();
    if (head.headers.get('content-type') !== 'text/event-stream') throw new Error('no event stream');
    let text = '';
    for await (const piece of peer.readBody(head)) text += piece.toString();
    const expected = Array.from({ length: count }, (_, i) => `data: ${client.name}#${i}\n\n`).join('');
    if (text !== expected) throw new Error(`not the events that were to come: ${text.slice(0, 200)}`);
    client.verified(text.length);
    await peer.readEnd();
    peer.socket.end();
  },

  async 'an upgrade behind a download'(client) {
    const { ports, random } = client;
    const peer = await Peer.connect(random.pick([ports.close, ports.drop, ports.wait]));
    const first = makeMessage(client.name, -1, random, 2000);
    const behind = Buffer.concat([Buffer.from(upgradeRequest('/echo')), messageFrame(first)]);
    await download(client, peer, random.whole(1, 1_000_000), behind);
    await peer.readUpgrade();
    const expected = new Expected();
    expected.sent(first);
    const link = new RawLink(peer, random);
    await echo(client, link, { rounds: random.whole(1, 10), burst: 8, first: expected });
    await link.close(1000);
  },

  async "an upgrade behind the application's responses"(client) {
    const { random } = client;
    const peer = await Peer.connect(client.ports.attached);
    const requests = Array.from({ length: random.whole(1, 5) }, (_, i) =>
      getRequest(`/?wait=${random.whole(0, 60)}&name=${i}`),
    );
    const first = makeMessage(client.name, -1, random, 2000);
    await peer.write(Buffer.concat([Buffer.from(requests.join('') + upgradeRequest('/echo')), messageFrame(first)]));
    for (const i of requests.keys()) await expectBody(client, peer, Buffer.from(`plain ${i}`));
    await peer.readUpgrade();
    const expected = new Expected();
    expected.sent(first);
    const link = new RawLink(peer, random);
    await echo(client, link, { rounds: random.whole(1, 10), burst: 8, first: expected });
    await link.close(1000);
  },
};

/** Everyone sends a message, and gets that of everyone, in the same order. */
async function chatRound(client: ClientContext, members: readonly Link[], round: number): Promise<void> {
  const sent = members.map((_, i) => makeMessage(`${client.name}/${i}`, round, client.random, 3000));
  await Promise.all(members.map((member, i) => member.send(sent[i]!)));
  const told: Message[] = [];
  for (const [i, member] of members.entries()) {
    const missing = [...sent];
    for (let n = 0; n < members.length; n++) {
      const message = await member.receive();
      const index = missing.findIndex(
        (one) => Buffer.from(one).equals(Buffer.from(message)) && typeof one === typeof message,
      );
      if (index === -1) throw new Error(`member ${i} got what nobody sent, or a second time: ${show(message)}`);
      missing.splice(index, 1);
      if (i === 0) told.push(message);
      else if (!Buffer.from(told[n]!).equals(Buffer.from(message))) throw new Error(`member ${i} got another order`);
      client.verified(message.length);
    }
  }
}

function postRequest(path: string, body: Buffer): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Reads the next response, which must have this body. */
async function expectBody(client: ClientContext, peer: Peer, body: Buffer): Promise<void> {
  const head = await peer.readHead();
  if (head.status !== 200) throw new Error(`answered with ${head.status}`);
  const pieces: Buffer[] = [];
  for await (const piece of peer.readBody(head)) pieces.push(piece);
  const received = Buffer.concat(pieces);
  if (!received.equals(body)) throw new Error(`${show(body)} was to come, and came ${show(received)}`);
  client.verified(body.length);
}

/** Asks for a download, and checks each byte of it. @param behind - what is sent right behind the request */
async function download(client: ClientContext, peer: Peer, bytes: number, behind: Buffer | string): Promise<void> {
  const seed = client.random.whole(0, 1_000_000);
  const request = getRequest(`/http/download?seed=${seed}&bytes=${bytes}`);
  await peer.write(Buffer.concat([Buffer.from(request), Buffer.from(behind)]));
  const head = await peer.readHead();
  let offset = 0;
  for await (const piece of peer.readBody(head)) {
    // Behind it there may be Pings already, which are not seen before.
    if (behind.length === 0) await client.turn();
    for (let at = 0; at < piece.length; at += 65_536) {
      const part = piece.subarray(at, at + 65_536);
      if (!part.equals(downloadPiece(seed, offset + at, part.length))) {
        throw new Error(`a byte is wrong in ${offset + at} to ${offset + at + part.length} of a download`);
      }
    }
    offset += piece.length;
  }
  if (offset !== bytes) throw new Error(`${offset} bytes of a download came, and were to be ${bytes}`);
  client.verified(bytes);
}

/** Those who stay from the first wave to the last: what is kept of them grows no more than of others. */
export const RESIDENTS: Readonly<Record<string, (client: ClientContext) => Promise<Link>>> = {
  'echo in fragments': ({ ports, random }) => RawLink.open(ports.close, '/echo', random),
  'echo with context takeover': ({ ports }) => WsLink.open(ports.drop, '/async', { threshold: 0 }),
  'a handler that reads': ({ ports, random }) => RawLink.open(ports.attached, '/inner', random),
  async 'chat with itself'({ ports }) {
    const link = await WsLink.open(ports.wait, '/chat/resident', { threshold: 0 });
    await link.receive();
    return link;
  },
};
