import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import { iterate } from '../../lib/channel/iterate.ts';
import { LaggedError } from '../../lib/errors.ts';

describe('iterate', () => {
  it('gives values until the source ends, and unsubscribes it then', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    for (const value of [1, 2]) channel.send(value);
    channel.close();
    const values: number[] = [];
    for await (const value of iterate(receiver)) values.push(value);
    assert.deepEqual([values, receiver.unsubscribe()], [[1, 2], false]);
  });

  it('unsubscribes a source whose loop is left', async () => {
    const channel = new Broadcast<number>();
    const receiver = channel.subscribe();
    channel.send(1);
    for await (const value of iterate(receiver)) {
      assert.equal(value, 1);
      break;
    }
    assert.equal(channel.receiverCount(), 0);
  });

  it('throws what is no end, and leaves the source as it is', async () => {
    const channel = new Broadcast<number>(1);
    const receiver = channel.subscribe();
    for (const value of [1, 2]) channel.send(value);
    const values = iterate(receiver);
    await assert.rejects(values.next(), LaggedError);
    assert.deepEqual(await values.next(), { done: false, value: 2 });
  });
});
