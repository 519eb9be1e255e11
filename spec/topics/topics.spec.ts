import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { afterEach, describe, it, mock } from 'node:test';
import { select } from '../../lib/channel/select.ts';
import { ChannelClosedError, GapError, InvalidStateError, LaggedError } from '../../lib/errors.ts';
import type { Broker } from '../../lib/topics/broker.ts';
import { parsePosition } from '../../lib/topics/position.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { Log } from './log.ts';

afterEach(cleanUp);

function make(options: ConstructorParameters<typeof Topics>[0] = {}): Topics {
  const topics = new Topics(options);
  onCleanUp(() => topics.close());
  return topics;
}

const bodies = (messages: readonly { body: string | Buffer }[]): string[] => messages.map(({ body }) => String(body));

describe('Topics, without a broker', () => {
  it('brings what is published to all that are subscribed, in order, as text or bytes', async () => {
    const topics = make();
    const one = await topics.subscribe('a');
    const two = await topics.subscribe('a');
    await topics.publish('a', 'text');
    await topics.publish('a', Uint8Array.of(1, 2));
    await topics.publish('b', 'for nobody');
    for (const subscription of [one, two]) {
      assert.equal((await subscription.recv()).body, 'text');
      assert.deepEqual((await subscription.recv()).body, Buffer.of(1, 2));
      assert.equal(subscription.topic, 'a');
    }
    assert.equal(topics.size('a'), 2);
    assert.equal(topics.size('b'), 0);
    assert.equal(topics.isConnected, true);
    assert.equal(topics.opened, undefined);
  });

  it('copies bytes that wait, and leaves those that its caller has', async () => {
    const topics = make({ historyMessages: 1 });
    const subscription = await topics.subscribe('a');
    const bytes = Buffer.from('before');
    await topics.publish('a', bytes);
    bytes.fill('x');
    assert.equal(String((await subscription.recv()).body), 'before');
    assert.equal(String((await topics.history('a')).messages[0]!.body), 'before');
  });

  it('knows the position of a subscription from the start, and of each message', async () => {
    const topics = make({ historyMessages: 10 });
    const first = await topics.publish('a', '1');
    const subscription = await topics.subscribe('a');
    assert.equal(subscription.position, first);
    const second = await topics.publish('a', '2');
    assert.equal(subscription.position, first);
    assert.equal((await subscription.recv()).position, second);
    assert.equal(subscription.position, second);
    assert.notEqual(first, second);
    assert.ok(parsePosition(first)!.offset < parsePosition(second)!.offset);
  });

  it('takes part in select, and withdraws without a loss', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    const other = await topics.subscribe('b');
    await topics.publish('b', 'b1');
    const ready = await select({ a: subscription.recv(), b: other.recv() });
    assert.equal(ready.key, 'b');
    await topics.publish('a', 'a1');
    assert.equal((await subscription.recv()).body, 'a1');
    assert.equal(subscription.waiting, 0);
  });

  it('serves receives in order, also those that were started before anything came', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    const receives = [subscription.recv(), subscription.recv(), subscription.recv()];
    // The last one takes its value first: the others keep theirs.
    const last = receives[2]!.then((message) => message.body);
    for (const body of ['1', '2', '3']) await topics.publish('a', body);
    assert.equal(await last, '3');
    assert.equal((await receives[1]!).body, '2');
    assert.equal((await receives[0]!).body, '1');
  });

  it('ends a loop that is left, and one whose subscription is ended', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    await topics.publish('a', '1');
    for await (const message of subscription) {
      assert.equal(message.body, '1');
      break;
    }
    assert.equal(topics.size('a'), 0);
    assert.equal(subscription.unsubscribe(), false);

    const ended = await topics.subscribe('a');
    const iterator = ended[Symbol.asyncIterator]();
    const next = iterator[Symbol.asyncIterator]().next();
    ended[Symbol.dispose]();
    assert.deepEqual(await next, { done: true, value: undefined });
    await assert.rejects(ended.recv(), ChannelClosedError);
  });

  it('throws a gap into a loop, which can go on', async () => {
    const topics = make({ capacity: 1 });
    const subscription = await topics.subscribe('a');
    for (const body of ['1', '2']) await topics.publish('a', body);
    await assert.rejects(async () => {
      for await (const _ of subscription) assert.fail('the gap comes first');
    }, GapError);
    for await (const message of subscription) {
      assert.equal(message.body, '2');
      break;
    }
  });

  it('holds on to nobody who has given up waiting', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    await assert.rejects(subscription.recv({ timeoutMs: 1 }), { code: 'WS_ERR_TIMEOUT' });
    await topics.publish('a', '1');
    assert.equal((await subscription.recv()).body, '1');
  });

  it('forgets a subscription that was forgotten', async () => {
    const topics = make();
    await (async () => void (await topics.subscribe('a')))();
    await until('it has left', () => {
      collectGarbage();
      return topics.size('a') === 0;
    });
  });

  for (const [whenBehind, expected] of [
    ['skip', ['gap: skipped', '4', '5', '6']],
    ['latest', ['gap: skipped', '6']],
    ['end', ['gap: skipped']],
    ['catchUp', ['1', '2', '3', '4', '5', '6']],
  ] as const) {
    it(`does as told with one that is more than the capacity behind: ${whenBehind}`, async () => {
      const topics = make({ capacity: 3, historyMessages: 100 });
      const subscription = await topics.subscribe('a', { whenBehind });
      const quick = new Log(await topics.subscribe('a'));
      for (let i = 1; i <= 6; i++) {
        await topics.publish('a', String(i));
        await settle(1);
      }
      const log = new Log(subscription);
      await settle();
      assert.deepEqual(log.texts, expected);
      assert.deepEqual(quick.texts, ['1', '2', '3', '4', '5', '6']);
      const dropped = { skip: 3, latest: 5, end: 6, catchUp: 0 }[whenBehind];
      assert.equal(subscription.dropped, dropped);
      assert.equal(topics.stats().dropped, dropped);
      assert.equal(topics.stats().ended, whenBehind === 'end' ? 1 : 0);
      assert.equal(topics.stats().recovered, whenBehind === 'catchUp' ? 6 : 0);
      const gap = log.got.find((one) => 'gap' in one);
      if (gap !== undefined) {
        assert.ok(gap.gap instanceof LaggedError);
        assert.equal(gap.gap.missed, dropped);
        assert.match(gap.gap.message, new RegExp(`^${dropped} messages of topic "a" were skipped here`));
      }
      await topics.publish('a', '7');
      await settle();
      if (whenBehind === 'end') await soon('its end', log.ended);
      else assert.equal(log.texts.at(-1), '7');
    });
  }

  it('skips without history, and catches up with it, unless told otherwise', async () => {
    for (const historyMessages of [0, 10]) {
      const topics = make({ capacity: 1, historyMessages });
      const subscription = await topics.subscribe('a');
      for (const body of ['1', '2']) await topics.publish('a', body);
      const log = new Log(subscription);
      await settle();
      assert.deepEqual(log.texts, historyMessages === 0 ? ['gap: skipped', '2'] : ['1', '2']);
    }
  });

  it('says what is missing for good where neither the ring nor the history reaches', async () => {
    for (const [historyMessages, capacity, expected] of [
      [3, 1, ['gap: history', '4', '5', '6']],
      [1, 3, ['gap: history', '4', '5', '6']],
      [2, 2, ['gap: history', '5', '6']],
      [0, 2, ['gap: history', '5', '6']],
    ] as const) {
      const topics = make({ capacity, historyMessages });
      const subscription = await topics.subscribe('a', { whenBehind: 'catchUp' });
      for (let i = 1; i <= 6; i++) await topics.publish('a', String(i));
      const log = new Log(subscription);
      await settle();
      assert.deepEqual(log.texts, expected);
      assert.ok(Number.isNaN((log.got[0] as { gap: GapError }).gap.missed));
    }
  });

  it('publishes once what has the same id within five minutes', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let now = 1000;
    const clock = mock.method(performance, 'now', () => now);
    onCleanUp(() => {
      mock.timers.reset();
      clock.mock.restore();
    });
    const topics = make({ historyMessages: 10 });
    const first = await topics.publish('a', '1', { id: 'x' });
    assert.equal(await topics.publish('a', '1', { id: 'x' }), first);
    const other = await topics.publish('a', '2', { id: 'y' });
    assert.notEqual(await topics.publish('ax', '3', { id: '' + 'x' }), first);
    now += 5 * 60_000 - 1;
    assert.equal(await topics.publish('a', '1', { id: 'x' }), first);
    assert.equal(await topics.publish('a', '1', { id: 'y' }), other);
    now += 2;
    assert.notEqual(await topics.publish('a', '1', { id: 'x' }), first);
    // It looks by itself for what may be forgotten, too.
    now += 5 * 60_000;
    mock.timers.tick(30_000);
    mock.timers.tick(30_000);
    assert.equal(topics.stats().topics, 0);
  });

  it('refuses what cannot be, with what to give', async () => {
    const topics = make();
    const wrong = (value: unknown) => value as string;
    assert.throws(() => topics.publish(wrong(7), 'x'), /a topic is a string, and this is the number 7/);
    assert.throws(() => topics.publish('', 'x'), /a topic is a string that is not empty, and this one is/);
    assert.throws(() => topics.publish('é'.repeat(128), 'x'), /at most 255 bytes of UTF-8, and this one 256: 'é+/);
    assert.throws(() => topics.publish('\ud800', 'x'), /whole Unicode, and this one has half a character/);
    assert.throws(() => topics.publish('a', wrong({})), /a message is a string or bytes .* an object: send JSON/);
    assert.throws(() => topics.publish('a', 'x', { id: '' }), /the id of a message is a string that is not empty/);
    assert.throws(() => topics.publish('a', 'x', { Id: 'x' } as object), /did you mean "id"/);
    assert.throws(
      () => topics.subscribe('a', { whenBehind: 'wait' as 'skip' }),
      /whenBehind is 'wait': give one of catchUp/,
    );
    assert.throws(
      () => topics.subscribe('a', { after: 7 as unknown as string }),
      /after is a position, .* the number 7/,
    );
    assert.throws(() => topics.subscribe('a', { from: '' } as object), /"from" is no option of subscribe/);
    for (const limit of [0, 1.5, Number.NaN, -1, '7' as unknown as number]) {
      assert.throws(
        () => topics.history('a', undefined, limit),
        /limit is .*: give a whole number of messages from 1 on/,
      );
    }
    assert.throws(() => new Topics({ historyMessages: -1 }), /historyMessages is -1: give a whole number/);
    assert.throws(() => new Topics({ historyMs: 0 }), /historyMs is 0/);
    assert.throws(() => new Topics({ capacity: 1.5 }), /capacity is 1.5/);
    assert.throws(
      () => new Topics({ broker: { open() {} } as unknown as Broker }),
      /an object without a method "subscribe"/,
    );
    assert.throws(() => new Topics({ broker: null as unknown as Broker }), /null without a method "open"/);
    assert.equal(topics.size('a'), 0);
    // What is as long as it may be, and what has no more characters than that.
    await topics.publish('é'.repeat(127), 'x');
  });

  it('ends all when it is closed, and says so afterwards', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    const receive = subscription.recv();
    await topics.close();
    await topics.close();
    await assert.rejects(receive, ChannelClosedError);
    assert.throws(
      () => topics.publish('a', 'x'),
      (error: InvalidStateError) => error.code === 'WS_ERR_TOPICS_CLOSED',
    );
    assert.throws(() => topics.subscribe('a'), InvalidStateError);
    assert.throws(() => topics.history('a'), InvalidStateError);
    assert.equal(subscription.unsubscribe(), true);
  });
});

