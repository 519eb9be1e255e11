import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { BrokerError } from '../../lib/errors.ts';
import type { Broker, BrokerEvents, BrokerMessage, BrokerPage, BrokerTop } from '../../lib/topics/broker.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { Hub } from './faulty-broker.ts';
import { Log } from './log.ts';

afterEach(cleanUp);

/** Nothing that a broker may answer, or have among what it tells. */
const NUMBERS: unknown[] = [Number.NaN, 2 ** 53, -1, 1.5, Number.POSITIVE_INFINITY, '1', undefined, null, 1n];
const EPOCHS: unknown[] = ['', 'a.b', 'x'.repeat(129), 'ü', 7, undefined, null, {}];
const TOPS = [
  ...NUMBERS.map((offset) => ({ epoch: 'e1', offset })),
  ...EPOCHS.map((epoch) => ({ epoch, offset: 1 })),
  undefined,
  null,
  'e1.1',
];

/** A process whose broker answers what the test has it answer, or as it should. */
function makeMistaken() {
  const hub = new Hub();
  const sound = hub.broker();
  const answers: { [Method in 'subscribe' | 'read' | 'publish']?: (() => unknown) | undefined } = {};
  let events!: BrokerEvents;
  let calls = 0;
  const answer = <T>(method: keyof typeof answers, honest: () => Promise<T>): Promise<T> => {
    calls++;
    const wrong = answers[method];
    return wrong === undefined ? honest() : (wrong() as Promise<T>);
  };
  const broker: Broker = {
    name: 'mistaken',
    open: (given, settings) => {
      events = given;
      return sound.open(given, settings);
    },
    subscribe: (topic) => answer<BrokerTop>('subscribe', () => sound.subscribe(topic)),
    unsubscribe: (topic) => sound.unsubscribe(topic),
    publish: (...args) => answer<BrokerTop>('publish', () => sound.publish(...args)),
    read: (...args) => answer<BrokerPage>('read', () => sound.read(...args)),
    signal: (...args) => sound.signal(...args),
    close: () => sound.close(),
  };
  const topics = new Topics({ broker, historyMessages: 100 });
  onCleanUp(() => topics.close());
  return { hub, topics, answers, events: () => events, calls: () => calls };
}

const data = Uint8Array.of(1, 1, 0x78);

