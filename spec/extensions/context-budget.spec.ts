import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  deflateContextBytes,
  inflateContextBytes,
  reserveContextBytes,
  reservedContextBytes,
} from '../../lib/extensions/context-budget.ts';

const KIB = 1024;

describe('the budget of contexts', () => {
  it('knows what a context takes', () => {
    assert.equal(deflateContextBytes(15, 8), (80 + 128 + 128) * KIB);
    assert.equal(deflateContextBytes(12, 5), (80 + 16 + 16) * KIB);
    assert.equal(inflateContextBytes(15), (20 + 32) * KIB);
    assert.equal(inflateContextBytes(9), 20.5 * KIB);
  });

  it('adds up what is reserved', () => {
    assert.equal(reservedContextBytes(), 0);
    reserveContextBytes(100);
    reserveContextBytes(20);
    assert.equal(reservedContextBytes(), 120);
    reserveContextBytes(-100);
    assert.equal(reservedContextBytes(), 20);
    reserveContextBytes(-20);
    assert.equal(reservedContextBytes(), 0);
  });
});