describe('the history of a topic, without a broker', () => {
  it('has the newest messages, or those behind a position', async () => {
    const topics = make({ historyMessages: 300 });
    assert.deepEqual((await topics.history('a')).messages, []);
    const positions: string[] = [];
    for (let i = 1; i <= 400; i++) positions.push(await topics.publish('a', String(i)));
    const newest = await topics.history('a', undefined, 2);
    assert.deepEqual(bodies(newest.messages), ['399', '400']);
    assert.deepEqual([newest.position, newest.gap], [positions[399], undefined]);
    const all = await topics.history('a');
    assert.deepEqual([all.messages.length, all.messages[0]!.body, all.gap], [300, '101', undefined]);
    const some = await topics.history('a', positions[199], 150);
    assert.deepEqual([some.messages.length, some.messages[0]!.body, some.position], [150, '201', positions[349]]);
    const rest = await topics.history('a', some.position);
    assert.deepEqual([rest.messages.length, rest.position, rest.gap], [50, positions[399], undefined]);
    const none = await topics.history('a', positions[399]);
    assert.deepEqual(none, { messages: [], position: positions[399], gap: undefined });
  });

  it('says where something is missing', async () => {
    const topics = make({ historyMessages: 2 });
    const positions: string[] = [];
    for (let i = 1; i <= 5; i++) positions.push(await topics.publish('a', String(i)));
    const late = await topics.history('a', positions[0]);
    assert.deepEqual(
      [bodies(late.messages), late.gap?.reason, late.gap?.position],
      [['4', '5'], 'history', positions[2]],
    );
    for (const after of ['nonsense', 'other.3', `${positions[4]}0`]) {
      const unknown = await topics.history('a', after);
      assert.deepEqual([bodies(unknown.messages), unknown.gap?.reason], [['4', '5'], 'epoch']);
      assert.equal(unknown.gap?.position, positions[2]);
    }
  });

  it('is gone after its time, but for the counters', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let now = 1000;
    const clock = mock.method(performance, 'now', () => now);
    onCleanUp(() => {
      mock.timers.reset();
      clock.mock.restore();
    });
    const topics = make({ historyMessages: 10, historyMs: 5000 });
    const first = await topics.publish('a', '1');
    now += 3000;
    await topics.publish('b', '1');
    const second = await topics.publish('a', '2');
    now += 3000;
    assert.deepEqual(bodies((await topics.history('a')).messages), ['2']);
    now += 3000;
    mock.timers.tick(5000);
    const all = await topics.history('a', first);
    assert.deepEqual([all.messages.length, all.gap?.reason, all.position], [0, 'history', second]);
    assert.equal((await topics.history('a', second)).gap, undefined);
    await topics.publish('c', '1');
    now += 3000;
    mock.timers.tick(5000);
    assert.deepEqual(bodies((await topics.history('c')).messages), ['1']);
    const log = new Log(await topics.subscribe('a', { after: second }));
    await topics.publish('a', '3');
    await settle();
    assert.deepEqual(log.texts, ['3']);
  });
});

