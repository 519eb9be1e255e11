import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameEncoder } from '../../lib/codec/frame-encoder.ts';
import { receiveBuffer } from '../../lib/codec/mask-simd.ts';
import { BOUNDARY_LENGTHS, bytesOf } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { hex } from '../support/hex.ts';
import { type Frame, referenceEncode, referenceParse } from '../support/reference-codec.ts';

const REFERENCE_BYTES = 16 * 1024;
/** Lengths at which the encoder takes another way. */
const LENGTHS = [...BOUNDARY_LENGTHS, 16_383, 16_384, 16_385, 21_839, 21_840, 21_841, 21_845, 130_000];

function parse(chunks: Uint8Array[], masked: boolean): Frame[] {
  const rules = { expectMask: masked, allowRsv1: true, maxFrameBytes: Number.POSITIVE_INFINITY };
  const { frames, error, partial } = referenceParse(Buffer.concat(chunks), rules);
  assertSame([error, partial], [undefined, undefined]);
  return frames;
}

/** Encodes with the call, and returns the one frame; the bytes that are counted must be those that come out. */
function encodeOne(masked: boolean, add: (encoder: FrameEncoder) => void): Frame {
  const encoder = new FrameEncoder(masked);
  add(encoder);
  const counted = encoder.bufferedBytes;
  const chunks = encoder.take();
  assert.equal(Buffer.concat(chunks).length, counted);
  assert.equal(encoder.bufferedBytes, 0);
  const frames = parse(chunks, masked);
  encoder.released();
  assert.equal(frames.length, 1);
  return frames[0]!;
}

describe('FrameEncoder.addFrame', () => {
  it('writes the examples of §5.7', () => {
    const encoder = new FrameEncoder(false);
    encoder.addFrame(0x01, Buffer.from('Hel'));
    encoder.addFrame(0x80, Buffer.from('lo'));
    encoder.addFrame(0x89, Buffer.from('Hello'));
    const chunks = encoder.take();
    assert.deepEqual(chunks, [hex('0103 48656c  8002 6c6f  8905 48656c6c6f')]);
    encoder.released();
  });

  it('writes payloads of all boundary lengths', () => {
    for (const masked of [false, true]) {
      for (const length of LENGTHS) {
        const payload = bytesOf(length, length);
        const frame = encodeOne(masked, (encoder) => encoder.addFrame(0x82, payload));
        assertSame(frame, { fin: true, rsv1: false, opcode: 2, payload });
        assert.ok(payload.equals(bytesOf(length, length)), 'the payload is left as it is');
      }
    }
  });

  it('writes what the reference writes', () => {
    for (const length of LENGTHS) {
      const frame = { fin: false, rsv1: true, opcode: 1, payload: bytesOf(length, 1) };
      const encoder = new FrameEncoder(false);
      encoder.addFrame(0x41, frame.payload);
      assert.ok(Buffer.concat(encoder.take()).equals(referenceEncode(frame)), `${length}`);
      encoder.released();
    }
  });

  it('copies a small payload, and keeps a large one by reference', () => {
    for (const [length, copied] of [
      [REFERENCE_BYTES - 1, true],
      [REFERENCE_BYTES, false],
    ] as const) {
      const payload = bytesOf(length, 2);
      const encoder = new FrameEncoder(false);
      encoder.addFrame(0x82, payload);
      const chunks = encoder.take();
      assert.equal(
        chunks.some((chunk) => chunk.buffer === payload.buffer),
        !copied,
      );
      payload.fill(0);
      assert.equal(
        parse(chunks, false)[0]!.payload.every((byte) => byte === 0),
        !copied,
      );
    }
  });

  it('takes any Uint8Array, and of a view only what it shows', () => {
    for (const length of [3, REFERENCE_BYTES]) {
      const memory = new Uint8Array(length + 10).fill(7);
      const payload = memory.subarray(5, 5 + length);
      payload.fill(1);
      for (const masked of [false, true]) {
        const frame = encodeOne(masked, (encoder) => encoder.addFrame(0x82, payload));
        assertSame(frame.payload, Buffer.alloc(length, 1));
      }
    }
  });

  it('masks each frame with a key of its own, §5.3', () => {
    const encoder = new FrameEncoder(true);
    for (let i = 0; i < 100; i++) encoder.addFrame(0x82, Buffer.alloc(4));
    const bytes = Buffer.concat(encoder.take());
    const keys = new Set<string>();
    for (let at = 0; at < bytes.length; at += 10) {
      const key = bytes.toString('hex', at + 2, at + 6);
      assert.equal(bytes.toString('hex', at + 6, at + 10), key, 'zeros masked are the key');
      keys.add(key);
    }
    assert.ok(keys.size >= 99);
  });

  it('puts small frames side by side into one chunk', () => {
    const encoder = new FrameEncoder(false);
    for (let i = 0; i < 50; i++) encoder.addFrame(0x82, bytesOf(20, i));
    const chunks = encoder.take();
    assert.equal(chunks.length, 1);
    assert.equal(chunks[0]!.length, 50 * 22);
  });
});

