import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testFaults } from '../../lib/brokers/broker-testing-faults.ts';
import { testKeeping } from '../../lib/brokers/broker-testing-keeping.ts';
import { testMessages } from '../../lib/brokers/broker-testing-messages.ts';
import type { BrokerTestOptions } from '../../lib/brokers/broker-testing-options.ts';
import { type Register, Run } from '../../lib/brokers/broker-testing-run.ts';
import { testTopics } from '../../lib/brokers/broker-testing-topics.ts';
import type { Broker, BrokerEvents, BrokerMessage, BrokerSettings, BrokerTop } from '../../lib/topics/broker.ts';
import { type MemoryBroker, MemoryHub } from '../support/memory-hub.ts';

/** The suite finds what a broker does wrong, and says it: each of these brokers breaks one rule. */

const suite = new Map<string, Parameters<Register>[1]>();
for (const register of [testMessages, testKeeping, testTopics, testFaults])
  register((title, body) => suite.set(title, body));

/** How long is waited for what never comes, where that is what is wrong; and for all else, which comes sooner or is wrong at once. */
const SHORT_MS = 3000;
const LONG_MS = 30_000;

/** Runs one test of the suite over brokers. */
async function runTest(start: string, options: Omit<BrokerTestOptions, 'name'>): Promise<void> {
  const found = [...suite].filter(([title]) => title.startsWith(start));
  assert.equal(found.length, 1, `one test begins with "${start}"`);
  const run = new Run({ name: 'wrong', patienceMs: LONG_MS, maxMessageBytes: 1000, ...options });
  try {
    assert.equal(await found[0]![1](run), undefined, 'it is not skipped');
  } finally {
    await run.end().catch(() => {});
  }
}

/** What a broker does otherwise than that of a hub, whose methods it may use. */
type Wrong = (right: MemoryBroker, number: number) => Partial<Broker>;

/** A broker that does one thing wrong. */
function wrongBroker(right: MemoryBroker, wrong: Wrong, number: number): Broker {
  const methods = ['open', 'subscribe', 'unsubscribe', 'publish', 'read', 'signal', 'close'] as const;
  const all = methods.map((method) => [method, (right[method] as () => unknown).bind(right)]);
  return { name: 'wrong', ...Object.fromEntries(all), ...wrong(right, number) } as Broker;
}

interface Fault {
  /** What is wrong. */
  readonly name: string;
  /** How the title of the test begins that is to find it, and what that is to say. */
  readonly test: string;
  readonly says: RegExp;
  readonly wrong: Wrong;
  readonly loseData?: (hub: MemoryHub) => void;
}

/** Changes what is told of messages. */
function telling(change: (tell: BrokerEvents['message'], number: number) => BrokerEvents['message']): Wrong {
  return (right, number) => ({
    open: (events: BrokerEvents, settings: BrokerSettings) => {
      const told = change((...args) => events.message(...args), number);
      return right.open({ ...silent(events), message: told }, settings);
    },
  });
}

const changed = (message: BrokerMessage, change: Partial<BrokerMessage>): BrokerMessage => ({ ...message, ...change });
const never = <T>(): Promise<T> => new Promise(() => {});

