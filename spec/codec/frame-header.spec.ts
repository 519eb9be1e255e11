import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeFrameHeader,
  FrameHeader,
  type FrameRules,
  headerBytes,
  MAX_HEADER_BYTES,
  writeFrameHeader,
} from '../../lib/codec/frame-header.ts';
import { readMaskKey } from '../../lib/codec/mask.ts';
import type { ErrorCode } from '../../lib/errors.ts';
import { BOUNDARY_LENGTHS } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';

const CLIENT: FrameRules = { expectMask: false, allowRsv1: false, maxFrameBytes: Number.POSITIVE_INFINITY };
const SERVER: FrameRules = { ...CLIENT, expectMask: true };
const BIG_LENGTHS = [...BOUNDARY_LENGTHS, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 53 - 1];

interface Decoded {
  readonly result: number;
  readonly header: FrameHeader;
}

/** Decodes in the midst of bytes that would be errors if they were read. */
function decode(bytes: Buffer, rules: FrameRules): Decoded {
  const guarded = Buffer.concat([hex('f7f7f7'), bytes, Buffer.alloc(16, 0xf7)]);
  const header = new FrameHeader();
  return { result: decodeFrameHeader(header, guarded, 3, 3 + bytes.length, rules), header };
}

/** Asserts the error, that no prefix of the bytes makes another one, and that it is found with `found` bytes. */
function assertError(bytes: Buffer, rules: FrameRules, error: ErrorCode, found: number): void {
  for (let length = 0; length < found; length++) assert.equal(decode(bytes.subarray(0, length), rules).result, 0);
  for (let length = found; length <= bytes.length; length++) {
    const { result, header } = decode(bytes.subarray(0, length), rules);
    assert.equal(result, -1, `${bytes.toString('hex')}: ${length} bytes`);
    assert.equal(header.error, error);
  }
}

