/** The room: all that read, one that publishes, and the one that does not read. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, openClients } from '../e2e/client.ts';
import { FrameCounter, maskedFrame, payloadsOf, TEXT } from '../e2e/frames.ts';
import { Histogram } from '../e2e/histogram.ts';
import { type FromLoad, MESSAGE_BYTES, type ToLoad } from './messages.ts';

const CLOSE = 0x88;
const CONNECT_AT_ONCE = 32;
/** Between the last delivery of a message and the next one. */
const CALM_MS = 2;
const LOOK_MS = 20;

const port = Number(process.env.PORT);
const target = { port, secure: false, handshake: true, compressed: false };
const latency = new Histogram();
let publishedAt = 0;
let missing = 0;
let published = 0;
let onAll: (() => void) | undefined;

const clients = await openClients({ ...target, path: '/room' }, Number(process.env.CLIENTS), CONNECT_AT_ONCE);
for (const client of clients) {
  const counter = new FrameCounter({ bits: TEXT, payloadBytes: MESSAGE_BYTES });
  client.onBytes = (bytes, end) => {
    const frames = counter.push(bytes, end);
    if (frames === 0) return;
    latency.add(performance.now() - publishedAt, frames);
    missing -= frames;
    if (missing === 0) onAll!();
  };
}
const publisher = await new Client({ ...target, path: '/publish' }).open();

async function measure(messages: number): Promise<void> {
  latency.reset();
  for (let i = 0; i < messages; i++) {
    const frame = maskedFrame(TEXT, Buffer.from(String(published++).padStart(MESSAGE_BYTES, '0')));
    missing = clients.length;
    const all = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    publishedAt = performance.now();
    publisher.socket.write(frame);
    await all;
    await sleep(CALM_MS);
  }
}

/** One that reads nothing until it is told to. */
class SlowReader {
  readonly #client: Client;
  readonly #first: number = published;
  readonly #chunks: Buffer[] = [];

  private constructor(client: Client) {
    this.#client = client;
    // The server may end it.
    client.socket.pause().removeAllListeners('close');
    client.onBytes = (bytes, end) => void this.#chunks.push(Buffer.from(bytes.subarray(0, end)));
  }

  static async open(policy: string): Promise<SlowReader> {
    const client = new Client({ ...target, path: `/slow/${policy}` });
    // What it has read of what it was sent at once is not to be looked at.
    return new SlowReader(await client.open());
  }

  /** Reads all that there is: up to the last message, or to a Close frame. */
  async read(): Promise<Extract<FromLoad, { type: 'read' }>> {
    const { socket } = this.#client;
    socket.resume();
    for (let chunks = -1; ; ) {
      await sleep(LOOK_MS);
      // Where nothing more comes, what came are whole frames.
      const hasMore = chunks !== this.#chunks.length;
      chunks = this.#chunks.length;
      if (hasMore) continue;
      const frames = payloadsOf(Buffer.concat(this.#chunks));
      const numbers = frames.filter(({ bits }) => bits === TEXT).map(({ payload }) => Number(payload.toString()));
      const close = frames.find(({ bits }) => bits === CLOSE)?.payload.readUInt16BE() ?? 0;
      if (numbers.at(-1) !== published - 1 && close === 0) continue;
      this.#client.destroy();
      const isInOrder = numbers.every((number, i) => number > (numbers[i - 1] ?? this.#first - 1));
      return { type: 'read', received: numbers.length, isInOrder, closeCode: close };
    }
  }
}

let slow: SlowReader | undefined;
const tell = (message: FromLoad): void => void process.send?.(message);
process.once('disconnect', () => process.exit(0));
process.on('message', async (message: ToLoad) => {
  if (message.type === 'measure') {
    await measure(message.messages);
    tell({ type: 'measured', p50Micros: latency.percentile(0.5), p99Micros: latency.percentile(0.99) });
  } else if (message.type === 'open') {
    slow = await SlowReader.open(message.policy);
    tell({ type: 'open' });
  } else tell(await slow!.read());
});
tell({ type: 'ready' });
