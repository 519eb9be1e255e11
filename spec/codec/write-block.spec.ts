import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_RESERVE_BYTES, reserveBlock } from '../../lib/codec/write-block.ts';

describe('reserveBlock', () => {
  it('gives the same block while there is room, and a new one behind it', () => {
    const first = reserveBlock(MAX_RESERVE_BYTES);
    assert.equal(first.offset, 0);
    assert.equal(reserveBlock(MAX_RESERVE_BYTES), first);
    first.offset = 10;
    assert.equal(reserveBlock(MAX_RESERVE_BYTES - 10), first);
    const second = reserveBlock(MAX_RESERVE_BYTES - 9);
    assert.notEqual(second, first);
    assert.equal(second.offset, 0);
    assert.ok(
      second.buffer.every((byte) => byte === 0),
      'no memory that was used for something else before',
    );
  });

  it('uses a block again once all its regions are released', () => {
    const block = reserveBlock(1);
    block.begin();
    block.offset += 10;
    block.begin();
    block.offset += 10;
    const { offset } = block;
    block.release();
    assert.equal(block.offset, offset, 'one region is still read');
    block.release();
    assert.equal(block.offset, 0);
  });

  it('uses a full block again once all its bytes have left, and keeps only so many of them', () => {
    const full = Array.from({ length: 40 }, () => {
      const block = reserveBlock(MAX_RESERVE_BYTES);
      block.begin();
      block.offset = MAX_RESERVE_BYTES;
      return block;
    });
    assert.equal(new Set(full).size, 40, 'none while its bytes are read');
    reserveBlock(1);
    for (const block of full) block.release();
    const later = Array.from({ length: 40 }, () => {
      reserveBlock(1).offset = MAX_RESERVE_BYTES;
      return reserveBlock(1);
    });
    const again = later.filter((block) => full.includes(block)).length;
    assert.ok(again > 0 && again < 40, `${again} were used again`);
    assert.equal(new Set(later).size, 40, 'none for two at a time');
  });
});
