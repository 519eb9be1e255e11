/**
 * The load: a process of its own that drives one server with one case, counts every message that comes back, and tells
 * of its own CPU. It rests before and after the measured window, with nothing in flight, so that what the server used
 * in between was used for exactly the messages that were counted.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Effort, EndToEndCase } from './cases.ts';
import { type Client, openClients, type Target } from './client.ts';
import { BINARY, type Expected, FrameCounter, maskedFrame, payloadsOf, RSV1, TEXT } from './frames.ts';
import { Histogram } from './histogram.ts';

/** What a load process is told by its command line. */
export interface LoadTask {
  readonly work: EndToEndCase;
  readonly effort: Effort;
  readonly port: number;
  readonly handshake: boolean;
}

/** What a load process tells of a measured window. */
export interface LoadResult {
  /** Messages that came back (echo, chat), or connections that were opened (accept, idle). */
  readonly messages: number;
  /** Their payload. */
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly cpuMicros: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

export type LoadMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly result: LoadResult }
  | { readonly type: 'failed'; readonly message: string };

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
    const frames = Array.from({ length: this.#frames }, (_, i) => sentFrame(makePayload(index * this.#frames + i)));
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
  readonly counter: FrameCounter = new FrameCounter(expectedFrames());
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

/** Everyone sends one message to everyone, and again when all have arrived. */
class ChatDrive implements Drive {
  messages = 0;
  readonly #clients: readonly Client[];
  readonly #counters: FrameCounter[];
  readonly #frames: Buffer[];
  #missing = 0;
  #startedAt = 0;
  #endsAt = 0;
  #onRest: (() => void) | undefined;

  constructor(clients: readonly Client[], payloads: readonly Buffer[]) {
    this.#clients = clients;
    this.#frames = payloads.map(sentFrame);
    this.#counters = clients.map((client) => {
      const counter = new FrameCounter(expectedFrames());
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
    this.#missing = this.#clients.length ** 2;
    this.#startedAt = performance.now();
    for (const [i, client] of this.#clients.entries()) client.socket.write(this.#frames[i]!);
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

function sentBits(): number {
  return (work.text ? TEXT : BINARY) | (work.compressed ? RSV1 : 0);
}

function expectedFrames(): Expected {
  return { bits: sentBits(), payloadBytes: work.compressed ? -1 : work.payloadBytes };
}

function sentFrame(payload: Buffer): Buffer {
  return maskedFrame(sentBits(), work.compressed ? deflate(payload) : payload);
}

/** RFC 7692 §7.2.1: the four bytes that end a flush are left out. */
function deflate(payload: Buffer): Buffer {
  const flushed = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
  return flushed.subarray(0, flushed.length - 4);
}

function inflate(payload: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), {
    finishFlush: constants.Z_SYNC_FLUSH,
  });
}

function makePayload(seed: number): Buffer {
  const { payloadBytes, compressed, text } = work;
  if (compressed) return Buffer.from(jsonOf(payloadBytes, seed));
  const payload = Buffer.alloc(payloadBytes);
  for (let i = 0; i < payloadBytes; i++) payload[i] = text ? 0x61 + ((i + seed) % 26) : (i * 31 + seed * 7) & 0xff;
  if (text) payload.write(String(seed).padStart(4, '0'));
  return payload;
}

/** A list of records, such as an API sends, of exactly `length` bytes. */
function jsonOf(length: number, seed: number): string {
  const records: object[] = [];
  for (let id = 1000 + seed * 100; ; id++) {
    const record = {
      id,
      name: `user ${id * 7919}`,
      active: id % 3 === 0,
      score: (id * 104729) % 9973,
      tags: ['a', 'b'],
    };
    const next = JSON.stringify([...records, record]);
    if (next.length > length) break;
    records.push(record);
  }
  return JSON.stringify(records).padEnd(length, ' ');
}

/** Sends each client its message, and checks every byte of what they receive. */
async function checkExchange(clients: readonly Client[], sent: readonly Buffer[]): Promise<void> {
  const everyone = work.kind === 'chat';
  const framesEach = everyone ? clients.length : 1;
  await Promise.all(
    clients.map(async (client, i) => {
      const received = await exchange(client, sent[i]!, framesEach);
      const payloads = received.map(({ bits, payload }) => {
        if (bits !== sentBits()) throw new Error(`a frame with the first byte ${bits} came back`);
        return work.compressed ? inflate(payload) : payload;
      });
      const expected = everyone ? sent : [sent[i]!];
      const sort = (buffers: readonly Buffer[]): Buffer => Buffer.concat(buffers.toSorted(Buffer.compare));
      if (!sort(payloads).equals(sort(expected))) throw new Error('what came back is not what was sent');
    }),
  );
}

function exchange(client: Client, payload: Buffer, framesBack: number): Promise<{ bits: number; payload: Buffer }[]> {
  return new Promise((resolve) => {
    const counter = new FrameCounter(expectedFrames());
    const chunks: Buffer[] = [];
    let frames = 0;
    client.onBytes = (bytes, end) => {
      chunks.push(Buffer.from(bytes.subarray(0, end)));
      frames += counter.push(bytes, end);
      if (frames === framesBack) resolve(payloadsOf(Buffer.concat(chunks)));
    };
    client.socket.write(sentFrame(payload));
  });
}

async function driveMessages(): Promise<Drive> {
  const clients = await openClients(target, work.connections, CONNECT_AT_ONCE);
  await sleep(SETTLE_MS);
  const payloads = clients.map((_, i) => makePayload(i));
  await checkExchange(clients, payloads);
  const drive = work.kind === 'chat' ? new ChatDrive(clients, payloads) : new EchoDrive(clients, work.inFlight);
  await drive.run(effort.warmUpMs);
  return drive;
}

/** Opens connections, and lets go of those that were opened before, outside of the measured window. */
async function driveConnections(): Promise<Drive> {
  const count = Math.min(work.connections, effort.maxConnections);
  const open = async (wanted: number): Promise<Client[]> => {
    const clients = await openClients(target, wanted, work.inFlight);
    if (work.payloadBytes > 0)
      await checkExchange(
        clients,
        clients.map((_, i) => makePayload(i)),
      );
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

function tell(message: LoadMessage): void {
  process.send!(message);
}

process.on('uncaughtException', (error) => {
  tell({ type: 'failed', message: error.message });
  setTimeout(() => process.exit(1), SETTLE_MS);
});
const drive = work.kind === 'echo' || work.kind === 'chat' ? await driveMessages() : await driveConnections();
process.once('message', async () => {
  tell({ type: 'done', result: await measure(drive) });
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'ready' });
