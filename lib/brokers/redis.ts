import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { BrokerError } from '../errors.ts';
import type { Broker, BrokerEvents, BrokerMessage, BrokerPage, BrokerSettings, BrokerTop } from '../topics/broker.ts';
import { checkNames, kindOf, show } from '../wording.ts';
import { type Pending, pending } from './pending.ts';
import { type RedisClientLike, type RedisSource, readRedisClient } from './redis-client.ts';
import type { RedisConnectionEvents } from './redis-connection.ts';
import type { RedisLink } from './redis-link.ts';
import { RedisLinks } from './redis-links.ts';
import { decodeChannelBytes, encodeSignal, parsePlace, RedisNames } from './redis-names.ts';
import { PUBLISH_SCRIPT, READ_SCRIPT, TOP_SCRIPT } from './redis-scripts.ts';

/** What a broker over Redis is told. */
export interface RedisBrokerOptions {
  /**
   * Your client of `redis` or of `ioredis`, 5 or newer, also for a Redis Cluster. Connections of its own are made with its options;
   * it is not used itself, and need not be connected.
   */
  readonly client: RedisClientLike;
  /** What the names of all keys and channels begin with: `hyperlane`. Processes with the same one share their topics. */
  readonly prefix?: string;
  /** For how long Redis may leave a connection without an answer, until it is taken for dead, in milliseconds: 5000. */
  readonly timeoutMs?: number;
  /**
   * For how long a topic is remembered in which nothing is published, in milliseconds: 7 days. Behind that its positions are
   * forgotten, and who comes with one is told of a gap.
   */
  readonly forgetAfterMs?: number;
}

const OPTION_NAMES = ['client', 'prefix', 'timeoutMs', 'forgetAfterMs'];
const DAY_MS = 24 * 60 * 60 * 1000;
/** What a timer of Node can wait, and a century. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_MS = 36_525 * DAY_MS;
/** For how long an id is known, for scripts: five minutes. */
const ID_MS = '300000';
/** The longest wait before the next attempt to connect: with what an attempt takes, topics work within 2 s of Redis' return. */
const MAX_WAIT_MS = 1000;
/** For how long behind a loss calls wait for the connection, as it mostly is there again at once; later ones are refused at once. */
const PATIENCE_MS = 1000;

/**
 * Carries topics from process to process over Redis 6.0 or newer, or Valkey.
 *
 * @example new Server({ topics: { broker: redisBroker({ client: createClient({ url }) }), historyMessages: 100 } })
 * @throws {TypeError} for what is no client, and says what to pass
 */
export function redisBroker(options: RedisBrokerOptions): Broker {
  return new RedisBroker(options);
}

class RedisBroker implements Broker {
  readonly name = 'redis';
  readonly #source: RedisSource;
  readonly #names: RedisNames;
  readonly #timeoutMs: number;
  readonly #forgetAfterMs: number;
  /** Epochs that nobody has had: what is random of this process, and a number. */
  readonly #epochs = randomBytes(12).toString('base64url');
  #epochCount = 0;
  #events: BrokerEvents | undefined;
  /** How many messages are kept, and how long those and the top of their topic are, in milliseconds: for scripts. */
  #historyMessages = '0';
  #keptMs = '0';
  #topMs = '0';
  /** The links while they are there. */
  #links: RedisLinks | undefined;
  /** Settled when they are there again, when that has taken too long, or by `close`. */
  #returning: Pending<RedisLinks> = pending();
  #upSince = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Ends links, and attempts to make some. */
  readonly #closing = new AbortController();

  constructor(options: RedisBrokerOptions) {
    checkNames('redisBroker', options, OPTION_NAMES);
    const { client, prefix = 'hyperlane', timeoutMs = 5000, forgetAfterMs = 7 * DAY_MS } = options;
    if (typeof prefix !== 'string' || /[{}]/.test(prefix)) {
      throw new RangeError(
        `prefix is a string without { and }, between which Redis Cluster looks, and this one is ${show(prefix)}`,
      );
    }
    checkMs('timeoutMs', timeoutMs, MAX_TIMER_MS);
    checkMs('forgetAfterMs', forgetAfterMs, MAX_MS);
    this.#source = readRedisClient(client, timeoutMs);
    this.#names = new RedisNames(prefix, this.#source.database);
    this.#timeoutMs = timeoutMs;
    this.#forgetAfterMs = Math.ceil(forgetAfterMs);
  }

  async open(events: BrokerEvents, { historyMessages, historyMs }: BrokerSettings): Promise<void> {
    const keptMs = Math.ceil(Math.min(historyMs, MAX_MS));
    this.#historyMessages = String(historyMessages);
    this.#keptMs = String(keptMs);
    // Offsets outlive the messages that have them.
    this.#topMs = String(Math.max(this.#forgetAfterMs, keptMs));
    this.#events = events;
    try {
      this.#enter(await this.#connect());
    } catch (error) {
      await this.close();
      throw unavailable('cannot connect to Redis', error);
    }
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    return this.#ask(topic, async (link, channel) => {
      await link.subscribe(channel);
      return readPlace(await link.run(TOP_SCRIPT, this.#names.keysOf(topic), this.#standing(link)));
    });
  }

