import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { BrokerError, ChannelClosedError, ConnectionClosedError, type GapError } from '../../lib/errors.ts';
import type { TopicWire } from '../../lib/topics/connection-subscription.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { defer, settle, until } from '../support/watchdog.ts';
import { Hub } from './faulty-broker.ts';
import { TestConnection } from './test-connection.ts';

afterEach(cleanUp);

function make(options: ConstructorParameters<typeof Topics>[0] = {}): Topics {
  const topics = new Topics(options);
  onCleanUp(() => topics.close());
  return topics;
}

async function publish(topics: Topics, from: number, to: number): Promise<string[]> {
  const positions: string[] = [];
  for (let i = from; i <= to; i++) positions.push(await topics.publish('a', String(i)));
  return positions;
}

describe('a connection in a topic', () => {
  it('is sent what is published by others', async () => {
    const topics = make();
    const [one, two] = [new TestConnection(), new TestConnection()];
    const subscription = await topics.join(one, 'a');
    await topics.join(two, 'a');
    assert.equal(await topics.join(one, 'a'), subscription, 'it is in the topic already');
    await topics.publishFrom(one, 'a', '1');
    await topics.publishFrom(new TestConnection(), 'a', '2');
    assert.deepEqual([one.sent, two.sent], [['2'], ['1', '2']]);
    assert.equal(subscription.topic, 'a');
    assert.equal(subscription.position, (await topics.subscribe('a')).position);
    assert.deepEqual([subscription.isBehind, subscription.isOver, subscription.dropped], [false, false, 0]);
  });

  it('leaves, and is forgotten with all its topics', async () => {
    const topics = make();
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a');
    const other = await topics.join(connection, 'b');
    assert.deepEqual(topics.topicsOf(connection), ['a', 'b']);
    assert.equal(topics.part(connection, 'a'), true);
    assert.equal(topics.part(connection, 'a'), false);
    assert.deepEqual([subscription.isOver, subscription.unsubscribe()], [true, false]);
    const { position } = subscription;
    await topics.publish('a', '1');
    assert.equal(subscription.position, position, 'it stays where it was');
    topics.forget(connection);
    topics.forget(connection);
    assert.deepEqual([other.isOver, topics.topicsOf(connection), topics.stats().topics], [true, [], 0]);
    assert.equal(topics.part(connection, 'b'), false);
    await topics.publish('b', '1');
    assert.deepEqual(connection.sent, []);
  });

  it('is held by nothing once it is over', async () => {
    const topics = make({ historyMessages: 10, capacity: 2 });
    const refs = await (async () => {
      const connections = [new TestConnection(), new TestConnection()];
      for (const connection of connections) {
        await topics.join(connection, 'a');
        await topics.publishFrom(connection, 'a', '1');
        connection.room = 0;
      }
      // Behind, and out of the ring.
      await publish(topics, 1, 5);
      for (const connection of connections) {
        connection.end();
        topics.forget(connection);
      }
      return connections.map((connection) => new WeakRef(connection));
    })();
    await until('they are gone', () => {
      collectGarbage();
      return refs.every((ref) => ref.deref() === undefined);
    });
  });

  it('is held back alone when its client does not read, and goes on from there', async () => {
    const topics = make({ capacity: 10 });
    const [slow, quick] = [new TestConnection(), new TestConnection()];
    slow.room = 2;
    const subscription = await topics.join(slow, 'a');
    await topics.join(quick, 'a');
    const positions = await publish(topics, 1, 5);
    await topics.publishFrom(slow, 'a', 'its own');
    assert.deepEqual(slow.sent, ['1', '2']);
    assert.equal(quick.sent.length, 6);
    assert.deepEqual([subscription.isBehind, subscription.position], [true, positions[1]]);
    await slow.read(1);
    assert.deepEqual(slow.sent, ['1', '2', '3']);
    await slow.read(10);
    assert.deepEqual(slow.sent, ['1', '2', '3', '4', '5']);
    assert.equal(subscription.isBehind, false);
    await publish(topics, 6, 6);
    assert.deepEqual(slow.sent.at(-1), '6');
  });

  it('is told of each gap at its place, and what it skipped is counted', async () => {
    const topics = make({ capacity: 2 });
    const connection = new TestConnection();
    const onGap = (gap: GapError): void => void connection.offer(`gap of ${gap.missed}`);
    const subscription = await topics.join(connection, 'a', { onGap });
    connection.room = 0;
    await publish(topics, 1, 5);
    connection.room = 1;
    await connection.read(10);
    assert.deepEqual(connection.sent, ['gap of 3', '4', '5']);
    assert.equal(subscription.dropped, 3);
    connection.room = 0;
    await publish(topics, 6, 9);
    await connection.read(1);
    assert.deepEqual([subscription.dropped, subscription.isBehind], [5, true]);
    await connection.read(10);
    assert.equal(subscription.dropped, 5);
    assert.deepEqual(connection.sent.slice(3), ['gap of 2', '8', '9']);
  });

  it('is closed when it is too slow for its policy', async () => {
    const topics = make({ capacity: 2 });
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a', { whenBehind: 'end' });
    connection.room = 0;
    await publish(topics, 1, 3);
    await connection.read(10);
    assert.equal(connection.failed?.code, 'WS_ERR_SLOW_SUBSCRIBER');
    assert.deepEqual([subscription.isOver, subscription.dropped, topics.stats().ended], [true, 3, 1]);
    assert.deepEqual([connection.sent, topics.topicsOf(connection)], [[], []]);
  });

  it('is closed for that although its client never reads again', async () => {
    const topics = make({ capacity: 2 });
    const [connection, late] = [new TestConnection(), new TestConnection()];
    const gaps: GapError[] = [];
    const onGap = (gap: GapError): void => void gaps.push(gap);
    const subscription = await topics.join(connection, 'a', { whenBehind: 'end', onGap });
    await topics.join(late, 'a', { whenBehind: 'end' });
    const leaving = new TestConnection();
    await topics.join(leaving, 'a', { whenBehind: 'end', onGap: () => void topics.part(leaving, 'a') });
    leaving.room = 0;
    connection.room = 0;
    late.room = 0;
    const positions = await publish(topics, 1, 2);
    await settle();
    assert.deepEqual([connection.failed, subscription.isBehind], [undefined, true], 'the ring has all that it needs');
    late.room = 10;
    positions.push(...(await publish(topics, 3, 4)));
    await settle();
    for (const { failed } of [connection, late]) assert.equal(failed?.code, 'WS_ERR_SLOW_SUBSCRIBER');
    assert.equal(leaving.failed, undefined, 'it has left when it was told');
    assert.deepEqual([subscription.isOver, topics.size('a'), topics.stats().ended], [true, 0, 3]);
    assert.deepEqual([connection.sent, late.sent], [[], []]);
    assert.deepEqual(
      gaps.map(({ reason, position }) => [reason, positions.includes(position)]),
      [['skipped', true]],
    );
  });

  it('is not closed where it has read meanwhile', async () => {
    const topics = make({ capacity: 2 });
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a', { whenBehind: 'end' });
    connection.room = 0;
    await publish(topics, 1, 2);
    await connection.read(10);
    await publish(topics, 3, 4);
    await settle();
    assert.deepEqual([connection.sent, connection.failed], [['1', '2', '3', '4'], undefined]);
    connection.room = 0;
    for (let i = 5; i <= 7; i++) void topics.publish('a', String(i));
    // In the same turn.
    subscription.unsubscribe();
    await settle();
    assert.equal(connection.failed, undefined);
    await topics.join(connection, 'a', { whenBehind: 'end' });
    await publish(topics, 8, 8);
    // It is closing, and its peer has yet to say so.
    connection.canSend = false;
    await publish(topics, 9, 12);
    await settle();
    assert.deepEqual([connection.failed, topics.stats().ended], [undefined, 0]);
  });

  it('is sent what it has missed behind a position, at its pace', async () => {
    const topics = make({ historyMessages: 300, capacity: 2 });
    const positions = await publish(topics, 1, 200);
    const connection = new TestConnection();
    connection.room = 50;
    const subscription = await topics.join(connection, 'a', { after: positions[9]! });
    await publish(topics, 201, 205);
    assert.deepEqual([connection.sent.length, subscription.isBehind], [50, true]);
    await connection.read(1000);
    assert.deepEqual(
      connection.sent,
      Array.from({ length: 195 }, (_, i) => String(i + 11)),
    );
    assert.equal(subscription.isBehind, false);
  });

  it('is sent nothing more where the handler of a gap has it leave', async () => {
    const topics = make({ historyMessages: 1 });
    const connection = new TestConnection();
    const [first] = await publish(topics, 1, 3);
    const subscription = await topics.join(connection, 'a', {
      after: first,
      onGap: () => void topics.part(connection, 'a'),
    });
    assert.deepEqual([subscription.isOver, connection.sent], [true, []]);
  });

  it('is sent what its wire makes of messages and gaps', async () => {
    const wire: TopicWire = {
      encodeStart: (position) => `=${position.split('.')[1]}`,
      encode: (message) => `${message.position.split('.')[1]}:${message.body}`,
      encodeGap: ({ reason }) => `!${reason}`,
    };
    const topics = make({ capacity: 1, historyMessages: 1 });
    const connection = new TestConnection();
    const [first] = await publish(topics, 1, 3);
    await topics.join(connection, 'a', { after: first, whenBehind: 'skip' }, wire);
    await publish(topics, 4, 4);
    connection.room = 0;
    await publish(topics, 5, 7);
    await connection.read(10);
    assert.deepEqual(connection.sent, ['=1', '!history', '3:3', '4:4', '!skipped', '7:7']);
  });

  it('takes nothing but a function for gaps', () => {
    const topics = make();
    const options = { onGap: 'reload' as unknown as () => void };
    assert.throws(() => topics.join(new TestConnection(), 'a', options), /onGap is a function .* the string 'reload'/);
    assert.equal(topics.size('a'), 0);
  });

  it('joins nothing when it is over', async () => {
    const topics = make();
    const connection = new TestConnection();
    connection.end();
    await assert.rejects(topics.join(connection, 'a'), ConnectionClosedError);
    assert.equal(topics.stats().topics, 0);
  });

  it('waits for nothing more when it ends while it is behind', async () => {
    const topics = make();
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a');
    connection.room = 0;
    await publish(topics, 1, 2);
    connection.end();
    await settle();
    topics.forget(connection);
    assert.deepEqual([subscription.isOver, topics.stats().topics, connection.sent], [true, 0, []]);
  });
});

