import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyAlone } from '../../lib/codec/copy-alone.ts';
import { hex } from '../support/hex.ts';

describe('copyAlone', () => {
  it('copies into memory that holds nothing else', () => {
    for (const bytes of [hex(''), hex('01'), hex('00 01 02 03').subarray(1, 3), Buffer.alloc(100_000, 7)]) {
      const copy = copyAlone(bytes);
      assert.deepEqual(copy, Buffer.from(bytes));
      assert.equal(copy.buffer.byteLength, bytes.length);
      assert.notEqual(copy.buffer, bytes.buffer);
    }
  });
});
