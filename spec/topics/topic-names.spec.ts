import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pointToGroup, pointToPoint } from '../../lib/topics/topic-names.ts';
import '../support/seed.ts';

describe('pointToPoint and pointToGroup', () => {
  it('name the topic of two users whichever comes first, and that of a group', () => {
    assert.equal(pointToPoint('ann', 'bob'), 'point/ann/bob');
    assert.equal(pointToPoint('bob', 'ann'), 'point/ann/bob');
    assert.equal(pointToGroup('staff'), 'group/staff');
  });

  it('give no two pairs or groups the same name', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '/', '%', '%2F', 'point/', 'é') });
    fc.assert(
      fc.property(name, name, name, name, (a, b, c, d) => {
        const isSame = [a, b].sort().join('\0') === [c, d].sort().join('\0');
        assert.equal(pointToPoint(a, b) === pointToPoint(c, d), isSame);
        assert.equal(pointToGroup(a) === pointToGroup(b), a === b);
        assert.notEqual(pointToGroup(a), pointToPoint(b, c));
      }),
    );
  });

  it('refuse what is no string', () => {
    assert.throws(
      () => pointToPoint('a', 7 as unknown as string),
      /a topic is named by strings, and this is the number 7/,
    );
    assert.throws(() => pointToGroup(undefined as unknown as string), TypeError);
  });

  it('refuse half a character, as topics do', () => {
    for (const name of ['\ud800', 'a\udc00b']) {
      assert.throws(() => pointToGroup(name), /^RangeError: the name of a topic is whole Unicode, .* half a character/);
      assert.throws(() => pointToPoint('a', name), RangeError);
    }
  });
});