describe('a subscription behind a position, without a broker', () => {
  it('gets exactly what was missed, and then what comes', async () => {
    const topics = make({ historyMessages: 1000 });
    const positions: string[] = [];
    for (let i = 1; i <= 300; i++) positions.push(await topics.publish('a', String(i)));
    const subscription = await topics.subscribe('a', { after: positions[9] });
    assert.equal(subscription.position, positions[9]);
    const log = new Log(subscription);
    await topics.publish('a', '301');
    await settle();
    assert.deepEqual(
      log.texts,
      Array.from({ length: 291 }, (_, i) => String(i + 11)),
    );
    assert.deepEqual(new Log(await topics.subscribe('a', { after: log.subscription.position })).texts, []);
  });

  it('misses nothing where nothing was published, however long nobody was there', async () => {
    const topics = make();
    const subscription = await topics.subscribe('a');
    await topics.publish('b', 'elsewhere');
    const { position } = subscription;
    subscription.unsubscribe();
    const log = new Log(await topics.subscribe('b', { after: position }));
    const again = new Log(await topics.subscribe('c', { after: await topics.publish('d', 'elsewhere') }));
    await topics.publish('c', '1');
    await settle();
    assert.deepEqual(again.texts, ['1']);
    assert.deepEqual(log.texts, ['gap: history']);
  });

  for (const [what, after, expected] of [
    ['messages are gone', (positions: string[]) => positions[1]!, ['gap: history', '4', '5', '6']],
    ['nothing is gone', (positions: string[]) => positions[2]!, ['4', '5', '6']],
    ['the epoch is another', () => 'other.1', ['gap: epoch', '6']],
    ['it is empty', () => '', ['gap: epoch', '6']],
    ['it is no position', () => '<script>', ['gap: epoch', '6']],
    ['it is in the future', (positions: string[]) => `${positions[4]}0`, ['gap: epoch', '6']],
  ] as const) {
    it(`gets ${expected.slice(0, -1).join(', ')} where ${what}`, async () => {
      const topics = make({ historyMessages: 2 });
      const positions: string[] = [];
      for (let i = 1; i <= 5; i++) positions.push(await topics.publish('a', String(i)));
      const log = new Log(await topics.subscribe('a', { after: after(positions) }));
      await settle();
      await topics.publish('a', '6');
      await settle();
      assert.deepEqual(log.texts, expected);
    });
  }
});
