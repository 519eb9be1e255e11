import assert from 'node:assert/strict';
import type { BrokerMessage, BrokerTop } from '../topics/broker.ts';
import { bytesOf, follow, type Peer, type Register, textsOf } from './broker-testing-run.ts';

const CANNOT = 'there is no disconnect and reconnect';

/** What a broker does when it is closed, and when its connection is lost. */
export function testFaults(test: Register): void {
  test('tells nothing once it is closed, and rejects what is called then', async (run) => {
    const [a, b] = await run.openTwo();
    const topic = run.topic();
    await a.subscribe(topic);
    const top = await b.subscribe(topic);
    await a.publish(topic, 'before');
    await a.close();
    const count = a.toldOf(topic).length;
    const last = await b.publish(topic, 'after');
    assert.equal(textsOf(await b.follow(topic, top, last)).at(-1), 'after', 'the others are left alone');
    assert.equal(a.toldOf(topic).length, count, 'no event comes behind close');
    for (const [method, call] of callsOf(a, topic)) await a.rejects(`${method}, when the broker is closed`, call());
    await a.close();
    return undefined;
  });

  test('settles all that is under way when it is closed', async (run) => {
    const a = await run.open();
    const topic = run.topic();
    const calls = [a.subscribe(topic), a.read(topic, 0, 10), a.unsubscribe(topic)];
    for (let i = 0; i < 20; i++) calls.push(a.publish(topic, String(i)));
    const settled = Promise.allSettled(calls);
    await a.close();
    for (const outcome of await settled)
      if (outcome.status === 'rejected') await a.rejects('what was under way at close', Promise.reject(outcome.reason));
    return undefined;
  });

  test('says when the connection is lost, and rejects soon what is called then', async (run) => {
    const a = await run.open();
    if (!a.canDisconnect) return CANNOT;
    const topic = run.topic();
    await a.subscribe(topic);
    await a.disconnect();
    for (const [method, call] of callsOf(a, topic)) await a.rejects(`${method}, when the connection is lost`, call());
    // Either is right: a signal may be lost, and nothing is subscribed without a connection.
    await a.soon('signal', Promise.allSettled([a.signal(topic, 'lost')]));
    await a.soon('unsubscribe', Promise.allSettled([a.unsubscribe(run.topic('other'))]));
    await a.reconnect();
    const top = await a.subscribe(topic);
    assert.deepEqual(textsOf(await a.follow(topic, top, await a.publish(topic, 'again'))), ['again'], 'works again');
    return undefined;
  });

  test('loses no message in silence when the connection is lost, again and again', async (run) => {
    const [a, b] = await run.openTwo();
    if (!b.canDisconnect) return CANNOT;
    const topic = run.topic();
    const start = await b.subscribe(topic);
    const log: BrokerMessage[] = [];
    const published = publishOn(a, topic);
    try {
      for (let round = 0; round < 3; round++) {
        await published.more(5);
        await b.disconnect();
        await new Promise((resolve) => setTimeout(resolve, 20));
        await b.reconnect();
        await a.until('the one that publishes can do so again', () => published.isFine());
        await published.more(5);
        // As what is above a broker does at each up.
        const top = await b.subscribe(topic);
        assert.equal(top.epoch, start.epoch, 'what is kept was not lost: the epoch is the same');
        const last = log.at(-1)?.offset ?? start.offset;
        const missed = follow('read', last, await b.readAll(topic, last, 50, top.offset));
        log.push(...missed);
        const place = await a.publish(topic, `round ${round}`);
        await b.until('messages come again', () => b.toldOf(topic).some((one) => one.message.offset >= place.offset));
        const since = Math.max(top.offset, missed.at(-1)?.offset ?? 0);
        const told = b.toldOf(topic).map(({ message }) => message);
        log.push(...follow('message, behind the top of the new subscribe', since, told));
      }
    } finally {
      await published.stop();
    }
    const last = log.at(-1)!.offset;
    const kept = (await a.readAll(topic, start.offset, 1000)).filter(({ offset }) => offset <= last);
    assert.deepEqual(textsOf(log), textsOf(kept), 'what was told and read is all there is, in order and once');
    const missing = published.texts.filter(
      ({ offset }) => offset <= last && !kept.some((one) => one.offset === offset),
    );
    assert.deepEqual(missing, [], 'what was published is there');
    return undefined;
  });

  test('lets a publish that was rejected be repeated with its id', async (run) => {
    const a = await run.open();
    if (!a.canDisconnect) return CANNOT;
    const topic = run.topic();
    const ids = Array.from({ length: 30 }, (_, i) => `id ${i}`);
    const publishing = Promise.allSettled(ids.map((id) => a.publish(topic, id, id)));
    await a.disconnect();
    await publishing;
    await a.reconnect();
    for (const id of ids) await a.publish(topic, id, id);
    const kept = textsOf(await a.readAll(topic, 0, 100));
    assert.deepEqual(kept.sort(), [...ids].sort(), 'each is there once, whether it was ordered before or not');
    return undefined;
  });

  test('can be closed while the connection is lost', async (run) => {
    const a = await run.open();
    if (!a.canDisconnect) return CANNOT;
    await a.subscribe(run.topic());
    await a.disconnect();
    const under = Promise.allSettled([a.publish(run.topic(), 'never')]);
    await a.close();
    await under;
    return undefined;
  });
}

function callsOf(peer: Peer, topic: string): [method: string, call: () => Promise<unknown>][] {
  return [
    ['publish', () => peer.broker.publish(topic, bytesOf('nowhere'), undefined)],
    ['read', () => peer.broker.read(topic, 0, 10)],
    ['subscribe', () => peer.broker.subscribe(`${topic} of its own`)],
  ];
}

/** Publishes one message after the other, whatever becomes of them, until `stop`. */
function publishOn(peer: Peer, topic: string) {
  const texts: BrokerTop[] = [];
  let isOver = false;
  let isFine = true;
  const run = async (): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      try {
        texts.push(await peer.publish(topic, `on ${i}`));
        isFine = true;
      } catch {
        isFine = false;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const running = run();
  return {
    texts,
    isFine: () => isFine,
    /** Waits until so many more are published. */
    more: (count: number) => {
      const goal = texts.length + count;
      return peer.until('messages can be published', () => texts.length >= goal);
    },
    stop: () => {
      isOver = true;
      return running;
    },
  };
}
