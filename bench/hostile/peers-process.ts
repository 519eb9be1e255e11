/** The peers of an attack, in a process of their own: what they keep is not the server's. */
import { Peer } from '../soak/peer.ts';
import type { FromPeers, ToPeers } from './messages.ts';
import { TCP_ATTACKS, type TcpAttack } from './tcp-attacks.ts';

/** How many connections are opened at a time. */
const BATCH = 50;
/** When nothing could be written for so long, the server reads no more. */
const PATIENCE_MS = 300;

let attack: TcpAttack;
let peers: Peer[] = [];

process.once('disconnect', () => process.exit(0));
process.on('message', async (message: ToPeers) => {
  const tell = (type: FromPeers['type']): void => void process.send?.({ type } satisfies FromPeers);
  if (message.type === 'open') {
    attack = TCP_ATTACKS[message.attack]!;
    peers = [];
    for (let i = 0; i < message.connections; i += BATCH) {
      const count = Math.min(BATCH, message.connections - i);
      peers.push(...(await Promise.all(Array.from({ length: count }, () => open(message.port)))));
    }
    tell('opened');
  } else if (message.type === 'attack') {
    await Promise.all(peers.map(run));
    tell('attacked');
  } else {
    for (const { socket } of peers) socket.destroy();
    tell('left');
  }
});

async function open(port: number): Promise<Peer> {
  const peer = await Peer.connect(port);
  if (attack.before !== '') {
    await peer.write(attack.before);
    const head = await peer.readHead();
    if (head.status !== 101) for await (const _ of peer.readBody(head));
  }
  // Nothing is kept of what comes.
  peer.socket.removeAllListeners('data');
  if (attack.reads) peer.socket.on('data', () => {}).resume();
  else peer.socket.pause();
  return peer;
}

async function run({ socket }: Peer): Promise<void> {
  for (let i = 0; i < attack.times && socket.writable; i++) {
    if (socket.write(attack.bytes)) continue;
    const drained = new Promise((resolve) => socket.once('drain', resolve));
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
    if (socket.writableNeedDrain) return;
  }
}
