/** The clients of a soak, in a process of their own. */
import type { Socket } from 'node:net';
import { type ClientContext, type Kind, sleep } from './client.ts';
import { describe } from './describe.ts';
import { echo, GOOD, RESIDENTS } from './good-clients.ts';
import { HOSTILE } from './hostile-clients.ts';
import { Lag } from './lag.ts';
import type { ClientPlan, FromClients, Ports, ToClients, Violation, WaveResult } from './messages.ts';
import { Ended } from './peer.ts';
import { Random } from './random.ts';
import { Throttle } from './throttle.ts';

/** How often residents send. */
const RESIDENT_MS = 1000;

let ports: Ports;
let plan: ClientPlan;
let throttle: Throttle;
/** Connections that the server has to end. */
let staying: Socket[] = [];
let verified = 0;
let verifiedBytes = 0;
let residing: Promise<unknown>;
let stopping = false;
const lag = new Lag();

process.on('message', (message: ToClients) => void answer(message));
process.once('disconnect', () => process.exit(0));
process.on('uncaughtException', (error) => tell({ type: 'violation', text: `among the clients: ${describe(error)}` }));

function tell(message: FromClients | Violation): void {
  process.send?.(message);
}

async function answer(message: ToClients): Promise<void> {
  switch (message.type) {
    case 'start':
      ({ ports, plan } = message);
      throttle = new Throttle(plan.load);
      await moveIn();
      tell({ type: 'ready' });
      break;
    case 'cpu':
      if (throttle !== undefined) throttle.serverMs = message.ms;
      break;
    case 'wave':
      tell({ type: 'wave-over', result: await runWave(message.number, message.activeMs) });
      break;
    case 'let-go':
      for (const socket of staying) socket.destroy();
      staying = [];
      break;
    case 'stop':
      stopping = true;
      await residing;
      tell({ type: 'stopped' });
      break;
  }
}

async function moveIn(): Promise<void> {
  const residents = Object.entries(RESIDENTS).map(([name, open], i) => {
    const turn = (): Promise<void> => sleep(RESIDENT_MS);
    return { name, open, client: makeContext(`resident ${name}`, new Random(plan.seed + i), () => stopping, turn) };
  });
  const opened = await Promise.all(
    residents.map(async ({ name, open, client }) => {
      const link = await open(client);
      // What is made with the first message is there before anything is compared.
      await echo(client, link, { rounds: 1, burst: 1 });
      return { name, client, link };
    }),
  );
  residing = Promise.all(
    opened.map(({ name, client, link }) =>
      watch(`resident, ${name}`, async () => {
        await echo(client, link, { rounds: Number.POSITIVE_INFINITY, burst: 4 });
        await link.close(1000);
      }),
    ),
  );
}

/** Lets clients in for a while: each kind once, and then any. Resolves when those that are good have left. */
async function runWave(number: number, activeMs: number): Promise<WaveResult> {
  const random = new Random(plan.seed * 1_000_003 + number);
  const all: Readonly<Record<string, Kind>> = { ...GOOD, ...HOSTILE };
  const first = random.shuffle(plan.kinds);
  const clients: Record<string, number> = {};
  const running = new Set<Promise<void>>();
  const cpuBefore = process.cpuUsage();
  lag.start();
  verified = 0;
  verifiedBytes = 0;
  const end = performance.now() + activeMs;
  const isOver = (): boolean => performance.now() >= end;
  for (let index = 0; !isOver(); index++) {
    await throttle.turn(true);
    while (running.size >= plan.atOnce) await Promise.race([...running, sleep(50)]);
    const kind = first.pop() ?? random.pick(plan.kinds);
    clients[kind] = (clients[kind] ?? 0) + 1;
    const name = `${kind} ${number}.${index}`;
    const isGood = Object.hasOwn(GOOD, kind);
    const turn = (): Promise<void> => throttle.turn(isGood);
    const client = makeContext(name, new Random(random.whole(0, 2 ** 32 - 1)), isOver, turn);
    const run = watch(`${isGood ? 'good' : 'hostile'} client, ${name}`, async () => {
      try {
        await all[kind]!(client);
      } catch (error) {
        // Whoever misbehaves may be shown the door at any time.
        if (isGood || !(error instanceof Ended)) throw error;
      }
    });
    running.add(run);
    void run.then(() => running.delete(run));
  }
  await Promise.all(running);
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    clients,
    verified,
    verifiedBytes,
    staying: staying.length,
    lagMaxMs: lag.stop().max,
    cpuMs: (user + system) / 1000,
  };
}

function makeContext(name: string, random: Random, isOver: () => boolean, turn: () => Promise<void>): ClientContext {
  return {
    name,
    random,
    ports,
    isOver,
    turn,
    verified(bytes) {
      verified++;
      verifiedBytes += bytes;
    },
    stay: (socket) => staying.push(socket),
  };
}

/** Runs a client, and says so if something is not as it must be. */
async function watch(who: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    tell({ type: 'violation', text: `${who} ${lag}: ${describe(error)}` });
  }
}
