/**
 * Ten thousand idle connections with heartbeats on: how many are dropped, and what it costs; then half of them vanish
 * without a FIN (their process is stopped): how long until all are found.
 *
 *     node --import tsx bench/heartbeats.ts [connections] [seconds] [heartbeat in ms]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Server } from '../lib/index.ts';

const REQUEST =
  'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
/** How many connections a client opens at a time. */
const BATCH = 50;

const [connections = 10_000, seconds = 300, heartbeatMs = 10_000] = process.argv.slice(2).map(Number);

if (process.send === undefined) await measure();
else await beClients(Number(process.env.PORT), Number(process.env.COUNT));

async function measure(): Promise<void> {
  let open = 0;
  let lost = 0;
  const server = new Server({ host: '127.0.0.1', port: 0, heartbeatIntervalMs: heartbeatMs });
  server.route('/', () => {});
  server.onWebsocketConnected((ctx) => {
    open++;
    void ctx.getStream()?.closed.then(() => lost++);
  });
  await server.run();
  const clients = [1, 2].map(() => startClients(server.address()!.port, connections / 2));
  await Promise.all(clients.map((client) => once(client, 'message')));
  console.log(`${open} connections are open, a heartbeat each ${heartbeatMs} ms`);

  const before = process.cpuUsage();
  for (let passed = 0; passed < seconds; passed += 10) {
    await sleep(Math.min(10, seconds - passed) * 1000);
    process.stdout.write(`\r${Math.min(passed + 10, seconds)} s, ${lost} lost `);
  }
  const { user, system } = process.cpuUsage(before);
  console.log(`\n${lost} lost in ${seconds} s; CPU of the server ${((user + system) / 1e4 / seconds).toFixed(2)} %`);

  const [vanishing, staying] = clients as [ChildProcess, ChildProcess];
  const known = lost;
  vanishing.kill('SIGSTOP');
  const from = performance.now();
  while (lost - known < connections / 2 && performance.now() - from < 4 * heartbeatMs) await sleep(50);
  const took = performance.now() - from;
  console.log(`${lost - known} of ${connections / 2} found after ${(took / heartbeatMs).toFixed(2)} heartbeats`);
  for (const client of [vanishing, staying]) client.kill('SIGKILL');
  console.log(await server.close());
}

function startClients(port: number, count: number): ChildProcess {
  const env = { ...process.env, PORT: String(port), COUNT: String(count) };
  return fork(new URL(import.meta.url), { execArgv: process.execArgv, env });
}

/** Opens connections, and answers each Ping with a Pong; a server's Ping is 2 bytes of header and its payload. */
async function beClients(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i += BATCH) await Promise.all(Array.from({ length: BATCH }, () => openOne(port)));
  process.send?.('open');
}

function openOne(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(REQUEST);
    let opened = false;
    socket.on('data', (bytes) => {
      const ping = opened ? bytes : bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
      opened = true;
      resolve();
      if (ping[0] !== 0x89) return;
      const payload = ping.subarray(2, 2 + ping[1]!);
      // A key of zeros leaves the payload as it is.
      socket.write(Buffer.concat([Buffer.of(0x8a, 0x80 | payload.length, 0, 0, 0, 0), payload]));
    });
    socket.on('error', () => {});
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
