/** The server of a soak: everything on, in a process of its own, so that its memory is the server's and nobody else's. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from '../../lib/index.ts';
import { makeServer } from './app.ts';
import { Lag } from './lag.ts';
import type { Base, FromServer, ServerSample, Times, ToServer, Violation } from './messages.ts';
import { Witness } from './witness.ts';

/** How often it says how much CPU it has used. */
const CPU_MS = 200;
const POLL_MS = 50;
/** Collections before the heap is read: one may leave what another then frees. */
const COLLECTIONS = 4;

const lag = new Lag();
const witness = new Witness((text) => tell({ type: 'violation', text: `${text} ${lag}` }));
const servers: Server[] = [];
let base: Base;

process.on('message', (message: ToServer) => void answer(message));
process.once('disconnect', () => process.exit(0));
setInterval(() => tell({ type: 'cpu', ms: cpuMs() }), CPU_MS).unref();

function tell(message: FromServer | Violation): void {
  process.send?.(message);
}

async function answer(message: ToServer): Promise<void> {
  switch (message.type) {
    case 'start':
      tell({ type: 'ports', ports: await start(message.times) });
      break;
    case 'base':
      base = witness.now();
      tell({ type: 'based' });
      break;
    case 'wave':
      witness.takePeaks();
      lag.start();
      break;
    case 'settle':
      tell({ type: 'sample', sample: await settle(message.deadlineMs) });
      break;
    case 'stop':
      await stop();
      break;
  }
}

async function start(times: Times): Promise<Extract<FromServer, { type: 'ports' }>['ports']> {
  for (const policy of ['close', 'drop', 'wait'] as const) {
    const server = makeServer(policy, times, witness);
    await server.run();
    servers.push(server);
  }
  const http = createServer({ headersTimeout: times.handshakeMs, connectionsCheckingInterval: 500 });
  http.on('request', async (request, response) => {
    const { searchParams } = new URL(request.url!, 'http://localhost');
    await sleep(Number(searchParams.get('wait') ?? 0));
    response.end(`plain ${searchParams.get('name')}`);
  });
  servers[0]!.attach(http);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  closeAttached = () => {
    http.close();
    http.closeAllConnections();
  };
  const [close, drop, wait] = servers.map((server) => server.address()!.port) as [number, number, number];
  return { close, drop, wait, attached: (http.address() as AddressInfo).port };
}

let closeAttached: () => void;

/** Waits until all that belonged to the clients of the wave is gone, and reads what is left. */
async function settle(deadlineMs: number): Promise<ServerSample> {
  const from = performance.now();
  const { sessions, sockets, receivedBytes, bufferedBytes, rssBytes, opened, handled } = witness.takePeaks();
  const late = lag.stop();
  const isOver = () => performance.now() - from > deadlineMs;
  while (differences().length > 0 && !isOver()) await sleep(POLL_MS);
  const settledMs = performance.now() - from;
  let heapBytes = Number.POSITIVE_INFINITY;
  for (let i = 0; i < COLLECTIONS || (witness.now().uncollected > base.uncollected && !isOver()); i++) {
    globalThis.gc!();
    await sleep(POLL_MS);
    heapBytes = Math.min(heapBytes, process.memoryUsage().heapUsed);
  }
  const left = differences();
  if (witness.now().uncollected > base.uncollected) {
    left.push(`${witness.now().uncollected} WebSockets are not collected, and ${base.uncollected} were before`);
  }
  if (left.length > 0) {
    left.push(...witness.describeSessions(witness.now().sessions - base.sessions));
    const seconds = (deadlineMs / 1000).toFixed(0);
    tell({ type: 'violation', text: `${seconds} s after the clients had gone: ${left.join('; ')}` });
  }
  const { external, arrayBuffers, rss } = process.memoryUsage();
  return {
    ...witness.now(),
    heapBytes,
    externalBytes: external,
    arrayBufferBytes: arrayBuffers,
    rssBytes: rss,
    settledMs,
    lagP50Ms: late.p50,
    lagP99Ms: late.p99,
    lagMaxMs: late.max,
    maxSessions: sessions,
    maxSockets: sockets,
    maxReceivedBytes: receivedBytes,
    maxBufferedBytes: bufferedBytes,
    maxRssBytes: Math.max(rssBytes, rss),
    opened,
    handled,
    cpuMs: cpuMs(),
  };
}

/** What is not as it was before the clients came. */
function differences(): string[] {
  const now = witness.now();
  const names = ['sessions', 'sockets', 'wheel', 'contextBytes', 'requests', 'rooms'] as const;
  const differing = names.filter((name) => now[name] !== base[name]);
  const found = differing.map((name) => `${name} ${now[name]}, and ${base[name]} before`);
  for (const [type, count] of Object.entries(now.handles)) {
    const before = base.handles[type] ?? 0;
    // The residents go on, and one of their handlers may be asleep.
    if (type !== 'Timeout' && type !== 'Immediate' && count > before)
      found.push(`${type} ${count}, and ${before} before`);
  }
  return found;
}

/** Ends as a server ends: by itself, when the last handle is closed. */
async function stop(): Promise<void> {
  closeAttached();
  const results = await Promise.all(servers.map((server) => server.close({ timeout: 5000 })));
  const cut = results.reduce((sum, result) => sum + result.cut, 0);
  if (cut > 0) tell({ type: 'violation', text: `close() had to cut ${cut} connections, and all were gone` });
  process.removeAllListeners('disconnect');
  process.disconnect();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
