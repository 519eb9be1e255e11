import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isWireCloseCode } from '../../lib/codec/close-code.ts';
import { decodeClosePayload, encodeClosePayload, fitReason, MAX_REASON_BYTES } from '../../lib/codec/close-payload.ts';
import { hex } from '../support/hex.ts';

/** Decodes the payload in the midst of other bytes, which must not count. */
function decode(payload: Buffer): ReturnType<typeof decodeClosePayload> {
  const bytes = Buffer.concat([hex('03e8'), payload, hex('ff')]);
  return decodeClosePayload(bytes, 2, 2 + payload.length);
}

describe('decodeClosePayload', () => {
  it('reads no payload as code 1005, §7.1.5', () => {
    assert.deepEqual(decode(hex('')), { code: 1005, reason: '' });
  });

  it('refuses one byte, §5.5.1', () => {
    for (let byte = 0; byte < 256; byte++) assert.equal(decode(Buffer.of(byte)), 'WS_ERR_INVALID_CLOSE_PAYLOAD');
  });

  it('takes exactly the codes that may be sent, §7.4', () => {
    for (let code = 0; code < 65_536; code++) {
      const decoded = decode(Buffer.of(code >> 8, code & 0xff));
      if (isWireCloseCode(code)) assert.deepEqual(decoded, { code, reason: '' });
      else assert.equal(decoded, 'WS_ERR_INVALID_CLOSE_CODE', `${code}`);
    }
  });

  it('reads the reason', () => {
    assert.deepEqual(decode(hex('03e9 676f6e65')), { code: 1001, reason: 'gone' });
    assert.deepEqual(decode(hex('0fa0 e282ac')), { code: 4000, reason: '€' });
  });

  it('refuses a reason that is not UTF-8, §8.1', () => {
    for (const reason of ['ff', '80', 'c3', 'e282', 'eda080', '61c0af']) {
      assert.equal(decode(hex(`03e8 ${reason}`)), 'WS_ERR_INVALID_UTF8', reason);
    }
  });

  it('finds fault with the code before the reason', () => {
    assert.equal(decode(hex('03ed ff')), 'WS_ERR_INVALID_CLOSE_CODE');
  });
});

describe('encodeClosePayload', () => {
  it('writes code and reason', () => {
    assert.deepEqual(encodeClosePayload(1000, ''), hex('03e8'));
    assert.deepEqual(encodeClosePayload(4999, 'é'), hex('1387 c3a9'));
  });

  it('makes an empty payload of 1005', () => {
    assert.deepEqual(encodeClosePayload(1005, ''), hex(''));
    assert.throws(() => encodeClosePayload(1005, 'why'), RangeError);
  });

  it('takes a reason of up to 123 bytes of UTF-8', () => {
    assert.equal(MAX_REASON_BYTES, 123);
    for (const reason of ['a'.repeat(123), '€'.repeat(41), `a${'é'.repeat(61)}`]) {
      const payload = encodeClosePayload(1000, reason);
      assert.equal(payload.length, 125);
      assert.deepEqual(decode(payload), { code: 1000, reason });
    }
    for (const reason of ['a'.repeat(124), '€'.repeat(42), 'é'.repeat(62)]) {
      assert.throws(() => encodeClosePayload(1000, reason), { name: 'RangeError', message: /shorten it to 123/ });
    }
  });

  it('refuses codes that may not be sent', () => {
    for (const code of [0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 1000.5, Number.NaN, -1, 66_536]) {
      assert.throws(() => encodeClosePayload(code, ''), { name: 'RangeError', message: /may not be sent/ }, `${code}`);
    }
  });

  it('replaces lone surrogates, as they are no characters', () => {
    assert.deepEqual(decode(encodeClosePayload(1000, 'a\ud800')), { code: 1000, reason: 'a\ufffd' });
  });

  it('takes no reason that is no string: it might be no UTF-8, or so many bytes of other memory', () => {
    for (const reason of [new Float32Array(20), Buffer.from('bye'), 100, null, { length: 100 }]) {
      assert.throws(() => encodeClosePayload(1000, reason as string), { name: 'TypeError', message: /is a string/ });
    }
  });
});

describe('fitReason', () => {
  it('leaves a reason as it is that fits', () => {
    for (const reason of ['', 'bye', 'a'.repeat(123), '€'.repeat(41)]) assert.equal(fitReason(reason), reason);
  });

  it('shortens one that does not, and cuts no character', () => {
    assert.equal(fitReason('a'.repeat(124)), 'a'.repeat(123));
    assert.equal(fitReason('€'.repeat(42)), '€'.repeat(41));
    assert.equal(fitReason(`a${'é'.repeat(200)}`), `a${'é'.repeat(61)}`);
    assert.equal(fitReason(`ab${'😀'.repeat(60)}`), `ab${'😀'.repeat(30)}`);
  });
});
