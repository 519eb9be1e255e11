import type {
  Broker,
  BrokerEvents,
  BrokerMessage,
  BrokerPage,
  BrokerSettings,
  BrokerTop,
} from '../../lib/topics/broker.ts';

/** For how long an id is remembered, as brokers must. */
const ID_MS = 5 * 60_000;

export interface MemoryHubOptions {
  /**
   * Counts the messages of all topics together, as a stream does that many topics share: the offsets of a topic have holes
   * then, and once messages were let go of, `previous` of the oldest that is kept is not known. Off unless set.
   */
  readonly isSparse?: boolean;
  /** The time in milliseconds, for ids and `historyMs`. `Date.now` unless set. */
  readonly now?: () => number;
}

interface KeptMessage extends BrokerMessage {
  /** When it may be forgotten. */
  readonly end: number;
}

interface HubTopic {
  last: number;
  kept: KeptMessage[];
  readonly ids: Map<string, { readonly top: BrokerTop; readonly at: number }>;
}

/** One thing on its way between a broker and the hub. */
export interface OnTheWay {
  /** What it is: a call that goes to the hub, its answer, or what the hub tells. */
  readonly kind: 'call' | 'answer' | 'message' | 'signal';
  /** The name of the method for a call and its answer. */
  readonly method?: keyof Broker;
  readonly topic: string | undefined;
  /** The message, or the bytes of the signal. */
  readonly message?: BrokerMessage;
  readonly data?: Uint8Array;
  /** Has it arrive. */
  readonly arrive: () => void;
  /** Has it be lost with the connection. */
  readonly lose: (error: Error) => void;
}

/**
 * A broker in memory, for specs of what is above one. Each of its brokers stands for a process, and has a line to the hub
 * whose faults are in the hands of the test:
 *
 * - `hold()` stops the line: calls, answers, messages and signals wait in `line`, an array that a test may change as it likes
 *   (leave out: a drop; twice: a duplicate; in another order) before `step()` or `release()` has them arrive.
 * - `fault` is asked for each message and signal how many times it arrives: 0 is a drop, 2 a duplicate.
 * - `disconnect()` and `reconnect()`: what is in the line is lost, and calls in it are rejected, whether the hub has seen them or not.
 * - `tellUp()`: messages may have been lost.
 * - `latencyMs`: how long the line is; 0, the default, is the next turn of the event loop.
 * - `hub.loseData()`: a new epoch.
 */
export class MemoryHub {
  readonly brokers: Set<MemoryBroker> = new Set();
  readonly #options: MemoryHubOptions;
  readonly #topics = new Map<string, HubTopic>();
  #epochs = 1;
  #count = 0;

  constructor(options: MemoryHubOptions = {}) {
    this.#options = options;
  }

  /** The epoch of all topics. */
  get epoch(): string {
    return `epoch-${this.#epochs}`;
  }

  /** A broker for one more process. */
  makeBroker(): MemoryBroker {
    return new MemoryBroker(this);
  }

  /** Forgets all messages, offsets and ids, as a server does that starts without its data: a new epoch begins. */
  loseData(): void {
    this.#epochs++;
    this.#topics.clear();
  }

