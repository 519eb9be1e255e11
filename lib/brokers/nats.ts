import type { Broker, BrokerEvents, BrokerPage, BrokerSettings, BrokerTop } from '../topics/broker.ts';
import { checkNames } from '../wording.ts';
import { checkConnection, type NatsConnection, type NatsMessage } from './nats-connection.ts';
import { CoreOrder } from './nats-core.ts';
import { JetStreamOrder } from './nats-jetstream.ts';
import { NATS_TIMING, NatsLink, type NatsTiming, unavailable } from './nats-link.ts';
import type { NatsOrder } from './nats-orders.ts';
import { NatsStream, type NatsStreamOptions } from './nats-stream.ts';
import { lastWordOf, NatsSubjects } from './nats-subjects.ts';

/** How to reach other processes over NATS. */
export interface NatsBrokerOptions {
  /** What `connect()` of `@nats-io/transport-node`, or of `nats`, resolves with. It stays yours: close it behind the server. */
  readonly connection: NatsConnection;
  /** The beginning of all subjects, and the name of the stream. `hyperlane` unless set. */
  readonly prefix?: string;
  /**
   * Has JetStream order the messages, also where there is no history: `true`, or how it is to keep them. Without it, that is done
   * where there is history, and else each process has an order of its own.
   */
  readonly jetstream?: boolean | NatsStreamOptions;
}

/**
 * Carries topics from process to process over NATS 2.9 or newer: by JetStream where there is history, and by core NATS where there
 * is none.
 *
 * @throws {TypeError} for a connection that is none, a prefix that is none, and options that do not exist
 * @example
 * const connection = await connect({ servers: 'nats://127.0.0.1:4222', maxReconnectAttempts: -1, reconnectTimeWait: 250 });
 * const server = new Server({ topics: { broker: natsBroker({ connection }), historyMessages: 100 } });
 */
export function natsBroker(options: NatsBrokerOptions): Broker {
  return new NatsBroker(options, NATS_TIMING);
}

const NAMES = ['connection', 'prefix', 'jetstream'];
const STREAM_NAMES = ['replicas', 'storage', 'maxBytes', 'keepMs'];

/** The broker, for specs that have less patience than who uses it. */
export class NatsBroker implements Broker {
  readonly name = 'nats';
  readonly #connection: NatsConnection;
  readonly #subjects: NatsSubjects;
  readonly #jetstream: boolean | NatsStreamOptions;
  readonly #timing: NatsTiming;
  readonly #subscriptions = new Map<string, Subscription>();
  #link: NatsLink | undefined;
  #order: NatsOrder | undefined;
  #events: BrokerEvents | undefined;
  #everyone: { unsubscribe(): void } | undefined;
  #checking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: NatsBrokerOptions, timing: NatsTiming) {
    checkNames('natsBroker', options, NAMES);
    const { connection, prefix = 'hyperlane', jetstream = false } = options;
    checkConnection(connection);
    if (typeof jetstream !== 'boolean') checkNames('jetstream', jetstream, STREAM_NAMES);
    this.#connection = connection;
    this.#subjects = new NatsSubjects(prefix);
    this.#jetstream = jetstream;
    this.#timing = timing;
  }

  async open(events: BrokerEvents, settings: BrokerSettings): Promise<void> {
    if (this.#isClosed) throw unavailable('the broker is closed');
    const link = new NatsLink(this.#connection, this.#subjects.prefix, this.#timing, {
      check: () => this.#check(),
      up: () => events.up(),
      down: (error) => {
        this.#order?.lost();
        events.down(error);
      },
    });
    this.#events = events;
    this.#link = link;
    this.#order = this.#makeOrder(link, events, settings);
    await link.open();
    this.#everyone = link.subscribe(this.#subjects.everyone, (error, { data }) => {
      if (error === null) events.signal(undefined, new Uint8Array(data));
    });
  }

  #makeOrder(link: NatsLink, { message, up }: BrokerEvents, settings: BrokerSettings): NatsOrder {
    const events = {
      message,
      missed: up,
      checkNow: () => link.checkNow(),
      renew: () => this.#check(),
    };
    const options = this.#jetstream === true ? {} : this.#jetstream;
    if (options === false && settings.historyMessages === 0) return new CoreOrder(link, this.#subjects, events);
    const stream = new NatsStream(link, this.#subjects, options === false ? {} : options, settings);
    return new JetStreamOrder(stream, events, this.#timing.quietChecks);
  }

  /** One at a time. */
  #check(): Promise<void> {
    this.#checking ??= this.#checkOrder().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #checkOrder(): Promise<void> {
    const isAnother = await this.#order!.check();
    // Otherwise that is told as soon as the link is up.
    if (isAnother && this.#link!.isUp) this.#events!.up();
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    const { link, order } = this.#use();
    const subscription = this.#subscriptions.get(topic) ?? this.#listen(link, topic);
    const top = await order.subscribe(topic);
    if (subscription.error === undefined) return top;
    throw unavailable('NATS does not let this user subscribe to the subjects of the prefix', subscription.error);
  }

  #listen(link: NatsLink, topic: string): Subscription {
    const { unsubscribe } = boundSubscription(
      link.subscribe(this.#subjects.allOf(topic), (error, message) => {
        if (error === null) this.#receive(topic, message);
        else this.#refuse(topic, subscription, error);
      }),
    );
    const subscription: Subscription = { unsubscribe, error: undefined };
    this.#subscriptions.set(topic, subscription);
    return subscription;
  }

  /** The connection has given up the subscription. */
  #refuse(topic: string, subscription: Subscription, error: Error): void {
    subscription.error = error;
    if (this.#subscriptions.get(topic) === subscription) this.#subscriptions.delete(topic);
  }

  #receive(topic: string, message: NatsMessage): void {
    if (!this.#subscriptions.has(topic)) return;
    if (lastWordOf(message.subject) === 'signal') this.#events!.signal(topic, new Uint8Array(message.data));
    else this.#order!.receive(topic, message);
  }

  async unsubscribe(topic: string): Promise<void> {
    this.#order?.unsubscribe(topic);
    this.#subscriptions.get(topic)?.unsubscribe();
    this.#subscriptions.delete(topic);
  }

  async publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    return this.#use().order.publish(topic, data, id);
  }

  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    return this.#use().order.read(topic, after, limit);
  }

  async signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    if (!this.#link?.isUp) return;
    this.#link.publish(topic === undefined ? this.#subjects.everyone : this.#subjects.signalsOf(topic), data);
  }

  /** @throws {BrokerError} when it is not there */
  #use(): { link: NatsLink; order: NatsOrder } {
    if (this.#link?.isUp) return { link: this.#link, order: this.#order! };
    throw unavailable(
      this.#isClosed ? 'the broker is closed' : 'the connection to NATS is lost, or JetStream does not answer',
    );
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { unsubscribe } of this.#subscriptions.values()) unsubscribe();
    this.#subscriptions.clear();
    this.#everyone?.unsubscribe();
    this.#order?.close();
    this.#link?.close();
  }
}

interface Subscription {
  readonly unsubscribe: () => void;
  error: Error | undefined;
}

function boundSubscription(subscription: { unsubscribe(): void }): { unsubscribe: () => void } {
  return { unsubscribe: () => subscription.unsubscribe() };
}
