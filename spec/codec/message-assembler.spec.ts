import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeMessage, MessageAssembler } from '../../lib/codec/message-assembler.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';

const FIRST_RESERVE_BYTES = 4096;
/** Of a frame that announces more, this many times what has arrived may be reserved. */
const MAX_AHEAD = 16;
const NO_LIMIT = Number.POSITIVE_INFINITY;

/** Appends whole fragments and ends the message. */
function assemble(
  text: boolean,
  fragments: Buffer[],
  assembler = new MessageAssembler(NO_LIMIT),
): string | Buffer | undefined {
  assembler.begin(text);
  assert.ok(assembler.active);
  for (const fragment of fragments) assert.equal(assembler.append(fragment, 0, fragment.length, 0), undefined);
  const message = assembler.finish();
  assert.ok(!assembler.active);
  assert.equal(assembler.bufferedBytes, 0);
  return message;
}

/**
 * Appends pieces that each announce what is still to come of their frame; returns how many bytes growing has copied.
 * Checks at each piece that what is reserved has a bound.
 */
function copiedBytes(
  assembler: MessageAssembler,
  maxBytes: number,
  pieces: Iterable<[Buffer, number]>,
  isLast: boolean = false,
): number {
  let received = 0;
  let copied = 0;
  for (const [piece, remaining] of pieces) {
    const reserved = assembler.bufferedBytes;
    assert.equal(assembler.append(piece, 0, piece.length, remaining, isLast), undefined);
    if (assembler.bufferedBytes !== reserved) copied += received;
    received += piece.length;
    assert.ok(assembler.bufferedBytes >= received);
    assert.ok(
      assembler.bufferedBytes <=
        Math.max(FIRST_RESERVE_BYTES, 2 * received, Math.min(received + remaining, MAX_AHEAD * received)),
      `${assembler.bufferedBytes} reserved for ${received}`,
    );
    assert.ok(assembler.bufferedBytes <= maxBytes);
  }
  return copied;
}

