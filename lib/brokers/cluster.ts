import { randomBytes } from 'node:crypto';
import { BrokerError } from '../errors.ts';
import type { Broker, BrokerEvents, BrokerMessage, BrokerPage, BrokerSettings, BrokerTop } from '../topics/broker.ts';
import { checkNames } from '../wording.ts';
import {
  fromMessage,
  Outbox,
  type Packed,
  type PackedMessage,
  type Place,
  pack,
  type ToPrimary,
  type ToWorker,
  toMessage,
  unpack,
} from './cluster-channel.ts';
import { checkLimits } from './cluster-limits.ts';

/** How often a worker says hello until the primary answers: it may not be set up yet, or be set up again. */
const HELLO_MS = 500;

/** How long a broker that is closed waits for a primary that does not read, in milliseconds. */
const CLOSE_MS = 1000;
const SET_UP =
  "call setUpPrimary() of 'hyperlane-ws/cluster' in the primary process, before it forks workers; for a child of child_process.fork, give it to attach(child) too";

/** How `clusterBroker` is to behave. */
export interface ClusterBrokerOptions {
  /** How long the primary may take for an answer, in milliseconds; then the call rejects. 5,000 unless set. */
  readonly timeoutMs?: number;
  /** How many bytes may wait for the primary to read them; what is more rejects. 16 MiB unless set. */
  readonly maxQueuedBytes?: number;
}

interface Call {
  readonly end: number;
  readonly resolve: (answer: { place: Place | null; messages: readonly PackedMessage[] }) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A broker for the workers of `node:cluster`, and the children of `child_process.fork`: their primary orders and keeps the messages, which
 * go over the channel that Node has between the two. Nothing else is needed.
 *
 * In the primary, call `setUpPrimary()`.
 *
 * @throws {TypeError} for an option that does not exist
 * @throws {RangeError} for an option that is no whole number from 1 on
 */
export function clusterBroker(options: ClusterBrokerOptions = {}): Broker {
  checkNames('clusterBroker', options, ['timeoutMs', 'maxQueuedBytes']);
  const { timeoutMs = 5000, maxQueuedBytes = 16 * 1024 * 1024 } = options;
  checkLimits({ timeoutMs, maxQueuedBytes });
  return new ClusterBroker(timeoutMs, maxQueuedBytes);
}

class ClusterBroker implements Broker {
  readonly name = 'cluster';
  readonly #id = randomBytes(8).toString('base64url');
  readonly #timeoutMs: number;
  readonly #maxQueuedBytes: number;
  readonly #outbox: Outbox<ToPrimary>;
  /** The oldest first, which is also the first to be late. */
  readonly #calls = new Map<number, Call>();
  #lastCall = 0;
  #callTimer: NodeJS.Timeout | undefined;
  #helloTimer: NodeJS.Timeout | undefined;
  #events: BrokerEvents | undefined;
  #settings: BrokerSettings = { historyMessages: 0, historyMs: 0 };
  #isBinary = false;
  /** Why nothing can be called now. */
  #isDown: Error | undefined = new BrokerError('WS_ERR_BROKER_UNAVAILABLE', 'the broker is not open yet');
  #opening: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(timeoutMs: number, maxQueuedBytes: number) {
    this.#timeoutMs = timeoutMs;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#outbox = new Outbox((frames, sent) => {
      // An error is told by the end of the channel as well.
      process.send?.(toMessage(this.#id, frames), undefined, undefined, sent);
    });
  }

  async open(events: BrokerEvents, settings: BrokerSettings): Promise<void> {
    if (process.send === undefined || !process.connected) {
      const where = 'create it in a worker of node:cluster, or in a child of child_process.fork';
      throw unavailable(`this process has no channel to a primary: clusterBroker() is for workers, ${where}`);
    }
    this.#events = events;
    this.#settings = settings;
    process.on('message', this.#receive);
    process.on('disconnect', this.#leave);
    let late: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#opening = { resolve, reject };
        late = setTimeout(() => {
          reject(unavailable(`the primary did not answer within ${this.#timeoutMs} ms: ${SET_UP}`));
        }, this.#timeoutMs);
        this.#greet();
      });
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      clearTimeout(late);
      this.#opening = undefined;
    }
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    return topOf(await this.#call((call) => ['subscribe', call, topic], topic.length));
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.#call((call) => ['unsubscribe', call, topic], topic.length);
  }

  async publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    const packed = this.#pack(data);
    const bytes = topic.length + packed.length + (id?.length ?? 0);
    return topOf(await this.#call((call) => ['publish', call, topic, packed, id ?? null], bytes));
  }

  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    const answer = await this.#call((call) => ['read', call, topic, after, limit], topic.length);
    return { ...topOf(answer), messages: answer.messages.map(messageOf) };
  }

