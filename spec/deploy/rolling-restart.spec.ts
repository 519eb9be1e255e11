import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Backend, startBackend } from '../fleet/backends.ts';
import { Fleet } from '../fleet/fleet.ts';
import type { FleetPage } from '../fleet/pages.ts';
import { checkAll, openPages, putNginxBefore } from '../fleet/rolling-restart.ts';
import { cleanUp } from '../support/clean-up.ts';
import { chromiumPath, nginxPath, skipUnless } from '../support/external.ts';
import { skipWithoutRedis } from '../support/redis-server.ts';

/** What docs/how-to/rolling-restart.md promises, with all that it takes. */

const ROOMS = 2;
const CLIENTS = 24;
const PERIOD_MS = 100;
const AWAY = 1001;

// What `npm run fleet -- --fault rolling-restart` does with more of everything.
describe('four servers over Redis, behind nginx, with pages open', {
  timeout: 120_000,
  ...skipWithoutRedis(),
  ...skipUnless('nginx', nginxPath() !== undefined),
  ...skipUnless('chromium', chromiumPath() !== undefined),
}, () => {
  let backend: Backend;
  let fleet: Fleet;
  let pages: FleetPage[];

  before(async () => {
    backend = await startBackend('ioredis', false);
    fleet = new Fleet({ broker: 'ioredis', port: backend.port, historyMessages: 1000 });
    await fleet.startServers(4);
    await putNginxBefore(fleet);
    [pages] = await Promise.all([openPages(fleet, 2, ROOMS), fleet.startSubscribers(CLIENTS, ROOMS)]);
  });

  after(async () => {
    await fleet?.end();
    await cleanUp();
    await backend?.stop();
  });

  it('bring all that is said while each is restarted to each page and client, once and in order', async () => {
    const stop = fleet.keepSending(PERIOD_MS);
    for (const server of [...fleet.servers]) await fleet.restartServer(server);
    await stop();
    const { faults, gaps, messages, deliveries } = await checkAll(fleet, pages);
    assert.deepEqual({ faults, gaps }, { faults: [], gaps: 0 });
    assert.equal(deliveries, (messages / ROOMS) * CLIENTS);
    // Each server has had somebody, and has said goodbye.
    const codes = fleet.subscribers.flatMap(({ closeCodes }) => closeCodes);
    assert.ok(codes.length >= CLIENTS, `${codes.length} of ${CLIENTS} connections were closed`);
    assert.deepEqual([...new Set(codes)], [AWAY]);
    assert.equal(Math.max(...fleet.subscribers.map(({ refusals }) => refusals)), 0, 'nobody is refused');
    for (const { name, attempts } of pages) assert.ok(attempts > 1, `${name} never had to come back`);
  });
});
