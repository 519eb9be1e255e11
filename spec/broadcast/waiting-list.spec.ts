import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WaitingList, WaitingPlace } from '../../lib/broadcast/waiting-list.ts';

describe('WaitingList', () => {
  it('gives the places back in the order in which they came', () => {
    const list = new WaitingList<string>();
    assert.equal(list.takeFirst(), undefined);
    for (const owner of ['a', 'b', 'c']) list.add(new WaitingPlace(owner));
    assert.equal(list.length, 3);
    assert.deepEqual(
      [0, 1, 2, 3].map(() => list.takeFirst()?.owner),
      ['a', 'b', 'c', undefined],
    );
    assert.equal(list.length, 0);
  });

  it('removes a place from anywhere, and holds nothing of it', () => {
    for (const removed of [0, 1, 2]) {
      const list = new WaitingList<number>();
      const places = [0, 1, 2].map((owner) => new WaitingPlace(owner));
      for (const place of places) list.add(place);
      const place = places[removed]!;
      list.remove(place);
      assert.equal(place.isWaiting, false);
      assert.deepEqual([place.before, place.after], [place, place]);
      const rest = [list.takeFirst()?.owner, list.takeFirst()?.owner, list.takeFirst()?.owner];
      assert.deepEqual(rest, [...[0, 1, 2].filter((owner) => owner !== removed), undefined]);
    }
  });

  it('holds a place once, and lets it come again', () => {
    const list = new WaitingList<string>();
    const [first, second] = [new WaitingPlace('first'), new WaitingPlace('second')];
    for (const place of [first, second, first]) list.add(place);
    assert.equal(list.length, 2);
    assert.equal(list.takeFirst(), first);
    list.remove(first);
    list.add(first);
    assert.deepEqual([list.takeFirst(), list.takeFirst(), list.takeFirst()], [second, first, undefined]);
  });
});
