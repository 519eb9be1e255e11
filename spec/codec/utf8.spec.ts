import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeUtf8, Utf8Validator } from '../../lib/codec/utf8.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { hex } from '../support/hex.ts';
import { referenceDecodeUtf8, referenceIsUtf8Prefix } from '../support/reference-codec.ts';

/** The bytes at whose neighbours the tables of RFC 3629 §4 change. */
const EDGES = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
  0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfe, 0xff,
];

/** Compares everything there is with TextDecoder, at every split. */
function check(bytes: Buffer): void {
  const expected = referenceDecodeUtf8(bytes);
  // In the midst of other bytes, which must not count.
  const framed = Buffer.concat([hex('bf'), bytes, hex('bf')]);
  const text = decodeUtf8(framed, 1, 1 + bytes.length);
  if (text !== expected) assert.equal(text, expected, `decodeUtf8 ${bytes.toString('hex')}`);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const validator = new Utf8Validator();
    const valid = validator.push(framed, 1, 1 + cut) && validator.push(framed, 1 + cut, 1 + bytes.length);
    const whole = valid && validator.complete;
    if (whole !== (expected !== undefined)) assert.fail(`${bytes.toString('hex')} cut at ${cut}: ${whole}`);
  }
}

/** The number of bytes that can be taken before it is certain that the text is invalid. */
function firstFault(bytes: Buffer): number {
  const validator = new Utf8Validator();
  for (let i = 0; i < bytes.length; i++) {
    if (!validator.push(bytes, i, i + 1)) return i;
  }
  return bytes.length;
}

function expectedFault(bytes: Buffer): number {
  for (let i = 0; i < bytes.length; i++) {
    if (!referenceIsUtf8Prefix(bytes.subarray(0, i + 1))) return i;
  }
  return bytes.length;
}

describe('decodeUtf8 and Utf8Validator', () => {
  it('agree with TextDecoder on every sequence of one and two bytes', () => {
    check(Buffer.alloc(0));
    for (let first = 0; first < 256; first++) {
      check(Buffer.of(first));
      for (let second = 0; second < 256; second++) check(Buffer.of(first, second));
    }
  });

  it('agree with TextDecoder on three and four bytes of every class', () => {
    for (const a of EDGES) {
      for (const b of EDGES) {
        for (const c of EDGES) {
          check(Buffer.of(a, b, c));
          if (a < 0xe0) continue;
          for (const d of [0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xe2]) check(Buffer.of(a, b, c, d));
        }
      }
    }
  });

  it('agree with TextDecoder on every character', () => {
    const all: string[] = [];
    for (let code = 0; code <= 0x10ffff; code++)
      if (code < 0xd800 || code > 0xdfff) all.push(String.fromCodePoint(code));
    const text = all.join('');
    const bytes = Buffer.from(text);
    assert.ok(decodeUtf8(bytes, 0, bytes.length) === text);
    for (const size of [1, 2, 3, 5, 7, 1024, bytes.length]) {
      const validator = new Utf8Validator();
      for (let at = 0; at < bytes.length; at += size) {
        assert.ok(validator.push(bytes, at, Math.min(at + size, bytes.length)), `at ${at} of ${size}`);
      }
      assert.ok(validator.complete);
    }
  });

  it('agree with TextDecoder where a fault lies far inside', () => {
    for (const length of [47, 48, 49, 50, 200, 5000]) {
      for (const tail of [
        '41',
        'c3a9',
        'e282ac',
        'f09f9880',
        '80',
        'c3',
        'e282',
        'f09f98',
        'eda080',
        'c080',
        'f4908080',
      ]) {
        for (const filler of ['a', 'é']) {
          const head = Buffer.from(filler.repeat(length / filler.length));
          const bytes = Buffer.concat([head, hex(tail)]);
          assert.equal(decodeUtf8(bytes, 0, bytes.length), referenceDecodeUtf8(bytes), `${length} ${filler} ${tail}`);
          const validator = new Utf8Validator();
          assert.equal(validator.push(bytes, 0, bytes.length), referenceIsUtf8Prefix(bytes), `${length} ${tail}`);
          const behind = Buffer.concat([bytes, head]);
          assert.equal(new Utf8Validator().push(behind, 0, behind.length), referenceIsUtf8Prefix(behind));
        }
      }
    }
  });

  it('keep a byte order mark', () => {
    const bytes = hex('efbbbf 41');
    assert.equal(decodeUtf8(bytes, 0, bytes.length), '\ufeffA');
  });
});

describe('Utf8Validator', () => {
  it('finds fault with exactly the byte that makes the text impossible', () => {
    const starts = [
      '',
      '41',
      'c3',
      'c3a9',
      'e0',
      'e0a0',
      'e2',
      'e282',
      'ed',
      'ed9f',
      'f0',
      'f090',
      'f09080',
      'f4',
      'f48f',
      'f48fbf',
    ];
    for (const start of starts) {
      for (let first = 0; first < 256; first++) {
        for (const second of [0x41, 0xbf]) {
          const bytes = Buffer.concat([hex(start), Buffer.of(first, second)]);
          assert.equal(firstFault(bytes), expectedFault(bytes), bytes.toString('hex'));
        }
      }
    }
  });

  it('finds fault with the same piece however the text is cut', () => {
    for (let seed = 1; seed < 400; seed++) {
      // Random bytes behind a good beginning: most are faulty at once, some later.
      const bytes = Buffer.concat([Buffer.from('aé€😀'), bytesOf(6, seed), Buffer.from('é')]);
      const fault = expectedFault(bytes);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const validator = new Utf8Validator();
        const first = validator.push(bytes, 0, cut);
        assert.equal(first, cut <= fault, `${bytes.toString('hex')} cut at ${cut}`);
        if (first) assert.equal(validator.push(bytes, cut, bytes.length), fault === bytes.length);
      }
    }
  });

  it('says whether the last character is whole', () => {
    const bytes = Buffer.from('aé€😀');
    const ends = new Set([0, 1, 3, 6, 10]);
    for (let end = 0; end <= bytes.length; end++) {
      const validator = new Utf8Validator();
      assert.ok(validator.push(bytes, 0, end));
      assert.equal(validator.complete, ends.has(end), `${end} bytes`);
    }
  });

  it('takes empty pieces inside a character', () => {
    const bytes = Buffer.from('😀');
    const validator = new Utf8Validator();
    for (let i = 0; i < bytes.length; i++) {
      assert.ok(validator.push(bytes, i, i));
      assert.ok(validator.push(bytes, i, i + 1));
    }
    assert.ok(validator.push(bytes, 0, 0));
    assert.ok(validator.complete);
  });
});