describe('a connection in a topic, over a broker', () => {
  function makeHub() {
    const hub = new Hub();
    const broker = hub.broker();
    const topics = make({ broker, historyMessages: 100 });
    return { hub, broker, topics };
  }

  it('does not get its own messages, also those from before it has subscribed', async () => {
    const { broker, topics } = makeHub();
    const [one, two] = [new TestConnection(), new TestConnection()];
    broker.fate = 'hold';
    await topics.join(two, 'a');
    await topics.publishFrom(one, 'a', '1');
    await topics.join(one, 'a');
    await topics.publishFrom(one, 'a', '2');
    await topics.publishFrom(two, 'a', '3');
    broker.fate = 'now';
    broker.release();
    assert.deepEqual([one.sent, two.sent], [['3'], ['1', '2']]);
  });

  it('is sent what it has missed behind a position', async () => {
    const { topics } = makeHub();
    const connection = new TestConnection();
    const positions = await publish(topics, 1, 5);
    await topics.join(connection, 'a', { after: positions[1]! });
    await settle();
    await publish(topics, 6, 6);
    assert.deepEqual(connection.sent, ['3', '4', '5', '6']);
  });

  it('tells gaps as they come', async () => {
    const { hub, broker, topics } = makeHub();
    const connection = new TestConnection();
    await topics.join(connection, 'a', { onGap: ({ reason }) => void connection.offer(reason) });
    await topics.publish('a', '1');
    broker.down();
    hub.forgetAll();
    broker.up();
    await settle();
    await topics.publish('a', '2');
    assert.deepEqual(connection.sent, ['1', 'epoch', '2']);
  });

  /** A process that has not been told yet what another one has told: the last two of four messages. */
  async function makeLate() {
    const { hub, broker, topics } = makeHub();
    const other = new TestConnection();
    await topics.join(other, 'a');
    const [first] = await publish(topics, 1, 2);
    broker.fate = 'hold';
    const [, last] = await publish(topics, 3, 4);
    broker.fate = 'now';
    return { broker, topics, hub, first: first!, last: last!, other };
  }

  it('is not told again what it knows from a process that was told sooner', async () => {
    const { broker, topics, last, other } = await makeLate();
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a', { after: last });
    await settle();
    assert.equal(subscription.position, last);
    broker.release();
    assert.equal(subscription.position, last);
    await topics.publish('a', '5');
    assert.deepEqual([connection.sent, other.sent], [['5'], ['1', '2', '3', '4', '5']]);
    assert.equal(subscription.position, (await topics.subscribe('a')).position);
  });

  it('is not told again what it has read before the process was told', async () => {
    const { broker, topics, first } = await makeLate();
    const connection = new TestConnection();
    const subscription = await topics.join(connection, 'a', { after: first });
    await settle();
    assert.deepEqual(connection.sent, ['2', '3', '4']);
    broker.release();
    await publish(topics, 5, 6);
    assert.deepEqual([connection.sent, subscription.isBehind], [['2', '3', '4', '5', '6'], false]);
  });

  it('is told of a gap where it is ahead of the process only if it reaches beyond', async () => {
    for (const [isLost, expected] of [
      [false, ['5']],
      [true, ['epoch', '5']],
    ] as const) {
      const { broker, topics, hub, last, other } = await makeLate();
      const connection = new TestConnection();
      await topics.join(connection, 'a', { after: last, onGap: ({ reason }) => void connection.offer(reason) });
      await settle();
      if (isLost) hub.forgetAll();
      else hub.forgetHistory();
      broker.up();
      await settle();
      await topics.publish('a', '5');
      await settle();
      assert.deepEqual([connection.sent, other.sent], [expected, ['1', '2', '5']]);
    }
  });

  it('has not begun where it leaves, or ends, or the broker fails, before that', async () => {
    const { broker, topics } = makeHub();
    await topics.publish('x', 'opens');
    const connection = new TestConnection();
    const join = async (between: () => void): Promise<unknown> => {
      const held = defer();
      broker.before = () => held.promise;
      const joined = topics.join(connection, 'a');
      const again = topics.join(connection, 'a');
      await settle();
      assert.equal(topics.size('a'), 1);
      between();
      held.resolve();
      await settle();
      broker.before = undefined;
      const outcomes = await Promise.allSettled([joined, again]);
      assert.deepEqual(outcomes[0], outcomes[1]);
      assert.equal(topics.size('a'), 0);
      assert.deepEqual(topics.topicsOf(connection), []);
      return outcomes[0]!.status === 'rejected' ? outcomes[0]!.reason : undefined;
    };
    assert.ok((await join(() => topics.part(connection, 'a'))) instanceof ChannelClosedError);
    assert.ok((await join(() => broker.down())) instanceof BrokerError);
    broker.up();
    assert.ok((await join(() => connection.end())) instanceof ConnectionClosedError);
    connection.canSend = true;
    const over = await join(() => {
      connection.end();
      topics.forget(connection);
    });
    assert.ok(over instanceof ConnectionClosedError);
    await topics.publishFrom(connection, 'a', 'still possible');
  });
});