  /** @internal */
  topOf(name: string): BrokerTop {
    return { epoch: this.epoch, offset: this.#topics.get(name)?.last ?? 0 };
  }

  /** @internal */
  publish(name: string, data: Uint8Array, id: string | undefined, settings: BrokerSettings): BrokerTop {
    const topic: HubTopic = this.#topics.get(name) ?? { last: 0, kept: [], ids: new Map() };
    this.#topics.set(name, topic);
    const at = this.#now();
    const known = id === undefined ? undefined : topic.ids.get(id);
    if (known !== undefined && at - known.at < ID_MS) return known.top;
    const previous = topic.last;
    topic.last = this.#options.isSparse ? ++this.#count : previous + 1;
    const message = { offset: topic.last, previous, data: data.slice(), end: at + settings.historyMs };
    topic.kept.push(message);
    topic.kept.splice(0, topic.kept.length - settings.historyMessages);
    const top = this.topOf(name);
    if (id !== undefined) topic.ids.set(id, { top, at });
    for (const broker of this.brokers) broker.tellMessage(name, this.epoch, message);
    return top;
  }

  /** @internal */
  read(name: string, after: number, limit: number): BrokerPage {
    const topic = this.#topics.get(name);
    if (topic === undefined) return { ...this.topOf(name), messages: [] };
    const now = this.#now();
    topic.kept = topic.kept.filter(({ end }) => end > now);
    const messages = topic.kept.map((message, i) =>
      copyOf(message, this.#options.isSparse === true && i === 0 && message.previous > 0),
    );
    return { ...this.topOf(name), messages: messages.filter(({ offset }) => offset > after).slice(0, limit) };
  }

  /** @internal */
  signal(topic: string | undefined, data: Uint8Array): void {
    for (const broker of this.brokers) broker.tellSignal(topic, data);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

/** Whoever is told owns the bytes. */
function copyOf({ offset, previous, data }: BrokerMessage, isPreviousLost = false): BrokerMessage {
  return { offset, previous: isPreviousLost ? offset - 1 : previous, data: data.slice() };
}

/** What one process has of a `MemoryHub`. */
export class MemoryBroker implements Broker {
  readonly name = 'memory';
  /** What is on its way, the oldest first. A test may change it while it is held. */
  line: OnTheWay[] = [];
  /** How many times what is told arrives: 1 unless set. */
  fault: (told: OnTheWay) => number = () => 1;
  latencyMs = 0;
  /** How often each method was called. */
  readonly calls: Map<keyof Broker, number> = new Map();
  readonly topics: Set<string> = new Set();
  readonly #hub: MemoryHub;
  #events: BrokerEvents | undefined;
  #settings: BrokerSettings = { historyMessages: 0, historyMs: 0 };
  #isHeld = false;
  #isDown: Error | undefined;
  #isClosed = false;

  constructor(hub: MemoryHub) {
    this.#hub = hub;
  }

  // The faults.

  /** Stops the line until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Has what is at `index` in the line arrive, and nothing else. */
  step(index: number = 0): OnTheWay | undefined {
    const [one] = this.line.splice(index, 1);
    one?.arrive();
    return one;
  }

  /** Has everything in the line arrive, and what comes from now on by itself. */
  release(): void {
    this.#isHeld = false;
    while (this.line.length > 0) this.step();
  }

  /** Cuts the line: what is in it is lost. The hub does not know this process any more. */
  disconnect(error: Error = new Error('the line was cut')): void {
    if (this.#isDown !== undefined) return;
    this.#isDown = error;
    this.topics.clear();
    for (const one of this.line.splice(0)) one.lose(error);
    this.#events?.down(error);
  }

  /** Mends the line. The hub tells nothing until a topic is subscribed again. */
  reconnect(): void {
    if (this.#isDown === undefined) return;
    this.#isDown = undefined;
    this.#events?.up();
  }

  /** Says that messages may have been lost, though the connection was there. */
  tellUp(): void {
    this.#events?.up();
  }

  /** @internal */
  tellMessage(topic: string, epoch: string, message: BrokerMessage): void {
    if (!this.topics.has(topic)) return;
    const arrive = (): void => this.#events?.message(topic, epoch, copyOf(message));
    this.#tell({ kind: 'message', topic, message, arrive, lose() {} });
  }

  /** @internal */
  tellSignal(topic: string | undefined, data: Uint8Array): void {
    if (topic !== undefined && !this.topics.has(topic)) return;
    const copy = data.slice();
    this.#tell({ kind: 'signal', topic, data: copy, arrive: () => this.#events?.signal(topic, copy), lose() {} });
  }

  #tell(one: OnTheWay): void {
    if (this.#isDown !== undefined) return;
    for (let times = this.fault(one); times > 0; times--) this.#push(one);
  }

  #push(one: OnTheWay): void {
    this.line.push(one);
    const move = (): void => {
      if (!this.#isHeld) this.step();
    };
    if (this.latencyMs > 0) setTimeout(move, this.latencyMs);
    else setImmediate(move);
  }

  /** A call on its way there, and its answer on its way back. */
  #call<T>(method: keyof Broker, topic: string | undefined, run: () => T): Promise<T> {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
    if (this.#events === undefined || this.#isClosed) return Promise.reject(new Error('this broker is not open'));
    if (this.#isDown !== undefined) return Promise.reject(this.#isDown);
    return new Promise((resolve, reject) => {
      const answer = (): void => {
        const result = run();
        this.#push({ kind: 'answer', method, topic, arrive: () => resolve(result), lose: reject });
      };
      this.#push({ kind: 'call', method, topic, arrive: answer, lose: reject });
    });
  }

  // What a broker does.

  async open(events: BrokerEvents, settings: BrokerSettings): Promise<void> {
    if (this.#isDown !== undefined) throw this.#isDown;
    this.#events = events;
    this.#settings = settings;
    this.#hub.brokers.add(this);
  }

  subscribe(topic: string): Promise<BrokerTop> {
    return this.#call('subscribe', topic, () => {
      this.topics.add(topic);
      return this.#hub.topOf(topic);
    });
  }

  unsubscribe(topic: string): Promise<void> {
    return this.#call('unsubscribe', topic, () => {
      this.topics.delete(topic);
    });
  }

  publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    const copy = data.slice();
    return this.#call('publish', topic, () => this.#hub.publish(topic, copy, id, this.#settings));
  }

  read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    return this.#call('read', topic, () => this.#hub.read(topic, after, limit));
  }

  signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    const copy = data.slice();
    return this.#call('signal', topic, () => this.#hub.signal(topic, copy));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#events = undefined;
    this.#hub.brokers.delete(this);
    for (const one of this.line.splice(0)) one.lose(new Error('this broker was closed'));
  }
}
