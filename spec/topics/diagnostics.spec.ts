import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, it } from 'node:test';
import type { DiagnosticsMessages } from '../../lib/diagnostics.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { TopicsOptions } from '../../lib/topics/topics-options.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { settle, until } from '../support/watchdog.ts';
import { WsClient } from '../support/ws-client.ts';
import { Hub } from './faulty-broker.ts';
import { Log } from './log.ts';

afterEach(cleanUp);

const NAMES = ['topic.publish', 'topic.gap', 'topic.drop', 'topic.recovered', 'broker.down', 'broker.up'] as const;

type Told<Name extends (typeof NAMES)[number]> = DiagnosticsMessages[`hyperlane-ws:${Name}`];

/** Writes down what is published, by name. */
function listen() {
  const told: { [Name in (typeof NAMES)[number]]: Told<Name>[] } = {
    'topic.publish': [],
    'topic.gap': [],
    'topic.drop': [],
    'topic.recovered': [],
    'broker.down': [],
    'broker.up': [],
  };
  for (const name of NAMES) {
    const subscriber = (message: unknown): void => void (told[name] as unknown[]).push(message);
    subscribe(`hyperlane-ws:${name}`, subscriber);
    onCleanUp(() => unsubscribe(`hyperlane-ws:${name}`, subscriber));
  }
  return told;
}

function make(options: TopicsOptions): Topics {
  const topics = new Topics(options);
  onCleanUp(() => topics.close());
  return topics;
}

/** Two processes at one hub. */
function makeTwo(historyMessages: number) {
  const hub = new Hub();
  const broker = hub.broker();
  return { here: make({ broker, historyMessages }), there: make({ broker: hub.broker(), historyMessages }), broker };
}

describe('what is published of topics', () => {
  it('is each message that this process publishes, with its position, or why nobody knows it', async () => {
    const told = listen();
    const { here, broker } = makeTwo(0);
    const alone = make({});
    const positions = [await alone.publish('a', '1'), await here.publish('b', Buffer.of(2))];
    broker.down();
    const error = await here.publish('b', '3').catch((reason: unknown) => reason);
    await settle();
    assert.deepEqual(
      told['topic.publish'].map(({ durationMs, ...rest }) => ({ ...rest, isNumber: durationMs >= 0 })),
      [
        { topic: 'a', body: '1', position: positions[0], error: undefined, isNumber: true },
        { topic: 'b', body: Buffer.of(2), position: positions[1], error: undefined, isNumber: true },
        { topic: 'b', body: '3', position: undefined, error, isNumber: true },
      ],
    );
    assert.ok(error instanceof Error);
  });

  it('is a broker that goes and comes, and what is recovered then', async () => {
    const told = listen();
    const { here, there, broker } = makeTwo(100);
    const log = new Log(await here.subscribe('a'));
    broker.down();
    for (let i = 1; i <= 5; i++) await there.publish('a', String(i));
    broker.up();
    await until('all', () => log.texts.length === 5);
    assert.deepEqual(
      told['broker.down'].map((one) => [one.broker, one.error instanceof Error]),
      [[broker.name, true]],
    );
    assert.deepEqual(told['broker.up'], [{ broker: broker.name }]);
    const recovered = told['topic.recovered'].reduce((sum, { messages }) => sum + messages, 0);
    assert.deepEqual([recovered, told['topic.recovered'][0]?.topic], [here.stats().recovered, 'a']);
    assert.ok(recovered >= 5);
    assert.deepEqual(told['topic.gap'], []);
  });

  it('is a gap for all, where the broker no longer has what is missing', async () => {
    const told = listen();
    const { here, there, broker } = makeTwo(2);
    const log = new Log(await here.subscribe('a'));
    broker.down();
    for (let i = 1; i <= 5; i++) await there.publish('a', String(i));
    broker.up();
    await until('the last', () => log.texts.at(-1) === '5');
    const [gap, ...others] = told['topic.gap'];
    assert.deepEqual([gap?.topic, gap?.error.reason, gap?.isForAll, others], ['a', 'history', true, []]);
    assert.equal(gap?.error, (log.got[0] as { gap: unknown }).gap);
  });

  it('is what is skipped for one that is too slow, and its gap', async () => {
    const told = listen();
    const topics = make({ capacity: 3 });
    const slow = await topics.subscribe('a', { whenBehind: 'skip' });
    for (let i = 1; i <= 6; i++) await topics.publish('a', String(i));
    const log = new Log(slow);
    await settle();
    assert.deepEqual(log.texts, ['gap: skipped', '4', '5', '6']);
    assert.deepEqual(told['topic.drop'], [{ topic: 'a', messages: 3, whenBehind: 'skip' }]);
    assert.deepEqual(
      told['topic.gap'].map(({ error, isForAll }) => [error.reason, error.missed, isForAll]),
      [['skipped', 3, false]],
    );
  });

  it('is of connections each message that they are sent', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => void ctx.publish('a', ctx.getRequestBody()), {
      connected: (ctx) => void ctx.subscribe('a'),
    });
    const port = await run(server);
    const clients = [await WsClient.open(port), await WsClient.open(port), await WsClient.open(port)];
    await until('all are in', () => server.topics.size('a') === 3);
    const sent: unknown[] = [];
    const subscriber = (message: unknown): void => {
      const { connection, data } = message as DiagnosticsMessages['hyperlane-ws:message.out'];
      sent.push([connection.stats().messagesSent, data]);
    };
    subscribe('hyperlane-ws:message.out', subscriber);
    onCleanUp(() => unsubscribe('hyperlane-ws:message.out', subscriber));
    clients[0]!.send('Hello');
    for (const client of clients.slice(1)) assert.equal(await client.receive(), 'Hello');
    assert.deepEqual(sent, [
      [1, 'Hello'],
      [1, 'Hello'],
    ]);
  });
});
