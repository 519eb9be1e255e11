import type {
  Broker,
  BrokerEvents,
  BrokerMessage,
  BrokerPage,
  BrokerSettings,
  BrokerTop,
} from '../../lib/topics/broker.ts';

interface HubTopic {
  epoch: string;
  offset: number;
  kept: BrokerMessage[];
  readonly ids: Map<string, BrokerTop>;
}

/** What happens to a message on its way to one process. */
export type Fate = 'now' | 'drop' | 'twice' | 'hold';

/**
 * A broker in memory for several processes, which does to them what real ones do: it loses messages on the way, delivers twice
 * and late, begins anew, and goes away. Everything it tells is told in the turn in which it happens.
 */
export class Hub {
  readonly topics = new Map<string, HubTopic>();
  readonly brokers: HubBroker[] = [];
  historyMessages = 0;
  #epochs = 0;

  broker(): HubBroker {
    const broker = new HubBroker(this);
    this.brokers.push(broker);
    return broker;
  }

  topic(name: string): HubTopic {
    let topic = this.topics.get(name);
    if (topic === undefined) {
      topic = { epoch: this.#newEpoch(), offset: 0, kept: [], ids: new Map() };
      this.topics.set(name, topic);
    }
    return topic;
  }

  publish(name: string, data: Uint8Array, id: string | undefined): BrokerTop {
    const topic = this.topic(name);
    const known = id === undefined ? undefined : topic.ids.get(id);
    if (known !== undefined) return known;
    const message = { offset: topic.offset + 1, previous: topic.offset, data: Uint8Array.from(data) };
    topic.offset = message.offset;
    topic.kept.push(message);
    while (topic.kept.length > this.historyMessages) topic.kept.shift();
    const top = { epoch: topic.epoch, offset: topic.offset };
    if (id !== undefined) topic.ids.set(id, top);
    for (const broker of this.brokers) broker.carry(name, topic.epoch, message);
    return top;
  }

  /** All that was kept is gone, and so are the counters. */
  forgetAll(): void {
    for (const topic of this.topics.values()) {
      topic.epoch = this.#newEpoch();
      topic.offset = 0;
      topic.kept = [];
      topic.ids.clear();
    }
  }

  /** Counters stay, and messages go. */
  forgetHistory(): void {
    for (const topic of this.topics.values()) topic.kept = [];
  }

  #newEpoch(): string {
    return `e${++this.#epochs}`;
  }
}

export class HubBroker implements Broker {
  readonly name = 'hub';
  readonly hub: Hub;
  readonly subscribed = new Set<string>();
  /** What was asked, by method. */
  readonly calls: string[] = [];
  isUp = true;
  isOpen = false;
  fate: Fate = 'now';
  /** Waits before each answer. */
  before: ((method: string) => Promise<void>) | undefined;
  #events: BrokerEvents | undefined;
  readonly #held: [topic: string, epoch: string, message: BrokerMessage][] = [];

  constructor(hub: Hub) {
    this.hub = hub;
  }

  async open(events: BrokerEvents, { historyMessages }: BrokerSettings): Promise<void> {
    await this.#ask('open');
    this.#events = events;
    this.isOpen = true;
    this.hub.historyMessages = historyMessages;
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    await this.#ask('subscribe');
    this.subscribed.add(topic);
    const { epoch, offset } = this.hub.topic(topic);
    return { epoch, offset };
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.#ask('unsubscribe');
    this.subscribed.delete(topic);
  }

  async publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    await this.#ask('publish');
    return this.hub.publish(topic, data, id);
  }

  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    await this.#ask('read');
    const { epoch, offset, kept } = this.hub.topic(topic);
    return { epoch, offset, messages: kept.filter((message) => message.offset > after).slice(0, limit) };
  }

  async signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    await this.#ask('signal');
    for (const broker of this.hub.brokers) {
      if (broker.isUp && (topic === undefined || broker.subscribed.has(topic))) broker.#events?.signal(topic, data);
    }
  }

  async close(): Promise<void> {
    this.calls.push('close');
    this.#events = undefined;
  }

  // --- faults -----------------------------------------------------------------------------------------------------

  /** Brings a message to this process, as its fate is. */
  carry(topic: string, epoch: string, message: BrokerMessage): void {
    if (!this.isUp || !this.subscribed.has(topic) || this.fate === 'drop') return;
    if (this.fate === 'hold') this.#held.push([topic, epoch, message]);
    else this.#events?.message(topic, epoch, message);
    if (this.fate === 'twice') this.#events?.message(topic, epoch, message);
  }

  /** Brings what was held back: in another order, if that is wished. */
  release(isReversed: boolean = false): void {
    const held = this.#held.splice(0);
    if (isReversed) held.reverse();
    for (const [topic, epoch, message] of held) this.#events?.message(topic, epoch, message);
  }

  /** Tells a message that the broker may never have had. */
  tell(topic: string, epoch: string, message: BrokerMessage): void {
    this.#events?.message(topic, epoch, message);
  }

  down(): void {
    this.isUp = false;
    this.subscribed.clear();
    this.#events?.down(new Error('cut'));
  }

  up(): void {
    this.isUp = true;
    this.#events?.up();
  }

  async #ask(method: string): Promise<void> {
    this.calls.push(method);
    await this.before?.(method);
    if (!this.isUp) throw new Error('the hub is away');
  }
}