  async unsubscribe(topic: string): Promise<void> {
    // With the links, its subscriptions have gone.
    if (this.#links !== undefined) await this.#ask(topic, (link, channel) => link.unsubscribe(channel));
  }

  async publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop> {
    return this.#ask(topic, async (link, channel) => {
      const place = await link.run(PUBLISH_SCRIPT, this.#names.keysOf(topic, id), [
        ...this.#standing(link),
        viewOf(data),
        channel,
        link.publishCommand,
        this.#historyMessages,
        this.#keptMs,
        ID_MS,
      ]);
      return readPlace(place);
    });
  }

  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    return this.#ask(topic, async (link) => {
      const [top, ...found] = (await link.run(READ_SCRIPT, this.#names.keysOf(topic), [
        ...this.#standing(link),
        String(after),
        String(limit),
        this.#keptMs,
      ])) as Uint8Array[];
      const messages: BrokerMessage[] = [];
      for (let index = 0; index < found.length; index += 2) {
        const offset = Number(String(found[index]));
        messages.push({ offset, previous: offset - 1, data: new Uint8Array(found[index + 1]!) });
      }
      return { ...readPlace(top), messages };
    });
  }

  async signal(topic: string | undefined, data: Uint8Array): Promise<void> {
    await this.#ask(topic, (link, channel) => link.publish(channel, encodeSignal(data)));
  }

  async close(): Promise<void> {
    this.#events = undefined;
    clearTimeout(this.#timer);
    this.#closing.abort();
    this.#links = undefined;
    const closed = new BrokerError('WS_ERR_BROKER_UNAVAILABLE', 'the broker was closed');
    this.#returning.reject(closed);
    this.#returning = pending();
    this.#returning.reject(closed);
  }

  /** Asks the server that has a topic, or the channel for all; waits for it a little where the connection is lost. */
  async #ask<T>(topic: string | undefined, question: (link: RedisLink, channel: string) => Promise<T>): Promise<T> {
    const links = this.#links ?? (await this.#returning.promise);
    const channel = topic === undefined ? this.#names.everyone : this.#names.channelOf(topic);
    try {
      return await question(topic === undefined ? links.first : links.of(channel), channel);
    } catch (error) {
      throw unavailable('Redis did not do it', error);
    }
  }

  /** The first arguments of all scripts. */
  #standing(link: RedisLink): [run: string, epoch: string, topMs: string] {
    return [link.runId, `${this.#epochs}${(this.#epochCount++).toString(36)}`, this.#topMs];
  }

  #connect(): Promise<RedisLinks> {
    const events: RedisConnectionEvents = {
      message: (channel, bytes) => this.#receive(channel, bytes),
      lost: (error) => this.#leave(error),
    };
    return RedisLinks.open(this.#source, this.#names.everyone, this.#timeoutMs, events, this.#closing.signal);
  }

  #receive(channel: string, bytes: Uint8Array): void {
    const received = decodeChannelBytes(bytes);
    if (received === undefined) return;
    const topic = channel === this.#names.everyone ? undefined : this.#names.topicOf(channel);
    const { place, data } = received;
    if (place === undefined) this.#events?.signal(topic, data);
    else if (topic !== undefined) {
      this.#events?.message(topic, place.epoch, { offset: place.offset, previous: place.offset - 1, data });
    }
  }

  #enter(links: RedisLinks): void {
    this.#links = links;
    this.#upSince = performance.now();
    this.#returning.resolve(links);
  }

  #leave(error: Error): void {
    if (this.#events === undefined) return;
    // A life that has lasted begins a new count.
    if (performance.now() - this.#upSince > this.#timeoutMs) this.#failures = 0;
    this.#links = undefined;
    const returning = pending<RedisLinks>();
    this.#returning = returning;
    const lost = unavailable('the connection to Redis is lost', error);
    setTimeout(() => returning.reject(lost), PATIENCE_MS).unref();
    this.#events.down(lost);
    this.#return();
  }

  /** Connects again: at first soon, and later at intervals that no two processes share. */
  #return(): void {
    const waitMs = Math.min(MAX_WAIT_MS, 50 * 2 ** this.#failures++) * Math.random();
    this.#timer = setTimeout(() => {
      this.#connect().then(
        (links) => {
          if (this.#events === undefined) return;
          this.#enter(links);
          this.#events.up();
        },
        () => {
          if (this.#events !== undefined) this.#return();
        },
      );
    }, waitMs);
  }
}

function checkMs(name: string, value: number, max: number): void {
  if (typeof value === 'number' && value > 0 && value <= max) return;
  throw new RangeError(`${name} is a number of milliseconds from 1 to ${max}, and this one is ${kindOf(value)}`);
}

function unavailable(what: string, cause: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BrokerError('WS_ERR_BROKER_UNAVAILABLE', `${what}: ${why}`, { cause });
}

function readPlace(bytes: unknown): BrokerTop {
  const place = parsePlace(String(bytes));
  if (place === undefined) throw new Error(`it answered ${String(bytes)}`);
  return place;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