const FAULTS: readonly Fault[] = [
  {
    name: 'tells messages in another order',
    test: 'with history: tells all processes',
    says: /says that \d+ came before it, and \d+ was told before it: no message may be left out/,
    wrong: telling((tell) => {
      let held: Parameters<typeof tell> | undefined;
      return (...args) => {
        if (held === undefined && args[2].offset % 10 === 5) {
          held = args;
          return;
        }
        tell(...args);
        if (held !== undefined) tell(...held);
        held = undefined;
      };
    }),
  },
  {
    name: 'leaves messages out',
    test: 'without history: tells all processes',
    says: /no message may be left out/,
    wrong: telling((tell) => (topic, epoch, message) => {
      if (message.offset % 10 !== 5) tell(topic, epoch, message);
    }),
  },
  {
    name: 'leaves out the first message behind a subscribe',
    test: 'with history: leaves out nothing',
    says: /no message may be left out/,
    wrong: (right) => ({
      async subscribe(topic) {
        const top = await right.read(topic, 0, 1);
        await right.read(topic, 0, 1);
        await right.subscribe(topic);
        return { epoch: top.epoch, offset: top.offset };
      },
    }),
  },
  {
    name: 'links messages to those of other topics',
    test: 'passes messages to the byte',
    says: /"previous" is the one before in this topic/,
    wrong: telling((tell) => (topic, epoch, message) => {
      const previous = message.previous === 0 ? 0 : message.offset * 2 - 1;
      tell(topic, epoch, changed(message, { previous, offset: message.offset * 2 }));
    }),
  },
  {
    name: 'links a message to itself',
    test: 'passes messages to the byte',
    says: /"previous" is an offset before that of the message/,
    wrong: telling(
      (tell) => (topic, epoch, message) => tell(topic, epoch, changed(message, { previous: message.offset })),
    ),
  },
  {
    name: 'resolves a publish with the place of another',
    test: 'with history: tells all processes',
    says: /publish resolves with the place of its message/,
    wrong: (right) => ({
      async publish(topic, data, id) {
        const { epoch, offset } = await right.publish(topic, data, id);
        return { epoch, offset: offset === 50 ? 49 : offset };
      },
    }),
  },
  {
    name: 'orders what one process publishes otherwise',
    test: 'with history: tells all processes',
    says: /what one process publishes is ordered as it was published/,
    wrong: (right) => {
      let isFirst = true;
      return {
        async publish(topic, data, id) {
          if (isFirst) {
            isFirst = false;
            await right.read(topic, 0, 1);
          }
          return right.publish(topic, data, id);
        },
      };
    },
  },
  {
    name: 'has an epoch that is no name',
    test: 'starts a topic at offset 0',
    says: /subscribe: an epoch is of A-Z a-z 0-9 - _: 'a\.b'/,
    wrong: (right) => ({ subscribe: async (topic) => ({ ...(await right.subscribe(topic)), epoch: 'a.b' }) }),
  },
  {
    name: 'tells of another epoch than it resolves with',
    test: 'starts a topic at offset 0',
    says: /the epoch of a message is that of its topic/,
    wrong: telling((tell) => (topic, _epoch, message) => tell(topic, 'another', message)),
  },
  {
    name: 'ends nothing with unsubscribe',
    test: 'ends a subscription with unsubscribe',
    says: /messages of a topic that was unsubscribed still come/,
    wrong: () => ({ unsubscribe: async () => {} }),
  },
  {
    name: 'unsubscribes later than it is told',
    test: 'does what was called last',
    says: /did not come true within \d+ ms: message \d+ of a topic that is subscribed is told/,
    wrong: (right) => ({
      unsubscribe: async (topic) => {
        setTimeout(() => void right.unsubscribe(topic).catch(() => {}), 5);
      },
      subscribe: async (topic) => {
        const top = await right.subscribe(topic);
        await new Promise((resolve) => setTimeout(resolve, 50));
        return top;
      },
    }),
  },
  {
    name: 'takes bytes for text',
    test: 'passes messages to the byte',
    says: /message: 256 bytes were published, and 384 came/,
    wrong: (right) => ({
      publish: (topic, data, id) =>
        right.publish(topic, new Uint8Array(Buffer.from(Buffer.from(data).toString('latin1'))), id),
    }),
  },
  {
    name: 'gives two readers the same bytes',
    test: 'passes messages to the byte',
    says: /read, once others have changed theirs: of 256 bytes, number 0 has changed/,
    wrong: (right) => {
      const pages = new Map<string, ReturnType<Broker['read']>>();
      return {
        read(topic, after, limit) {
          const key = `${topic} ${after}`;
          const page = pages.get(key) ?? right.read(topic, after, limit);
          pages.set(key, page);
          return page;
        },
      };
    },
  },
  {
    name: 'takes no notice of ids',
    test: 'orders a message once',
    says: /both resolve with the place of the first, also when they come at once/,
    wrong: (right) => ({ publish: (topic, data) => right.publish(topic, data, undefined) }),
  },
  {
    name: 'forgets an id with its message',
    test: 'remembers an id for longer',
    says: /five minutes, however few messages are kept/,
    wrong: (right) => {
      const count = new Map<string | undefined, number>();
      return {
        publish(topic, data, id) {
          count.set(id, (count.get(id) ?? 0) + 1);
          return right.publish(topic, data, id === undefined ? id : `${id} ${count.get(id)}`);
        },
      };
    },
  },
  {
    name: 'tells two ids apart only by their letters',
    test: 'orders a message once',
    says: /told once; without an id each is one of its own/,
    wrong: (right) => ({ publish: (topic, data, id) => right.publish(topic, data, id?.toLowerCase()) }),
  },
  {
    name: 'reads more than it is asked',
    test: 'reads what is kept in pages',
    says: /read: a limit of 1, and 25 messages/,
    wrong: (right) => ({ read: (topic, after) => right.read(topic, after, 1000) }),
  },
  {
    name: 'reads the newest instead of the oldest',
    test: 'reads what is kept in pages',
    says: /read: message \d+ says that \d+ came before it|pages of 1 messages/,
    wrong: (right) => ({
      async read(topic, after, limit) {
        const { messages, ...top } = await right.read(topic, after, 1000);
        return { ...top, messages: messages.slice(-limit) };
      },
    }),
  },
  {
    name: 'reads the message itself as well',
    test: 'reads what is kept in pages',
    says: /read: only what is behind the offset 1/,
    wrong: (right) => ({ read: (topic, after, limit) => right.read(topic, after - 1, limit) }),
  },
  {
    name: 'reads what was kept a moment ago',
    test: 'reads at once',
    says: /a message is kept before its publish resolves/,
    wrong: (right, number) => ({
      read: async (topic, after, limit) =>
        number === 0 ? right.read(topic, after, limit) : { ...(await right.read(topic, after, limit)), messages: [] },
    }),
  },
  {
    name: 'keeps everything',
    test: 'keeps as many messages',
    says: /lets go of old messages: memory is bounded/,
    wrong: (right) => ({ open: (events, settings) => right.open(events, { ...settings, historyMessages: 1e6 }) }),
  },
  {
    name: 'keeps less than it is asked',
    test: 'keeps as many messages',
    says: /keeps 10 messages at least, and kept 9/,
    wrong: (right) => ({ open: (events, settings) => right.open(events, { ...settings, historyMessages: 9 }) }),
  },
  {
    name: 'hides that older messages are gone',
    test: 'keeps as many messages',
    says: /a reader learns that it has missed some/,
    wrong: (right) => ({
      async read(topic, after, limit) {
        const page = await right.read(topic, after, limit);
        const messages = page.messages.map((one, i) =>
          i === 0 ? changed(one, { previous: Math.min(after, one.previous) }) : one,
        );
        return { ...page, messages };
      },
    }),
  },
  {
    name: 'counts anew once its messages are gone',
    test: 'counts on, however short',
    says: /the top outlives the messages/,
    wrong: (right) => ({
      async read(topic, after, limit) {
        const page = await right.read(topic, after, limit);
        return page.messages.length === 0 ? { ...page, offset: 0 } : page;
      },
    }),
  },
  {
    name: 'goes on with the same epoch though all is lost',
    test: 'begins another epoch',
    says: /only another epoch tells that/,
    wrong: () => ({}),
    loseData: () => {},
  },
  {
    name: 'takes two names for one',
    test: 'takes any name of a topic',
    says: /is told its own|no message may be left out|keeps its own/,
    wrong: (right) => ({
      publish: (topic, data, id) => right.publish(topic.replace('Plain', 'plain'), data, id),
      read: (topic, after, limit) => right.read(topic.replace('Plain', 'plain'), after, limit),
    }),
  },
  {
    name: 'tells of topics that are not subscribed',
    test: 'tells nothing of topics',
    says: /Expected values to be (?:strictly|loosely) deep-equal/,
    wrong: (right) => ({
      subscribe(topic) {
        void right.subscribe(topic.replace('fence', 'plain'));
        return right.subscribe(topic);
      },
    }),
  },
  {
    name: 'passes no signal to the one that sends it',
    test: 'passes signals to all processes',
    says: /a signal reaches every process that has subscribed the topic, this one included/,
    wrong: (right) => {
      const sent = new Set<string>();
      return {
        open: (events, settings) => {
          const isOwn = (data: Uint8Array): boolean => sent.has(Buffer.from(data).toString());
          const signal: BrokerEvents['signal'] = (topic, data) => isOwn(data) || events.signal(topic, data);
          return right.open({ ...silent(events), signal }, settings);
        },
        signal(topic, data) {
          sent.add(Buffer.from(data).toString());
          return right.signal(topic, data);
        },
      };
    },
  },
  {
    name: 'passes signals of a topic to all',
    test: 'passes signals to all processes',
    says: /a process that has not subscribed a topic is told no signals of it/,
    wrong: (right, number) => {
      if (number === 2) right.topics.has = () => true;
      return {};
    },
  },
  {
    name: 'tells messages once it is closed',
    test: 'tells nothing once it is closed',
    says: /no event comes behind close/,
    wrong: () => ({ close: async () => {} }),
  },
  {
    name: 'never settles what is called when it is closed',
    test: 'tells nothing once it is closed',
    says: /publish, when the broker is closed: did not settle within \d+ ms/,
    wrong: (right) => {
      let isClosed = false;
      return {
        close() {
          isClosed = true;
          return right.close();
        },
        publish: (topic, data, id) => (isClosed ? never<BrokerTop>() : right.publish(topic, data, id)),
      };
    },
  },
  {
    name: 'leaves calls pending when it is closed',
    test: 'settles all that is under way',
    says: /did not settle within \d+ ms/,
    wrong: (right) => ({
      async close() {
        right.hold();
        right.line = [];
        await right.close();
      },
    }),
  },
  {
    name: 'waits for the connection for ever',
    test: 'says when the connection is lost',
    says: /publish, when the connection is lost: did not settle/,
    wrong: (right) => ({
      publish: (topic, data, id) => right.publish(topic, data, id).catch(() => never<BrokerTop>()),
    }),
  },
  {
    name: 'does not say that the connection is lost',
    test: 'says when the connection is lost',
    says: /did not come true within \d+ ms: down is told when the connection is lost/,
    wrong: (right) => ({ open: (events, settings) => right.open(silent(events, 'down'), settings) }),
  },
  {
    name: 'does not say that the connection is there again',
    test: 'loses no message in silence',
    says: /did not come true within \d+ ms: up is told when the connection is there again/,
    wrong: (right) => ({ open: (events, settings) => right.open(silent(events, 'up'), settings) }),
  },
  {
    name: 'subscribes nothing when it is asked again',
    test: 'loses no message in silence',
    says: /did not come true within \d+ ms: messages come again/,
    wrong: (right) => {
      const known = new Set<string>();
      return {
        async subscribe(topic) {
          if (!known.has(topic)) return right.subscribe(known.add(topic) && topic);
          const { epoch, offset } = await right.read(topic, 0, 1);
          return { epoch, offset };
        },
      };
    },
  },
  {
    name: 'publishes twice what was rejected and repeated',
    test: 'lets a publish that was rejected be repeated',
    says: /each is there once, whether it was ordered before or not/,
    wrong: (right) => {
      let isAgain = false;
      right.hold();
      return {
        async open(events, settings) {
          right.release();
          await right.open(events, settings);
        },
        async publish(topic, data, id) {
          if (!isAgain && id === 'id 29') {
            // All are ordered when the connection is lost, and none is answered.
            right.hold();
            const publishing = right.publish(topic, data, id);
            for (const one of right.line.filter(({ kind }) => kind === 'call')) one.arrive();
            isAgain = true;
            return publishing;
          }
          if (isAgain) right.release();
          return right.publish(topic, data, isAgain ? `${id} again` : id);
        },
      };
    },
  },
];

