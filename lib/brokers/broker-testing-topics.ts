import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { type Peer, type Register, textOf, textsOf } from './broker-testing-run.ts';

/** Names that a broker may take for something else: patterns, separators, other names in its own encoding. */
const ODD_NAMES = [
  'plain',
  'Plain',
  'with space',
  '>',
  '*',
  'a.>',
  'a.*.b',
  'a.b',
  'a/b',
  'a:b',
  'a%2Fb',
  'a%',
  '{a}',
  '{b}a',
  '}{',
  '[a-z]?',
  'line\nfeed',
  'line\r\nfeed',
  'tab\t',
  'nul\0',
  '..',
  '',
  '__proto__',
  'constructor',
  '$JS.API',
  'ü',
  'u\u0308',
  '房间/7',
  '🙂',
  'long'.repeat(250),
];
const MANY = 300;

/** Names of topics, how many there may be, and signals. */
export function testTopics(test: Register): void {
  test('takes any name of a topic for itself, and for nothing else', async (run) => {
    const [a, b] = await run.openTwo();
    const topics = ODD_NAMES.map((name) => run.topic(name));
    const tops = await Promise.all(topics.map((topic) => b.subscribe(topic)));
    const places = await Promise.all(topics.map((topic) => a.publish(topic, `to ${topic}`)));
    for (const [i, topic] of topics.entries()) {
      const what = `the topic ${JSON.stringify(topic.slice(0, 60))}`;
      assert.deepEqual(
        textsOf(await b.follow(topic, tops[i]!, places[i]!)),
        [`to ${topic}`],
        `${what} is told its own`,
      );
      assert.deepEqual(textsOf(await b.readAll(topic, 0, 10)), [`to ${topic}`], `${what} keeps its own`);
    }
    for (const topic of topics) await b.unsubscribe(topic);
    return undefined;
  });

  test('tells nothing of topics that are not subscribed', async (run) => {
    const [a, b] = await run.openTwo();
    const fence = run.topic('fence');
    const top = await b.subscribe(fence);
    for (const name of ODD_NAMES) await a.publish(run.topic(name), 'to nobody');
    await b.follow(fence, top, await a.publish(fence, 'fence'));
    for (const name of ODD_NAMES) assert.deepEqual(b.toldOf(run.topic(name)), []);
    return undefined;
  });

  test(`keeps ${MANY} topics apart`, async (run) => {
    const [a, b] = await run.openTwo();
    const topics = Array.from({ length: MANY }, (_, i) => run.topic(`room ${i}`));
    const tops = await Promise.all(topics.map((topic) => b.subscribe(topic)));
    const places = await Promise.all(topics.map((topic) => a.publish(topic, topic)));
    for (const [i, topic] of topics.entries())
      assert.deepEqual(textsOf(await b.follow(topic, tops[i]!, places[i]!)), [topic]);
    await Promise.all(topics.map((topic) => b.unsubscribe(topic)));
    return undefined;
  });

  test('passes signals to all processes, and to those that have subscribed a topic', async (run) => {
    const [a, b] = await run.openTwo();
    const c = await run.open();
    const topic = run.topic();
    const top = await a.subscribe(topic);
    await b.subscribe(topic);
    await signalUntil(a, [a, b], topic, run.topic('to the topic'));
    await signalUntil(b, [a, b, c], undefined, run.topic('to all'));
    assert.deepEqual(
      c.signals.filter((signal) => signal.topic === topic),
      [],
      'a process that has not subscribed a topic is told no signals of it',
    );
    assert.deepEqual(await a.subscribe(topic), top, 'a signal is no message: it has no place');
    assert.deepEqual(a.toldOf(topic), []);
    return undefined;
  });

  test('passes signals to the byte', async (run) => {
    const [a, b] = await run.openTwo();
    const id = run.topic('bytes');
    await b.subscribe(id);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (const topic of [undefined, id]) {
      const data = Buffer.concat([bytes, Buffer.from(id)]);
      await signalUntil(a, [b], topic, data);
    }
    await signalUntil(a, [b], id, new Uint8Array(0));
    return undefined;
  });
}

/** Sends a signal until all have it: signals may be lost, and others of the same backend come as well. */
async function signalUntil(
  from: Peer,
  to: readonly Peer[],
  topic: string | undefined,
  data: Uint8Array | string,
): Promise<void> {
  const bytes = Buffer.from(data);
  const whom = topic === undefined ? 'every process' : 'every process that has subscribed the topic';
  let next = 0;
  await from.until(`a signal reaches ${whom}, this one included, to the byte: ${textOf(bytes).slice(-40)}`, () => {
    if (Date.now() >= next) {
      next = Date.now() + 100;
      void from.signal(topic, bytes).catch(() => {});
    }
    return to.every(({ signals }) => signals.some((one) => one.topic === topic && bytes.equals(one.data)));
  });
}
