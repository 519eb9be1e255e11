import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { select } from '../../lib/channel/select.ts';
import { ChannelClosedError, TimeoutError } from '../../lib/errors.ts';
import { Presence } from '../../lib/topics/presence.ts';
import { PresenceBook } from '../../lib/topics/presence-book.ts';
import { MAX_CHANGES_WAITING } from '../../lib/topics/presence-queue.ts';
import type { PresenceEvent } from '../../lib/topics/presence-room.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';

const ann = { name: 'ann' };
const bob = { name: 'bob' };

function show(event: PresenceEvent): string {
  if (event.type === 'snapshot') return `snapshot ${[...event.members.keys()].join(',')}`;
  return `${event.type} ${event.key}`;
}

describe('Presence', () => {
  it('gives the members there are, and then who comes and goes', async () => {
    const book = new PresenceBook({ process: 'p' });
    book.join('t', ann, 'a', { n: 1 });
    const presence = new Presence<{ n: number }>(book, 't');
    await presence.ready;
    assert.equal(presence.topic, 't');
    assert.equal(presence.size, 1);
    assert.deepEqual([...presence.members()], [['a', { n: 1 }]]);
    // What comes before the snapshot is taken is in it.
    book.join('t', bob, 'b', { n: 2 });
    assert.equal(show(await presence.recv()), 'snapshot a,b');
    const next = presence.recv();
    book.leave('t', ann);
    book.join('t', bob, 'b', { n: 3 });
    assert.deepEqual(await next, { type: 'leave', key: 'a', info: { n: 1 } });
    assert.deepEqual(await presence.recv(), { type: 'update', key: 'b', info: { n: 3 } });
    await assert.rejects(presence.recv({ timeoutMs: 1 }), TimeoutError);
  });

  it('has its snapshot when others have answered', async () => {
    const book = new PresenceBook({ process: 'aa'.repeat(8), send: () => {} });
    book.tick(0);
    const presence = new Presence(book, 't');
    const snapshot = presence.recv();
    const second = presence.recv();
    book.join('t', ann, 'a');
    let isThere = false;
    void Promise.all([presence.ready, snapshot]).then(() => {
      isThere = true;
    });
    for (let now = 0; now < 1000; now += 250) book.tick(now);
    await nextTurn();
    assert.equal(isThere, false);
    book.tick(1000);
    assert.equal(show(await snapshot), 'snapshot a');
    book.leave('t', ann);
    assert.equal(show(await second), 'leave a');
  });

  it('is read in a loop, and left with it', async () => {
    const book = new PresenceBook({ process: 'p' });
    const presence = new Presence(book, 't');
    const seen: string[] = [];
    const loop = (async () => {
      for await (const event of presence) {
        seen.push(show(event));
        if (event.type === 'leave') break;
      }
    })();
    await nextTurn();
    book.join('t', ann, 'a');
    book.leave('t', ann);
    await loop;
    assert.deepEqual(seen, ['snapshot ', 'join a', 'leave a']);
    assert.equal(book.stats().watched, 0);
    assert.equal(presence.unsubscribe(), false);
  });

  it('ends loops and receives when it is left, or the topics are closed', async () => {
    for (const end of [
      (book: PresenceBook) => book.close(),
      (_: PresenceBook, presence: Presence) => presence.unsubscribe(),
    ]) {
      const book = new PresenceBook({ process: 'p' });
      const presence = new Presence(book, 't');
      assert.equal((await presence.recv()).type, 'snapshot');
      const waiting = presence.recv();
      const loop = (async () => {
        for await (const _ of presence) assert.fail('nothing comes');
      })();
      await nextTurn();
      end(book, presence);
      await loop;
      await assert.rejects(waiting, ChannelClosedError);
      await assert.rejects(presence.recv(), ChannelClosedError);
      await presence.ready;
    }
    const book = new PresenceBook({ process: 'p' });
    new Presence(book, 't')[Symbol.dispose]();
    assert.equal(book.stats().watched, 0);
  });

  it('gives a slow reader a new snapshot in place of what it has missed', async () => {
    const book = new PresenceBook({ process: 'p' });
    const presence = new Presence(book, 't');
    await presence.recv();
    for (let i = 0; i < MAX_CHANGES_WAITING / 2; i++) {
      book.join('t', ann, 'a');
      book.leave('t', ann);
    }
    assert.equal(show(await presence.recv()), 'join a');
    book.join('t', ann, 'a');
    assert.equal(show(await presence.recv()), 'leave a');
    book.leave('t', ann);
    book.join('t', bob, 'b');
    assert.equal(show(await presence.recv()), 'snapshot b');
    book.join('t', ann, 'a');
    assert.equal(show(await presence.recv()), 'join a');
  });

  it('gives a snapshot to each receive that was promised a change', async () => {
    const book = new PresenceBook({ process: 'p' });
    const presence = new Presence(book, 't');
    await presence.recv();
    const [first, second] = [presence.recv(), presence.recv()];
    for (let i = 0; i <= MAX_CHANGES_WAITING; i++) book.join('t', ann, 'a', i);
    assert.equal(show(await second), 'snapshot a');
    book.join('t', bob, 'b');
    assert.equal(show(await first), 'snapshot a,b');
    book.leave('t', bob);
    assert.equal(show(await presence.recv()), 'leave b');
  });

  it('can be waited for with others, and loses nothing', async () => {
    const book = new PresenceBook({ process: 'p' });
    const [t, u] = [new Presence(book, 't'), new Presence(book, 'u')];
    await t.recv();
    await u.recv();
    const seen: string[] = [];
    for (const key of ['a', 'b', 'c']) {
      const ready = select({ t: t.recv(), u: u.recv() });
      book.join('t', ann, key);
      book.join('u', ann, key);
      const { key: from, value } = await ready;
      seen.push(`${from} ${show(value)}`);
    }
    while (seen.length < 10) {
      const { key: from, value } = await select({ t: t.recv(), u: u.recv() });
      seen.push(`${from} ${show(value)}`);
    }
    const wanted = ['join a', 'leave a', 'join b', 'leave b', 'join c'];
    for (const from of ['t', 'u']) {
      assert.deepEqual(
        seen.filter((line) => line.startsWith(from)),
        wanted.map((line) => `${from} ${line}`),
      );
    }
  });

  it('leaves when it was forgotten, once it is collected', async () => {
    const book = new PresenceBook({ process: 'p' });
    (() => {
      const presence = new Presence(book, 't');
      void presence.recv().then(() => presence.size);
    })();
    assert.equal(book.stats().watched, 1);
    for (let i = 0; i < 100 && book.stats().watched > 0; i++) {
      await nextTurn();
      collectGarbage();
    }
    assert.equal(book.stats().watched, 0);
  });

  it('is not collected while a receive waits', async () => {
    const book = new PresenceBook({ process: 'p' });
    const joined = (async () => {
      const presence = new Presence(book, 't');
      assert.equal(show(await presence.recv()), 'snapshot ');
      return show(await presence.recv());
    })();
    for (let i = 0; i < 3; i++) {
      await nextTurn();
      collectGarbage();
    }
    book.join('t', ann, 'a');
    assert.equal(await joined, 'join a');
  });

  it('has an iterator that is iterable', async () => {
    const iterator = new Presence(new PresenceBook({ process: 'p' }), 't')[Symbol.asyncIterator]();
    assert.equal(iterator[Symbol.asyncIterator](), iterator);
    await iterator.return?.();
    assert.equal((await iterator.next()).done, true);
  });
});
