import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { flushSoon, isFlushDue } from '../../lib/net/flush-queue.ts';
import { settle } from '../support/watchdog.ts';

describe('flushSoon', () => {
  it('flushes at the end of the turn, all targets in order, behind what promises do', async () => {
    const calls: string[] = [];
    const target = (name: string) => ({ flushOutput: () => void calls.push(name) });
    flushSoon(target('a'));
    flushSoon(target('b'));
    calls.push('now');
    await Promise.resolve();
    process.nextTick(() => calls.push('tick'));
    calls.push('promise');
    await settle(1);
    assert.deepEqual(calls, ['now', 'promise', 'tick', 'a', 'b']);
  });

  it('is known to be due until it has come', async () => {
    assert.equal(isFlushDue(), false);
    let wasDue: boolean | undefined;
    flushSoon({
      flushOutput() {
        wasDue = isFlushDue();
      },
    });
    assert.equal(isFlushDue(), true);
    await settle(1);
    assert.deepEqual([wasDue, isFlushDue()], [false, false]);
  });

  it('uses one immediate for any number of targets', async (t) => {
    const immediate = t.mock.method(globalThis, 'setImmediate');
    let flushed = 0;
    for (let i = 0; i < 1000; i++) flushSoon({ flushOutput: () => void flushed++ });
    assert.equal(immediate.mock.callCount(), 1);
    immediate.mock.restore();
    await settle(1);
    assert.equal(flushed, 1000);
  });

  it('flushes what is added during a flush in the next turn', async () => {
    const calls: string[] = [];
    const again = { flushOutput: () => void calls.push('again') };
    flushSoon({
      flushOutput: () => {
        calls.push('first');
        flushSoon(again);
      },
    });
    flushSoon({ flushOutput: () => void calls.push('second') });
    await settle(2);
    assert.deepEqual(calls, ['first', 'second', 'again']);
  });
});
