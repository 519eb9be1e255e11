/**
 * The load: a process of its own that drives one server with one case, counts every message that comes back, and tells
 * of its own CPU. It rests before and after the measured window, with nothing in flight, so that what the server used
 * in between was used for exactly the messages that were counted.
 */
import type { Effort, EndToEndCase } from './cases.ts';
import { type Client, openClients, type Target } from './client.ts';
import { FrameCounter, payloadsOf } from './frames.ts';
import { Histogram } from './histogram.ts';
import { expectedFrames, inflate, makePayload, sentBits, sentFrame } from './payloads.ts';
import type { LoadMessage } from './processes.ts';

/** What a load process is told by its command line. */
export interface LoadTask {
  readonly work: EndToEndCase;
  readonly effort: Effort;
  readonly port: number;
  readonly handshake: boolean;
}

/** What a load process tells of a measured window. */
export interface LoadResult {
  /** Messages that came back (echo, chat, fan-out), or connections that were opened (accept, idle). */
  readonly messages: number;
  /** Their payload. */
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly cpuMicros: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

const CONNECT_AT_ONCE = 64;
/** For a server to get ready behind the handshake, such as to join a room. */
const SETTLE_MS = 100;
const IDLE_WARM_UP = 50;
/** How many different messages each client of an echo sends at least. */
const MIN_DIFFERENT = 4;

const { work, effort, port, handshake } = JSON.parse(process.argv[2]!) as LoadTask;
const target: Target = { port, handshake, secure: work.secure, compressed: work.compressed };
const latency = new Histogram();

/** A work that can be run for a while and be stopped with nothing in flight. */
interface Drive {
  messages: number;
  readonly bytes: number;
  run(milliseconds: number): Promise<void>;
}

/** Sends to each client what it returned, so that the same number stays in flight. */
class EchoDrive implements Drive {
  messages = 0;
  readonly #clients: readonly EchoClient[];
  #running = false;
  #resting = 0;
  #onRest: (() => void) | undefined;

  constructor(clients: readonly Client[], inFlight: number) {
    this.#clients = clients.map((client, i) => new EchoClient(this, client, new FrameRing(i, inFlight)));
  }

  get bytes(): number {
    return this.#clients.reduce((sum, { counter }) => sum + counter.payloadBytes, 0);
  }

  get running(): boolean {
    return this.#running;
  }

