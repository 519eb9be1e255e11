import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatPosition, parsePosition } from '../../lib/topics/position.ts';
import '../support/seed.ts';

describe('a position', () => {
  it('is read as it was written, and can stand in a URL', () => {
    const epoch = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);
    fc.assert(
      fc.property(epoch, fc.maxSafeNat(), (given, offset) => {
        const position = formatPosition(given, offset);
        assert.deepEqual(parsePosition(position), { epoch: given, offset });
        assert.equal(encodeURIComponent(position), position);
      }),
    );
  });

  const none = [
    '',
    '.',
    'a',
    'a.',
    '.1',
    'a.01',
    'a.-1',
    'a.1e3',
    'a.1 ',
    'a b.1',
    'ä.1',
    'a.b.1',
    'a/b.1',
    'a:b.1',
    '@.1',
  ];
  for (const text of [
    ...none,
    `${'e'.repeat(129)}.1`,
    'a.9007199254740992',
    'a.12345678901234567',
    'a.1.',
    '[.1',
    '{.1',
    '`.1',
  ]) {
    it(`is not ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.equal(parsePosition(text), undefined);
    });
  }

  it('is only what would be written again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\w.-]*\.\d*$/)), (text) => {
        const place = parsePosition(text);
        if (place !== undefined) assert.equal(formatPosition(place.epoch, place.offset), text);
      }),
    );
  });
});
