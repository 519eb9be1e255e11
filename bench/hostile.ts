import { cpus, totalmem } from 'node:os';
import { Duplex } from 'node:stream';
import { deflateRawSync } from 'node:zlib';
import { resolveDeflateOptions } from '../lib/extensions/deflate-options.ts';
import { PerMessageDeflate } from '../lib/extensions/permessage-deflate.ts';
import { Connection } from '../lib/net/connection.ts';
import type { ConnectionLimits } from '../lib/net/limits.ts';
import { peerFrame } from '../spec/support/protocol-recorder.ts';
import { measureOverTcp, PeersProcess } from './hostile/over-tcp.ts';
import { retainedBytes } from './hostile/retained.ts';
import { TCP_ATTACKS } from './hostile/tcp-attacks.ts';

/**
 * `node --expose-gc --import tsx bench/hostile.ts`: what one hostile connection makes this process keep, for each way to
 * be hostile, beside the bound that follows from the options. Prints the tables of docs/explanation/hostile-peers.md, and
 * ends with 1 if a bound does not hold.
 *
 * Peers of the first table are streams in memory, so that nothing is hidden in the kernel: what a peer does not read stays in
 * this process. Those of the second come over TCP, from a process of their own, to a whole server. What is shown is the heap
 * and all buffers after a collection, per connection, less what as many connections keep that are open and idle.
 */

const KIB = 1024;

const LIMITS: ConnectionLimits = {
  maxMessageBytes: 64 * KIB,
  maxFrameBytes: Number.POSITIVE_INFINITY,
  maxQueuedMessages: 64,
  maxQueuedBytes: 64 * KIB,
  highWaterMarkBytes: 16 * KIB,
  maxBackpressureBytes: 256 * KIB,
  backpressurePolicy: 'drop',
  closeTimeoutMs: 60_000,
  heartbeatIntervalMs: 0,
  idleTimeoutMs: 0,
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  messageBurst: undefined,
  rateLimitPolicy: 'wait',
};

/** How large a read is at most, and what a stream in memory takes before it asks to wait. */
const READ_BYTES = 64 * KIB;
const STREAM_BYTES = 16 * KIB;
/** What all connections write into: a write that has to wait keeps one of these alive. */
const BLOCK_BYTES = 64 * KIB;
/** Objects that are no payload: the assembler, the queue and its entries, the parts of a stream. */
const OBJECTS = 8 * KIB;
const PONG_BYTES = 2 + 125;
const MAX_PONGS = 17;

/** A peer that sends what it is told to, and reads nothing or everything. */
class Peer extends Duplex {
  readonly #reads: boolean;

  constructor(reads: boolean) {
    super({ highWaterMark: STREAM_BYTES });
    this.#reads = reads;
  }

  /** A write that waits; a socket ends it with an error when it is cut. */
  #waiting: ((error: Error | null) => void) | undefined;

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#reads) done();
    else this.#waiting = done;
  }

  override _writev(_chunks: unknown, done: (error?: Error | null) => void): void {
    if (this.#reads) done();
    else this.#waiting = done;
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#waiting?.(new Error('cut'));
    this.#waiting = undefined;
    done(error);
  }

  /** Sends a chunk, a buffer of its own, unless the other side has stopped reading. */
  send(bytes: Buffer): boolean {
    if (this.isPaused() || this.destroyed) return false;
    this.push(Buffer.from(bytes));
    return true;
  }
}

interface Attack {
  readonly title: string;
  readonly reads?: boolean;
  readonly connections: number;
  readonly limits?: Partial<ConnectionLimits>;
  readonly compressed?: boolean;
  /** What follows from the options, as a formula and in bytes. */
  readonly formula: string;
  readonly bound: number;
  run(peer: Peer, connection: Connection): Promise<void>;
}

const masked = (bits: number, payload: Buffer | string = ''): Buffer => peerFrame('server', bits, payload);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const bomb = deflateRawSync(Buffer.alloc(32 * KIB * KIB), { level: 9, finishFlush: 2 });