describe('FrameEncoder.addTextFrame', () => {
  it('writes ASCII and other text of all boundary lengths', () => {
    for (const masked of [false, true]) {
      for (const length of LENGTHS) {
        for (const character of ['a', 'é', '€', '😀']) {
          // Close to the boundary in characters, and in bytes, where the header's length is another.
          for (const count of [length, Math.floor(length / Buffer.byteLength(character))]) {
            const text = character.repeat(count);
            const frame = encodeOne(masked, (encoder) => encoder.addTextFrame(0x81, text));
            assert.equal(frame.opcode, 1);
            assert.ok(frame.payload.equals(Buffer.from(text)), `${count} times ${character}`);
          }
        }
      }
    }
  });

  it('moves the text up where its bytes need a longer header than its characters', () => {
    for (const [ascii, wide] of [
      [124, 1],
      [123, 2],
      [125, 1],
      [0, 63],
      [0, 125],
      [0, 42],
      [1, 124],
    ] as const) {
      const text = 'a'.repeat(ascii) + '€'.repeat(wide);
      for (const masked of [false, true]) {
        assert.equal(encodeOne(masked, (encoder) => encoder.addTextFrame(0x81, text)).payload.toString(), text);
      }
    }
    const encoder = new FrameEncoder(false);
    encoder.addTextFrame(0x81, 'a');
    encoder.addTextFrame(0x81, 'é'.repeat(100));
    encoder.addTextFrame(0x81, 'b');
    assertSame(
      parse(encoder.take(), false).map(({ payload }) => payload.toString()),
      ['a', 'é'.repeat(100), 'b'],
    );
  });

  it('writes a lone surrogate as U+FFFD', () => {
    for (const text of ['\ud800', 'a\udfffb', `${'\ud800'.repeat(30_000)}`, '\udc00\ud800']) {
      const { payload } = encodeOne(false, (encoder) => encoder.addTextFrame(0x81, text));
      assert.equal(payload.toString(), text.replace(/[\ud800-\udfff]/g, '\ufffd'));
    }
  });

  it('copies no large text: it goes out in a chunk of its own', () => {
    const encoder = new FrameEncoder(false);
    encoder.addTextFrame(0x81, 'a'.repeat(100_000));
    assertSame(
      encoder.take().map(({ length }) => length),
      [10, 100_000],
    );
  });
});

