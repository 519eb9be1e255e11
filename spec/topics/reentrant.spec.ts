import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { GapError } from '../../lib/errors.ts';
import type { ConnectionSubscription } from '../../lib/topics/connection-subscription.ts';
import { positionsWire } from '../../lib/topics/positions-wire.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { TopicsOptions } from '../../lib/topics/topics-options.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { Hub } from './faulty-broker.ts';
import { Log } from './log.ts';
import { TestConnection } from './test-connection.ts';

afterEach(cleanUp);

function make(options: TopicsOptions = {}): Topics {
  const topics = new Topics(options);
  onCleanUp(() => topics.close());
  return topics;
}

/** A connection of which a send has something done in the midst of it, as its 'message sent' event may. */
class Entangled extends TestConnection {
  onSend: ((text: string) => void) | undefined;

  override offer(data: string | Uint8Array): boolean {
    const isSent = super.offer(data);
    if (isSent) this.onSend?.(String(data));
    return isSent;
  }
}

describe('a topic that is used while it delivers', () => {
  for (const historyMessages of [0, 10]) {
    it(`has one order for all, whoever publishes in between, with a history of ${historyMessages}`, async () => {
      const topics = make({ historyMessages });
      const connections = [new TestConnection(), new Entangled(), new TestConnection()];
      const log = new Log(await topics.subscribe('a'));
      const { position } = await topics.subscribe('a');
      for (const connection of connections) await topics.join(connection, 'a');
      const positions: (string | Promise<string>)[] = [];
      (connections[1] as Entangled).onSend = (text): void => {
        if (text !== '1') return;
        positions.push(topics.publish('a', '2'), topics.publish('a', '3', { id: 'x' }));
        positions.push(topics.publish('a', '3', { id: 'x' }));
      };
      const first = await topics.publish('a', '1');
      await topics.publish('a', '4');
      await settle();
      for (const { sent } of connections) assert.deepEqual(sent, ['1', '2', '3', '4']);
      const at = new Map(log.got.map((one) => ['body' in one ? one.position : '', 'body' in one ? one.body : '']));
      assert.deepEqual([...at.values()], ['1', '2', '3', '4']);
      log.check((where) => at.get(where));
      assert.deepEqual(
        [first, ...(await Promise.all(positions))].map((where) => at.get(where)),
        ['1', '2', '3', '3'],
      );
      const { messages, gap } = await topics.history('a', position);
      if (historyMessages > 0)
        assert.deepEqual([messages.map(({ body }) => body), gap], [['1', '2', '3', '4'], undefined]);
    });
  }

  it('has once what is published again with the same id in between', async () => {
    const topics = make();
    const connection = new Entangled();
    await topics.join(connection, 'a');
    const again: Promise<string>[] = [];
    connection.onSend = (): void => void again.push(topics.publish('a', '1', { id: 'x' }));
    const position = await topics.publish('a', '1', { id: 'x' });
    assert.deepEqual([connection.sent, await Promise.all(again)], [['1'], [position]]);
  });
});

describe('the handler of a gap', () => {
  /** A process at a hub, which has lost its data for the connection that is there. */
  async function makeLossy() {
    const hub = new Hub();
    const broker = hub.broker();
    const topics = make({ broker, historyMessages: 10 });
    const lose = async (): Promise<void> => {
      broker.down();
      hub.forgetAll();
      broker.up();
      await until('it is known', () => topics.stats().gaps > 0);
    };
    return { topics, lose };
  }

  it('may leave the topic and come back, and is not told of the same gap again', async () => {
    const { topics, lose } = await makeLossy();
    const connection = new TestConnection();
    const log = new Log(await topics.subscribe('a'));
    const gaps: GapError[] = [];
    let latest: Promise<ConnectionSubscription> | undefined;
    const join = (): void => {
      const onGap = (gap: GapError): void => {
        gaps.push(gap);
        if (gaps.length > 5) return;
        topics.part(connection, 'a');
        join();
      };
      latest = topics.join(connection, 'a', { onGap });
    };
    join();
    await latest;
    await lose();
    assert.equal(gaps.length, 1);
    assert.equal((await latest!).position, gaps[0]!.position, 'it begins behind the gap');
    await topics.publish('a', '1');
    assert.deepEqual(connection.sent, ['1']);
    assert.deepEqual(log.texts, ['gap: epoch', '1']);
  });

  it('may have others join, who begin behind it', async () => {
    const { topics, lose } = await makeLossy();
    const other = new TestConnection();
    const gaps: GapError[] = [];
    let joined: Promise<ConnectionSubscription> | undefined;
    await topics.join(new TestConnection(), 'a', {
      onGap: (gap) => {
        gaps.push(gap);
        joined = topics.join(other, 'a', { onGap: (second) => void gaps.push(second) }, positionsWire);
      },
    });
    await lose();
    assert.equal(gaps.length, 1);
    await joined;
    const position = await topics.publish('a', '1');
    assert.deepEqual(other.sent, [`=${gaps[0]!.position}\n`, `${position}\n1`]);
  });

  it('may have others leave, who are not told of it any more', async () => {
    const { topics, lose } = await makeLossy();
    const other = new TestConnection();
    const told: string[] = [];
    await topics.join(new TestConnection(), 'a', {
      onGap: () => {
        told.push('first');
        topics.part(other, 'a');
      },
    });
    await topics.join(other, 'a', { onGap: () => void told.push('second') });
    await lose();
    assert.deepEqual(told, ['first']);
  });

  it('may close the topics', async () => {
    const { topics, lose } = await makeLossy();
    const connections = [new TestConnection(), new TestConnection()];
    const log = new Log(await topics.subscribe('a'));
    for (const connection of connections) {
      await topics.join(
        connection,
        'a',
        { onGap: () => void topics.close() },
        connection === connections[1] ? positionsWire : undefined,
      );
    }
    await lose();
    await soon('the end', log.ended);
    assert.deepEqual(topics.topicsOf(connections[0]!), []);
  });

  it('may subscribe again where the gap is the first thing of all, and gets the subscription', async () => {
    const topics = make({ historyMessages: 10 });
    const connection = new TestConnection();
    let again: Promise<ConnectionSubscription> | undefined;
    const subscription = await topics.join(connection, 'a', {
      after: 'no position',
      onGap: () => {
        again = topics.join(connection, 'a');
      },
    });
    assert.equal(await soon('the same', again!), subscription);
  });
});
