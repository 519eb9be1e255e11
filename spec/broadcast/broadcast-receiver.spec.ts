import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import type { BroadcastReceiver } from '../../lib/broadcast/broadcast-receiver.ts';
import { select } from '../../lib/channel/select.ts';
import { ChannelClosedError, LaggedError } from '../../lib/errors.ts';
import { collectGarbage, heapBytes } from '../channel/collect-garbage.ts';

describe('BroadcastReceiver.recv', () => {
  it('serves its receives in order', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    const order: string[] = [];
    const all = ['a', 'b'].map((name) => receiver.recv().then((value) => order.push(`${name}${value}`)));
    channel.send(1);
    channel.send(2);
    await Promise.all(all);
    assert.deepEqual(order, ['a1', 'b2']);
  });

  it('goes on waiting for a receive when another one gives up', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    const [first, second] = [receiver.recv(), receiver.recv()];
    const value = second.then();
    first.withdraw();
    channel.send(1);
    assert.equal(await value, 1);
  });

  it('keeps the value of a receive that is awaited after a later one', async () => {
    const channel = new Broadcast<number>(2);
    const receiver = channel.subscribe();
    const [first, second, third] = [receiver.recv(), receiver.recv(), receiver.recv()];
    channel.send(1);
    channel.send(2);
    assert.equal(await second, 2);
    for (const value of [3, 4, 5]) channel.send(value);
    await assert.rejects(third, { missed: 1 });
    assert.equal(await first, 1);
    assert.deepEqual([await receiver.recv(), await receiver.recv()], [4, 5]);
  });

  it('keeps the LaggedError of a receive that is awaited after a later one', async () => {
    const channel = new Broadcast<number>(1);
    const receiver = channel.subscribe();
    const [first, second] = [receiver.recv(), receiver.recv()];
    channel.send(1);
    channel.send(2);
    assert.equal(await second, 2);
    await assert.rejects(first, { missed: 1 });
  });

  it('takes a signal and a timeout', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    const slow = assert.rejects(receiver.recv({ timeoutMs: 5 }), { code: 'WS_ERR_TIMEOUT' });
    t.mock.timers.tick(5);
    await slow;
    await assert.rejects(receiver.recv({ signal: AbortSignal.abort('stop') }), (reason) => reason === 'stop');
    channel.send(1);
    assert.equal(await receiver.recv(), 1);
  });

  it('loses nothing in select', async () => {
    const [left, right] = [new Broadcast<number>(), new Broadcast<number>()];
    const [leftReceiver, rightReceiver] = [left.subscribe(), right.subscribe()];
    const seen: number[] = [];
    for (let i = 0; i < 20; i += 2) {
      left.send(i);
      right.send(i + 1);
    }
    for (let i = 0; i < 20; i++) {
      seen.push((await select({ left: leftReceiver.recv(), right: rightReceiver.recv() })).value);
    }
    assert.deepEqual(
      seen.sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it('loses nothing when the value that one receiver gets makes another of the channel give up waiting', async () => {
    const channel = new Broadcast<number>();
    const [left, right] = [channel.subscribe(), channel.subscribe()];
    const selected = select({ left: left.recv(), right: right.recv() });
    channel.send(1);
    assert.deepEqual(await selected, { key: 'left', value: 1 });
    assert.equal(await right.recv(), 1);
    const next = [left.recv().then(), right.recv().then()];
    channel.send(2);
    assert.deepEqual(await Promise.all(next), [2, 2]);
  });

  it('goes on waiting in order while there are more receives than values', async () => {
    const channel = new Broadcast<string>();
    const [first, second] = [channel.subscribe(), channel.subscribe()];
    const order: string[] = [];
    const all = [first, second, first, second].map((receiver, i) =>
      receiver.recv().then((value) => order.push(`${value}${i}`)),
    );
    channel.send('a');
    channel.send('b');
    await Promise.all(all);
    assert.deepEqual(order, ['a0', 'a1', 'b2', 'b3']);
  });
});

describe('BroadcastReceiver that lags', () => {
  it('gets one LaggedError with the number it missed, and goes on with the oldest value kept', async () => {
    const channel = new Broadcast<number>(4);
    const receiver = channel.subscribe();
    for (let i = 0; i < 10; i++) channel.send(i);
    await assert.rejects(receiver.recv(), (error) => error instanceof LaggedError && error.missed === 6);
    assert.deepEqual(
      [await receiver.recv(), await receiver.recv(), await receiver.recv(), await receiver.recv()],
      [6, 7, 8, 9],
    );
    assert.equal(receiver.missed, 6);
  });

  it('does not lag with exactly the capacity behind it', async () => {
    const channel = new Broadcast<number>(4);
    const receiver = channel.subscribe();
    for (let i = 0; i < 4; i++) channel.send(i);
    assert.equal(await receiver.recv(), 0);
    assert.equal(receiver.missed, 0);
  });

  it('counts on while it misses more', async () => {
    const channel = new Broadcast<number>(1);
    const receiver = channel.subscribe();
    for (const missed of [2, 3]) {
      for (let i = 0; i <= missed; i++) channel.send(i);
      await assert.rejects(receiver.recv(), { missed });
      assert.equal(await receiver.recv(), missed);
    }
    assert.equal(receiver.missed, 5);
  });
});

describe('BroadcastReceiver.unsubscribe', () => {
  it('rejects the receives that wait, and every later one', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    const waiting = assert.rejects(receiver.recv(), ChannelClosedError);
    assert.equal(receiver.unsubscribe(), true);
    await waiting;
    assert.equal(receiver.unsubscribe(), false);
    assert.equal(channel.send(1), 0);
    await assert.rejects(receiver.recv(), ChannelClosedError);
  });

  it('lets go of what was reserved but not taken', async () => {
    const channel = new Broadcast<number>();
    const [receiver, other] = [channel.subscribe(), channel.subscribe()];
    const [first, second, third] = [receiver.recv(), receiver.recv(), receiver.recv()];
    for (const value of [1, 2, 3]) channel.send(value);
    assert.equal(await second, 2);
    receiver.unsubscribe();
    await assert.rejects(third, ChannelClosedError);
    await assert.rejects(first, ChannelClosedError);
    assert.deepEqual([await other.recv(), await other.recv(), await other.recv()], [1, 2, 3]);
  });

  it('is what disposing does', () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    receiver[Symbol.dispose]();
    assert.equal(channel.receiverCount(), 0);
  });

  it('happens to a receiver that was forgotten, once it is collected', async () => {
    const emptied: number[] = [];
    const channel = new Broadcast<number>(8, () => emptied.push(channel.receiverCount()));
    forgetReceiver(channel);
    assert.equal(channel.receiverCount(), 1);
    for (let i = 0; i < 100 && emptied.length === 0; i++) {
      collectGarbage();
      await nextTurn();
    }
    assert.deepEqual(emptied, [0]);
  });

  const uses: [what: string, use: (receiver: BroadcastReceiver<number>, channel: Broadcast<number>) => void][] = [
    ['gave up waiting in a quiet channel', (receiver) => receiver.recv().withdraw()],
    [
      'received what was there',
      (receiver, channel) => {
        channel.send(1);
        void receiver.recv().then();
      },
    ],
    [
      'received what came while it waited',
      (receiver, channel) => {
        void receiver.recv().then();
        channel.send(1);
      },
    ],
  ];
  for (const [what, use] of uses) {
    it(`happens to a forgotten receiver that ${what}, too`, async () => {
      const channel = new Broadcast<number>();
      forgetReceiver(channel, (receiver) => use(receiver, channel));
      for (let i = 0; i < 100 && channel.receiverCount() > 0; i++) {
        collectGarbage();
        await nextTurn();
      }
      assert.equal(channel.receiverCount(), 0);
    });
  }

  it('leaves nothing of the receivers that come and go in a quiet channel', async () => {
    const channel = new Broadcast<number>();
    const comeAndGo = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const receiver = channel.subscribe();
        const ended = receiver.recv().catch(() => {});
        receiver.unsubscribe();
        await ended;
      }
    };
    await comeAndGo(100);
    const before = await heapBytes();
    await comeAndGo(10_000);
    const grown = (await heapBytes()) - before;
    assert.ok(grown < 500_000, `the heap grew by ${grown} bytes`);
    assert.equal(channel.receiverCount(), 0);
  });

  it('is not done again for a receiver that is collected after it', async () => {
    const channel = new Broadcast<number>();
    const stays = channel.subscribe();
    const collected = new WeakRef(channel.subscribe());
    collected.deref()?.unsubscribe();
    for (let i = 0; i < 100 && collected.deref() !== undefined; i++) {
      await nextTurn();
      collectGarbage();
    }
    for (let i = 0; i < 3; i++) await nextTurn();
    assert.equal(collected.deref(), undefined);
    assert.equal(channel.receiverCount(), 1);
    stays.unsubscribe();
  });
});