describe('FrameEncoder.addTextFrame, the same text again', () => {
  const chunksOf = (encoder: FrameEncoder, bits: number, text: string): Uint8Array[] => {
    encoder.addTextFrame(bits, text);
    return encoder.take();
  };

  const frameOf = (text: string): Buffer =>
    referenceEncode({ fin: true, rsv1: false, opcode: 1, payload: Buffer.from(text) });

  it('makes the frame of a long text once for all that are not masked, from the second time on', () => {
    for (const text of ['a'.repeat(1025), 'é'.repeat(2000), '€'.repeat(30_000), 'a'.repeat(256 * 1024)]) {
      const encoders = [new FrameEncoder(false), new FrameEncoder(false), new FrameEncoder(false)];
      const taken = encoders.map((encoder) => chunksOf(encoder, 0x81, text));
      for (const chunks of taken) assert.ok(Buffer.concat(chunks).equals(frameOf(text)));
      assert.equal(taken[2]![0], taken[1]![0], 'the same bytes, by reference');
      for (const encoder of encoders) encoder.released();
      // Memory that is given back after it was shared is not written to.
      for (let i = 0; i < 3; i++) chunksOf(encoders[i]!, 0x82, 'x'.repeat(100));
      assert.ok(Buffer.concat(taken[2]!).equals(frameOf(text)));
    }
  });

  it('has all read the frames of short texts where they were written first, until the last has done so', () => {
    for (const texts of [['one text for many'], ['', 'a'], ['é'.repeat(200), '\ud800', '€'.repeat(1000), 'z']]) {
      const encoders = Array.from({ length: 5 }, () => new FrameEncoder(false));
      for (const text of texts) for (const encoder of encoders) encoder.addTextFrame(0x81, text);
      const taken = encoders.map((encoder) => encoder.take());
      const expected = Buffer.concat(texts.map(frameOf));
      for (const [chunk, ...rest] of taken) {
        assert.equal(rest.length, 0, 'they lie side by side');
        assert.deepEqual(
          [chunk!.buffer, chunk!.byteOffset, chunk!.byteLength],
          [taken[0]![0]!.buffer, taken[0]![0]!.byteOffset, expected.length],
        );
      }
      const last = encoders.pop()!;
      for (const encoder of encoders) encoder.released();
      for (const encoder of encoders) chunksOf(encoder, 0x82, 'x'.repeat(100));
      assert.ok(Buffer.concat(taken.at(-1)!).equals(expected));
      last.released();
      for (const encoder of encoders) encoder.released();
    }
  });

  it('writes a short text side by side that one connection sends again and again', () => {
    const encoder = new FrameEncoder(false);
    for (let i = 0; i < 1000; i++) encoder.addTextFrame(0x81, 'x');
    encoder.hold();
    const chunks = encoder.take();
    assert.equal(chunks.length, 1);
    assert.equal(parse(chunks, false).length, 1000);
  });

  it('writes a short text again where its frame is gone', () => {
    const [encoder, other] = [new FrameEncoder(false), new FrameEncoder(false)];
    for (let i = 0; i < 3; i++) {
      assert.ok(Buffer.concat(chunksOf(encoder, 0x81, 'again')).equals(frameOf('again')));
      encoder.released();
      other.addFrame(0x82, Buffer.alloc(20, 'x'));
      other.take();
      other.released();
    }
  });

  it('mixes the same texts with other frames, in the order they were added', () => {
    const [encoder, other] = [new FrameEncoder(false), new FrameEncoder(false)];
    for (const text of ['1', '2']) for (const one of [encoder, other]) one.addTextFrame(0x81, text);
    encoder.addFrame(0x82, Buffer.from('mine'));
    other.addTextFrame(0x81, '2');
    other.addTextFrame(0x81, '3');
    encoder.addTextFrame(0x81, '3');
    const texts = (chunks: Uint8Array[]): string[] => parse(chunks, false).map(({ payload }) => payload.toString());
    assert.deepEqual(texts(encoder.take()), ['1', '2', 'mine', '3']);
    assert.deepEqual(texts(other.take()), ['1', '2', '2', '3']);
  });

  it('masks each frame with a key of its own all the same', () => {
    const taken = [1, 2, 3].map(() => chunksOf(new FrameEncoder(true), 0x81, 'masked'));
    for (const chunks of taken) assert.equal(parse(chunks, true)[0]!.payload.toString(), 'masked');
    assert.equal(new Set(taken.map((chunks) => Buffer.concat(chunks).toString('hex', 2, 6))).size, 3);
  });

  it('takes no fragment for a message, nor a message for a fragment', () => {
    const encoder = new FrameEncoder(false);
    const firstBytes = [0x81, 0x81, 0x01, 0x81, 0xc1, 0x80].map((bits) => chunksOf(encoder, bits, 'again')[0]![0]);
    assert.deepEqual(firstBytes, [0x81, 0x81, 0x01, 0x81, 0xc1, 0x80]);
  });

  it('remembers no very long text', () => {
    const text = 'a'.repeat(256 * 1024 + 1);
    const encoder = new FrameEncoder(false);
    const payloads = [1, 2, 3].map(() => chunksOf(encoder, 0x81, text)[1]!);
    assert.equal(new Set(payloads).size, 3);
  });
});

