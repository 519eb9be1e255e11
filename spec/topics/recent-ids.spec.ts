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

  it('forgets by number and by time, over and over', () => {
    const ids = new RecentIds<number>(1000);
    for (let i = 0; i < 10_000; i++) {
      assert.equal(ids.find('a', String(i), i), undefined);
      ids.add('a', String(i), i, i);
    }
    assert.equal(ids.size, 1000);
    assert.deepEqual([ids.find('a', '8999', 10_000), ids.find('a', '9000', 10_000)], [undefined, 9000]);
    ids.expire(9500 + 5 * 60_000);
    assert.deepEqual([ids.size, ids.find('a', '9501', 10_000)], [499, 9501]);
    ids.expire(10_000 + 5 * 60_000);
    assert.equal(ids.size, 0);
    ids.add('a', 'anew', 1, 0);
    assert.equal(ids.find('a', 'anew', 0), 1);
  });
});
