import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { acceptKey, isValidKey } from '../../lib/handshake/accept-key.ts';

describe('acceptKey', () => {
  it('answers the key of RFC 6455 §1.3 with what stands there', () => {
    assert.equal(acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  it('hashes the key as it was sent, and does not decode it', () => {
    // Both are the base64 of the same bytes.
    assert.notEqual(acceptKey('AAAAAAAAAAAAAAAAAAAAAA=='), acceptKey('AAAAAAAAAAAAAAAAAAAAAB=='));
  });
});

describe('isValidKey', () => {
  it('takes sixteen bytes in base64', () => {
    for (const byte of [0x00, 0x55, 0xff, 0xfb, 0xbe]) {
      const key = Buffer.alloc(16, byte).toString('base64');
      assert.ok(isValidKey(key), key);
    }
    for (const char of 'AZaz09+/') assert.ok(isValidKey(`${char.repeat(22)}==`), char);
  });

  it('refuses any other length', () => {
    for (const length of [0, 1, 15, 17, 18, 20, 32]) assert.ok(!isValidKey(Buffer.alloc(length).toString('base64')));
    assert.ok(!isValidKey(''));
    assert.ok(!isValidKey('A'.repeat(100_000)));
  });

  it('refuses what is no base64, at every position', () => {
    const good = 'dGhlIHNhbXBsZSBub25jZQ==';
    for (const bad of ['@', '[', '`', '{', ':', '*', ',', '.', '-', '_', ' ', '=', '\0', 'é', '₠']) {
      for (let i = 0; i < 22; i++) assert.ok(!isValidKey(good.slice(0, i) + bad + good.slice(i + 1)), `${bad} at ${i}`);
    }
    assert.ok(!isValidKey('dGhlIHNhbXBsZSBub25jZQA='));
    assert.ok(!isValidKey('dGhlIHNhbXBsZSBub25jZQ=A'));
    assert.ok(!isValidKey('dGhlIHNhbXBsZSBub25jZQAA'));
  });
});
