import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { soon } from '../support/watchdog.ts';
import { clientFrame, httpRequest, WsClient } from '../support/ws-client.ts';

/** Sockets that another process has accepted, or that several accept. */

const FILE = fileURLToPath(new URL('../support/receiving-server.ts', import.meta.url));
const MESSAGES = [
  '',
  'short',
  'Grüße 🙂',
  bytesOf(125, 1),
  bytesOf(20_000, 2),
  'x'.repeat(300_000),
  bytesOf(900_000, 3),
];

async function start(way: string, heartbeatMs: number = 0): Promise<ChildProcess> {
  const child = fork(FILE, [way, String(heartbeatMs)], { execArgv: ['--import', 'tsx'] });
  onCleanUp(() => child.kill('SIGKILL'));
  await soon('a process', once(child, 'message'));
  return child;
}

async function listen(options: { readonly pauseOnConnect?: boolean } = {}): Promise<[TcpServer, port: number]> {
  const tcp = createServer(options);
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  onCleanUp(() => tcp.close());
  return [tcp, (tcp.address() as AddressInfo).port];
}

async function assertEchoes(client: WsClient): Promise<void> {
  for (const message of MESSAGES) client.send(message);
  assert.deepEqual(await client.receiveAll(MESSAGES.length), MESSAGES);
}

/** Ends as any server: those who serve are told, and the process ends by itself. */
async function assertCloses(child: ChildProcess, clients: readonly WsClient[]): Promise<void> {
  child.send('close');
  const exited = once(child, 'exit');
  for (const client of clients) assert.deepEqual(await client.receiveClose(), { code: 1001, reason: '' });
  const [code] = await soon('the end of the process', exited);
  assert.equal(code, 0);
}

describe('a socket that a parent has accepted and sent to its child', () => {
  afterEach(cleanUp);

  it('is served there as any other, and closed there', async () => {
    const child = await start('socket');
    const [tcp, port] = await listen({ pauseOnConnect: true });
    tcp.on('connection', (socket) => child.send('socket', socket));
    const clients = [await WsClient.open(port), await WsClient.open(port)];
    for (const client of clients) await assertEchoes(client);
    const asking = await WsClient.open(port, '/pid');
    asking.send('who?');
    assert.equal(await asking.receive(), String(child.pid));
    await assertCloses(child, [...clients, asking]);
  });

  it('takes messages that come with the upgrade, and is asked whether its peer is there', async () => {
    const child = await start('socket', 50);
    const [tcp, port] = await listen({ pauseOnConnect: true });
    tcp.on('connection', (socket) => child.send('socket', socket));
    const client = await WsClient.connect(port);
    await client.upgrade('/', {}, Buffer.concat(['one', 'two'].map((text) => clientFrame(0x81, text))));
    assert.deepEqual(await client.receiveAll(2), ['one', 'two']);
    const ping = (await client.readFrame())!;
    assert.equal(ping.opcode, 9);
    // It does not answer: then it is cut.
    await client.waitForEnd();
  });

  it('is served as plain HTTP when it is that', async () => {
    const child = await start('socket');
    const [tcp, port] = await listen({ pauseOnConnect: true });
    tcp.on('connection', (socket) => child.send('socket', socket));
    const client = await WsClient.connect(port);
    client.write(httpRequest('GET', '/'));
    assert.equal((await client.readResponse()).body, 'plain');
  });
});

describe('a listening socket that a parent shares with its child', () => {
  afterEach(cleanUp);

  it('is served by the child alone when the parent has closed its own', async () => {
    const child = await start('server');
    const [tcp, port] = await listen();
    child.send('server', tcp);
    await soon('that it listens', once(child, 'message'));
    tcp.close();
    const client = await WsClient.open(port, '/pid');
    client.send('who?');
    assert.equal(await client.receive(), String(child.pid));
    const other = await WsClient.open(port);
    await assertEchoes(other);
  });
});

for (const policy of ['round-robin', 'shared handles'] as const) {
  describe(`workers of node:cluster, by ${policy}`, () => {
    afterEach(cleanUp);

    it('share a port, each with connections of its own, and one may close while another goes on', async () => {
      cluster.schedulingPolicy = policy === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;
      cluster.setupPrimary({ exec: FILE, args: ['cluster', '0'], execArgv: ['--import', 'tsx'] });
      const workers = [cluster.fork(), cluster.fork()];
      onCleanUp(() => {
        for (const worker of workers) worker.process.kill('SIGKILL');
      });
      const ports = await soon(
        'the workers',
        Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0].port)),
      );
      assert.equal(ports[0], ports[1]);
      const clients: WsClient[] = [];
      const served = new Map<string, WsClient[]>();
      // By shared handles the system decides who accepts, and may prefer one for a while.
      for (let i = 0; i < 200 && (served.size < 2 || i < 8); i++) {
        const client = await WsClient.open(ports[0], '/pid');
        client.send('who?');
        const pid = (await client.receive()) as string;
        served.set(pid, [...(served.get(pid) ?? []), client]);
        clients.push(client);
      }
      const pids = workers.map((worker) => String(worker.process.pid));
      assert.ok([...served.keys()].every((pid) => pids.includes(pid)));
      if (policy === 'round-robin') assert.equal(served.size, 2);
      const echoing = await Promise.all([1, 2, 3, 4].map(() => WsClient.open(ports[0])));
      await Promise.all(echoing.map(assertEchoes));
      for (const client of echoing) {
        client.close(1000);
        await client.receiveClose(false);
      }
      // One stops, and only its own are told.
      const [first, second] = workers as [(typeof workers)[0], (typeof workers)[0]];
      await assertCloses(first.process, served.get(pids[0]!) ?? []);
      for (const client of served.get(pids[1]!) ?? []) {
        client.send('who?');
        assert.equal(await client.receive(), pids[1]);
      }
      const late = await WsClient.open(ports[0], '/pid');
      late.send('who?');
      assert.equal(await late.receive(), pids[1]);
      await assertCloses(second.process, [...(served.get(pids[1]!) ?? []), late]);
    });
  });
}
