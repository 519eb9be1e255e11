import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { stopWaitingForAbort, waitForAbort } from '../../lib/channel/abort.ts';

describe('waitForAbort', () => {
  it('puts one listener on a signal for any number of waiters, and takes it off with the last', () => {
    const { signal } = new AbortController();
    const waiters = Array.from({ length: 20 }, () => ({ abort: () => assert.fail('it left before the abort') }));
    for (const waiter of waiters) waitForAbort(signal, waiter);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    for (const waiter of waiters.slice(1)) stopWaitingForAbort(signal, waiter);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    stopWaitingForAbort(signal, waiters[0]!);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('tells each waiter the reason, in the order they came', () => {
    const controller = new AbortController();
    const told: unknown[] = [];
    waitForAbort(controller.signal, { abort: (reason) => told.push(['a', reason]) });
    waitForAbort(controller.signal, { abort: (reason) => told.push(['b', reason]) });
    controller.abort('why');
    assert.deepEqual(told, [
      ['a', 'why'],
      ['b', 'why'],
    ]);
  });

  it('does not tell a waiter that another took off during the abort', () => {
    const controller = new AbortController();
    const second = { abort: () => assert.fail('it was taken off') };
    let calls = 0;
    waitForAbort(controller.signal, {
      abort: () => {
        calls++;
        stopWaitingForAbort(controller.signal, second);
      },
    });
    waitForAbort(controller.signal, second);
    controller.abort();
    assert.equal(calls, 1);
  });

  it('tells one that waits when the last of those before has left', () => {
    const controller = new AbortController();
    const gone = { abort: () => assert.fail('it left before the abort') };
    waitForAbort(controller.signal, gone);
    stopWaitingForAbort(controller.signal, gone);
    const told: unknown[] = [];
    waitForAbort(controller.signal, { abort: (reason) => told.push(reason) });
    controller.abort('why');
    assert.deepEqual(told, ['why']);
  });

  it('ignores a waiter that never waited', () => {
    const { signal } = new AbortController();
    stopWaitingForAbort(signal, { abort: () => {} });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});