describe('decodeFrameHeader', () => {
  it('reads what writeFrameHeader writes, at all boundary lengths', () => {
    for (const length of BIG_LENGTHS) {
      for (const maskKey of [undefined, readMaskKey(hex('37fa213d'), 0), 0]) {
        const bytes = Buffer.alloc(20, 0xee);
        const end = writeFrameHeader(bytes, 3, 0x82, length, maskKey);
        assert.equal(end - 3, headerBytes(length, maskKey !== undefined));
        assert.ok(end - 3 <= MAX_HEADER_BYTES);
        assert.ok(bytes.subarray(end).every((byte) => byte === 0xee) && bytes.subarray(0, 3).equals(hex('eeeeee')));
        const { result, header } = decode(bytes.subarray(3, end), maskKey === undefined ? CLIENT : SERVER);
        assert.equal(result, end - 3, `${length}`);
        assert.deepEqual({ ...header, error: 0 }, { bits: 0x82, maskKey: maskKey ?? 0, length, error: 0 });
      }
    }
  });

  it('needs every byte of the header, and no more', () => {
    for (const length of BIG_LENGTHS) {
      for (const masked of [false, true]) {
        const bytes = Buffer.alloc(headerBytes(length, masked));
        writeFrameHeader(bytes, 0, 0x01, length, masked ? 0x1234 : undefined);
        for (let cut = 0; cut < bytes.length; cut++) {
          assert.equal(decode(bytes.subarray(0, cut), masked ? SERVER : CLIENT).result, 0, `${length} cut at ${cut}`);
        }
      }
    }
  });

  it('forgets the key of the frame before', () => {
    const header = new FrameHeader();
    const frame = hex('8180 37fa213d');
    assert.equal(decodeFrameHeader(header, frame, 0, frame.length, SERVER), 6);
    assert.equal(decodeFrameHeader(header, hex('8100'), 0, 2, CLIENT), 2);
    assert.equal(header.maskKey, 0);
  });

  it('judges every first byte', () => {
    for (const allowRsv1 of [false, true]) {
      for (let bits = 0; bits < 256; bits++) {
        const opcode = bits & 0x0f;
        let error: ErrorCode | undefined;
        if (bits & 0x30) error = 'WS_ERR_UNEXPECTED_RSV_2_3';
        else if (![0, 1, 2, 8, 9, 10].includes(opcode)) error = 'WS_ERR_INVALID_OPCODE';
        else if (bits & 0x40 && !(allowRsv1 && [1, 2].includes(opcode))) error = 'WS_ERR_UNEXPECTED_RSV_1';
        else if (opcode >= 8 && bits < 0x80) error = 'WS_ERR_EXPECTED_FIN';
        const bytes = Buffer.of(bits, 0x05);
        const rules = { ...CLIENT, allowRsv1 };
        if (error !== undefined) {
          assertError(bytes, rules, error, 1);
        } else {
          const { result, header } = decode(bytes, rules);
          assert.deepEqual([result, header.bits, header.length], [2, bits, 5]);
        }
      }
    }
  });

  it('requires a mask of a client, and refuses one of a server, §5.1', () => {
    assertError(hex('8105 00'), SERVER, 'WS_ERR_EXPECTED_MASK', 2);
    assertError(hex('8185 00'), CLIENT, 'WS_ERR_UNEXPECTED_MASK', 2);
    assertError(hex('817f 8000000000000000'), SERVER, 'WS_ERR_EXPECTED_MASK', 2);
  });

  it('refuses control frames of more than 125 bytes, §5.5', () => {
    for (const opcode of ['88', '89', '8a']) {
      assert.equal(decode(hex(`${opcode}7d`), CLIENT).result, 2);
      assertError(hex(`${opcode}7e 007e`), CLIENT, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 2);
      assertError(hex(`${opcode}7f 0000`), CLIENT, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 2);
    }
  });

  it('refuses lengths that are not in their shortest form, §5.2', () => {
    for (const length of ['0000', '0001', '007d'])
      assertError(hex(`827e ${length} 00`), CLIENT, 'WS_ERR_NON_MINIMAL_LENGTH', 4);
    assert.equal(decode(hex('827e 007e'), CLIENT).result, 4);
    for (const length of ['0000000000000000', '000000000000007e', '000000000000ffff']) {
      assertError(hex(`827f ${length} 00`), CLIENT, 'WS_ERR_NON_MINIMAL_LENGTH', 10);
    }
    assert.equal(decode(hex('827f 0000000000010000'), CLIENT).result, 10);
  });

  it('refuses lengths whose most significant bit is set, §5.2', () => {
    for (const length of ['8000000000000000', '8000000000000001', '8000000000010000', 'ffffffffffffffff']) {
      assertError(hex(`827f ${length} 00`), CLIENT, 'WS_ERR_INVALID_PAYLOAD_LENGTH', 10);
    }
  });

  it('refuses lengths from 2^53 on, whatever the limit', () => {
    assert.equal(decode(hex('827f 001fffffffffffff'), CLIENT).header.length, 2 ** 53 - 1);
    for (const length of ['0020000000000000', '0020000000000001', '7fffffffffffffff']) {
      assertError(hex(`827f ${length} 00`), CLIENT, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 10);
    }
  });

  it('refuses a frame above the limit at its header, before the key', () => {
    for (const [limit, below, above, found] of [
      [0, '8280', '8281', 2],
      [100, '82e4', '82e5', 2],
      [1000, '82fe 03e8', '82fe 03e9', 4],
      [65_536, '82ff 0000000000010000', '82ff 0000000000010001', 10],
      [65_536, '82ff 0000000000010000', '82ff 0000000100000000', 10],
    ] as const) {
      const rules = { ...SERVER, maxFrameBytes: limit };
      assert.ok(decode(hex(`${below} 01020304`), rules).result > 0);
      assertError(hex(`${above} 01020304`), rules, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', found);
    }
  });

  it('holds control frames to no limit but their own', () => {
    assert.equal(decode(hex('897d'), { ...CLIENT, maxFrameBytes: 0 }).result, 2);
  });

  it('wants more when there is nothing', () => {
    assert.equal(decodeFrameHeader(new FrameHeader(), hex('8105'), 2, 2, CLIENT), 0);
  });
});
