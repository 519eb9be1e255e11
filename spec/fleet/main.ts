/**
 * Topics across processes, under load and faults, by what each subscriber was told.
 *
 *     npm run fleet -- --broker redis|ioredis|nats|cluster [--fault <name>] [--servers 4] [--clients 200] [--rooms 20]
 *                      [--messages 100000] [--history 1000] [--seconds 20] [--pages 4] [--presence]
 *
 * Without a fault: so many messages, as fast as they go, and each subscriber of a room gets each of them, once, and all in the
 * same order. With one: messages at a steady rate while it happens, and each log is a run of the broker's order, or has its
 * gap exactly there. With the fault `rolling-restart` clients and so many pages of a browser come in by nginx, and all of them
 * have every message. With `--presence` clients are members of their room: what each server knows of that is checked, too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Backend, startBackend } from './backends.ts';
import { BROKERS, type BrokerKind } from './brokers.ts';
import { cleanUp } from '../support/clean-up.ts';
import { FAULTS } from './faults.ts';
import { Fleet } from './fleet.ts';
import { checkLogs } from './logs.ts';
import type { FleetPage } from './pages.ts';
import { type PresenceFindings, PresenceTrial } from './presence.ts';
import { checkAll, openPages, putNginxBefore } from './rolling-restart.ts';

/** Between two messages of a client, while there are faults. */
const PERIOD_MS = 100;

const { values } = parseArgs({
  options: {
    broker: { type: 'string', default: 'redis' },
    fault: { type: 'string' },
    servers: { type: 'string', default: '4' },
    clients: { type: 'string', default: '200' },
    rooms: { type: 'string', default: '20' },
    messages: { type: 'string', default: '100000' },
    history: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    pages: { type: 'string', default: '4' },
    presence: { type: 'boolean', default: false },
  },
});
const kind = values.broker as BrokerKind;
if (!BROKERS.includes(kind)) throw new TypeError(`--broker is ${values.broker}: give one of ${BROKERS.join(', ')}`);
if (values.fault !== undefined && !Object.hasOwn(FAULTS, values.fault)) {
  throw new TypeError(`--fault is ${values.fault}: give one of ${Object.keys(FAULTS).join(', ')}`);
}

const rooms = Number(values.rooms);
const isRolling = values.fault === 'rolling-restart';
const backend = await startBackend(kind, values.fault !== undefined);
const fleet = new Fleet({
  broker: kind,
  port: backend.port,
  historyMessages: Number(values.history),
  ...(values.presence && { watchedRooms: rooms }),
});
let pages: FleetPage[] = [];
let presence: PresenceFindings | undefined;
try {
  await fleet.startServers(Number(values.servers));
  if (isRolling) {
    await putNginxBefore(fleet);
    pages = await openPages(fleet, Number(values.pages), rooms);
  }
  await fleet.startSubscribers(Number(values.clients), rooms);
  const started = performance.now();
  if (values.fault === undefined) await fleet.sendAll(Number(values.messages));
  else await sendDuring(backend, values.fault, Number(values.seconds));
  // Who has left or come in the midst of it has not all.
  const hasAll = isRolling && !values.presence;
  const findings = hasAll ? await checkAll(fleet, pages) : checkLogs(fleet.subscribers, await fleet.published());
  const reports = await Promise.all(
    fleet.servers.filter((server) => server.isRunning).map((server) => server.report()),
  );
  console.log({
    broker: kind,
    fault: values.fault,
    ...findings,
    faults: findings.faults.slice(0, 10),
    faultCount: findings.faults.length,
    reconnects: fleet.subscribers.reduce((sum, { connections }) => sum + connections - 1, 0),
    rejections: reports.reduce((sum, { rejections }) => sum + rejections, 0),
    givenUp: reports.reduce((sum, { givenUp }) => sum + givenUp.length, 0),
    refusals: fleet.subscribers.reduce((sum, { refusals }) => sum + refusals, 0),
    ...(isRolling && { pages: pages.map(({ attempts }) => attempts - 1) }),
    seconds: Math.round((performance.now() - started) / 1000),
  });
  if (presence !== undefined) console.log({ presence });
  if (findings.faults.length > 0 || (presence?.faults.length ?? 0) > 0) process.exitCode = 1;
} finally {
  await fleet.end();
  await cleanUp();
  await backend.stop();
}
process.exit();

/** Sends at a steady rate, has the fault happen in the midst of it, and then waits until it is quiet. */
async function sendDuring(backend: Backend, fault: string, seconds: number): Promise<void> {
  const stop = fleet.keepSending(PERIOD_MS);
  await sleep((seconds * 1000) / 4);
  const trial = values.presence ? await PresenceTrial.begin(fleet, rooms) : undefined;
  await FAULTS[fault]!({ backend, fleet });
  const known = trial?.check(() => sleep((seconds * 1000) / 4));
  const before = new Map(fleet.subscribers.map((subscriber) => [subscriber, subscriber.entries.length]));
  await sleep(2000);
  const there = fleet.subscribers.filter(({ isRetired }) => !isRetired);
  const silent = there.filter((subscriber) => subscriber.entries.length === before.get(subscriber)).length;
  console.log(`2 s behind the fault ${silent} of ${there.length} clients were told nothing new`);
  await sleep((seconds * 1000) / 2);
  presence = await known;
  const sent = await stop();
  await sleep(3000);
  console.log(`${sent} messages were sent`);
}