/** What is told, but for one event. */
function silent(events: BrokerEvents, name?: 'up' | 'down'): BrokerEvents {
  return {
    message: (...args) => events.message(...args),
    signal: (...args) => events.signal(...args),
    up: () => events.up(),
    down: (error) => events.down(error),
    ...(name === undefined ? {} : { [name]: () => {} }),
  };
}

/** Whether a broker is found out by waiting in vain. */
function isWaiting({ says }: Fault): boolean {
  return /did not|reaches/.test(says.source);
}

/** Those that wait do so all at once. */
function findFaults(faults: readonly Fault[], patienceMs: number): void {
  for (const { name, test, says, wrong, loseData } of faults) {
    it(name, async () => {
      const hub = new MemoryHub();
      let made = 0;
      const makeBroker = () => {
        const right = hub.makeBroker();
        return {
          broker: wrongBroker(right, wrong, made++),
          disconnect: () => right.disconnect(),
          reconnect: () => right.reconnect(),
        };
      };
      const lose = loseData ?? (() => hub.loseData());
      await assert.rejects(runTest(test, { makeBroker, loseData: () => lose(hub), patienceMs }), (error: Error) => {
        assert.match(error.message, says);
        return true;
      });
    });
  }
}

describe('the contract of a broker finds one that', () => {
  findFaults(
    FAULTS.filter((fault) => !isWaiting(fault)),
    LONG_MS,
  );

  it('is right, in none of its tests', async () => {
    const hub = new MemoryHub();
    const makeBroker = () => {
      const broker = hub.makeBroker();
      return { broker, disconnect: () => broker.disconnect(), reconnect: () => broker.reconnect() };
    };
    for (const title of new Set(FAULTS.map(({ test }) => test)))
      await runTest(title, { makeBroker, loseData: () => hub.loseData() });
  });
});

describe('the contract of a broker waits in vain for one that', { concurrency: true }, () => {
  findFaults(FAULTS.filter(isWaiting), SHORT_MS);
});

describe('the contract of a broker', () => {
  it('skips what it cannot do: to lose a connection, to lose data', async () => {
    const hub = new MemoryHub();
    const skipped: (string | undefined)[] = [];
    for (const [title, body] of suite) {
      const run = new Run({ name: 'memory', makeBroker: () => ({ broker: hub.makeBroker() }) });
      if (/connection is lost|epoch when it has lost/.test(title)) skipped.push(await body(run));
      await run.end();
    }
    assert.deepEqual([...new Set(skipped)].sort(), ['there is no disconnect and reconnect', 'there is no loseData']);
  });
});
