/** What happens to a fleet under load. Each resolves when it is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisServer } from '../support/redis-server.ts';
import type { Backend } from './backends.ts';
import type { Fleet } from './fleet.ts';

export interface Scene {
  readonly backend: Backend;
  readonly fleet: Fleet;
}

const BREAK_MS = 1500;
const STOPPED_MS = 10_000;

export const FAULTS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  /** The broker is killed, and comes back with what it had. */
  async 'kill-broker'({ backend }) {
    await backend.program!.kill();
    await sleep(BREAK_MS);
    await backend.program!.begin();
  },
  /** It comes back empty. */
  async 'lose-broker'({ backend }) {
    await backend.program!.kill();
    backend.program!.forget();
    await sleep(BREAK_MS);
    await backend.program!.begin();
  },
  /** Only the connections that subscribe are cut. */
  async 'kill-pubsub'({ backend }) {
    for (let i = 0; i < 5; i++) {
      backend.redis!.command('client', 'kill', 'type', 'pubsub');
      await sleep(300);
    }
  },
  async flushall({ backend }) {
    backend.redis!.command('flushall');
  },
  /** All servers lose the broker for a while. */
  async partition({ backend }) {
    backend.proxy!.cut();
    await sleep(BREAK_MS);
    backend.proxy!.heal();
  },
  /** Nothing passes any more, and nobody is told. */
  async 'half-open'({ backend }) {
    backend.proxy!.forget();
    // Until it is noticed.
    await sleep(STOPPED_MS);
  },
  /** A server stands still for ten seconds, and goes on. */
  async 'stop-server'({ fleet }) {
    const { process } = fleet.servers[0]!;
    process.kill('SIGSTOP');
    await sleep(STOPPED_MS);
    process.kill('SIGCONT');
  },
  async 'kill-server'({ fleet }) {
    await fleet.servers[0]!.kill();
    await sleep(BREAK_MS);
    await fleet.startServer();
  },
  /** Each server is ended, with 1001 for its clients, and started anew, one after the other. */
  async 'rolling-restart'({ fleet }) {
    for (const server of [...fleet.servers]) {
      await fleet.restartServer(server);
      await sleep(BREAK_MS);
    }
  },
  /** The primary is killed, and its replica takes over. */
  async promote({ backend }) {
    const replica = await RedisServer.start('--replicaof', '127.0.0.1', `${backend.redis!.port}`);
    backend.cleanUps.push(() => replica.stop());
    while (!replica.command('info', 'replication').includes('master_link_status:up')) await sleep(50);
    await sleep(BREAK_MS);
    await backend.redis!.kill();
    backend.proxy!.cut();
    replica.command('replicaof', 'no', 'one');
    backend.proxy!.target = replica.port;
    backend.proxy!.heal();
  },
  /** A subscribing connection falls behind, and Redis cuts it. */
  async overflow({ backend, fleet }) {
    backend.redis!.command('config', 'set', 'client-output-buffer-limit', 'pubsub 64kb 0 0');
    const { process } = fleet.servers[0]!;
    process.kill('SIGSTOP');
    const body = 'x'.repeat(100_000);
    for (let i = 0; i < 100; i++) backend.redis!.command('publish', `${'hyperlane'}:fill`, body);
    await sleep(BREAK_MS);
    process.kill('SIGCONT');
  },
  /** The clients lose their connections, and come back. */
  async 'cut-clients'({ fleet }) {
    for (const subscriber of fleet.subscribers) subscriber.cut();
  },
};
