import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeChannelBytes, encodeSignal, parsePlace, RedisNames } from '../../lib/brokers/redis-names.ts';
import { eachSlot, ownSlots, slotOf } from '../../lib/brokers/redis-slots.ts';

const topics = fc.string({ unit: 'binary' });

describe('RedisNames', () => {
  it('has one slot for all names of a topic, which is read from its channel again', () => {
    fc.assert(
      fc.property(topics, topics, fc.constantFrom('hyperlane', ''), (topic, id, prefix) => {
        const names = new RedisNames(prefix, 0);
        const channel = names.channelOf(topic);
        assert.equal(names.topicOf(channel), topic);
        for (const key of names.keysOf(topic, id)) assert.equal(slotOf(key), slotOf(channel));
      }),
    );
  });

  it('keeps databases apart by channel, as Redis does not', () => {
    assert.notEqual(new RedisNames('a', 0).channelOf('x'), new RedisNames('a', 1).channelOf('x'));
    assert.notEqual(new RedisNames('a', 0).everyone, new RedisNames('a', 1).everyone);
  });
});

describe('bytes of a channel', () => {
  it('are a message with its place', () => {
    const bytes = Buffer.concat([Buffer.from('\x01\x01epoch-_.12\n'), Buffer.from([0, 10, 255])]);
    const expected = { place: { epoch: 'epoch-_', offset: 12 }, data: Uint8Array.of(0, 10, 255) };
    assert.deepEqual(decodeChannelBytes(bytes), expected);
    const within = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]).subarray(6, 6 + bytes.length);
    const decoded = decodeChannelBytes(within);
    assert.deepEqual(decoded, expected);
    within.fill(7);
    assert.deepEqual(decoded, expected, 'the data is a copy');
  });

  it('are a signal', () => {
    const data = Uint8Array.of(1, 2, 10);
    assert.deepEqual(decodeChannelBytes(encodeSignal(data)), { place: undefined, data });
  });

  it('of another version, or of somebody else, are nothing', () => {
    for (const text of [
      '',
      '\x01',
      '\x02\x01e.1\nx',
      '\x01\x03e.1\nx',
      '\x01\x01e.1',
      '\x01\x01e.x\n',
      '\x01\x01.1\n',
      '\x01\x01\n',
    ]) {
      assert.equal(decodeChannelBytes(Buffer.from(text)), undefined, JSON.stringify(text));
    }
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void decodeChannelBytes(bytes)));
  });

  it('have a place that is a safe integer', () => {
    assert.deepEqual(parsePlace('e.9007199254740991'), { epoch: 'e', offset: Number.MAX_SAFE_INTEGER });
    for (const text of ['e.9007199254740992', 'e.1.5', 'e', '']) assert.equal(parsePlace(text), undefined, text);
  });
});

describe('slots', () => {
  const line = (flags: string, slots: string): string =>
    `07c3 127.0.0.1:30004@31004 slave e7d1 0 1426 4 connected\ne7d1 127.0.0.1:30001@31001 ${flags} - 0 0 1 connected${slots}\n`;

  it('of a server are those of its own line, without those that are migrating', () => {
    const slots = ownSlots(line('myself,master', ' 0-2 7 [93->-292f8b365b]'));
    assert.equal(slots, '0-2 7');
    assert.deepEqual([...eachSlot(slots)], [0, 1, 2, 7]);
  });

  it('are none for a replica, for a server without any, and where the server does not say', () => {
    for (const nodes of [line('myself,slave', ''), line('myself,master', ''), line('master', ' 0-2'), '']) {
      assert.equal(ownSlots(nodes), '');
    }
    assert.deepEqual([...eachSlot('')], []);
  });
});
