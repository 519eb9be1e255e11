import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, createInflateRaw, inflateRawSync } from 'node:zlib';
import { type Deflated, Deflater } from '../../lib/extensions/deflate.ts';
import { bytesOf } from '../support/arbitraries.ts';

const SETTINGS = { windowBits: 15, level: 3, memLevel: 8 };
const TEXT = JSON.stringify(Array.from({ length: 30 }, (_, id) => ({ id, name: `user ${id * 7919}` })));
const LARGE_TEXT = TEXT.repeat(100);

/** Decompresses messages of one connection as a peer with a window of 32 KiB does. */
class Peer {
  readonly #stream = createInflateRaw({ flush: constants.Z_SYNC_FLUSH });

  async read(payload: Buffer): Promise<Buffer> {
    const chunks: Buffer[] = [];
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    this.#stream.on('data', collect);
    await new Promise<void>((resolve) => {
      this.#stream.write(payload);
      this.#stream.write(Buffer.from('0000ffff', 'hex'));
      this.#stream.flush(constants.Z_SYNC_FLUSH, resolve);
    });
    this.#stream.off('data', collect);
    return Buffer.concat(chunks);
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** Decompresses a message that stands for itself, with a window of the given size. */
function inflate(payload: Buffer, windowBits: number = 15): Buffer {
  const input = Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]);
  return inflateRawSync(input, { finishFlush: constants.Z_SYNC_FLUSH, windowBits });
}

for (const takeover of [false, true]) {
  describe(`Deflater ${takeover ? 'with' : 'without'} context takeover`, () => {
    it('compresses text and bytes, and leaves out the tail (RFC 7692 §7.2.1)', async () => {
      const peer = new Peer();
      const deflater = new Deflater(SETTINGS, takeover);
      for (const data of [
        TEXT,
        Buffer.from(TEXT),
        LARGE_TEXT,
        Buffer.from(LARGE_TEXT),
        '€'.repeat(50_000),
        '€'.repeat(9),
      ]) {
        const payload = (await deflater.deflate(data, 0))!;
        assert.ok(payload.length < Buffer.byteLength(data));
        const result = takeover ? await peer.read(payload) : inflate(payload);
        assert.ok(result.equals(Buffer.from(data)));
      }
      deflater.close();
      peer.close();
    });

    it('is done at once up to 64 KiB, and lets others wait for more', () => {
      const deflater = new Deflater(SETTINGS, takeover);
      assert.ok(deflater.deflate(Buffer.alloc(65_536, 'a'), 0) instanceof Buffer);
      assert.ok(deflater.deflate('a'.repeat(65_536), 0) instanceof Buffer);
      assert.ok(deflater.deflate(Buffer.alloc(65_537, 'a'), 0) instanceof Promise);
      assert.ok(deflater.deflate('a'.repeat(65_537), 0) instanceof Promise);
      assert.ok(deflater.deflate('é'.repeat(32_769), 0) instanceof Promise);
      deflater.close();
    });

    it('leaves messages alone that are shorter than the threshold, or empty', () => {
      const deflater = new Deflater(SETTINGS, takeover);
      assert.equal(deflater.deflate('a'.repeat(99), 100), undefined);
      assert.equal(deflater.deflate('é'.repeat(49), 100), undefined);
      assert.equal(deflater.deflate('a'.repeat(10), 100), undefined);
      assert.equal(deflater.deflate(Buffer.alloc(99), 100), undefined);
      assert.ok(deflater.deflate('a'.repeat(100), 100) instanceof Buffer);
      assert.ok(deflater.deflate('é'.repeat(50), 100) instanceof Buffer);
      assert.ok(deflater.deflate(Buffer.alloc(100), 100) instanceof Buffer);
      assert.equal(deflater.deflate('', 0), undefined);
      assert.equal(deflater.deflate(Buffer.alloc(0), 0), undefined);
      deflater.close();
    });

    it('leaves messages alone that would not become smaller, and forgets them', async () => {
      const peer = new Peer();
      const deflater = new Deflater(SETTINGS, takeover);
      for (const size of [1, 2, 20, 1000, 65_536, 65_537, 200_000]) {
        const random = bytesOf(size, size);
        assert.equal(await deflater.deflate(random, 0), undefined, `${size} bytes`);
        // What is in no window of the peer's must not be referred to.
        const payload = (await deflater.deflate(Buffer.concat([random.subarray(-500), Buffer.alloc(1000)]), 0))!;
        const result = takeover ? await peer.read(payload) : inflate(payload);
        assert.ok(result.equals(Buffer.concat([random.subarray(-500), Buffer.alloc(1000)])));
      }
      assert.equal(deflater.deflate('a', 0), undefined);
      deflater.close();
      peer.close();
    });

    it('takes bytes of any kind of view', async () => {
      const deflater = new Deflater(SETTINGS, takeover);
      const memory = new ArrayBuffer(3000);
      new Uint8Array(memory).set(Buffer.from(LARGE_TEXT.slice(0, 1000)), 1000);
      const peer = new Peer();
      for (const view of [new Uint8Array(memory, 1000, 1000), new Uint8ClampedArray(memory, 1000, 1000)]) {
        const payload = (await deflater.deflate(view as Uint8Array, 0))!;
        const result = takeover ? await peer.read(payload) : inflate(payload);
        assert.equal(result.toString(), LARGE_TEXT.slice(0, 1000));
      }
      deflater.close();
      peer.close();
    });

    it('gives a buffer of its own, which no later message changes', () => {
      const deflater = new Deflater(SETTINGS, takeover);
      const first = deflater.deflate(TEXT, 0) as Buffer;
      const copy = Buffer.from(first);
      deflater.deflate(`${TEXT}${TEXT}`, 0);
      deflater.deflate(Buffer.alloc(60_000, 'abc'), 0);
      assert.ok(first.equals(copy));
      deflater.close();
    });
  });
}