const ATTACKS: readonly Attack[] = [
  {
    title: 'unfinished message, in fragments of one byte, each cut in two reads',
    connections: 40,
    formula: '`maxMessageBytes`',
    bound: LIMITS.maxMessageBytes,
    async run(peer) {
      const fragment = masked(0x00, 'x');
      peer.send(masked(0x02, 'x'));
      for (let i = 1; i < LIMITS.maxMessageBytes; i++) {
        peer.send(fragment.subarray(0, 3));
        peer.send(fragment.subarray(3));
        if (i % 4096 === 0) await turn();
      }
    },
  },
  {
    title: '100,000 empty fragments',
    connections: 40,
    formula: 'nothing',
    bound: 0,
    async run(peer) {
      peer.send(masked(0x01));
      const chunk = Buffer.concat(Array(1000).fill(masked(0x00)));
      for (let i = 0; i < 100; i++) {
        peer.send(chunk);
        await turn();
      }
    },
  },
  {
    title: 'Pongs between fragments, in reads of 64 KiB',
    connections: 40,
    formula: '`maxMessageBytes`',
    bound: LIMITS.maxMessageBytes,
    async run(peer) {
      peer.send(masked(0x02, 'x'));
      const pair = Buffer.concat([masked(0x00, 'x'), masked(0x8a, Buffer.alloc(125))]);
      const chunk = Buffer.concat(Array(Math.floor(READ_BYTES / pair.length)).fill(pair));
      for (let i = 0; i < 100; i++) {
        peer.send(chunk);
        await turn();
      }
    },
  },
  {
    title: 'a length of 64 bits, the largest that is taken, and nothing behind it',
    connections: 400,
    limits: { maxMessageBytes: Number.MAX_SAFE_INTEGER },
    formula: '4 KiB',
    bound: 4 * KIB,
    async run(peer) {
      peer.send(Buffer.from('82ff001fffffffffffff00000000', 'hex'));
      await turn();
    },
  },
  {
    title: '40,000 Pings, the answers read',
    connections: 40,
    reads: true,
    formula: '17 Pongs',
    bound: MAX_PONGS * PONG_BYTES,
    async run(peer) {
      const chunk = Buffer.concat(Array(400).fill(masked(0x89, Buffer.alloc(125))));
      for (let i = 0; i < 100; i++) {
        peer.send(chunk);
        await turn();
      }
    },
  },
  {
    title: '40,000 Pings, the answers not read',
    connections: 40,
    formula: 'what the socket takes (16 KiB here) + 2 × 17 Pongs + 64 KiB',
    bound: STREAM_BYTES + 2 * MAX_PONGS * PONG_BYTES + BLOCK_BYTES,
    async run(peer) {
      const chunk = Buffer.concat(Array(400).fill(masked(0x89, Buffer.alloc(125))));
      for (let i = 0; i < 100; i++) {
        peer.send(chunk);
        await turn();
      }
    },
  },
  {
    title: 'reads nothing, is sent 10 MB that nobody awaits, policy `drop`',
    connections: 40,
    formula: '`maxBackpressureBytes` + 1 message + 64 KiB',
    bound: LIMITS.maxBackpressureBytes + 10_000 + BLOCK_BYTES,
    async run(_peer, connection) {
      for (let i = 0; i < 1000; i++) {
        void connection.send(Buffer.alloc(10_000));
        if (i % 10 === 0) await turn();
      }
    },
  },
  {
    title: 'the same with 100,000 messages of one byte, a few a turn',
    connections: 40,
    formula: '3 × `maxBackpressureBytes` + 64 KiB',
    bound: 3 * LIMITS.maxBackpressureBytes + BLOCK_BYTES,
    async run(_peer, connection) {
      for (let i = 0; i < 100_000; i++) {
        void connection.send('x');
        if (i % 20 === 0) await turn();
      }
    },
  },
  {
    title: '10 MB to such a peer with the policy `close`',
    connections: 40,
    limits: { backpressurePolicy: 'close' },
    formula: 'nothing: it is cut',
    bound: 0,
    async run(_peer, connection) {
      for (let i = 0; i < 1000; i++) {
        connection.send(Buffer.alloc(10_000)).catch(() => {});
        if (i % 10 === 0) await turn();
      }
    },
  },
  {
    title: 'messages of 1,000 bytes to a handler that takes none',
    connections: 40,
    formula: '`maxQueuedBytes` + 1 message + 1 read',
    bound: LIMITS.maxQueuedBytes + 1000 + READ_BYTES,
    async run(peer) {
      const chunk = Buffer.concat(Array(60).fill(masked(0x82, Buffer.alloc(1000))));
      for (let i = 0; i < 100 && peer.send(chunk); i++) await turn();
    },
  },
  {
    title: 'empty messages to a handler that takes none',
    connections: 40,
    formula: '`maxQueuedMessages` entries + 1 read',
    bound: LIMITS.maxQueuedMessages * 128 + READ_BYTES,
    async run(peer) {
      const chunk = Buffer.concat(Array(10_000).fill(masked(0x82)));
      for (let i = 0; i < 100 && peer.send(chunk); i++) await turn();
    },
  },
  {
    title: 'a compressed message of 32 MiB in 32 KiB, in fragments, never finished',
    connections: 40,
    compressed: true,
    formula: '`maxMessageBytes`',
    bound: LIMITS.maxMessageBytes,
    async run(peer) {
      for (let at = 0; at < bomb.length; at += 500) {
        peer.send(masked(at === 0 ? 0x42 : 0x00, bomb.subarray(at, at + 500)));
        await turn();
      }
    },
  },
  {
    title: 'the same, finished',
    connections: 40,
    reads: true,
    compressed: true,
    formula: 'nothing: it is closed with 1009',
    bound: 0,
    async run(peer) {
      peer.send(masked(0xc2, bomb.subarray(0, -4)));
      for (let i = 0; i < 10; i++) await turn();
    },
  },
];