describe('MessageAssembler', () => {
  it('joins fragments', () => {
    assert.equal(
      assemble(
        true,
        ['Hel', '', 'lo'].map((part) => Buffer.from(part)),
      ),
      'Hello',
    );
    assert.deepEqual(assemble(false, [hex('01'), hex(''), hex('0203')]), hex('010203'));
    assert.equal(assemble(true, [hex('')]), '');
    assert.deepEqual(assemble(false, [hex(''), hex('')]), hex(''));
  });

  it('joins characters that a fragment cuts', () => {
    const bytes = Buffer.from('é€😀');
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.equal(assemble(true, [bytes.subarray(0, cut), bytes.subarray(cut)]), 'é€😀');
    }
  });

  it('begins each message anew', () => {
    const assembler = new MessageAssembler(10);
    assert.equal(assemble(true, [Buffer.from('abc')], assembler), 'abc');
    assert.deepEqual(assemble(false, [hex('ff')], assembler), hex('ff'));
    assembler.begin(true);
    assembler.append(hex('f09f'), 0, 2, 0);
    assert.equal(assembler.finish(), undefined);
    assert.equal(assemble(true, [Buffer.from('0123456789')], assembler), '0123456789');
  });

  it('finds text that ends inside a character', () => {
    for (const text of ['c3', '61e282', 'f09f98']) assert.equal(assemble(true, [hex(text)]), undefined);
  });

  it('finds text that is not UTF-8 with the piece that makes it so', () => {
    const assembler = new MessageAssembler(NO_LIMIT);
    assembler.begin(true);
    assert.equal(assembler.append(hex('61ed'), 0, 2, 100), undefined);
    assert.equal(assembler.append(hex('a0'), 0, 1, 99), 'WS_ERR_INVALID_UTF8');
  });

  it('takes any bytes as binary', () => {
    assert.deepEqual(assemble(false, [hex('ed'), hex('a0ff')]), hex('eda0ff'));
  });

  it('takes exactly as many bytes as the limit allows, over all fragments', () => {
    const assembler = new MessageAssembler(10);
    assembler.begin(false);
    assert.equal(assembler.append(Buffer.alloc(6), 0, 6, 0), undefined);
    assert.equal(assembler.append(Buffer.alloc(4), 0, 4, 0), undefined);
    assert.equal(assembler.append(Buffer.alloc(0), 0, 0, 0), undefined);
    assert.equal(assembler.append(Buffer.alloc(1), 0, 1, 0), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  });

  it('refuses a message by what a header announces, before it reserves anything', () => {
    const assembler = new MessageAssembler(10);
    assembler.begin(true);
    assert.equal(assembler.append(Buffer.alloc(4), 0, 4, 0), undefined);
    const reserved = assembler.bufferedBytes;
    assert.equal(assembler.append(hex('ff'), 0, 0, 7), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
    assert.equal(assembler.append(hex('ff'), 0, 1, 6), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
    assert.equal(assembler.bufferedBytes, reserved);
  });

  it('reserves nothing for a header alone', () => {
    const assembler = new MessageAssembler(NO_LIMIT);
    assembler.begin(false);
    assert.equal(assembler.append(Buffer.alloc(0), 0, 0, 2 ** 53 - 1), undefined);
    assert.equal(assembler.bufferedBytes, 0);
    assert.equal(assembler.append(Buffer.alloc(1), 0, 1, 2 ** 53 - 2), undefined);
    assert.equal(assembler.bufferedBytes, FIRST_RESERVE_BYTES);
  });

  it('reserves exactly what the last frame announces, once that is in sight', () => {
    const assembler = new MessageAssembler(NO_LIMIT);
    const total = 100_000;
    assembler.begin(false);
    function* pieces(): Generator<[Buffer, number]> {
      for (let at = 0; at < total; at += 1000) yield [bytesOf(1000, at), total - at - 1000];
    }
    const copied = copiedBytes(assembler, NO_LIMIT, pieces(), true);
    assert.ok(copied <= 2 * total, `${copied} bytes copied`);
    assert.equal(assembler.bufferedBytes, total);
    const message = assembler.finish() as Buffer;
    assert.equal(message.buffer.byteLength, total, 'not copied again');
  });

  it('copies tiny fragments a bounded number of times, and reserves in proportion', () => {
    for (const size of [1, 3, 7, 100]) {
      const assembler = new MessageAssembler(NO_LIMIT);
      assembler.begin(false);
      const count = Math.floor(200_000 / size);
      const pieces = Array.from({ length: count }, (): [Buffer, number] => [Buffer.alloc(size, 1), 0]);
      const copied = copiedBytes(assembler, NO_LIMIT, pieces);
      assert.ok(copied <= 2 * size * count, `${copied} bytes copied for fragments of ${size}`);
      assert.equal((assembler.finish() as Buffer).length, size * count);
    }
  });

  it('copies a bounded number of times when each fragment announces a little more', () => {
    const assembler = new MessageAssembler(NO_LIMIT);
    assembler.begin(false);
    function* pieces(): Generator<[Buffer, number]> {
      for (let i = 0; i < 20_000; i++) {
        yield [Buffer.alloc(0), 10];
        yield [Buffer.alloc(4), 6];
        yield [Buffer.alloc(6), 0];
      }
    }
    assert.ok(copiedBytes(assembler, NO_LIMIT, pieces()) <= 2 * 200_000);
  });

  it('never reserves more than the limit', () => {
    for (const limit of [1, 100, 4095, 4096, 4097, 10_000, 65_537]) {
      const assembler = new MessageAssembler(limit);
      assembler.begin(false);
      const pieces = Array.from({ length: limit }, (): [Buffer, number] => [Buffer.alloc(1), 0]);
      copiedBytes(assembler, limit, pieces);
      assert.equal(assembler.append(Buffer.alloc(1), 0, 1, 0), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
      assembler.reset();
      assert.deepEqual([assembler.bufferedBytes, assembler.active], [0, false]);
    }
  });

  it('reserves no more than the last frame announces, and hands that over as it is', () => {
    for (const length of [1, 20, 4096, 100_000]) {
      const assembler = new MessageAssembler(NO_LIMIT);
      assembler.begin(false);
      const source = bytesOf(length, length);
      for (let i = 0; i < length; i += 1000) {
        const end = Math.min(i + 1000, length);
        assert.equal(assembler.append(source, i, end, length - end, true), undefined);
        assert.ok(assembler.bufferedBytes <= length, `${assembler.bufferedBytes} of ${length}`);
      }
      const message = assembler.finish() as Buffer;
      assert.deepEqual(message, source);
      assert.equal(message.buffer.byteLength, length);
    }
  });

  it('reserves nothing for empty fragments', () => {
    const assembler = new MessageAssembler(100);
    assembler.begin(true);
    for (let i = 0; i < 100_000; i++) assert.equal(assembler.append(Buffer.alloc(0), 0, 0, 0), undefined);
    assert.equal(assembler.bufferedBytes, 0);
    assert.equal(assembler.finish(), '');
  });

  it('returns a buffer that nothing else writes to, without much room to spare', () => {
    for (const length of [1, 10, 4000, 4096, 4097, 8192, 9000, 32_767, 32_768, 40_000]) {
      const source = bytesOf(length, length);
      const message = assemble(
        false,
        Array.from(source, (byte) => Buffer.of(byte)),
      ) as Buffer;
      source.fill(0);
      assert.deepEqual(message, bytesOf(length, length));
      // What is below half of Node's pool shares that with other small buffers.
      if (length >= Buffer.poolSize >>> 1)
        assert.ok(message.buffer.byteLength <= length * 1.125 + 1, `${message.buffer.byteLength} for ${length}`);
    }
  });

  it('copies the piece it is given', () => {
    const assembler = new MessageAssembler(NO_LIMIT);
    const piece = Buffer.from('xHellox');
    assembler.begin(false);
    assembler.append(piece, 1, 6, 0);
    piece.fill(0);
    assert.deepEqual(assembler.finish(), Buffer.from('Hello'));
  });
});

describe('decodeMessage', () => {
  it('returns text, or nothing when it is not UTF-8', () => {
    assert.equal(decodeMessage(true, Buffer.from('-héllo-'), 1, 7), 'héllo');
    assert.equal(decodeMessage(true, hex('ff'), 0, 1), undefined);
    assert.equal(decodeMessage(true, hex('ff'), 0, 0), '');
  });

  it('returns a copy of binary, short or long', () => {
    for (const length of [0, 1, 2, 47, 48, 49, 1000]) {
      const bytes = bytesOf(length + 2, 3);
      const expected = Buffer.from(bytes.subarray(1, length + 1));
      const message = decodeMessage(false, bytes, 1, length + 1);
      bytes.fill(0);
      assert.deepEqual(message, expected);
    }
  });
});