  run(milliseconds: number): Promise<void> {
    this.#running = true;
    this.#resting = 0;
    setTimeout(() => {
      this.#running = false;
    }, milliseconds);
    for (const client of this.#clients) client.sendAll();
    return new Promise((resolve) => {
      this.#onRest = resolve;
    });
  }

  rest(): void {
    this.#resting++;
    if (this.#resting === this.#clients.length) this.#onRest!();
  }
}

/** What one client sends, over and over: frames that differ, so that no server does well by remembering the last one. */
class FrameRing {
  readonly inFlight: number;
  readonly #frames: number;
  /** All frames, twice, so that any that follow each other are one piece. */
  readonly #bytes: Buffer;
  readonly #offsets: number[] = [0];
  #next = 0;

  constructor(index: number, inFlight: number) {
    this.inFlight = inFlight;
    this.#frames = Math.max(inFlight, MIN_DIFFERENT);
    const frames = Array.from({ length: this.#frames }, (_, i) =>
      sentFrame(work, makePayload(work, index * this.#frames + i)),
    );
    const twice = [...frames, ...frames];
    for (const frame of twice) this.#offsets.push(this.#offsets.at(-1)! + frame.length);
    this.#bytes = Buffer.concat(twice);
  }

  take(count: number): Buffer {
    const start = this.#next;
    this.#next = (start + count) % this.#frames;
    return this.#bytes.subarray(this.#offsets[start], this.#offsets[start + count]);
  }
}

class EchoClient {
  readonly counter: FrameCounter = new FrameCounter(expectedFrames(work));
  readonly #drive: EchoDrive;
  readonly #client: Client;
  readonly #ring: FrameRing;
  /** When the messages in flight were sent, oldest first, and how many at each time. */
  readonly #sentAt: number[] = [];
  readonly #sentCount: number[] = [];
  #inFlight = 0;

  constructor(drive: EchoDrive, client: Client, ring: FrameRing) {
    this.#drive = drive;
    this.#client = client;
    this.#ring = ring;
    client.onBytes = (bytes, end) => this.#receive(bytes, end);
  }

  sendAll(): void {
    this.#send(this.#ring.inFlight, performance.now());
  }

  #send(count: number, now: number): void {
    this.#inFlight += count;
    this.#sentAt.push(now);
    this.#sentCount.push(count);
    this.#client.socket.write(this.#ring.take(count));
  }

  #receive(bytes: Buffer, end: number): void {
    const count = this.counter.push(bytes, end);
    if (count === 0) return;
    const now = performance.now();
    this.#inFlight -= count;
    if (this.#inFlight < 0) throw new Error('more messages came back than were sent');
    this.#drive.messages += count;
    this.#measure(count, now);
    if (this.#drive.running) this.#send(count, now);
    else if (this.#inFlight === 0) this.#drive.rest();
  }

  #measure(count: number, now: number): void {
    let left = count;
    while (left > 0) {
      const same = Math.min(left, this.#sentCount[0]!);
      latency.add(now - this.#sentAt[0]!, same);
      left -= same;
      this.#sentCount[0]! -= same;
      if (this.#sentCount[0] === 0) {
        this.#sentCount.shift();
        this.#sentAt.shift();
      }
    }
  }
}

/** Everybody sends what is theirs to send, and again when all of it has arrived everywhere. */
class RoundDrive implements Drive {
  messages = 0;
  readonly #senders: readonly { readonly client: Client; readonly frames: Buffer }[];
  readonly #counters: FrameCounter[];
  readonly #messagesPerRound: number;
  #missing = 0;
  #startedAt = 0;
  #endsAt = 0;
  #onRest: (() => void) | undefined;

  constructor({ clients, sent, expected }: Exchange) {
    const all = clients.map((client, i) => ({ client, frames: framesOf(sent[i]!) }));
    this.#senders = all.filter(({ frames }) => frames.length > 0);
    this.#messagesPerRound = expected.reduce((sum, payloads) => sum + payloads.length, 0);
    this.#counters = clients.map((client) => {
      const counter = new FrameCounter(expectedFrames(work));
      client.onBytes = (bytes, end) => this.#receive(counter.push(bytes, end));
      return counter;
    });
  }

  get bytes(): number {
    return this.#counters.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0);
  }

  run(milliseconds: number): Promise<void> {
    this.#endsAt = performance.now() + milliseconds;
    this.#startRound();
    return new Promise((resolve) => {
      this.#onRest = resolve;
    });
  }

  #startRound(): void {
    this.#missing = this.#messagesPerRound;
    this.#startedAt = performance.now();
    for (const { client, frames } of this.#senders) client.socket.write(frames);
  }

  #receive(count: number): void {
    if (count === 0) return;
    const now = performance.now();
    this.messages += count;
    this.#missing -= count;
    latency.add(now - this.#startedAt, count);
    if (this.#missing < 0) throw new Error('more messages arrived than were sent');
    if (this.#missing > 0) return;
    if (now < this.#endsAt) this.#startRound();
    else this.#onRest!();
  }
}

/** Who sends what, and what everybody is sent then. */
interface Exchange {
  readonly clients: readonly Client[];
  /** By client. */
  readonly sent: readonly (readonly Buffer[])[];
  readonly expected: readonly (readonly Buffer[])[];
}

function makeExchange(clients: readonly Client[]): Exchange {
  if (work.kind === 'fan-out') {
    const payloads = Array.from({ length: work.inFlight }, (_, i) => makePayload(work, i));
    // The first one publishes.
    return {
      clients,
      sent: clients.map((_, i) => (i === 0 ? payloads : [])),
      expected: clients.map((_, i) => (i === 0 ? [] : payloads)),
    };
  }
  const payloads = clients.map((_, i) => makePayload(work, i));
  const sent = payloads.map((payload) => [payload]);
  return { clients, sent, expected: work.kind === 'chat' ? payloads.map(() => payloads) : sent };
}

/** Sends each client's messages, and checks every byte of what they receive. */
async function checkExchange({ clients, sent, expected }: Exchange): Promise<void> {
  await Promise.all(
    clients.map(async (client, i) => {
      const received = await receiveFrames(client, framesOf(sent[i]!), expected[i]!.length);
      const payloads = received.map(({ bits, payload }) => {
        if (bits !== sentBits(work)) throw new Error(`a frame with the first byte ${bits} came back`);
        return work.compressed ? inflate(payload) : payload;
      });
      // Only those of one sender have an order.
      const order = (buffers: readonly Buffer[]): Buffer =>
        Buffer.concat(work.kind === 'chat' ? buffers.toSorted(Buffer.compare) : buffers);
      if (!order(payloads).equals(order(expected[i]!))) throw new Error('what came back is not what was sent');
    }),
  );
}

function framesOf(payloads: readonly Buffer[]): Buffer {
  return Buffer.concat(payloads.map((payload) => sentFrame(work, payload)));
}

/** Sends frames, and resolves with those that come. */
async function receiveFrames(
  client: Client,
  sent: Buffer,
  framesBack: number,
): Promise<{ bits: number; payload: Buffer }[]> {
  const received = new Promise<Buffer>((resolve) => {
    const counter = new FrameCounter(expectedFrames(work));
    const chunks: Buffer[] = [];
    let frames = 0;
    client.onBytes = (bytes, end) => {
      chunks.push(Buffer.from(bytes.subarray(0, end)));
      frames += counter.push(bytes, end);
      if (frames === framesBack) resolve(Buffer.concat(chunks));
    };
  });
  if (sent.length > 0) client.socket.write(sent);
  return framesBack === 0 ? [] : payloadsOf(await received);
}

async function driveMessages(): Promise<Drive> {
  const clients = await openClients(target, countConnections(), CONNECT_AT_ONCE);
  await sleep(SETTLE_MS);
  const exchange = makeExchange(clients);
  await checkExchange(exchange);
  const drive = work.kind === 'echo' ? new EchoDrive(clients, work.inFlight) : new RoundDrive(exchange);
  await drive.run(effort.warmUpMs);
  return drive;
}

function countConnections(): number {
  // A publisher besides its subscribers.
  return work.kind === 'fan-out' ? 1 + Math.min(work.connections, effort.maxConnections) : work.connections;
}

/** Opens connections, and lets go of those that were opened before, outside of the measured window. */
async function driveConnections(): Promise<Drive> {
  const count = Math.min(work.connections, effort.maxConnections);
  const open = async (wanted: number): Promise<Client[]> => {
    const clients = await openClients(target, wanted, work.inFlight);
    if (work.payloadBytes > 0) await checkExchange(makeExchange(clients));
    return clients;
  };
  // What an idle connection holds is told by memory that is new, so little may have been let go of before.
  const before = work.kind === 'idle' ? Math.min(IDLE_WARM_UP, count) : count;
  for (const client of await open(before)) client.destroy();
  await open(Math.min(work.besides, effort.maxConnections));
  await sleep(SETTLE_MS);
  const drive: Drive = {
    messages: 0,
    bytes: 0,
    run: async () => {
      drive.messages += (await open(count)).length;
    },
  };
  return drive;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function measure(drive: Drive): Promise<LoadResult> {
  const { messages, bytes } = drive;
  latency.reset();
  const cpu = process.cpuUsage();
  const start = performance.now();
  await drive.run(effort.measureMs);
  const elapsedMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return {
    messages: drive.messages - messages,
    bytes: drive.bytes - bytes,
    elapsedMs,
    cpuMicros: user + system,
    p50Micros: latency.percentile(0.5),
    p99Micros: latency.percentile(0.99),
  };
}

function tell(message: LoadMessage<LoadResult>): void {
  process.send!(message);
}

process.on('uncaughtException', (error) => {
  tell({ type: 'failed', message: error.message });
  setTimeout(() => process.exit(1), SETTLE_MS);
});
const isOfConnections = work.kind === 'accept' || work.kind === 'idle';
const drive = isOfConnections ? await driveConnections() : await driveMessages();
process.once('message', async () => {
  tell({ type: 'done', result: await measure(drive) });
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'ready' });
