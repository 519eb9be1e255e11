import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { GapError } from '../../lib/errors.ts';
import type { TopicConnection } from '../../lib/topics/connection-subscription.ts';
import { positionsWire } from '../../lib/topics/positions-wire.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { TopicsOptions } from '../../lib/topics/topics-options.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { MemoryHub } from '../support/memory-hub.ts';

afterEach(cleanUp);

/** A connection to a peer that reads when it is told to. */
class Peer implements TopicConnection {
  readonly canSend = true;
  readonly sent: (string | Uint8Array)[] = [];
  room = Number.POSITIVE_INFINITY;
  #drained: (() => void)[] = [];

  offer(data: string | Uint8Array): boolean {
    if (!this.hasRoom()) return false;
    this.room--;
    this.sent.push(data);
    return true;
  }
  hasRoom(): boolean {
    return this.room > 0;
  }
  drained(): Promise<void> {
    return new Promise((resolve) => this.#drained.push(resolve));
  }
  /** Has it read, so that there is room for as many. */
  async read(room: number = Number.POSITIVE_INFINITY): Promise<void> {
    this.room = room;
    for (const drained of this.#drained.splice(0)) drained();
    await nextTurn();
  }
  closedError(): Error {
    return new Error('closed');
  }
  fail(): void {}
  /** What it was sent, and with `p` for the epoch of positions. */
  take(): (string | Uint8Array)[] {
    return this.sent.splice(0).map((one) => (typeof one === 'string' ? one.replace(/[\w-]+\./, 'p.') : one));
  }
}

function makeTopics(options: TopicsOptions = {}): Topics {
  const topics = new Topics(options);
  onCleanUp(() => topics.close());
  return topics;
}

describe('a connection with positions.hyperlane', () => {
  it('is told where it begins, and the position of each message', async () => {
    const topics = makeTopics();
    const peer = new Peer();
    await topics.publish('t', 'before');
    await topics.join(peer, 't', {}, positionsWire);
    await topics.publish('t', 'a');
    await topics.publish('t', Buffer.from('b'));
    const [start, a, b] = peer.take();
    assert.deepEqual([start, a], ['=p.1\n', 'p.2\na']);
    assert.match(String(b), /^[\w-]+\.3\nb$/);
  });

  it('is told that it is behind what it has published itself', async () => {
    const topics = makeTopics({ historyMessages: 10 });
    const peer = new Peer();
    await topics.join(peer, 't', {}, positionsWire);
    await topics.publishFrom(peer, 't', 'own');
    peer.room = 0;
    await topics.publishFrom(peer, 't', 'own');
    await topics.publish('t', 'other');
    await peer.read();
    assert.deepEqual(peer.take(), ['=p.0\n', '=p.1\n', '=p.2\n', 'p.3\nother']);
  });

  it('goes on behind a position, with all that it has missed', async () => {
    const topics = makeTopics({ historyMessages: 10 });
    const peer = new Peer();
    const position = await topics.publish('t', 'a');
    await topics.publish('t', 'b');
    await topics.join(peer, 't', { after: position }, positionsWire);
    await topics.publish('t', 'c');
    assert.deepEqual(peer.take(), ['=p.1\n', 'p.2\nb', 'p.3\nc']);
  });

  it('is told once that it has missed something, and goes on from there', async () => {
    const topics = makeTopics({ historyMessages: 2 });
    const first = await topics.publish('t', 'a');
    for (const body of ['b', 'c', 'd']) await topics.publish('t', body);
    const gaps: GapError[] = [];
    for (const after of [first, 'elsewhere.1', '!', '']) {
      const peer = new Peer();
      await topics.join(peer, 't', { after, onGap: (gap) => gaps.push(gap) }, positionsWire);
      const [start, ...rest] = peer.take();
      assert.equal(start, after === first || after === 'elsewhere.1' ? `=p.1\n` : '=p.4\n');
      assert.deepEqual(rest, after === first ? ['!p.2\n', 'p.3\nc', 'p.4\nd'] : ['!p.4\n']);
    }
    assert.equal(gaps.length, 4);
  });

  it('is told first where it begins, and of gaps, however slowly it reads', async () => {
    const topics = makeTopics({ capacity: 2 });
    const peer = new Peer();
    peer.room = 0;
    await topics.join(peer, 't', {}, positionsWire);
    await topics.publish('t', 'a');
    await peer.read(1);
    assert.deepEqual(peer.take(), ['=p.0\n']);
    for (const body of ['b', 'c', 'd']) await topics.publish('t', body);
    await peer.read();
    assert.deepEqual(peer.take(), ['!p.2\n', 'p.3\nc', 'p.4\nd']);
  });

  it('is told of what the broker has lost, however slowly it reads', async () => {
    const hub = new MemoryHub();
    const broker = hub.makeBroker();
    const topics = makeTopics({ broker });
    const peer = new Peer();
    const subscription = await topics.join(peer, 't', {}, positionsWire);
    for (const room of [Number.POSITIVE_INFINITY, 0]) {
      peer.room = room;
      const { position } = subscription;
      hub.loseData();
      broker.tellUp();
      while (subscription.position === position && !subscription.isBehind) await nextTurn();
      if (room === 0) {
        // Another one, while it has not read of the first.
        hub.loseData();
        broker.tellUp();
        while (topics.stats().gaps < 3) await nextTurn();
      }
      await peer.read();
      assert.equal(peer.take().at(-1), '!p.0\n');
    }
  });

  it('has one topic at a time', async () => {
    const topics = makeTopics();
    const peer = new Peer();
    await topics.join(peer, 't', {}, positionsWire);
    await topics.join(peer, 't', {}, positionsWire);
    await assert.rejects(topics.join(peer, 'u', {}, positionsWire), { code: 'WS_ERR_POSITIONS_ONE_TOPIC' });
    assert.deepEqual(topics.topicsOf(peer), ['t']);
    topics.part(peer, 't');
    await topics.join(peer, 'u', {}, positionsWire);
    assert.deepEqual(topics.topicsOf(peer), ['u']);
  });
});
