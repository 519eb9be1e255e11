import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { borrowEncoder, returnEncoder } from '../../lib/codec/encoder-pool.ts';
import { FIN, OpCode } from '../../lib/codec/opcode.ts';

describe('the pool of encoders', () => {
  for (const masked of [false, true]) {
    it(`lends ${masked ? 'masking' : 'plain'} encoders that are empty, one to each borrower`, () => {
      const [one, other] = [borrowEncoder(masked), borrowEncoder(masked)];
      assert.notEqual(one, other);
      assert.equal(one.masked, masked);
      one.addFrame(FIN | OpCode.Binary, Buffer.from('1'));
      assert.equal(other.bufferedBytes, 0);
      one.take();
      one.released();
      returnEncoder(one);
      assert.equal(borrowEncoder(masked), one, 'one that was returned is lent again');
      assert.equal(one.bufferedBytes, 0);
    });
  }

  it('does not lend a masking encoder to a server', () => {
    const masking = borrowEncoder(true);
    returnEncoder(masking);
    assert.equal(borrowEncoder(false).masked, false);
  });

  it('keeps no more than a bounded number', () => {
    const lent = Array.from({ length: 1000 }, () => borrowEncoder(false));
    for (const encoder of lent) returnEncoder(encoder);
    const again = new Set(Array.from({ length: 1000 }, () => borrowEncoder(false)));
    const kept = lent.filter((encoder) => again.has(encoder)).length;
    assert.ok(kept > 0 && kept < 1000, `${kept} were kept`);
  });
});