  async signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    const packed = this.#pack(data);
    const bytes = packed.length + (topic?.length ?? 0);
    this.#checkFree(bytes);
    this.#outbox.push(['signal', topic ?? null, packed], bytes);
  }

  async close(): Promise<void> {
    if (this.#events === undefined) return;
    this.#events = undefined;
    process.off('message', this.#receive);
    process.off('disconnect', this.#leave);
    clearInterval(this.#helloTimer);
    this.#fail(unavailable('the broker is closed'));
    this.#outbox.push(['bye'], 0);
    // Whoever ends the process behind this has said before what it had to say, such as that its members leave.
    if (process.connected) await this.#outbox.emptied(CLOSE_MS);
  }

  /** Says hello, again and again until `#welcome`. */
  #greet(): void {
    clearInterval(this.#helloTimer);
    const hello = (): void => {
      // A number that is not finite is none in JSON.
      const historyMs = Math.min(this.#settings.historyMs, Number.MAX_SAFE_INTEGER);
      this.#outbox.push(['hello', { ...this.#settings, historyMs }, Uint8Array.of(1)], 0);
    };
    this.#helloTimer = setInterval(hello, HELLO_MS);
    hello();
  }

  #welcome(isBinary: boolean): void {
    clearInterval(this.#helloTimer);
    if (this.#isDown === undefined) return;
    this.#isDown = undefined;
    this.#isBinary = isBinary;
    if (this.#opening !== undefined) this.#opening.resolve();
    else this.#events?.up();
  }

  readonly #receive = (message: unknown): void => {
    const batch = fromMessage<ToWorker>(message);
    if (batch?.broker !== this.#id) return;
    if (batch.isOtherVersion)
      this.#opening?.reject(unavailable('the primary has another version of hyperlane-ws: start it anew as well'));
    for (const frame of batch.frames) this.#take(frame);
  };

  #take(frame: ToWorker): void {
    switch (frame[0]) {
      case 'message':
        this.#events?.message(frame[1], frame[2], messageOf(frame[3]));
        break;
      case 'answer': {
        const call = this.#calls.get(frame[1]);
        this.#calls.delete(frame[1]);
        call?.resolve({ place: frame[2], messages: frame[3] ?? [] });
        break;
      }
      case 'signal':
        this.#events?.signal(frame[1] ?? undefined, unpack(frame[2]));
        break;
      case 'welcome':
        this.#welcome(frame[1]);
        break;
      case 'lost':
        this.#events?.up();
        break;
      case 'unknown':
      case 'bye':
        this.#lose('the primary was set up anew, or is no longer set up');
        break;
    }
  }

  /** The primary has gone, and may come back. */
  #lose(why: string): void {
    if (this.#isDown !== undefined) return;
    const error = unavailable(why);
    this.#fail(error);
    this.#outbox.clear();
    this.#greet();
    this.#events?.down(error);
  }

  /** The channel is closed: nothing comes any more. */
  readonly #leave = (): void => {
    clearInterval(this.#helloTimer);
    const wasUp = this.#isDown === undefined;
    const error = unavailable('the channel to the primary is closed: it has ended, or disconnected this worker');
    this.#fail(error);
    this.#outbox.clear();
    this.#opening?.reject(error);
    if (wasUp) this.#events?.down(error);
  };

  /** Rejects all calls, those under way as those that come. */
  #fail(error: Error): void {
    this.#isDown = error;
    clearTimeout(this.#callTimer);
    this.#callTimer = undefined;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { reject } of calls) reject(error);
  }

  #pack(data: Uint8Array): Packed {
    // What is sent later is what is given now.
    return this.#isBinary ? data.slice() : pack(data, false);
  }

  /** @throws {BrokerError} when nothing more may be queued */
  #checkFree(bytes: number): void {
    if (this.#isDown !== undefined) throw this.#isDown;
    const waiting = this.#outbox.bytes;
    if (waiting > 0 && waiting + bytes > this.#maxQueuedBytes)
      throw unavailable(`the primary is too busy: ${waiting} bytes wait for it, and maxQueuedBytes is the limit`);
  }

  #call(
    toFrame: (call: number) => ToPrimary,
    bytes: number,
  ): Promise<{ place: Place | null; messages: readonly PackedMessage[] }> {
    this.#checkFree(bytes);
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      this.#calls.set(call, { end: performance.now() + this.#timeoutMs, resolve, reject });
      this.#callTimer ??= setTimeout(this.#rejectLate, this.#timeoutMs);
      this.#outbox.push(toFrame(call), bytes);
    });
  }

  readonly #rejectLate = (): void => {
    const now = performance.now();
    this.#callTimer = undefined;
    for (const [id, { end, reject }] of this.#calls) {
      if (end > now) {
        this.#callTimer = setTimeout(this.#rejectLate, end - now + 1);
        break;
      }
      this.#calls.delete(id);
      reject(unavailable(`the primary did not answer within ${this.#timeoutMs} ms: it is busy, or stopped`));
    }
  };
}

function unavailable(message: string): BrokerError {
  return new BrokerError('WS_ERR_BROKER_UNAVAILABLE', message);
}

function topOf({ place }: { readonly place: Place | null }): BrokerTop {
  const [epoch, offset] = place!;
  return { epoch, offset };
}

function messageOf([offset, previous, data]: PackedMessage): BrokerMessage {
  return { offset, previous, data: unpack(data) };
}
