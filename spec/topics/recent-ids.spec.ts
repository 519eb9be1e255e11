import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecentIds } from '../../lib/topics/recent-ids.ts';

describe('RecentIds', () => {
  it('remembers the last 65,536, and no more', () => {
    const ids = new RecentIds<number>();
    for (let i = 0; i <= 65_536; i++) ids.add('a', String(i), i, 0);
    assert.equal(ids.size, 65_536);
    assert.equal(ids.find('a', '0', 1), undefined);
    assert.equal(ids.find('a', '1', 1), 1);
    assert.equal(ids.find('a', '65536', 1), 65_536);
  });

  it('does not take the id of one topic for that of another', () => {
    const ids = new RecentIds<number>();
    ids.add('a', 'bc', 1, 0);
    assert.equal(ids.find('ab', 'c', 1), undefined);
    assert.equal(ids.find('a', 'bc', 1), 1);
  });
});
