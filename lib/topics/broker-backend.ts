import type { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { brokerDown, brokerUp } from '../diagnostics.ts';
import { BrokerError } from '../errors.ts';
import { show } from '../wording.ts';
import type { TopicBackend } from './backend.ts';
import type { Broker, BrokerEvents } from './broker.ts';
import { readPage, readTop } from './broker-answers.ts';
import { encodeEnvelope, PROCESS_BYTES } from './envelope.ts';
import { formatPosition, type Place, type Position } from './position.ts';
import type { Topic } from './topic.ts';
import type { TopicPage } from './topic-entry.ts';
import { openMessage, TopicFeed } from './topic-feed.ts';
import type { ResolvedTopicsOptions } from './topics-options.ts';

/** How long a broker has for each of what is to be done when it is closed, in milliseconds. */
const CLOSE_MS = 5000;

/** Where a topic begins of which the broker has not told yet. */
const UNKNOWN: Place = { epoch: '', offset: 0 };

/** Has a broker order topics, and keep their history. */
export class BrokerBackend implements TopicBackend {
  readonly #broker: Broker;
  readonly #capacity: number;
  /** This process, in envelopes. */
  readonly #origin: Buffer = randomBytes(PROCESS_BYTES);
  readonly #feeds = new Map<string, TopicFeed>();
  /** Topics that are being left: who comes back to one waits for that. */
  readonly #leaving = new Map<string, Promise<void>>();
  #isConnected = true;
  #isClosed = false;
  /** Resolves when the broker can be used; rejects with BrokerError if it cannot. */
  readonly opened: Promise<void>;
  /** Are told of signals, and how it stands with the broker. Must not throw. */
  onSignal: ((topic: string | undefined, data: Uint8Array) => void) | undefined;
  onUp: (() => void) | undefined;
  onDown: (() => void) | undefined;

  constructor(broker: Broker, { historyMessages, historyMs, capacity }: ResolvedTopicsOptions) {
    this.#broker = broker;
    this.#capacity = capacity;
    const events: BrokerEvents = {
      message: (topic, epoch, message) => this.#feeds.get(topic)?.receive(epoch, message),
      signal: (topic, data) => {
        if (ArrayBuffer.isView(data)) this.onSignal?.(topic, data);
      },
      up: () => this.#up(),
      down: (error) => {
        this.#isConnected = false;
        this.onDown?.();
        if (brokerDown.hasSubscribers) brokerDown.publish({ broker: broker.name, error });
      },
    };
    this.opened = this.#try(() => broker.open(events, { historyMessages, historyMs }));
    // Whoever uses it is told.
    this.opened.catch(() => {
      this.#isConnected = false;
    });
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  placeOf(): Place {
    return UNKNOWN;
  }

  async open(topic: Topic): Promise<void> {
    const feed = new TopicFeed(topic, this.#broker, this.#origin, this.#capacity);
    await this.opened;
    await this.#leaving.get(topic.name);
    // It may have been left meanwhile.
    if (topic.subscriptions === 0 || this.#isClosed) return;
    this.#feeds.set(topic.name, feed);
    await this.#try(() => feed.join());
  }

  leave({ name, joining }: Topic): void {
    const feed = this.#feeds.get(name);
    if (feed === undefined) return;
    this.#feeds.delete(name);
    feed.close();
    // One that fails has nothing told but what nobody here listens to. Behind a subscribe that is under way: where that fails, nobody
    // knows whether it was done.
    const left = Promise.resolve(joining)
      .catch(ignore)
      .then(() => this.#broker.unsubscribe(name))
      .catch(ignore);
    this.#leaving.set(name, left);
    void left.then(() => this.#leaving.delete(name));
  }

  publish(
    name: string,
    _topic: Topic | undefined,
    body: string | Uint8Array,
    id: string | undefined,
    sender: number,
  ): Promise<Position> {
    // At once: the bytes may be others later.
    const data = encodeEnvelope(body, this.#origin, sender);
    return this.#publish(name, data, id);
  }

  async read(name: string, _topic: Topic | undefined, after: number, limit: number): Promise<TopicPage> {
    await this.opened;
    const { epoch, offset, messages } = await this.#try(async () =>
      readPage(await this.#broker.read(name, after, limit), after),
    );
    const entries = messages.map((message) =>
      openMessage(name, { epoch, offset: message.previous }, message, this.#origin),
    );
    return { epoch, offset, entries };
  }

  check(topic: Topic): void {
    this.#feeds.get(topic.name)?.check();
  }

  /** This process: 16 hexadecimal digits. */
  get process(): string {
    return this.#origin.toString('hex');
  }

  /** Passes bytes to the processes that are in a topic, or to all. Resolves in any case: whether they arrive nobody knows. */
  signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    return this.opened.then(() => this.#broker.signal(topic, data)).catch(ignore);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isConnected = false;
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    await this.#try(async () => {
      try {
        await inTime(this.opened.catch(ignore), 'open');
      } finally {
        await inTime(this.#broker.close(), 'closed');
      }
    });
  }

  // ----------------------------------------------------------------------------------------------------------------

  #up(): void {
    this.#isConnected = !this.#isClosed;
    if (brokerUp.hasSubscribers) brokerUp.publish({ broker: this.#broker.name });
    for (const feed of this.#feeds.values()) feed.check();
    this.onUp?.();
  }

  async #publish(name: string, data: Buffer, id: string | undefined): Promise<Position> {
    await this.opened;
    const { epoch, offset } = await this.#try(async () => readTop(await this.#broker.publish(name, data, id)));
    return formatPosition(epoch, offset);
  }

  /** Does what the broker may fail at. */
  async #try<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (cause) {
      if (cause instanceof BrokerError) throw cause;
      const reason = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : show(cause);
      throw new BrokerError('WS_ERR_BROKER', `the broker ${this.#broker.name} failed: ${reason}`, { cause });
    }
  }
}

/** Waits for a broker, though not for ever: whoever closes a server wants that to end. */
async function inTime(done: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it was not ${what} within ${CLOSE_MS / 1000} seconds`)), CLOSE_MS);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}

function ignore(): void {}