describe('FrameEncoder.addEncoded', () => {
  it('keeps the order among frames of all kinds', () => {
    const encoder = new FrameEncoder(false);
    const encoded = referenceEncode({ fin: true, rsv1: false, opcode: 2, payload: Buffer.from('encoded') });
    encoder.addFrame(0x82, Buffer.from('1'));
    encoder.addEncoded(encoded);
    encoder.addTextFrame(0x81, '2');
    encoder.addFrame(0x82, bytesOf(REFERENCE_BYTES, 3));
    encoder.addFrame(0x82, Buffer.from('4'));
    encoder.addEncoded(encoded);
    encoder.addEncoded(encoded);
    const chunks = encoder.take();
    assert.equal(chunks[1], encoded, 'by reference');
    assert.deepEqual(
      parse(chunks, false).map(({ payload }) => (payload.length > 10 ? payload.length : payload.toString())),
      ['1', 'encoded', '2', REFERENCE_BYTES, '4', 'encoded', 'encoded'],
    );
    assert.deepEqual(encoder.take(), []);
  });
});

describe('FrameEncoder and the memory it writes to', () => {
  const memoryOf = (encoder: FrameEncoder): ArrayBufferLike => {
    encoder.addFrame(0x82, Buffer.from('x'));
    const { buffer } = encoder.take()[0]!;
    encoder.released();
    return buffer;
  };

  /** Counts the blocks that `rounds` of writing and releasing take from a fresh encoder. */
  const countBlocks = (rounds: number, add: (round: number) => Uint8Array[]): number => {
    const blocks = new Set<ArrayBufferLike>();
    for (let i = 0; i < rounds; i++) for (const chunk of add(i)) blocks.add(chunk.buffer);
    return blocks.size;
  };
  // The first block may hold bytes of an example before, and then is left when it is full.
  const FEW_BLOCKS = 3;

  it('writes again to memory whose bytes have left', () => {
    const encoder = new FrameEncoder(false);
    const blocks = countBlocks(2000, (round) => {
      // 15 KB a round: every fourth or so does not fit into what is left of a block.
      for (let i = 0; i < 15; i++) encoder.addFrame(0x82, bytesOf(1000, round));
      const chunks = encoder.take();
      encoder.released();
      return chunks;
    });
    assert.ok(blocks <= FEW_BLOCKS, `${blocks} blocks for 30 MB, one after the other`);
  });

  it('writes again to memory that several encoders have shared', () => {
    const encoders = [new FrameEncoder(false), new FrameEncoder(true), new FrameEncoder(false)];
    const blocks = countBlocks(2000, (round) => {
      for (let i = 0; i < 5; i++) for (const encoder of encoders) encoder.addFrame(0x82, bytesOf(1000, round));
      const chunks = encoders.flatMap((encoder) => encoder.take());
      for (const encoder of encoders) encoder.released();
      return chunks;
    });
    assert.ok(blocks <= FEW_BLOCKS, `${blocks} blocks for 30 MB, one after the other`);
  });

  it('writes again to memory that held many regions of one encoder', () => {
    const encoders = [new FrameEncoder(false), new FrameEncoder(false)];
    const blocks = countBlocks(500, (round) => {
      // More than is put together before it is taken, and less than a block.
      for (let i = 0; i < 2; i++) for (const encoder of encoders) encoder.addFrame(0x82, bytesOf(9000, round));
      const chunks = encoders.flatMap((encoder) => encoder.take());
      assert.equal(chunks.length, 4);
      for (const encoder of encoders) encoder.released();
      return chunks;
    });
    assert.ok(blocks <= FEW_BLOCKS, `${blocks} blocks for 18 MB, one after the other`);
  });

  it('puts short pieces together, also those that were added by reference', () => {
    const [encoder, other] = [new FrameEncoder(false), new FrameEncoder(false)];
    const encoded = referenceEncode({ fin: true, rsv1: false, opcode: 2, payload: Buffer.from('encoded') });
    const before = Buffer.from(encoded);
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 3; i++) {
        encoder.addFrame(0x82, Buffer.from(`frame ${i}`));
        other.addEncoded(encoded);
        other.addFrame(0x82, bytesOf(5000, i));
      }
      encoder.addEncoded(encoded);
      const [mine, theirs] = [encoder.take(), other.take()];
      assert.deepEqual([mine.length, theirs.length], [1, 1]);
      assert.deepEqual(
        parse(mine, false).map(({ payload }) => payload.toString()),
        ['frame 0', 'frame 1', 'frame 2', 'encoded'],
      );
      assert.equal(parse(theirs, false).length, 6);
      encoder.released();
      other.released();
    }
    assert.deepEqual(encoded, before);
  });

  it('puts nothing together that is long', () => {
    const encoder = new FrameEncoder(false);
    for (let i = 0; i < 2; i++) encoder.addEncoded(bytesOf(8192, i));
    assert.equal(encoder.take().length, 1);
    encoder.addEncoded(bytesOf(8192, 0));
    encoder.addEncoded(bytesOf(8193, 1));
    assert.equal(encoder.take().length, 2);
  });

  it('writes again to memory that the headers of large frames were sent from', () => {
    const encoder = new FrameEncoder(false);
    const payload = bytesOf(REFERENCE_BYTES, 1);
    const blocks = countBlocks(10_000, () => {
      for (let i = 0; i < 2; i++) encoder.addFrame(0x82, payload);
      const chunks = encoder.take();
      encoder.released();
      return chunks.filter((chunk) => chunk.buffer !== payload.buffer);
    });
    assert.ok(blocks <= FEW_BLOCKS, `${blocks} blocks`);
  });

  it('serves all encoders from one block', () => {
    assert.equal(memoryOf(new FrameEncoder(false)), memoryOf(new FrameEncoder(true)));
  });

  it('never writes to memory that is retained', () => {
    const encoder = new FrameEncoder(false);
    const taken: { chunks: Uint8Array[]; copy: Buffer }[] = [];
    for (let i = 0; i < 300; i++) {
      encoder.addFrame(0x82, bytesOf(i * 7, i));
      const chunks = encoder.take();
      taken.push({ chunks, copy: Buffer.concat(chunks) });
      if (i % 2 === 0) encoder.retained();
    }
    for (const { chunks, copy } of taken) assert.ok(Buffer.concat(chunks).equals(copy));
  });

  it('takes a late release for what was taken, not for what was added since', () => {
    const encoder = new FrameEncoder(false);
    const other = new FrameEncoder(false);
    encoder.addFrame(0x82, Buffer.from('first'));
    const first = encoder.take();
    encoder.addFrame(0x82, Buffer.from('second'));
    assert.equal(Buffer.concat(first).toString('latin1', 2), 'first');
    encoder.released();
    other.addFrame(0x82, Buffer.from('other!!'));
    const second = encoder.take();
    encoder.addFrame(0x82, Buffer.from('third'));
    encoder.released();
    other.addFrame(0x82, Buffer.from('other??'));
    assert.equal(parse(second, false)[0]!.payload.toString(), 'second');
    assert.deepEqual(
      [...parse(other.take(), false), ...parse(encoder.take(), false)].map(({ payload }) => payload.toString()),
      ['other!!', 'other??', 'third'],
    );
  });

  it('keeps what waits while all others release what stood behind it', () => {
    const encoder = new FrameEncoder(false);
    const other = new FrameEncoder(false);
    for (let round = 0; round < 200; round++) {
      encoder.addFrame(0x82, Buffer.from('first'));
      other.addFrame(0x82, Buffer.from('between'));
      assert.equal(parse(other.take(), false)[0]!.payload.toString(), 'between');
      other.released();
      encoder.addFrame(0x82, Buffer.from('second'));
      other.addFrame(0x82, Buffer.from('again'));
      other.take();
      other.released();
      encoder.addTextFrame(0x81, 'third');
      assert.deepEqual(
        parse(encoder.take(), false).map(({ payload }) => payload.toString()),
        ['first', 'second', 'third'],
      );
      encoder.released();
    }
  });

  it('takes a release twice for one', () => {
    const encoder = new FrameEncoder(false);
    const other = new FrameEncoder(false);
    other.addFrame(0x82, Buffer.from('kept'));
    const kept = other.take();
    encoder.addFrame(0x82, Buffer.from('gone'));
    encoder.take();
    for (let i = 0; i < 3; i++) encoder.released();
    encoder.addFrame(0x82, Buffer.from('next'));
    encoder.take();
    encoder.released();
    encoder.addFrame(0x82, Buffer.alloc(100));
    assert.equal(parse(kept, false)[0]!.payload.toString(), 'kept');
  });

  it('goes on behind a payload that could not be read', () => {
    const encoder = new FrameEncoder(false);
    const broken = { byteLength: 5 } as unknown as Uint8Array;
    Object.defineProperty(broken, 'length', { get: () => assert.fail('unreadable') });
    assert.throws(() => encoder.addFrame(0x82, broken), /unreadable/);
    assert.equal(encoder.bufferedBytes, 0);
    encoder.addFrame(0x82, Buffer.from('ok'));
    assert.deepEqual(
      parse(encoder.take(), false).map(({ payload }) => payload.toString()),
      ['ok'],
    );
  });
});

