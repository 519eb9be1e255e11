import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker, BrokerMessage, BrokerPage, BrokerSettings, BrokerTop } from '../topics/broker.ts';
import { show } from '../wording.ts';
import type { BrokerTestOptions, TestedBroker } from './broker-testing-options.ts';

const WITH_HISTORY: BrokerSettings = { historyMessages: 1000, historyMs: 60_000 };
const PATIENCE_MS = 10_000;

interface Told {
  readonly epoch: string;
  readonly message: BrokerMessage;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

export function textsOf(messages: readonly BrokerMessage[]): string[] {
  return messages.map(({ data }) => textOf(data));
}

/** Checks that something is the place of a message, or of none. */
export function checkTop(what: string, top: BrokerTop): BrokerTop {
  const { epoch, offset } = top;
  assert.ok(
    typeof epoch === 'string' && /^[\w-]+$/.test(epoch),
    `${what}: an epoch is of A-Z a-z 0-9 - _: ${show(epoch)}`,
  );
  assert.ok(
    Number.isSafeInteger(offset) && offset >= 0,
    `${what}: an offset is a safe integer from 0: ${show(offset)}`,
  );
  return top;
}

/**
 * Takes from messages what a reader takes that has seen a topic up to an offset, and fails where one is missing. What the
 * reader has seen already it leaves out.
 */
export function follow(what: string, after: number, messages: readonly BrokerMessage[]): BrokerMessage[] {
  const taken: BrokerMessage[] = [];
  let last = after;
  for (const message of messages) {
    const { offset, previous, data } = message;
    assert.ok(
      Number.isSafeInteger(offset) && offset > 0,
      `${what}: an offset is a safe integer from 1: ${show(offset)}`,
    );
    assert.ok(
      Number.isSafeInteger(previous) && previous >= 0 && previous < offset,
      `${what}: "previous" is an offset before that of the message, ${offset}, or 0: ${show(previous)}`,
    );
    assert.ok(data instanceof Uint8Array, `${what}: data is a Uint8Array: ${show(data)}`);
    if (offset <= last) continue;
    assert.ok(
      previous <= last,
      `${what}: message ${offset} says that ${previous} came before it, and ${last} was told before it: ` +
        'no message may be left out, and "previous" is the one before in this topic',
    );
    taken.push(message);
    last = offset;
  }
  return taken;
}

/** One broker that is open, and what it has told. */
export class Peer {
  readonly broker: Broker;
  readonly signals: { readonly topic: string | undefined; readonly data: Uint8Array }[] = [];
  readonly downs: Error[] = [];
  ups = 0;
  /** Is called with each message, when it is told. */
  onMessage: ((topic: string, message: BrokerMessage) => void) | undefined;
  readonly #tested: TestedBroker;
  readonly #told = new Map<string, Told[]>();
  readonly #patienceMs: number;

  constructor(tested: TestedBroker, patienceMs: number) {
    this.#tested = tested;
    this.broker = tested.broker;
    this.#patienceMs = patienceMs;
  }

  async open(settings: BrokerSettings): Promise<void> {
    const events = {
      message: (topic: string, epoch: string, message: BrokerMessage): void => {
        this.toldOf(topic).push({ epoch, message });
        this.onMessage?.(topic, message);
      },
      signal: (topic: string | undefined, data: Uint8Array): void => {
        this.signals.push({ topic, data });
      },
      up: (): void => {
        this.ups++;
      },
      down: (error: Error): void => {
        this.downs.push(error);
      },
    };
    await this.soon('open', this.broker.open(events, settings));
  }

  /** All that was told of a topic, as it came. */
  toldOf(topic: string): Told[] {
    const told = this.#told.get(topic) ?? [];
    this.#told.set(topic, told);
    return told;
  }

  async subscribe(topic: string): Promise<BrokerTop> {
    return checkTop('subscribe', await this.soon('subscribe', this.broker.subscribe(topic)));
  }

  unsubscribe(topic: string): Promise<void> {
    return this.soon('unsubscribe', this.broker.unsubscribe(topic));
  }

  async publish(topic: string, data: Uint8Array | string, id?: string): Promise<BrokerTop> {
    const bytes = typeof data === 'string' ? bytesOf(data) : data;
    const top = checkTop('publish', await this.soon('publish', this.broker.publish(topic, bytes, id)));
    assert.ok(top.offset > 0, 'publish: resolves with the place of the message, whose offset is 1 at least');
    return top;
  }

  async read(topic: string, after: number, limit: number): Promise<BrokerPage> {
    const page = await this.soon('read', this.broker.read(topic, after, limit));
    checkTop('read', page);
    assert.ok(page.messages.length <= limit, `read: a limit of ${limit}, and ${page.messages.length} messages`);
    const stale = page.messages.find(({ offset }) => offset <= after);
    assert.equal(stale?.offset, undefined, `read: only what is behind the offset ${after}`);
    const [first] = page.messages;
    if (first !== undefined) follow('read', first.previous, page.messages);
    assert.ok(page.offset >= (page.messages.at(-1)?.offset ?? 0), 'read: the top is no less than the last message');
    return page;
  }

