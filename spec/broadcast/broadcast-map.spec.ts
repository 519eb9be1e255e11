import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BroadcastMap } from '../../lib/broadcast/broadcast-map.ts';
import { ChannelClosedError } from '../../lib/errors.ts';

describe('BroadcastMap', () => {
  it('sends to the receivers of one key', async () => {
    const rooms = new BroadcastMap<string>();
    const first = rooms.subscribeOrInsert('red');
    const second = rooms.subscribeOrInsert('red');
    const other = rooms.subscribeOrInsert('blue');
    assert.equal(rooms.send('red', 'a'), 2);
    assert.equal(rooms.send('blue', 'b'), 1);
    assert.deepEqual([await first.recv(), await second.recv(), await other.recv()], ['a', 'a', 'b']);
    assert.deepEqual([rooms.receiverCount('red'), rooms.receiverCount('blue')], [2, 1]);
  });

  it('has no channel for a key that was never inserted', () => {
    const rooms = new BroadcastMap<string>();
    assert.equal(rooms.subscribe('red'), undefined);
    assert.equal(rooms.send('red', 'a'), 0);
    assert.equal(rooms.receiverCount('red'), 0);
    assert.equal(rooms.remove('red'), false);
    assert.deepEqual([rooms.has('red'), rooms.size], [false, 0]);
    const receiver = new BroadcastMap<string>().subscribeOrInsert('red');
    assert.equal(rooms.unsubscribe('red', receiver), false);
    assert.equal(receiver.unsubscribe(), true);
  });

  it('takes names of object properties and other values as keys', () => {
    const rooms = new BroadcastMap<string, unknown>();
    const id = {};
    for (const key of ['__proto__', 'constructor', id]) {
      assert.equal(rooms.has(key), false);
      rooms.insert(key);
      assert.equal(rooms.send(key, 'a'), 0);
    }
    assert.deepEqual([rooms.size, rooms.has(id), rooms.has({})], [3, true, false]);
  });

  it('gives a channel the capacity it is made with', async () => {
    const rooms = new BroadcastMap<number>();
    rooms.insert('kept', 1);
    const [kept, passing] = [rooms.subscribe('kept')!, rooms.subscribeOrInsert('passing', 2)];
    for (const key of ['kept', 'passing']) for (const value of [1, 2, 3]) rooms.send(key, value);
    await assert.rejects(kept.recv(), { missed: 2 });
    await assert.rejects(passing.recv(), { missed: 1 });
    assert.throws(() => rooms.insert('none', 0), RangeError);
    assert.throws(() => rooms.subscribeOrInsert('none', 0), RangeError);
    assert.equal(rooms.has('none'), false);
  });

  it('drops a channel made by subscribeOrInsert when its last receiver leaves', () => {
    const rooms = new BroadcastMap<string>();
    for (let i = 0; i < 1000; i++) {
      const first = rooms.subscribeOrInsert(`room ${i}`);
      const second = rooms.subscribe(`room ${i}`)!;
      assert.equal(rooms.unsubscribe(`room ${i}`, first), true);
      assert.equal(rooms.has(`room ${i}`), true);
      second.unsubscribe();
    }
    assert.equal(rooms.size, 0);
  });

  it('keeps a channel made by insert until it is removed', () => {
    const rooms = new BroadcastMap<string>();
    const channel = rooms.insert('red');
    const receiver = rooms.subscribeOrInsert('red');
    assert.equal(channel.receiverCount(), 1);
    assert.equal(rooms.unsubscribe('red', receiver), true);
    assert.equal(rooms.has('red'), true);
    assert.equal(rooms.remove('red'), true);
    assert.equal(rooms.has('red'), false);
  });

  it('keeps the channel and its receivers when the key is inserted again', async () => {
    const rooms = new BroadcastMap<string>();
    const receiver = rooms.subscribeOrInsert('red');
    const channel = rooms.insert('red', 1);
    assert.equal(rooms.insert('red'), channel);
    rooms.send('red', 'a');
    rooms.send('red', 'b');
    assert.deepEqual([await receiver.recv(), await receiver.recv()], ['a', 'b']);
    receiver.unsubscribe();
    assert.equal(rooms.has('red'), true);
  });

  it('closes a channel that it removes: receivers get what was sent, and end', async () => {
    const rooms = new BroadcastMap<string>();
    const receiver = rooms.subscribeOrInsert('red');
    rooms.send('red', 'last');
    rooms.remove('red');
    assert.equal(await receiver.recv(), 'last');
    await assert.rejects(receiver.recv(), ChannelClosedError);
  });

  it('does not drop a new channel when the receivers of the removed one leave', () => {
    const rooms = new BroadcastMap<string>();
    const old = rooms.subscribeOrInsert('red');
    rooms.remove('red');
    const next = rooms.subscribeOrInsert('red');
    assert.equal(rooms.unsubscribe('red', old), false);
    old.unsubscribe();
    assert.equal(rooms.receiverCount('red'), 1);
    next.unsubscribe();
    assert.equal(rooms.size, 0);
  });
});
