import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameParser } from '../../lib/codec/frame-parser.ts';
import { applyMask, readMaskKey } from '../../lib/codec/mask.ts';
import { applyMaskSimd, receiveBuffer } from '../../lib/codec/mask-simd.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { FrameRecorder } from '../support/frame-recorder.ts';
import { hex } from '../support/hex.ts';
import { referenceEncode, referenceMask } from '../support/reference-codec.ts';

const KEY = hex('37fa213d');
const SCRATCH_BYTES = 64 * 1024;

/** Masks a stretch of some memory, and compares it with the naive loop and the rest with what it was. */
function check(memory: Buffer, offset: number, length: number): void {
  const original = bytesOf(memory.length, length);
  memory.set(original);
  applyMask(memory, offset, offset + length, readMaskKey(KEY, 0));
  const masked = referenceMask(original.subarray(offset, offset + length), KEY);
  const at = `${length} bytes at ${offset}`;
  assert.ok(memory.subarray(offset, offset + length).equals(masked), at);
  assert.ok(memory.subarray(0, offset).equals(original.subarray(0, offset)), `before ${at}`);
  assert.ok(memory.subarray(offset + length).equals(original.subarray(offset + length)), `behind ${at}`);
}

describe('applyMaskSimd', () => {
  it('equals the naive loop in the receive buffer, at every length and offset', () => {
    // The first bytes of the receive buffer are the addresses from 0 on: a view of them would be masked by copying.
    for (let length = 0; length <= 200; length++) {
      for (const offset of [0, 1, 2, 3, 4, 7, 14, 15, 16, 17]) {
        const original = bytesOf(256, length);
        receiveBuffer.set(original);
        applyMask(receiveBuffer, offset, offset + length, readMaskKey(KEY, 0));
        original.set(referenceMask(original.subarray(offset, offset + length), KEY), offset);
        assert.ok(receiveBuffer.subarray(0, 256).equals(original), `${length} bytes at ${offset}`);
      }
    }
  });

  it('equals the naive loop at the end of the receive buffer, and on all of it', () => {
    const end = receiveBuffer.length;
    for (const length of [1, 15, 16, 17, 63, 64, 65, 1000, end - 6, end]) check(receiveBuffer, end - length, length);
  });

  it('equals the naive loop in other memory, at every length around its thresholds', () => {
    const memory = Buffer.alloc(400);
    for (let length = 240; length <= 330; length++) {
      for (let offset = 0; offset < 8; offset++) check(memory, offset, length);
    }
  });

  it('equals the naive loop on what is larger than its scratch', () => {
    const memory = Buffer.alloc(3 * SCRATCH_BYTES);
    for (const length of [-1, 0, 1, 2, 3, 4, 5].map((more) => SCRATCH_BYTES + more)) check(memory, 3, length);
    check(memory, 1, 2 * SCRATCH_BYTES + 7);
  });

  it('takes a view of the receive buffer for other memory', () => {
    const view = receiveBuffer.subarray(5, 5 + 1000);
    check(view as Buffer, 0, 300);
    check(view as Buffer, 3, 20);
  });

  it('leaves short payloads elsewhere to the loop, and changes nothing then', () => {
    const bytes = bytesOf(300, 1);
    assert.equal(applyMaskSimd(bytes, 0, 100, 1), false);
    assert.ok(bytes.equals(bytesOf(300, 1)));
  });

  it('is there on every version of Node this library runs on', () => {
    assert.equal(applyMaskSimd(bytesOf(300, 1), 0, 300, 1), true);
    assert.equal(receiveBuffer.length, 256 * 1024);
  });

  it('unmasks frames that a parser reads in the receive buffer', () => {
    const lengths = [0, 1, 15, 16, 17, 125, 126, 1000, 20_000];
    const expected = lengths.map((length) => ({ fin: true, rsv1: false, opcode: 2, payload: bytesOf(length, length) }));
    const wire = Buffer.concat(expected.map((frame) => referenceEncode({ ...frame, maskKey: KEY })));
    for (const size of [receiveBuffer.length, 1448, 977]) {
      const recorder = new FrameRecorder();
      const parser = new FrameParser(recorder, { expectMask: true, allowRsv1: false, maxFrameBytes: 1 << 20 });
      for (let at = 0; at < wire.length; at += size) {
        const length = wire.copy(receiveBuffer, 0, at, at + size);
        assert.equal(parser.push(receiveBuffer, 0, length), length);
        receiveBuffer.fill(0xa5);
      }
      assert.deepEqual(recorder.frames, expected);
    }
  });
});
