import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Branch, type BranchWatcher, branchOf, WatcherGroup } from '../../lib/channel/branch.ts';
import { collectGarbage } from './collect-garbage.ts';

/** A watcher that counts how often it is told. */
class Counter implements BranchWatcher {
  told = 0;

  ready(): void {
    this.told++;
  }
}

describe('WatcherGroup', () => {
  const branch: Branch = branchOf(new Promise<never>(() => {}));

  it('tells all that are in it, also those behind one that leaves meanwhile', () => {
    const [first, last] = [new Counter(), new Counter()];
    const leaver: BranchWatcher = { ready: () => group.remove(leaver) };
    const group = new WatcherGroup(first, leaver);
    group.add(last);
    group.ready(branch);
    assert.deepEqual([first.told, last.told], [1, 1]);
    group.ready(branch);
    assert.deepEqual([first.told, last.told], [2, 2]);
  });

  it('removes a watcher that is in it, and nobody for one that is not', () => {
    const [first, second] = [new Counter(), new Counter()];
    const group = new WatcherGroup(first, second);
    assert.equal(group.remove(new Counter()), false);
    group.ready(branch);
    assert.deepEqual([first.told, second.told], [1, 1]);
    assert.equal(group.remove(first), false);
    assert.equal(group.remove(second), true);
    assert.equal(group.remove(second), true);
  });
});

describe('branchOf', () => {
  it('makes one branch of a promise, which has one reaction however many selects it takes part in', () => {
    const promise = new Promise<never>(() => {});
    assert.equal(branchOf(promise), branchOf(promise));
    assert.notEqual(branchOf(promise), branchOf(new Promise<never>(() => {})));
  });

  it('tells those who watch it once, when it has settled, and not those who have left', async () => {
    const branch = branchOf(Promise.resolve('a'));
    const [watcher, leaver] = [new Counter(), new Counter()];
    branch.watch(watcher);
    branch.watch(leaver);
    branch.unwatch(leaver);
    assert.equal(branch.isReady, false);
    await nextTurn();
    assert.deepEqual([branch.isReady, branch.isFulfilled, branch.outcome], [true, true, 'a']);
    assert.deepEqual([watcher.told, leaver.told], [1, 0]);
  });

  const times: [when: string, watch: (promise: Promise<number>) => Promise<WeakRef<BranchWatcher>>][] = [
    [
      'before it settled',
      async (promise) => {
        const watcher = watchNew(promise);
        await nextTurn();
        return watcher;
      },
    ],
    [
      'after it has settled',
      async (promise) => {
        watchNew(promise);
        await nextTurn();
        return watchNew(promise);
      },
    ],
  ];
  for (const [when, watch] of times) {
    it(`does not hold on to who watched it ${when}`, async () => {
      const promise = Promise.resolve(1);
      const watcher = await watch(promise);
      await nextTurn();
      collectGarbage();
      assert.equal(watcher.deref(), undefined);
      assert.equal(await promise, 1);
    });
  }
});

function watchNew(promise: Promise<number>): WeakRef<BranchWatcher> {
  const watcher = new Counter();
  branchOf(promise).watch(watcher);
  return new WeakRef(watcher);
}
