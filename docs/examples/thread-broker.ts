import { randomUUID } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import {
  type Broker,
  BrokerError,
  type BrokerEvents,
  type BrokerMessage,
  type BrokerPage,
  type BrokerSettings,
  type BrokerTop,
} from 'hyperlane-ws';

// #region hub
type Call = [number, 'subscribe' | 'unsubscribe' | 'publish' | 'read' | 'signal', ...never[]];

interface Topic {
  last: number;
  kept: BrokerMessage[];
  ids: Map<string, { top: BrokerTop; end: number }>;
  ports: Set<MessagePort>;
}

/** The part of the main thread: it orders and keeps the messages of all threads that are connected to it. */
export class ThreadHub {
  readonly #epoch = randomUUID();
  readonly #topics = new Map<string, Topic>();
  readonly #ports = new Set<MessagePort>();

  connect(port: MessagePort): void {
    this.#ports.add(port);
    port.on('message', ([call, method, ...args]: Call) => {
      const answer = (this[method] as (port: MessagePort, ...args: never[]) => unknown)(port, ...args);
      port.postMessage(['answer', call, answer]);
    });
    port.on('close', () => {
      this.#ports.delete(port);
      for (const { ports } of this.#topics.values()) ports.delete(port);
    });
  }

  subscribe(port: MessagePort, name: string): BrokerTop {
    this.#topic(name).ports.add(port);
    return this.#top(name);
  }

  unsubscribe(port: MessagePort, name: string): void {
    this.#topic(name).ports.delete(port);
  }

  publish(_port: MessagePort, name: string, data: Uint8Array, id: string | undefined, keep: number): BrokerTop {
    const topic = this.#topic(name);
    const now = Date.now();
    for (const [old, { end }] of topic.ids) if (end <= now) topic.ids.delete(old);
    const known = id === undefined ? undefined : topic.ids.get(id);
    if (known !== undefined) return known.top;
    const message = { previous: topic.last, offset: ++topic.last, data };
    topic.kept = keep === 0 ? [] : [...topic.kept, message].slice(-keep);
    for (const port of topic.ports) port.postMessage(['message', name, this.#epoch, message]);
    const top = this.#top(name);
    if (id !== undefined) topic.ids.set(id, { top, end: now + 5 * 60_000 });
    return top;
  }

  read(_port: MessagePort, name: string, after: number, limit: number): BrokerPage {
    const messages = this.#topic(name).kept.filter(({ offset }) => offset > after);
    return { ...this.#top(name), messages: messages.slice(0, limit) };
  }

  signal(_port: MessagePort, name: string | undefined, data: Uint8Array): void {
    const ports = name === undefined ? this.#ports : this.#topic(name).ports;
    for (const port of ports) port.postMessage(['signal', name, data]);
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name) ?? { last: 0, kept: [], ids: new Map(), ports: new Set() };
    this.#topics.set(name, topic);
    return topic;
  }

  #top(name: string): BrokerTop {
    return { epoch: this.#epoch, offset: this.#topic(name).last };
  }
}
// #endregion hub

// #region broker
/** The part of each thread: a broker that speaks to the hub through a port. */
export class ThreadBroker implements Broker {
  readonly name = 'threads';
  readonly #port: MessagePort;
  readonly #calls = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  #count = 0;
  #events: BrokerEvents | undefined;
  #keep = 0;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  async open(events: BrokerEvents, settings: BrokerSettings): Promise<void> {
    this.#events = events;
    this.#keep = settings.historyMessages;
    this.#port.on('message', this.#receive);
    this.#port.on('close', this.#leave);
  }

  subscribe = (topic: string): Promise<BrokerTop> => this.#call('subscribe', topic);

  unsubscribe = (topic: string): Promise<void> => this.#call('unsubscribe', topic);

  publish = (topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> =>
    this.#call('publish', topic, new Uint8Array(data), id, this.#keep);

  read = (topic: string, after: number, limit: number): Promise<BrokerPage> => this.#call('read', topic, after, limit);

  signal = (topic: string | undefined, data: Uint8Array): Promise<void> =>
    this.#call('signal', topic, new Uint8Array(data));

  async close(): Promise<void> {
    this.#port.off('message', this.#receive);
    this.#port.off('close', this.#leave);
    this.#end('the broker is closed');
  }

  readonly #receive = ([kind, ...args]: [string, ...never[]]): void => {
    if (kind === 'message') this.#events?.message(...(args as unknown as [string, string, BrokerMessage]));
    if (kind === 'signal') this.#events?.signal(...(args as unknown as [string | undefined, Uint8Array]));
    if (kind !== 'answer') return;
    const [call, answer] = args as unknown as [number, never];
    this.#calls.get(call)?.resolve(answer);
    this.#calls.delete(call);
  };

  /** A port that is closed stays closed. A connection that can return tells `events.up()` when it has. */
  readonly #leave = (): void => {
    const events = this.#events;
    events?.down(this.#end('the port to the main thread is closed'));
  };

  /** Rejects what is under way. */
  #end(why: string): Error {
    const error = new BrokerError('WS_ERR_BROKER_UNAVAILABLE', why);
    this.#events = undefined;
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
    return error;
  }

  #call<T>(...call: [method: string, ...args: unknown[]]): Promise<T> {
    if (this.#events === undefined)
      return Promise.reject(new BrokerError('WS_ERR_BROKER_UNAVAILABLE', 'the broker is not open'));
    return new Promise((resolve, reject) => {
      this.#calls.set(++this.#count, { resolve, reject });
      this.#port.postMessage([this.#count, ...call]);
    });
  }
}
// #endregion broker
