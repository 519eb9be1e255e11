import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker, BrokerMessage, BrokerSettings, BrokerTop } from '../../lib/topics/broker.ts';
import { until } from './watchdog.ts';

/** What was told of a topic: messages by their text, and where something is missing. */
type Entry = string | typeof GAP;
export const GAP: unique symbol = Symbol('gap');

const HISTORY: BrokerSettings = { historyMessages: 10_000, historyMs: 600_000 };
const PAGE = 500;
const PATIENCE_MS = 20_000;

/**
 * One process of an application, as far as a spec of a broker needs it: follows a topic by the rules of `Broker`, reads what it has
 * missed, and writes down a gap where that is not to be had.
 */
export class Follower {
  readonly broker: Broker;
  readonly log: Entry[] = [];
  readonly signals: string[] = [];
  readonly downs: Error[] = [];
  ups = 0;
  readonly #topic: string;
  #epoch = '';
  #last = 0;
  #work: Promise<void> = Promise.resolve();

  private constructor(broker: Broker, topic: string) {
    this.broker = broker;
    this.#topic = topic;
  }

  static async open(broker: Broker, topic: string, settings: BrokerSettings = HISTORY): Promise<Follower> {
    const follower = new Follower(broker, topic);
    await broker.open(
      {
        message: (from, epoch, message) => {
          if (from === topic) follower.#then(() => follower.#take(epoch, message));
        },
        signal: (_topic, data) => follower.signals.push(Buffer.from(data).toString()),
        up: () => {
          follower.ups++;
          follower.#then(() => follower.#subscribeAgain());
        },
        down: (error) => follower.downs.push(error),
      },
      settings,
    );
    const top = await broker.subscribe(topic);
    follower.#then(async () => {
      follower.#stand(top);
    });
    return follower;
  }

  /** Waits until it has connected again so many times, and has read what it had missed. */
  async untilUp(times: number): Promise<void> {
    await until(`it is up again, ${times} times`, () => this.ups >= times);
    await this.#work;
  }

  /** The epoch that was seen last. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Publishes until it succeeds, under one id. */
  async publish(text: string): Promise<BrokerTop> {
    const id = `${text} ${Math.random()}`;
    const end = Date.now() + PATIENCE_MS;
    while (true) {
      try {
        return await this.broker.publish(this.#topic, Buffer.from(text), id);
      } catch (error) {
        if (Date.now() > end) throw error;
        await sleep(20);
      }
    }
  }

  /** One step behind the other, as messages come while others are read. */
  #then(step: () => Promise<void>): void {
    // What fails here failed with the connection, and is made good at the next up.
    this.#work = this.#work.then(step).catch(() => {});
  }

  #stand({ epoch, offset }: BrokerTop): void {
    this.#epoch = epoch;
    this.#last = offset;
  }

  async #take(epoch: string, message: BrokerMessage): Promise<void> {
    if (epoch !== this.#epoch) {
      this.log.push(GAP);
      this.#stand({ epoch, offset: message.previous });
    }
    if (message.previous > this.#last) await this.#readTo(message.previous);
    if (message.offset > this.#last) this.#add(message);
  }

  async #subscribeAgain(): Promise<void> {
    const top = await this.broker.subscribe(this.#topic);
    if (top.epoch !== this.#epoch) {
      this.log.push(GAP);
      this.#stand(top);
    } else await this.#readTo(top.offset);
  }

  async #readTo(offset: number): Promise<void> {
    while (this.#last < offset) {
      const { messages } = await this.broker.read(this.#topic, this.#last, PAGE);
      if (messages.length === 0 || messages[0]!.previous > this.#last) this.log.push(GAP);
      if (messages.length === 0) this.#last = offset;
      for (const message of messages) this.#add(message);
    }
  }

  #add({ offset, data }: BrokerMessage): void {
    this.log.push(Buffer.from(data).toString());
    this.#last = offset;
  }
}