interface Pair {
  readonly peer: Peer;
  readonly connection: Connection;
}

function open({ reads = false, limits, compressed = false }: Attack): Pair {
  const peer = new Peer(reads);
  const options = resolveDeflateOptions(true)!;
  const compression = compressed ? new PerMessageDeflate('server', options, options) : undefined;
  const connection = new Connection(peer, 'server', { ...LIMITS, ...limits }, '', compression);
  connection.start({
    shown: {} as never,
    isBusy: false,
    isHandling: false,
    takeMessage: () => false,
    onDestroyed: () => {},
    onConnectionClosed: () => {},
  });
  return { peer, connection };
}

/** What one connection keeps more than one that is idle. */
async function measure(attack: Attack): Promise<number> {
  const pairs = Array.from({ length: attack.connections }, () => open(attack));
  const before = await retainedBytes();
  for (const { peer, connection } of pairs) await attack.run(peer, connection);
  const after = await retainedBytes();
  for (const { connection } of pairs) connection.destroy();
  await turn();
  return Math.max(0, Math.round((after - before) / attack.connections));
}

const format = (bytes: number): string => Math.round(bytes).toLocaleString('en');

if (globalThis.gc === undefined) throw new Error('start it with node --expose-gc');
// Once without looking: code is compiled, shared buffers are made.
for (const attack of ATTACKS) await measure({ ...attack, connections: 2 });

const gib = (totalmem() / KIB ** 3).toFixed(0);
console.log(
  `Node ${process.versions.node}, ${process.arch}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${gib} GiB\n`,
);
let broken = 0;

function printRow(title: string, bytes: number, formula: string, bound: number): void {
  const withObjects = bound + OBJECTS;
  if (bytes > withObjects) broken++;
  const verdict = bytes > withObjects ? ' **broken**' : '';
  console.log(`| ${title} | ${format(bytes)} | ${formula} | ${format(withObjects)}${verdict} |`);
}

const HEAD = '| a peer that sends | keeps, bytes | bound | bytes |\n|---|---|---|---|';
console.log(`in memory\n\n${HEAD}`);
for (const attack of ATTACKS) printRow(attack.title, await measure(attack), attack.formula, attack.bound);

console.log(`\nover TCP\n\n${HEAD}`);
const peers = new PeersProcess();
for (const attack of TCP_ATTACKS) await measureOverTcp(peers, attack, 2);
for (const attack of TCP_ATTACKS) {
  printRow(attack.title, await measureOverTcp(peers, attack, attack.connections), attack.formula, attack.bound);
}
peers.end();
process.exit(broken > 0 ? 1 : 0);
