import assert from 'node:assert/strict';
import type { BrokerSettings, BrokerTop } from '../topics/broker.ts';
import { bytesOf, type Peer, type Register, textOf, textsOf } from './broker-testing-run.ts';

const WITHOUT_HISTORY: BrokerSettings = { historyMessages: 0, historyMs: 0 };
/** As many as come while something else is going on. */
const SOME = 100;

function numbered(count: number, name: string = ''): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${i}`);
}

function publishAll(peer: Peer, topic: string, texts: readonly string[]): Promise<BrokerTop[]> {
  return Promise.all(texts.map((text) => peer.publish(topic, text)));
}

function latest(tops: readonly BrokerTop[]): BrokerTop {
  return tops.reduce((one, other) => (other.offset > one.offset ? other : one));
}

/** Messages that are published and subscribed, in which order they come, and what they are. */
export function testMessages(test: Register): void {
  for (const settings of [undefined, WITHOUT_HISTORY]) {
    const kind = settings === undefined ? 'with history' : 'without history';

    test(`${kind}: tells all processes the same messages in the same order, each linked to the one before`, async (run) => {
      const [a, b] = await run.openTwo(settings);
      const topic = run.topic();
      const tops = [await a.subscribe(topic), await b.subscribe(topic)] as const;
      const [ofA, ofB] = await Promise.all([
        publishAll(a, topic, numbered(SOME, 'a')),
        publishAll(b, topic, numbered(SOME, 'b')),
      ]);
      const last = latest([...ofA, ...ofB]);
      const [toA, toB] = [await a.follow(topic, tops[0], last), await b.follow(topic, tops[1], last)];
      assert.equal(toA.length, 2 * SOME, 'each message is told, and has an offset of its own');
      assert.deepEqual(
        toA.map(({ offset, data }) => [offset, textOf(data)]),
        toB.map(({ offset, data }) => [offset, textOf(data)]),
        'the order is the same for all processes',
      );
      for (const [name, places] of [['a', ofA] as const, ['b', ofB] as const]) {
        const told = toA.filter(({ data }) => textOf(data).startsWith(name));
        assert.deepEqual(
          told.map(({ data }) => textOf(data)),
          numbered(SOME, name),
          'what one process publishes is ordered as it was published, also when it does not wait',
        );
        assert.deepEqual(
          places.map(({ offset }) => offset),
          told.map(({ offset }) => offset),
          'publish resolves with the place of its message',
        );
      }
      return undefined;
    });

    test(`${kind}: leaves out nothing behind the top with which a subscribe resolves`, async (run) => {
      const [a, b] = await run.openTwo(settings);
      const topic = run.topic();
      let isOver = false;
      let last = await a.publish(topic, 'first');
      const publishing = (async () => {
        for (let i = 0; !isOver; i++) last = latest(await publishAll(a, topic, numbered(3, `${i}/`)));
      })();
      try {
        for (let round = 0; round < 10; round++) {
          const top = await b.subscribe(topic);
          const target = await a.publish(topic, `round ${round}`);
          await b.follow(topic, top, target);
          await b.unsubscribe(topic);
          // What is told late of the subscription before is no part of the next.
          b.toldOf(topic).length = 0;
        }
      } finally {
        isOver = true;
        await publishing;
      }
      const top = await b.subscribe(topic);
      assert.deepEqual(top, last, 'subscribe resolves with the top: the place of the newest message');
      return undefined;
    });
  }

  test('starts a topic at offset 0, and each message is behind the one before', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    const top = await a.subscribe(topic);
    assert.equal(top.offset, 0, 'the top of a topic without any message is 0');
    const places = [await a.publish(topic, '0'), await b.publish(topic, '1'), await a.publish(topic, '2')];
    for (const [i, place] of places.entries()) {
      assert.equal(place.epoch, top.epoch, 'the epoch is that of the topic, in whichever process');
      assert.ok(place.offset > (places[i - 1]?.offset ?? 0), 'offsets grow');
    }
    assert.deepEqual(textsOf(await a.follow(topic, top, places[2]!)), ['0', '1', '2']);
    assert.deepEqual(await b.subscribe(topic), places[2], 'a process that subscribes later is told the same place');
    return undefined;
  });

  test('subscribes a topic again that is subscribed already: the top of now, and messages go on', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    const top = await a.subscribe(topic);
    const first = await b.publish(topic, 'first');
    assert.deepEqual(await a.subscribe(topic), first, 'the top of now');
    const tops = await Promise.all([a.subscribe(topic), a.subscribe(topic), a.subscribe(topic)]);
    for (const one of tops) assert.deepEqual(one, first, 'calls at once all resolve with the top');
    const second = await b.publish(topic, 'second');
    assert.deepEqual(textsOf(await a.follow(topic, top, second)), ['first', 'second']);
    return undefined;
  });

  test('ends a subscription with unsubscribe, in this process only', async (run) => {
    const [a, b] = await run.openTwo();
    const [topic, fence] = [run.topic(), run.topic('fence')];
    const fenceTop = await a.subscribe(fence);
    await a.subscribe(topic);
    const topOfB = await b.subscribe(topic);
    await a.unsubscribe(topic);
    await a.unsubscribe(run.topic('that is not subscribed'));
    // Messages may come for a moment more.
    let isTold = true;
    for (let round = 0; isTold; round++) {
      assert.ok(round < 50, 'messages of a topic that was unsubscribed still come');
      a.toldOf(topic).length = 0;
      await b.publish(topic, 'to b');
      await a.follow(fence, fenceTop, await b.publish(fence, 'fence'));
      isTold = a.toldOf(topic).length > 0;
    }
    const last = await b.publish(topic, 'last');
    assert.equal(textsOf(await b.follow(topic, topOfB, last)).at(-1), 'last');
    assert.deepEqual(await a.subscribe(topic), last, 'and can be subscribed again');
    assert.deepEqual(textsOf(await a.follow(topic, last, await b.publish(topic, 'again'))), ['again']);
    return undefined;
  });

  test('does what was called last, when subscribe and unsubscribe are called without waiting', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    for (let round = 0; round < 5; round++) {
      const calls = [a.subscribe(topic), a.unsubscribe(topic), a.subscribe(topic), a.unsubscribe(topic)];
      const top = await a.subscribe(topic);
      await Promise.allSettled(calls);
      const place = await b.publish(topic, `round ${round}`);
      assert.deepEqual(textsOf(await a.follow(topic, top, place)).at(-1), `round ${round}`);
    }
    return undefined;
  });

  test('may be called from within an event', async (run) => {
    const a = await run.open();
    const [topic, answers] = [run.topic(), run.topic('answers')];
    const tops = [await a.subscribe(topic), await a.subscribe(answers)] as const;
    const answered = new Promise<BrokerTop>((resolve, reject) => {
      a.onMessage = (from) => {
        if (from === topic) a.publish(answers, 'answer').then(resolve, reject);
      };
    });
    await a.follow(topic, tops[0], await a.publish(topic, 'question'));
    assert.deepEqual(textsOf(await a.follow(answers, tops[1], await answered)), ['answer']);
    return undefined;
  });

  test('passes messages to the byte: none, each of the 256, and as many as may be', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    const bodies = [
      new Uint8Array(0),
      Uint8Array.from({ length: 256 }, (_, i) => i),
      bytesOf('{"not":"parsed"}\r\n\0'),
      Uint8Array.of(0xff, 0xfe, 0xed, 0xa0, 0x80, 0xc0),
      Uint8Array.from({ length: run.maxMessageBytes }, (_, i) => (i * 31) >> 3),
    ];
    const tops = [await a.subscribe(topic), await b.subscribe(topic)] as const;
    const places = [];
    for (const body of bodies) places.push(await a.publish(topic, body));
    for (const [i, peer] of [a, b].entries()) {
      const told = await peer.follow(topic, tops[i]!, places.at(-1)!);
      const read = await peer.readAll(topic, 0, 2);
      for (const [j, body] of bodies.entries()) {
        assertSameBytes('message', told[j]?.data, body);
        assertSameBytes('read', read[j]?.data, body);
        // Whoever is told owns the bytes.
        told[j]!.data.fill(1);
        read[j]!.data.fill(2);
      }
    }
    const again = await a.readAll(topic, 0, 2);
    for (const [j, body] of bodies.entries())
      assertSameBytes('read, once others have changed theirs', again[j]?.data, body);
    return undefined;
  });

  test('orders a message once that is published again with the same id', async (run) => {
    const [a, b] = await run.openTwo();
    const [topic, other] = [run.topic(), run.topic('other')];
    const top = await a.subscribe(topic);
    const ids = ['1', '0', 'a b', 'x'.repeat(200), 'ünï/çødé 🙂', 'line\r\nfeed: \0', '__proto__', 'A', 'a', '*.>{}'];
    const places = [];
    for (const id of ids) {
      const [first, second] = await Promise.all([a.publish(topic, id, id), b.publish(topic, id, id)]);
      assert.deepEqual(
        second,
        first,
        `both resolve with the place of the first, also when they come at once: id ${show(id)}`,
      );
      places.push(first);
    }
    for (const [i, id] of ids.entries())
      assert.deepEqual(await b.publish(topic, 'again', id), places[i], 'as well when others came in between');
    assert.ok((await a.publish(topic, 'without', undefined)).offset > places.at(-1)!.offset);
    const last = await a.publish(topic, 'without', undefined);
    const expected = [...ids, 'without', 'without'];
    assert.deepEqual(
      textsOf(await a.follow(topic, top, last)),
      expected,
      'told once; without an id each is one of its own',
    );
    const inOther = await b.publish(other, 'other', ids[0]);
    assert.deepEqual(textsOf(await a.readAll(other, 0, 10)), ['other'], 'an id is of one topic');
    assert.deepEqual(await b.subscribe(other), inOther);
    return undefined;
  });

  test('remembers an id for longer than its message', async (run) => {
    const a = await run.open({ historyMessages: 1, historyMs: 60_000 });
    const topic = run.topic();
    const first = await a.publish(topic, 'first', 'id');
    await publishAll(a, topic, numbered(SOME));
    assert.deepEqual(await a.publish(topic, 'first', 'id'), first, 'five minutes, however few messages are kept');
    return undefined;
  });
}

function show(id: string): string {
  return JSON.stringify(id.length > 40 ? `${id.slice(0, 40)}…` : id);
}

function assertSameBytes(what: string, actual: Uint8Array | undefined, expected: Uint8Array): void {
  const length = `${expected.length} bytes were published`;
  assert.ok(actual !== undefined, `${what}: ${length}, and nothing came`);
  assert.equal(actual.length, expected.length, `${what}: ${length}, and ${actual.length} came`);
  const wrong = expected.findIndex((byte, i) => actual[i] !== byte);
  assert.equal(wrong, -1, `${what}: of ${expected.length} bytes, number ${wrong} has changed`);
}
