import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { closeCodeOf } from '../../lib/errors.ts';
import { ContextInflater } from '../../lib/extensions/context-inflater.ts';
import { type Inflated, type Inflater, sharedInflater } from '../../lib/extensions/inflate.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { deflate, inflate, LARGE, RANDOM } from '../support/inflating.ts';

const MIB = 1024 * 1024;

/** A final block with all of the data, §7.2.3.4, without the padding. */
function deflateFinal(data: Buffer | string): Buffer {
  return deflateRawSync(data);
}

const PADDING = hex('00');

const kinds: Record<string, () => Inflater> = {
  sharedInflater: () => sharedInflater,
  ContextInflater: () => new ContextInflater(15),
};

for (const [kind, make] of Object.entries(kinds)) {
  describe(kind, () => {
    it('decompresses the examples of RFC 7692 §7.2.3', async () => {
      const examples: Record<string, [payload: string, text: string]> = {
        '§7.2.3.1 one block': ['f2 48 cd c9 c9 07 00', 'Hello'],
        '§7.2.3.3 a block without compression': ['00 05 00 fa ff 48 65 6c 6c 6f 00', 'Hello'],
        '§7.2.3.4 a block with BFINAL': ['f3 48 cd c9 c9 07 00 00', 'Hello'],
        '§7.2.3.5 two blocks': ['f2 48 05 00 00 00 ff ff ca c9 c9 07 00', 'Hello'],
        '§7.2.3.6 an empty message': ['00', ''],
      };
      for (const [section, [payload, text]] of Object.entries(examples)) {
        const inflater = make();
        assert.equal(await inflate(inflater, hex(payload), { isText: true }), text, section);
        inflater.close();
      }
    });

    it('gives text as a string, and checks its UTF-8', async () => {
      const inflater = make();
      for (const text of ['a', 'é€😀', 'x'.repeat(70_000), '€'.repeat(40_000), LARGE.toString()]) {
        assert.equal(await inflate(inflater, deflate(text), { isText: true }), text);
      }
      const bad = Buffer.concat([LARGE, hex('ff')]);
      for (const bytes of [hex('ff'), hex('c3'), bad]) {
        assert.equal(await inflate(make(), deflate(bytes), { isText: true }), 'WS_ERR_INVALID_UTF8');
      }
      inflater.close();
    });

    it('gives bytes as a buffer of the receiver own, of the right size', async () => {
      const inflater = make();
      const results: [Buffer, Buffer][] = [];
      for (const size of [0, 1, 100, 5000, 65_535, 65_536, 65_552, 65_553, 200_000]) {
        for (const bytes of [bytesOf(size, size), LARGE.subarray(0, size)]) {
          const result = (await inflate(inflater, deflate(bytes))) as Buffer;
          assert.ok(result.buffer.byteLength <= size + 160 * 1024);
          results.push([result, bytes]);
        }
      }
      for (const [result, bytes] of results) assert.ok(result.equals(bytes), `${bytes.length} bytes`);
      inflater.close();
    });

    it('is done at once with small messages, and lets others wait for large ones', () => {
      const limit = { maxBytes: MIB, error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' as const };
      const run = (payload: Buffer): Inflated | Promise<Inflated> =>
        make().inflate(false, payload, 0, payload.length, limit);
      assert.ok(run(deflate(LARGE.subarray(0, 60_000))) instanceof Buffer);
      assert.ok(run(deflate(LARGE)) instanceof Promise);
    });

    it('goes on behind final blocks, with the padding and without', async () => {
      const messages: [payload: Buffer[], data: Buffer][] = [
        [[deflateFinal('Hello')], Buffer.from('Hello')],
        [[deflateFinal('Hel'), deflateFinal('lo'), PADDING], Buffer.from('Hello')],
        [[deflateFinal('Hel'), deflate('lo')], Buffer.from('Hello')],
        [[deflateFinal('Hel'), deflateFinal('lo')], Buffer.from('Hello')],
        [[deflateFinal('')], Buffer.alloc(0)],
        [[deflateFinal(''), PADDING], Buffer.alloc(0)],
        // A final block whose last bytes are the tail that is left out.
        [[hex('01')], Buffer.alloc(0)],
        [[deflateFinal(LARGE), PADDING], LARGE],
        [[deflateFinal(LARGE)], LARGE],
        [
          [deflateFinal(LARGE), deflateFinal(RANDOM), deflate('end')],
          Buffer.concat([LARGE, RANDOM, Buffer.from('end')]),
        ],
        [[deflateFinal(RANDOM), PADDING], RANDOM],
      ];
      const inflater = make();
      for (const [payload, data] of messages) {
        const result = await inflate(inflater, Buffer.concat(payload));
        assert.ok(Buffer.isBuffer(result) && result.equals(data), `${payload.length} parts, ${data.length} bytes`);
        assert.equal(await inflate(inflater, deflate('next'), { isText: true }), 'next');
      }
      inflater.close();
    });

    it('refuses a flood of final blocks', async () => {
      const flood = Buffer.alloc(60_000, deflateFinal(''));
      const start = process.cpuUsage();
      assert.equal(await inflate(make(), flood), 'WS_ERR_INFLATE_FAILED');
      const { user, system } = process.cpuUsage(start);
      assert.ok(user + system < 2_000_000, `${user + system} µs`);
      const enough = Buffer.concat([...new Array<Buffer>(900).fill(deflateFinal('a')), PADDING]);
      assert.equal(await inflate(make(), enough, { isText: true }), 'a'.repeat(900));
    });

    it('refuses what is no deflate data, with 1007', async () => {
      const bad: Record<string, Buffer> = {
        'no bytes at all': hex(''),
        'a block of type 3': hex('ff'),
        'a length that does not fit its complement': hex('00 05 00 05 00 48'),
        'a distance beyond the start': hex('f2 00 11 00 00'),
        'bytes behind a final block': Buffer.concat([deflateFinal('Hello'), hex('ff')]),
        'many random bytes': Buffer.concat([RANDOM, hex('ff')]),
        'a fault in a large message': Buffer.concat([deflate(LARGE), hex('ffffffff')]),
      };
      for (const [what, payload] of Object.entries(bad)) {
        assert.equal(await inflate(make(), payload), 'WS_ERR_INFLATE_FAILED', what);
        assert.equal(await inflate(make(), deflate('next'), { isText: true }), 'next');
      }
      const error = make().inflate(false, hex('ff'), 0, 1, { maxBytes: 1, error: 'WS_ERR_COMPRESSION_RATIO' });
      assert.equal(closeCodeOf(error), 1007);
    });

    it('refuses a message that was cut short', async () => {
      const payload = deflate('a message of some length, with some length');
      for (let length = 1; length < payload.length; length++) {
        assert.equal(await inflate(make(), payload.subarray(0, length)), 'WS_ERR_INFLATE_FAILED', `${length} bytes`);
      }
      const large = deflate(RANDOM);
      assert.equal(await inflate(make(), large.subarray(0, -1)), 'WS_ERR_INFLATE_FAILED');
      assert.equal(await inflate(make(), large.subarray(0, 100_000)), 'WS_ERR_INFLATE_FAILED');
    });

    it('refuses a message with the tail that is to be left out', async () => {
      const payload = Buffer.concat([deflate('Hello'), hex('0000ffff')]);
      assert.equal(await inflate(make(), payload), 'WS_ERR_INFLATE_FAILED');
    });

    it('stops at the limit, and not before', async () => {
      for (const size of [1, 5, 1000, 65_535, 65_536, 65_551, 65_552, 65_553, 100_000, 131_104, 200_000]) {
        const payloads = [deflate(bytesOf(size, 1)), deflate(Buffer.alloc(size)), deflate(LARGE.subarray(0, size))];
        for (const payload of payloads) {
          assert.equal((await inflate(make(), payload, { maxBytes: size })).length, size);
          assert.equal((await inflate(make(), payload, { maxBytes: size + 0.5 })).length, size);
          assert.equal(await inflate(make(), payload, { maxBytes: size - 1 }), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
        }
      }
      const parts = Buffer.concat([deflateFinal(LARGE), deflateFinal(LARGE), PADDING]);
      const total = 2 * LARGE.length;
      assert.equal((await inflate(make(), parts, { maxBytes: total })).length, total);
      for (const maxBytes of [total - 1, LARGE.length]) {
        assert.equal(await inflate(make(), parts, { maxBytes }), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
      }
      assert.equal(
        await inflate(make(), parts, { maxBytes: 100, error: 'WS_ERR_COMPRESSION_RATIO' }),
        'WS_ERR_COMPRESSION_RATIO',
      );
      assert.equal(
        (await inflate(make(), deflate(LARGE), { maxBytes: Number.POSITIVE_INFINITY })).length,
        LARGE.length,
      );
    });

    it('spends no more memory on a bomb than the limit', async () => {
      const bomb = deflate(Buffer.alloc(64 * MIB));
      const before = process.memoryUsage();
      assert.equal(await inflate(make(), bomb, { maxBytes: MIB }), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
      const after = process.memoryUsage();
      assert.ok(
        after.arrayBuffers - before.arrayBuffers < 4 * MIB,
        `${after.arrayBuffers - before.arrayBuffers} bytes`,
      );
    });
  });
}

describe('sharedInflater', () => {
  it('keeps nothing of one message for the next', async () => {
    assert.equal(await inflate(sharedInflater, hex('f2 48 cd c9 c9 07 00'), { isText: true }), 'Hello');
    // §7.2.3.2: "Hello" once more, as a reference to the one before.
    assert.equal(await inflate(sharedInflater, hex('f2 00 11 00 00')), 'WS_ERR_INFLATE_FAILED');
  });

  it('has nothing to close', async () => {
    sharedInflater.close();
    assert.equal(await inflate(sharedInflater, deflate('still here'), { isText: true }), 'still here');
  });
});
