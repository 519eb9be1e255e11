import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Roster } from '../../lib/server/roster.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { settle } from '../support/watchdog.ts';

describe('Roster', () => {
  it('waits for those who were there when it was called, and for nobody else', async () => {
    const roster = new Roster<string>();
    roster.add('a');
    roster.add('b');
    const { present, gone } = roster.call();
    let isOver = false;
    void gone.then(() => {
      isOver = true;
    });
    roster.add('late');
    assert.deepEqual([[...present], roster.size], [['a', 'b'], 3]);
    roster.delete('a');
    roster.delete('nobody');
    await settle(1);
    assert.deepEqual([[...present], isOver], [['b'], false]);
    roster.delete('b');
    await gone;
    assert.deepEqual([[...present], roster.size], [[], 1]);
  });

  it('counts one that came later where it is told to, as long as it is there and the roll is looked at', async () => {
    const roster = new Roster<string>();
    const [roll, ended] = [roster.call(), roster.call()];
    ended.end();
    roster.join('nobody');
    roster.add('late');
    roster.join('late');
    assert.deepEqual([[...roll.present], [...ended.present]], [['late'], []]);
    roster.delete('late');
    assert.equal(roll.present.size, 0);
  });

  it('forgets whom it waited for once the roll is looked at no more', async () => {
    const roster = new Roster<string>();
    const present = (() => {
      roster.add('a');
      const roll = roster.call();
      roster.delete('a');
      roll.end();
      return new WeakRef(roll.present);
    })();
    await settle(1);
    collectGarbage();
    assert.equal(present.deref(), undefined);
    assert.equal(roster.size, 0);
  });

  it('waits for nobody when nobody is there', async () => {
    const { present, gone } = new Roster<string>().call();
    assert.equal(present.size, 0);
    await gone;
  });
});