describe('FrameEncoder.hold', () => {
  it('changes nothing in what is sent, and in what order', () => {
    for (const masked of [false, true]) {
      const plain = new FrameEncoder(masked);
      const held = new FrameEncoder(masked);
      for (let round = 0; round < 40; round++) {
        for (const encoder of [plain, held]) {
          for (const length of [0, 3, 130, 900, ...(round % 9 === 0 ? LENGTHS : [])]) {
            encoder.addFrame(0x82, bytesOf(length, round));
            encoder.addTextFrame(0x81, `${round} é`);
          }
          const maskKey = masked ? hex('01020304') : undefined;
          encoder.addEncoded(
            referenceEncode({ fin: true, rsv1: false, opcode: 9, payload: bytesOf(20, round), maskKey }),
          );
        }
        held.hold();
        assert.equal(held.bufferedBytes, plain.bufferedBytes);
        if (round % 8 !== 7) continue;
        const [expected, actual] = [plain.take(), held.take()];
        assertSame(parse(actual, masked), parse(expected, masked));
        plain.released();
        held.released();
      }
    }
  });

  it('takes what waits out of the memory that all write into, and gives that back', () => {
    const encoder = new FrameEncoder(false);
    const other = new FrameEncoder(false);
    const blocks = new Set<ArrayBufferLike>();
    for (let round = 0; round < 200; round++) {
      encoder.addFrame(0x82, bytesOf(10, round));
      encoder.hold();
      other.addFrame(0x82, bytesOf(15_000, round));
      for (const { buffer } of other.take()) blocks.add(buffer);
      other.released();
    }
    assert.ok(blocks.size <= 3, `${blocks.size} blocks for 3 MB, one after the other`);
    const chunks = encoder.take();
    assert.ok(chunks.every(({ buffer }) => !blocks.has(buffer)));
    assert.equal(parse(chunks, false).length, 200);
  });

  it('takes little more memory than there are bytes', () => {
    const encoder = new FrameEncoder(false);
    encoder.addFrame(0x82, Buffer.alloc(1));
    encoder.hold();
    for (let i = 0; i < 20_000; i++) encoder.addFrame(0x82, Buffer.alloc(i % 50));
    const { bufferedBytes } = encoder;
    const chunks = encoder.take();
    const taken = [...new Set(chunks.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.ok(taken <= bufferedBytes + 64 * 1024, `${taken} bytes for ${bufferedBytes}`);
    assert.ok(chunks.length <= 20, `${chunks.length} chunks`);
  });

  it('leaves alone what is kept by reference, and what is empty', () => {
    const encoder = new FrameEncoder(false);
    encoder.hold();
    const large = Buffer.alloc(REFERENCE_BYTES);
    const encoded = hex('8900');
    encoder.addFrame(0x82, large);
    encoder.addEncoded(encoded);
    encoder.hold();
    encoder.hold();
    const [header, payload, ping] = encoder.take();
    assert.equal(header!.buffer.byteLength, header!.length, 'exactly as much as it takes');
    assert.equal(payload, large);
    assert.equal(ping, encoded);
  });

  it('keeps no tiny frame by reference that is added then, and a longer one it does', () => {
    const encoder = new FrameEncoder(false);
    encoder.addFrame(0x82, Buffer.alloc(1));
    encoder.hold();
    for (let i = 0; i < 1000; i++) encoder.addTextFrame(0x81, 'again');
    for (let i = 0; i < 3; i++) encoder.addTextFrame(0x81, 'x'.repeat(2000));
    const chunks = encoder.take();
    const frames = parse(chunks, false);
    assert.deepEqual([frames.length, frames.at(-1)!.payload.length], [1004, 2000]);
    assert.ok(chunks.length < 12, `${chunks.length} chunks`);
    assert.equal(chunks.at(-1), chunks.at(-2));
  });

  it('ends with the next take', () => {
    const [encoder, other] = [new FrameEncoder(false), new FrameEncoder(false)];
    encoder.addFrame(0x82, Buffer.alloc(1));
    encoder.hold();
    encoder.take();
    encoder.retained();
    encoder.addFrame(0x82, Buffer.alloc(1));
    other.addFrame(0x82, Buffer.alloc(1));
    assert.equal(encoder.take()[0]!.buffer, other.take()[0]!.buffer, 'they share a block again');
  });
});

describe('FrameEncoder, payloads that change once they are sent', () => {
  it('tells when one that is kept by reference was transferred, shrunk or grown', () => {
    const changes: ((buffer: ArrayBuffer) => void)[] = [
      (buffer) => structuredClone(buffer, { transfer: [buffer] }),
      (buffer) => (buffer as ArrayBuffer & { resize(size: number): void }).resize(20_000),
      (buffer) => (buffer as ArrayBuffer & { resize(size: number): void }).resize(40_000),
    ];
    for (const change of changes) {
      for (const hold of [false, true]) {
        const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer;
        const buffer = new Resizable(30_000, { maxByteLength: 50_000 });
        const encoder = new FrameEncoder(false);
        encoder.addTextFrame(0x81, 'before');
        encoder.addFrame(0x82, new Uint8Array(buffer));
        encoder.addTextFrame(0x81, 'behind');
        assert.equal(encoder.isIntact, true);
        if (hold) encoder.hold();
        change(buffer);
        assert.equal(encoder.isIntact, false);
        encoder.take();
        assert.equal(encoder.isIntact, true, 'what was taken is another matter');
      }
    }
  });
});

describe('FrameEncoder, payloads that are lent', () => {
  it('copies them, of any length', () => {
    for (const hold of [false, true]) {
      for (const length of [0, 16 * 1024 - 1, 16 * 1024, 65_522, 65_523, 65_536, 200_000]) {
        const encoder = new FrameEncoder(false);
        const expected = bytesOf(length, 1);
        expected.copy(receiveBuffer);
        encoder.addTextFrame(0x81, 'before');
        if (hold) encoder.hold();
        encoder.addFrame(0x82, receiveBuffer.subarray(0, length));
        encoder.addTextFrame(0x81, 'behind');
        receiveBuffer.fill(0, 0, length);
        const frames = parse(encoder.take(), false);
        assert.deepEqual(
          frames.map(({ payload }) => payload.length),
          [6, length, 6],
        );
        assert.ok(frames[1]!.payload.equals(expected));
      }
    }
  });

  it('uses the memory of large copies again once they have left, and leaves it to others where it does not know', () => {
    const encoder = new FrameEncoder(false);
    const send = (): Uint8Array => {
      encoder.addFrame(0x82, receiveBuffer.subarray(0, 200_000));
      return encoder.take().find(({ length }) => length === 200_000)!;
    };
    const first = send();
    encoder.released();
    const second = send();
    assert.equal(second.buffer, first.buffer);
    assert.deepEqual(encoder.retained(), [second]);
    assert.notEqual(send().buffer, first.buffer);
    assert.deepEqual([encoder.retained().length, encoder.retained().length], [1, 0]);
  });

  it('masks a copy of them', () => {
    const encoder = new FrameEncoder(true);
    receiveBuffer.fill(1, 0, 20_000);
    encoder.addFrame(0x82, receiveBuffer.subarray(0, 20_000));
    assert.ok(receiveBuffer.subarray(0, 20_000).every((byte) => byte === 1));
    assert.ok(parse(encoder.take(), true)[0]!.payload.equals(receiveBuffer.subarray(0, 20_000)));
  });
});