describe('a broker that is mistaken', () => {
  it('has rejected what it answers nonsense to', async () => {
    const { topics, answers } = makeMistaken();
    for (const top of TOPS) {
      for (const method of ['subscribe', 'read', 'publish'] as const) answers[method] = async () => top;
      await assert.rejects(topics.publish('a', 'x'), BrokerError);
      await assert.rejects(topics.subscribe('a'), BrokerError);
      await assert.rejects(topics.history('a'), BrokerError);
    }
    answers.publish = async () => ({ epoch: 'x y', offset: 1 });
    await assert.rejects(topics.publish('a', 'x'), /the broker mistaken failed: .*epoch: 'x y'/s);
    for (const messages of [undefined, {}, [undefined], [{ offset: 1, previous: 1, data }]]) {
      answers.read = async () => ({ epoch: 'e1', offset: 1, messages });
      await assert.rejects(topics.history('a'), BrokerError);
    }
    assert.equal(topics.size('a'), 0);
  });

  it('may fail in any way', async () => {
    const { topics, answers } = makeMistaken();
    const fails: (() => unknown)[] = [
      () => {
        throw new Error('at once');
      },
      () => Promise.reject(undefined),
      () => Promise.reject(Object.create(null)),
      () => 7,
    ];
    for (const fail of fails) {
      for (const method of ['subscribe', 'read', 'publish'] as const) answers[method] = fail;
      await assert.rejects(topics.publish('a', 'x'), BrokerError);
      await assert.rejects(topics.subscribe('a'), BrokerError);
      await assert.rejects(topics.history('a'), BrokerError);
    }
  });

  it('tells nonsense, which is as if it was lost', async () => {
    const { topics, events, calls } = makeMistaken();
    const log = new Log(await topics.subscribe('a'));
    await topics.publish('a', '1');
    const messages: unknown[] = [undefined, null, 'x'];
    for (const number of NUMBERS) {
      messages.push({ offset: number, previous: 1, data }, { offset: 2, previous: number, data });
    }
    messages.push(
      { offset: 2, previous: 2, data },
      { offset: 2, previous: 20, data },
      { offset: 2, previous: 1, data: 'x' },
    );
    messages.push({ offset: 2, previous: 1 });
    for (const message of messages) {
      for (const epoch of ['e1', 'e7', undefined as unknown as string]) {
        events().message('a', epoch, message as BrokerMessage);
      }
      events().message(undefined as unknown as string, 'e1', message as BrokerMessage);
      events().signal('a', message as Uint8Array);
    }
    await settle(20);
    const before = calls();
    await settle(20);
    assert.equal(calls(), before, 'it asks no more');
    await topics.publish('a', '2');
    await until('it came', () => log.got.length === 2);
    assert.deepEqual(log.texts, ['1', '2']);
  });

  it('is asked again in a while when it answers nonsense, and not at once', async () => {
    const { topics, answers, events, calls } = makeMistaken();
    const log = new Log(await topics.subscribe('a'));
    await topics.publish('a', '1');
    let asked = 0;
    for (const top of TOPS) {
      answers.subscribe = async () => top;
      answers.read = async () => (typeof top === 'object' && top !== null ? { ...top, messages: [] } : top);
      events().message('a', 'e1', { offset: 9, previous: 8, data });
      events().up();
      const before = calls();
      await settle(20);
      asked = Math.max(asked, calls() - before);
    }
    // One that does not wait asks in each turn, or never ends one.
    assert.ok(asked <= 15, `it was asked ${asked} times`);
    answers.subscribe = undefined;
    answers.read = undefined;
    events().up();
    await topics.publish('a', '2');
    await until('it came', () => log.texts.includes('2'));
  });

  it('has its pages put right: what is not behind the last is left out', async () => {
    const { topics, answers, hub } = makeMistaken();
    const positions: string[] = [];
    for (let i = 1; i <= 3; i++) positions.push(await topics.publish('a', String(i)));
    const { kept } = hub.topic('a');
    answers.read = async () => ({ epoch: 'e1', offset: 1, messages: [kept[0], kept[1], kept[0], kept[1], kept[2]] });
    const { messages, position } = await soon('the page', topics.history('a', positions[0]));
    assert.deepEqual([messages.map(({ body }) => body), position], [['2', '3'], positions[2]]);
    const log = new Log(await topics.subscribe('a', { after: positions[0]! }));
    await until('they came', () => log.got.length === 2);
    assert.deepEqual(log.texts, ['2', '3']);
  });

  it('is told to let go of a topic to which it may have subscribed all the same', async () => {
    const hub = new Hub();
    const broker = hub.broker();
    const subscribe = broker.subscribe.bind(broker);
    broker.subscribe = async (topic) => {
      await subscribe(topic);
      throw new Error('no answer in time');
    };
    const topics = new Topics({ broker });
    onCleanUp(() => topics.close());
    await assert.rejects(topics.subscribe('a'), BrokerError);
    await until('it has let go', () => broker.subscribed.size === 0);
  });

  it('is waited for no longer than some seconds at the end', async (t) => {
    const broker = new Hub().broker();
    for (const method of ['open', 'close'] as const) {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const original = broker[method];
      broker[method] = () => new Promise<void>(() => {});
      const topics = new Topics({ broker });
      const closed = topics.close();
      await settle();
      t.mock.timers.tick(10_000);
      t.mock.timers.reset();
      await assert.rejects(closed, (error: BrokerError) => {
        assert.match(error.message, /the broker hub failed: it was not (open|closed) within \d seconds/);
        return error instanceof BrokerError;
      });
      assert.deepEqual(broker.calls, method === 'open' ? ['close'] : ['close', 'open']);
      Object.assign(broker, { [method]: original });
    }
  });
});
