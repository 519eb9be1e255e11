import assert from 'node:assert/strict';
import type { BrokerSettings } from '../topics/broker.ts';
import { follow, type Peer, type Register, textsOf } from './broker-testing-run.ts';

const FEW: BrokerSettings = { historyMessages: 10, historyMs: 60_000 };

async function publishNumbers(peer: Peer, topic: string, count: number): Promise<string[]> {
  const texts = Array.from({ length: count }, (_, i) => String(i));
  await Promise.all(texts.map((text) => peer.publish(topic, text)));
  return texts;
}

/** What is kept of messages, and how it is read. */
export function testKeeping(test: Register): void {
  test('reads what is kept in pages: the oldest first, from where it is asked, and no more than asked', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    const texts = await publishNumbers(a, topic, 25);
    for (const peer of [a, b]) {
      for (const limit of [1, 10, 25, 1000]) {
        const all = await peer.readAll(topic, 0, limit);
        assert.deepEqual(textsOf(all), texts, `pages of ${limit} messages`);
        assert.deepEqual(follow('read', 0, all), all, 'the first message of all has 0 before it');
      }
    }
    const all = await b.readAll(topic, 0, 100);
    for (const [i, { offset }] of all.entries()) {
      const { messages } = await b.read(topic, offset, 3);
      assert.deepEqual(textsOf(messages), texts.slice(i + 1, i + 4), 'behind a message comes the next');
      follow('read', offset, messages);
    }
    return undefined;
  });

  test('reads nothing where there is nothing, and tells the top', async (run) => {
    const a = await run.open();
    const topic = run.topic();
    const empty = await a.read(topic, 0, 10);
    assert.deepEqual([empty.messages.length, empty.offset], [0, 0], 'a topic without any message');
    const last = await a.publish(topic, 'one');
    for (const after of [last.offset, last.offset + 1000]) {
      const { messages, epoch, offset } = await a.read(topic, after, 10);
      assert.deepEqual({ messages, epoch, offset }, { messages: [], ...last }, 'at the top, and behind it');
    }
    return undefined;
  });

  test('reads at once what was published, in whichever process', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    let last = 0;
    for (let i = 0; i < 20; i++) {
      const place = await a.publish(topic, String(i));
      const page = await b.read(topic, last, 10);
      assert.deepEqual(textsOf(page.messages), [String(i)], 'a message is kept before its publish resolves');
      assert.deepEqual([page.epoch, page.offset], [place.epoch, place.offset], 'the top of a page is that of now');
      last = place.offset;
    }
    return undefined;
  });

  test('keeps as many messages as it is asked to, and not all', async (run) => {
    const a = await run.open(FEW);
    const topic = run.topic();
    const texts = await publishNumbers(a, topic, 300);
    const kept = await a.readAll(topic, 0, 100);
    const { historyMessages } = FEW;
    assert.ok(kept.length >= historyMessages, `keeps ${historyMessages} messages at least, and kept ${kept.length}`);
    assert.ok(kept.length < texts.length, 'lets go of old messages: memory is bounded');
    assert.deepEqual(textsOf(kept), texts.slice(-kept.length), 'what is kept are the last ones');
    assert.ok(
      kept[0]!.previous > 0,
      'the oldest message kept says that one came before it: a reader learns that it has missed some',
    );
    return undefined;
  });

  test('counts on, however short its history is', async (run) => {
    const [a, b] = await run.openTwo({ historyMessages: 5, historyMs: 1 });
    const topic = run.topic();
    const first = await a.publish(topic, 'first');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const page = await a.read(topic, 0, 10);
    assert.deepEqual([page.epoch, page.offset], [first.epoch, first.offset], 'the top outlives the messages');
    assert.deepEqual(await b.subscribe(topic), first, 'for who subscribes, too');
    const second = await b.publish(topic, 'second');
    assert.equal(second.epoch, first.epoch, 'the epoch outlives them as well');
    assert.deepEqual(textsOf(await b.follow(topic, first, second)), ['second']);
    return undefined;
  });

  test('tells the top where there is no history', async (run) => {
    const a = await run.open({ historyMessages: 0, historyMs: 0 });
    const topic = run.topic();
    await a.publish(topic, 'first');
    const last = await a.publish(topic, 'second');
    const { epoch, offset } = await a.read(topic, 0, 10);
    assert.deepEqual({ epoch, offset }, last);
    return undefined;
  });

  test('has the same epoch and top for a process that comes later', async (run) => {
    const a = await run.open();
    const topic = run.topic();
    const last = await a.publish(topic, 'before');
    const b = await run.open();
    assert.deepEqual(await b.subscribe(topic), last);
    assert.deepEqual(textsOf(await b.readAll(topic, 0, 10)), ['before']);
    return undefined;
  });

  test('begins another epoch when it has lost what it kept', async (run) => {
    if (run.loseData === undefined) return 'there is no loseData';
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    await b.subscribe(topic);
    const before = await a.publish(topic, 'before');
    await b.follow(topic, { ...before, offset: 0 }, before);
    await run.loseData();
    const after = await publishAgain(a, topic);
    assert.notEqual(after.epoch, before.epoch, 'an offset of before says nothing now: only another epoch tells that');
    const page = await b.read(topic, 0, 100);
    assert.equal(page.epoch, after.epoch);
    await b.until('up is told, or a message of the new epoch', () => {
      return b.ups > 0 || b.toldOf(topic).some(({ epoch }) => epoch === after.epoch);
    });
    assert.equal((await b.subscribe(topic)).epoch, after.epoch);
    return undefined;
  });
}

/** Publishes until it succeeds: what loses its data may be away for a moment. */
async function publishAgain(peer: Peer, topic: string): ReturnType<Peer['publish']> {
  let error: unknown;
  for (let i = 0; i < 100; i++) {
    try {
      return await peer.publish(topic, 'after');
    } catch (thrown) {
      error = thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw error;
}
