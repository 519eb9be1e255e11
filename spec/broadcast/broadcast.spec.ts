import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import { ChannelClosedError } from '../../lib/errors.ts';
import { heapBytes } from '../channel/collect-garbage.ts';

describe('Broadcast', () => {
  it('sends a value to every receiver there is, and counts them', async () => {
    const channel = new Broadcast<string>();
    assert.equal(channel.send('nobody hears it'), 0);
    const [first, second] = [channel.subscribe(), channel.subscribe()];
    assert.equal(channel.receiverCount(), 2);
    const waiting = second.recv().then();
    assert.equal(channel.send('a'), 2);
    assert.deepEqual([await first.recv(), await waiting], ['a', 'a']);
  });

  it('sends only what comes after the subscription', async () => {
    const channel = new Broadcast<string>();
    const early = channel.subscribe();
    channel.send('a');
    const late = channel.subscribe();
    channel.send('b');
    assert.deepEqual([await early.recv(), await early.recv(), await late.recv()], ['a', 'b', 'b']);
  });

  it('keeps 1024 values unless it is told otherwise', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    for (let i = 0; i < 1024; i++) channel.send(i);
    assert.equal(await receiver.recv(), 0);
    channel.send(1024);
    channel.send(1025);
    await assert.rejects(receiver.recv(), { missed: 1 });
    assert.equal(await receiver.recv(), 2);
  });

  it('refuses a capacity that is no whole number from 1 on', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => new Broadcast(capacity), {
        name: 'RangeError',
        message: `the capacity of a channel is ${capacity}: give a whole number from 1 on`,
      });
    }
    assert.equal(new Broadcast(1).receiverCount(), 0);
  });

  it('unsubscribes only its own receivers, once', () => {
    const channel = new Broadcast<string>();
    const receiver = channel.subscribe();
    const stranger = new Broadcast<string>().subscribe();
    assert.deepEqual([channel.unsubscribe(stranger), stranger.unsubscribe()], [false, true]);
    assert.deepEqual([channel.unsubscribe(receiver), channel.unsubscribe(receiver)], [true, false]);
    assert.equal(channel.receiverCount(), 0);
  });

  it('tells when the last receiver has left, each time', () => {
    let emptied = 0;
    const channel = new Broadcast<string>(8, () => emptied++);
    const [first, second] = [channel.subscribe(), channel.subscribe()];
    first.unsubscribe();
    assert.equal(emptied, 0);
    second.unsubscribe();
    assert.equal(emptied, 1);
    channel.subscribe().unsubscribe();
    assert.equal(emptied, 2);
  });

  it('does not hold on to a million values that a slow receiver has not read', async () => {
    const channel = new Broadcast<string>(64);
    const slow = channel.subscribe();
    const send = (count: number) => {
      for (let i = 0; i < count; i++) channel.send(`${i} `.repeat(20));
    };
    send(1000);
    const before = await heapBytes();
    send(1_000_000);
    const grown = (await heapBytes()) - before;
    assert.ok(grown < 1_000_000, `the heap grew by ${grown} bytes`);
    assert.equal(slow.waiting, 0);
    assert.equal(channel.receiverCount(), 1);
  });
});

describe('Broadcast.close', () => {
  it('ends receivers after what was sent', async () => {
    const channel = new Broadcast<string>();
    const [behind, idle] = [channel.subscribe(), channel.subscribe()];
    channel.send('a');
    assert.equal(await idle.recv(), 'a');
    const waiting = assert.rejects(idle.recv(), ChannelClosedError);
    assert.equal(channel.isClosed, false);
    channel.close();
    assert.equal(channel.isClosed, true);
    await waiting;
    assert.equal(await behind.recv(), 'a');
    await assert.rejects(behind.recv(), { name: 'ChannelClosedError', code: 'WS_ERR_CHANNEL_CLOSED' });
    await assert.rejects(behind.recv(), ChannelClosedError);
  });

  it('ends a receive that is awaited already', async () => {
    const channel = new Broadcast<string>();
    const ended = channel
      .subscribe()
      .recv()
      .catch((error: unknown) => error);
    channel.close();
    assert.ok((await ended) instanceof ChannelClosedError);
  });

  it('still tells a receiver what it missed', async () => {
    const channel = new Broadcast<number>(1);
    const receiver = channel.subscribe();
    channel.send(1);
    channel.send(2);
    channel.close();
    await assert.rejects(receiver.recv(), { missed: 1 });
    assert.equal(await receiver.recv(), 2);
    await assert.rejects(receiver.recv(), ChannelClosedError);
  });

  it('lets nothing be sent, and ends new receivers at once', async () => {
    const channel = new Broadcast<string>();
    const receiver = channel.subscribe();
    channel.close();
    assert.equal(channel.send('late'), 0);
    await assert.rejects(receiver.recv(), ChannelClosedError);
    await assert.rejects(channel.subscribe().recv(), ChannelClosedError);
  });
});