  /** All that is kept behind an offset, in pages of `limit`; or what is up to another, while more may come. */
  async readAll(topic: string, after: number, limit: number, upTo: number = Infinity): Promise<BrokerMessage[]> {
    const all: BrokerMessage[] = [];
    let last = after;
    while (true) {
      const { messages, offset } = await this.read(topic, last, limit);
      all.push(...(all.length === 0 ? messages : follow('read', last, messages)));
      if (messages.length === 0) {
        assert.ok(last === offset || all.length === 0, `read: nothing behind ${last}, though the top is ${offset}`);
        return all;
      }
      last = messages.at(-1)!.offset;
      if (last >= upTo) return all;
    }
  }

  signal(topic: string | undefined, data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? bytesOf(data) : data;
    return this.soon('signal', this.broker.signal(topic, bytes));
  }

  /** What was told of a topic behind a top, as a reader takes it. */
  followed(topic: string, { epoch, offset }: BrokerTop): BrokerMessage[] {
    const told = this.toldOf(topic);
    for (const one of told) assert.equal(one.epoch, epoch, 'the epoch of a message is that of its topic');
    return follow(
      'message',
      offset,
      told.map(({ message }) => message),
    );
  }

  /** Waits until a message is told, and returns all from behind the top up to it. */
  async follow(topic: string, top: BrokerTop, last: BrokerTop): Promise<BrokerMessage[]> {
    await this.until(`message ${last.offset} of a topic that is subscribed is told`, () =>
      this.toldOf(topic).some(({ message }) => message.offset >= last.offset),
    );
    return this.followed(topic, top).filter(({ offset }) => offset <= last.offset);
  }

  get canDisconnect(): boolean {
    return this.#tested.disconnect !== undefined && this.#tested.reconnect !== undefined;
  }

  /** Cuts it off, and waits until it says so. */
  async disconnect(): Promise<void> {
    const before = this.downs.length;
    await this.#tested.disconnect!();
    await this.until('down is told when the connection is lost', () => this.downs.length > before);
    assert.ok(this.downs.at(-1) instanceof Error, 'down: is told with an Error');
  }

  /** Lets it connect again, and waits until it says so. */
  async reconnect(): Promise<void> {
    const before = this.ups;
    await this.#tested.reconnect!();
    await this.until('up is told when the connection is there again', () => this.ups > before);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const end = Date.now() + this.#patienceMs;
    while (!condition()) {
      if (Date.now() > end) assert.fail(`did not come true within ${this.#patienceMs} ms: ${what}`);
      await sleep(2);
    }
  }

  /** Waits for a promise, and fails when it does not settle. */
  async soon<T>(what: string, promise: Promise<T>): Promise<T> {
    const waited = new AbortController();
    const late = sleep(this.#patienceMs, undefined, { signal: waited.signal }).then(
      () => assert.fail(`${what}: did not settle within ${this.#patienceMs} ms`),
      () => new Promise<never>(() => {}),
    );
    try {
      return await Promise.race([promise, late]);
    } finally {
      waited.abort();
    }
  }

  /** Waits for a promise to be rejected, with an error of the broker. */
  async rejects(what: string, promise: Promise<unknown>): Promise<void> {
    let error: unknown;
    try {
      await this.soon(what, promise);
    } catch (thrown) {
      error = thrown;
    }
    if (error instanceof assert.AssertionError) throw error;
    assert.ok(error instanceof Error, `${what}: rejects, with an Error`);
  }

  close(): Promise<void> {
    return this.soon('close', this.broker.close());
  }

  async end(): Promise<void> {
    await this.#tested.end?.();
  }
}

/** One test: the brokers that it opens, and topics that nobody else has. */
export class Run {
  readonly maxMessageBytes: number;
  readonly loseData: (() => unknown) | undefined;
  readonly #options: BrokerTestOptions;
  readonly #peers: Peer[] = [];
  readonly #id = randomBytes(6).toString('hex');

  constructor(options: BrokerTestOptions) {
    this.#options = options;
    this.maxMessageBytes = options.maxMessageBytes ?? 1024 * 1024;
    this.loseData = options.loseData;
  }

  /** A topic that is this test's alone. */
  topic(name: string = 'room'): string {
    return `${this.#id}/${name}`;
  }

  async open(settings: BrokerSettings = WITH_HISTORY): Promise<Peer> {
    const peer = new Peer(await this.#options.makeBroker(settings), this.#options.patienceMs ?? PATIENCE_MS);
    this.#peers.push(peer);
    await peer.open(settings);
    return peer;
  }

  /** Opens two, as if in two processes. */
  async openTwo(settings?: BrokerSettings): Promise<[Peer, Peer]> {
    return [await this.open(settings), await this.open(settings)];
  }

  async end(): Promise<void> {
    try {
      await Promise.all(this.#peers.map((peer) => peer.close()));
    } finally {
      for (const peer of this.#peers) await peer.end();
    }
  }
}

/** What registers a test of the suite. A body that returns a string has skipped it: why. */
export type Register = (title: string, body: (run: Run) => Promise<string | undefined>) => void;
