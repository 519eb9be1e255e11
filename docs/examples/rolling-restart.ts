/**
 * Runs a server in several processes, each on a port of its own, and on SIGHUP restarts one after the other.
 *
 *     node --import tsx docs/examples/rolling-restart.ts docs/examples/shutdown.ts 60000 60001
 *     kill -HUP <its process id>
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [file = '', ...ports] = process.argv.slice(2);

/** Waits until a port takes connections; for ever, if its process has ended. */
async function listening(port: string): Promise<void> {
  for (;;) {
    const socket = connect(Number(port), '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
}

// #region restart
const processes = new Map<string, ChildProcess>();

async function start(port: string): Promise<void> {
  const env = { ...process.env, PORT: port };
  processes.set(port, spawn(process.execPath, [...process.execArgv, file], { env, stdio: 'inherit' }));
  await listening(port);
}

async function stop(port: string): Promise<void> {
  const child = processes.get(port)!;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function restartAll(): Promise<void> {
  for (const port of ports) {
    await stop(port);
    await start(port);
    // Those who were on it have come back, to others or to it, before the next has to let go of its own.
    await sleep(Number(process.env.PAUSE_MS ?? 5000));
  }
  console.log('all are restarted');
}
// #endregion restart

await Promise.all(ports.map(start));
let work = Promise.resolve();
process.on('SIGHUP', () => {
  work = work.then(restartAll);
});
process.once('SIGTERM', async () => {
  await work;
  await Promise.all(ports.map(stop));
  process.exit();
});
console.log(`${ports.length} processes run`);
