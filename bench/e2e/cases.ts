/** The works that whole servers are measured with. */
export interface EndToEndCase {
  readonly name: string;
  readonly title: string;
  readonly kind: 'echo' | 'chat' | 'fan-out' | 'accept' | 'idle';
  /** Of a fan-out, those that are subscribed: there is a publisher besides. */
  readonly connections: number;
  /** Bytes of each message's payload. */
  readonly payloadBytes: number;
  /** Messages that each connection has sent and not received back; of a fan-out, those that are published at once. */
  readonly inFlight: number;
  readonly text: boolean;
  readonly compressed: boolean;
  /** Connections that are open before an idle case is measured, and stay so. */
  readonly besides: number;
  /** Flags that each server on Node is given. */
  readonly nodeFlags: readonly string[];
  /** Over TLS with a key that both sides know, so that no certificate is needed. */
  readonly secure: boolean;
}

const BASE = { kind: 'echo', text: false, compressed: false, secure: false, besides: 0, nodeFlags: [] } as const;
const KIB = 1024;
const MIB = 1024 * KIB;

function sizeOf(bytes: number): string {
  if (bytes >= MIB) return `${bytes / MIB} MiB`;
  return bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`;
}

function echo(name: string, connections: number, payloadBytes: number, inFlight: number): EndToEndCase {
  const title = `echo, ${connections} connections, ${sizeOf(payloadBytes)}, ${inFlight} in flight`;
  return { ...BASE, name, title, connections, payloadBytes, inFlight };
}

function chat(name: string, connections: number): EndToEndCase {
  const title = `chat, ${connections} clients in one room, 20 B`;
  return { ...BASE, name, title, kind: 'chat', connections, payloadBytes: 20, inFlight: 1, text: true };
}

function fanOut(name: string, connections: number, payloadBytes: number, inFlight: number): EndToEndCase {
  const title = `fan-out to ${connections} subscribers, ${sizeOf(payloadBytes)}, ${inFlight} at once`;
  return { ...BASE, name, title, kind: 'fan-out', connections, payloadBytes, inFlight, text: true };
}

export const END_TO_END: readonly EndToEndCase[] = [
  echo('echo-20-1', 64, 20, 1),
  echo('echo-20-4', 64, 20, 4),
  echo('echo-20-16', 64, 20, 16),
  echo('echo-20-32', 64, 20, 32),
  { ...echo('echo-text-20-32', 64, 20, 32), title: 'echo, 64 connections, 20 B of text, 32 in flight', text: true },
  echo('echo-1k-1', 64, KIB, 1),
  echo('echo-1k-4', 64, KIB, 4),
  echo('echo-1k-16', 64, KIB, 16),
  echo('echo-1k-32', 64, KIB, 32),
  { ...echo('echo-text-1k-16', 64, KIB, 16), title: 'echo, 64 connections, 1 KiB of text, 16 in flight', text: true },
  echo('echo-16k-4', 16, 16 * KIB, 4),
  echo('echo-1m-2', 8, MIB, 2),
  {
    ...echo('echo-deflate-1k', 64, KIB, 4),
    title: 'echo, 64 connections, 1 KiB of JSON, compressed, 4 in flight',
    text: true,
    compressed: true,
  },
  { ...echo('echo-tls-20-1', 64, 20, 1), title: 'echo over TLS, 64 connections, 20 B, 1 in flight', secure: true },
  { ...echo('echo-tls-20-32', 64, 20, 32), title: 'echo over TLS, 64 connections, 20 B, 32 in flight', secure: true },
  {
    ...echo('echo-tls-16k-4', 16, 16 * KIB, 4),
    title: 'echo over TLS, 16 connections, 16 KiB, 4 in flight',
    secure: true,
  },
  chat('chat-32', 32),
  chat('chat-200', 200),
  fanOut('fan-out-60-1000', 1000, 60, 32),
  fanOut('fan-out-60-5000', 5000, 60, 32),
  fanOut('fan-out-1k-1000', 1000, KIB, 32),
  fanOut('fan-out-1k-5000', 5000, KIB, 32),
  fanOut('fan-out-60-1000-1', 1000, 60, 1),
  {
    ...fanOut('fan-out-deflate-1k', 1000, KIB, 32),
    title: 'fan-out to 1000 subscribers, 1 KiB of JSON, compressed, 32 at once',
    compressed: true,
  },
  { ...BASE, name: 'accept', title: 'accept', kind: 'accept', connections: 5000, payloadBytes: 0, inFlight: 32 },
  {
    ...BASE,
    name: 'idle',
    title: 'idle, 5,000 connections',
    kind: 'idle',
    connections: 5000,
    payloadBytes: 0,
    inFlight: 64,
  },
  {
    ...BASE,
    name: 'idle-used',
    title: 'idle, 5,000 connections after one message each',
    kind: 'idle',
    connections: 5000,
    payloadBytes: 20,
    inFlight: 64,
  },
  {
    ...BASE,
    name: 'idle-more',
    title: 'idle, 5,000 more connections beside 5,000, young generation of 1 MB',
    kind: 'idle',
    connections: 5000,
    payloadBytes: 0,
    inFlight: 64,
    besides: 5000,
    // Or else the young generation, which doubles at some number of connections, is most of what is measured.
    nodeFlags: ['--max-semi-space-size=1'],
  },
];

/** How much of a case is measured: everything, or just enough to see that it works. */
export interface Effort {
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** At most so many connections, where their number is the work (fan-out, accept, idle). */
  readonly maxConnections: number;
}

export const FULL: Effort = { warmUpMs: 700, measureMs: 1500, maxConnections: Number.MAX_SAFE_INTEGER };
export const SMOKE: Effort = { warmUpMs: 30, measureMs: 60, maxConnections: 100 };
