import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import { ContextInflater } from '../../lib/extensions/context-inflater.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { deflate, inflate, LARGE, RANDOM } from '../support/inflating.ts';

/** Compresses messages of one connection as a peer that keeps its context does. */
async function deflateAll(messages: readonly Buffer[], windowBits: number): Promise<Buffer[]> {
  const stream = createDeflateRaw({ windowBits });
  const payloads: Buffer[] = [];
  for (const message of messages) {
    const chunks: Buffer[] = [];
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    stream.on('data', collect);
    await new Promise<void>((resolve) => {
      stream.write(message);
      stream.flush(constants.Z_SYNC_FLUSH, resolve);
    });
    stream.off('data', collect);
    payloads.push(Buffer.concat(chunks).subarray(0, -4));
  }
  stream.destroy();
  return payloads;
}

describe('ContextInflater', () => {
  it('decompresses a message that refers to the one before, RFC 7692 §7.2.3.2', async () => {
    const inflater = new ContextInflater(15);
    assert.equal(await inflate(inflater, hex('f2 48 cd c9 c9 07 00'), { isText: true }), 'Hello');
    assert.equal(await inflate(inflater, hex('f2 00 11 00 00'), { isText: true }), 'Hello');
    inflater.close();
  });

  it('keeps its window behind small and large messages, of every window size', async () => {
    const messages = [10, 1000, 70_000, 100, 300_000, 0, 5, 65_552, 65_536].map((size) => LARGE.subarray(0, size));
    messages.splice(5, 1);
    for (let windowBits = 9; windowBits <= 15; windowBits++) {
      const inflater = new ContextInflater(windowBits);
      for (const [i, payload] of (await deflateAll(messages, windowBits)).entries()) {
        const result = await inflate(inflater, payload);
        assert.ok(Buffer.isBuffer(result) && result.equals(messages[i]!), `window ${windowBits}, message ${i}`);
      }
      inflater.close();
    }
  });

  it('refuses references beyond its window', async () => {
    const far = Buffer.concat([bytesOf(300, 1), bytesOf(3000, 2), bytesOf(300, 1)]);
    assert.equal(((await inflate(new ContextInflater(13), deflate(far))) as Buffer).length, far.length);
    const [first, second] = await deflateAll([far, bytesOf(300, 1)], 13);
    const small = new ContextInflater(8);
    await inflate(small, first!);
    assert.equal(await inflate(small, second!), 'WS_ERR_INFLATE_FAILED');
  });

  it('fails when it is closed, also in the middle of a message', async () => {
    const inflater = new ContextInflater(15);
    assert.equal(await inflate(inflater, deflate('a'), { isText: true }), 'a');
    const pending = inflate(inflater, deflate(LARGE));
    inflater.close();
    assert.equal(await pending, 'WS_ERR_INFLATE_FAILED');
    assert.equal(await inflate(inflater, deflate('a')), 'WS_ERR_INFLATE_FAILED');
    new ContextInflater(15).close();
  });

  it('refuses a message that was cut short behind others, and does not take the next for its rest', async () => {
    const messages = [Buffer.from('first'), Buffer.from('a message of some length'), LARGE, Buffer.alloc(0)];
    const payloads = await deflateAll([...messages, Buffer.from('the one behind it')], 15);
    for (const [at, payload] of payloads.entries()) {
      const lengths = payload.length > 1000 ? [1, 1000, 70_000, payload.length - 1] : [...payload.keys()].slice(1);
      for (const length of lengths) {
        const inflater = new ContextInflater(15);
        for (const before of payloads.slice(0, at)) await inflate(inflater, before);
        assert.equal(await inflate(inflater, payload.subarray(0, length)), 'WS_ERR_INFLATE_FAILED', `${at}: ${length}`);
        inflater.close();
      }
    }
  });

  it('takes messages of any length that are whole, and none that lacks a byte or two', async () => {
    for (let length = 1; length <= LARGE.length; length += 2999) {
      const payload = deflate(LARGE.subarray(0, length));
      for (const cut of [0, 1, 2]) {
        const part = payload.subarray(0, payload.length - cut);
        const result = await inflate(new ContextInflater(15), part);
        if (cut === 0) assert.ok(Buffer.isBuffer(result) && result.equals(LARGE.subarray(0, length)));
        else assert.equal(result, 'WS_ERR_INFLATE_FAILED', `${length} bytes less ${cut}`);
      }
    }
  });

  it('leaves all but the first 64 KiB of a message to the thread pool', async (t) => {
    const prototype = Object.getPrototypeOf((createInflateRaw() as unknown as { _handle: object })._handle);
    const inPlace = t.mock.method(prototype as Record<'writeSync', (...args: number[]) => void>, 'writeSync');
    const inPool = t.mock.method(prototype as Record<'write', (...args: number[]) => void>, 'write');
    const bytesInPlace = () => inPlace.mock.calls.reduce((sum, { arguments: args }) => sum + args[6]!, 0);
    const inflater = new ContextInflater(15);
    // The first is small, and comes to much; the others are large from the start.
    for (const data of [Buffer.alloc(700_000, 'much of a little'), LARGE, RANDOM]) {
      const payload = deflate(data);
      inPlace.mock.resetCalls();
      inPool.mock.resetCalls();
      const result = await inflate(inflater, payload);
      assert.ok(Buffer.isBuffer(result) && result.equals(data));
      assert.ok(bytesInPlace() <= 65 * 1024, `${bytesInPlace()} bytes in place`);
      assert.ok(inPool.mock.callCount() >= 1 && inPool.mock.callCount() <= 5, `${inPool.mock.callCount()} calls`);
    }
    inflater.close();
  });

  it('waits for its turn with others that have large messages', async (t) => {
    const prototype = Object.getPrototypeOf((createInflateRaw() as unknown as { _handle: object })._handle);
    const inPool = t.mock.method(prototype as Record<'write', () => void>, 'write');
    const payload = deflate(LARGE);
    const inflaters = Array.from({ length: 20 }, () => new ContextInflater(15));
    const pending = inflaters.map((inflater) => inflate(inflater, payload));
    await Promise.resolve();
    assert.equal(inPool.mock.callCount(), 4);
    // Those that are closed meanwhile take no more of it.
    for (const inflater of inflaters.slice(10)) inflater.close();
    for (const [i, result] of (await Promise.all(pending)).entries()) {
      if (i < 10) assert.ok(Buffer.isBuffer(result) && result.equals(LARGE));
      else assert.equal(result, 'WS_ERR_INFLATE_FAILED');
    }
    for (const inflater of inflaters) inflater.close();
  });
});
