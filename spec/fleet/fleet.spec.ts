import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { skipWithoutNats } from '../support/nats-server.ts';
import { skipWithoutRedis } from '../support/redis-server.ts';
import { soon } from '../support/watchdog.ts';
import { type Backend, startBackend } from './backends.ts';
import type { BrokerKind } from './brokers.ts';
import { Fleet } from './fleet.ts';
import { checkLogs } from './logs.ts';

const MESSAGES = 600;

const KINDS: readonly [BrokerKind, { skip?: string }][] = [
  ['ioredis', skipWithoutRedis()],
  ['nats', skipWithoutNats()],
];

// What `npm run fleet` does for longer, with more of everything and with more faults.
for (const [kind, skip] of KINDS) {
  describe(`two servers over ${kind}`, skip, () => {
    let backend: Backend;
    let fleet: Fleet;

    before(async () => {
      backend = await startBackend(kind, false);
      fleet = new Fleet({ broker: kind, port: backend.port, historyMessages: 1000 });
      await fleet.startServers(2);
      await fleet.startSubscribers(12, 3);
    });

    after(async () => {
      await fleet?.end();
      await backend?.stop();
    });

    it('bring each message to each subscriber of a room, once, and all in the same order', async () => {
      await soon('all messages', fleet.sendAll(MESSAGES));
      const findings = checkLogs(fleet.subscribers, await fleet.published());
      assert.deepEqual(findings, { faults: [], messages: MESSAGES, deliveries: MESSAGES * 4, gaps: 0 });
    });
  });
}