describe('BroadcastReceiver as an async iterable', () => {
  it('gives the values in order and ends when the channel is closed', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    const seen: number[] = [];
    channel.send(1);
    for await (const value of receiver) {
      seen.push(value);
      if (value < 3) channel.send(value + 1);
      else channel.close();
    }
    assert.deepEqual(seen, [1, 2, 3]);
    assert.equal(channel.receiverCount(), 0);
  });

  it('unsubscribes when the loop is left', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    channel.send(1);
    for await (const value of receiver) {
      assert.equal(value, 1);
      break;
    }
    assert.equal(channel.receiverCount(), 0);
  });

  it('ends a pending next at once on return', async () => {
    const iterator = new Broadcast<number>().subscribe()[Symbol.asyncIterator]();
    const pending = iterator.next();
    assert.deepEqual(await iterator.return?.(), { done: true, value: undefined });
    assert.deepEqual(await pending, { done: true, value: undefined });
    assert.equal(iterator[Symbol.asyncIterator](), iterator);
  });

  it('throws LaggedError and stays subscribed, so that a new loop goes on', async () => {
    const channel = new Broadcast<number>(2);
    const receiver = channel.subscribe();
    for (let i = 0; i < 5; i++) channel.send(i);
    const loop = async () => {
      const seen: number[] = [];
      for await (const value of receiver) {
        seen.push(value);
        if (value === 4) break;
      }
      return seen;
    };
    await assert.rejects(loop(), { code: 'WS_ERR_LAGGED', missed: 3 });
    assert.equal(channel.receiverCount(), 1);
    assert.deepEqual(await loop(), [3, 4]);
  });
});

function forgetReceiver(channel: Broadcast<number>, use?: (receiver: BroadcastReceiver<number>) => void): void {
  const receiver = channel.subscribe();
  use?.(receiver);
}