describe('Deflater without context takeover', () => {
  it('compresses a repeated text once', () => {
    const deflater = new Deflater(SETTINGS, false);
    const first = deflater.deflate(TEXT, 0);
    assert.equal(deflater.deflate(`${TEXT.slice(0, -1)}]`, 0), first);
    assert.notEqual(deflater.deflate(`${TEXT} `, 0), first);
    const short = 'a'.repeat(50);
    assert.ok(deflater.deflate(short, 0) instanceof Buffer);
    assert.equal(deflater.deflate(short, 100), undefined, 'whatever its threshold was before');
  });

  it('compresses repeated bytes once, whoever has them', () => {
    const deflater = new Deflater(SETTINGS, false);
    const first = deflater.deflate(Buffer.from(TEXT), 0);
    assert.equal(deflater.deflate(Uint8Array.from(Buffer.from(TEXT)), 0), first);
    assert.notEqual(deflater.deflate(Buffer.from(TEXT.replace('user 0', 'user 1')), 0), first);
  });

  it('gives the thread pool once what is sent to many in one turn', async () => {
    const deflater = new Deflater(SETTINGS, false);
    for (const data of [LARGE_TEXT, Buffer.from(LARGE_TEXT)]) {
      const first = deflater.deflate(data, 0);
      assert.equal(deflater.deflate(data, 0), first);
      assert.notEqual(deflater.deflate(Buffer.from(LARGE_TEXT), 0), first);
      await new Promise(setImmediate);
      assert.notEqual(deflater.deflate(data, 0), first);
      assert.ok(inflate((await first)!).equals(Buffer.from(LARGE_TEXT)));
    }
    assert.equal(deflater.deflate(LARGE_TEXT, LARGE_TEXT.length + 1), undefined);
  });

  it('never takes repeated bytes for the same, since their owner may change them', () => {
    const deflater = new Deflater(SETTINGS, false);
    const bytes = Buffer.from(TEXT);
    deflater.deflate(bytes, 0);
    bytes.fill('b');
    assert.equal(inflate(deflater.deflate(bytes, 0) as Buffer).toString(), 'b'.repeat(bytes.length));
  });

  it('is shared, and cannot be closed', () => {
    const deflater = new Deflater(SETTINGS, false);
    deflater.close();
    assert.ok(deflater.deflate(TEXT, 0) instanceof Buffer);
  });

  it('compresses for every window so that a peer with just that window can read it', async () => {
    const repeated = bytesOf(200, 3);
    // The same 200 bytes at every distance from near to far.
    const gaps = Array.from({ length: 60 }, (_, i) => Buffer.concat([repeated, bytesOf(i * 17, i)]));
    const messages = [
      Buffer.from(TEXT),
      Buffer.concat(gaps),
      Buffer.concat([...gaps, ...gaps, ...gaps, Buffer.alloc(9999)]),
    ];
    for (let windowBits = 8; windowBits <= 15; windowBits++) {
      for (const level of [1, 3, 6, 9]) {
        const deflater = new Deflater({ windowBits, level, memLevel: 8 }, false);
        for (const message of messages) {
          const payload = (await deflater.deflate(message, 0)) ?? assert.fail('not smaller');
          // A small output at a time: zlib sees no more of what it wrote than the window.
          const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits, chunkSize: 64 };
          const input = Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]);
          assert.ok(inflateRawSync(input, options).equals(message), `window ${windowBits}, level ${level}`);
        }
      }
    }
  });
});

describe('Deflater with context takeover', () => {
  it('makes the second of two equal messages tiny', () => {
    const deflater = new Deflater(SETTINGS, true);
    const first = deflater.deflate(TEXT, 0) as Buffer;
    const second = deflater.deflate(TEXT, 0) as Buffer;
    assert.ok(second.length < first.length / 4, `${first.length}, ${second.length}`);
    deflater.close();
  });

  it('sends all as it is once it is closed', async () => {
    const deflater = new Deflater(SETTINGS, true);
    assert.ok(deflater.deflate(TEXT, 0) instanceof Buffer);
    const pending: Deflated | Promise<Deflated> = deflater.deflate(LARGE_TEXT, 0);
    deflater.close();
    assert.ok((await pending) instanceof Buffer);
    assert.equal(deflater.deflate(TEXT, 0), undefined);
    assert.equal(await deflater.deflate(LARGE_TEXT, 0), undefined);
    new Deflater(SETTINGS, true).close();
  });
});
