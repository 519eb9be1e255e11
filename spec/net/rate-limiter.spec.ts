import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { RateLimits } from '../../lib/net/limits.ts';
import { RateLimiter } from '../../lib/net/rate-limiter.ts';

describe('RateLimiter', () => {
  let nowMs = 0;

  beforeEach(() => {
    nowMs = 1000;
    mock.method(performance, 'now', () => nowMs);
    mock.timers.enable({ apis: ['setTimeout'] });
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });

  /** Lets time pass: the clock's, and that of timers. */
  function pass(ms: number): void {
    nowMs += ms;
    mock.timers.tick(ms);
  }

  function make(maxMessagesPerSecond: number, messageBurst?: number) {
    const limits: RateLimits = { maxMessagesPerSecond, messageBurst, rateLimitPolicy: 'wait' };
    const ready: (string | Buffer)[] = [];
    const limiter = new RateLimiter(limits, (message) => void ready.push(message));
    /** Takes tokens until there are none. */
    const takeAll = (): number => {
      for (let count = 0; ; count++) if (!limiter.take()) return count;
    };
    return { limiter, takeAll, ready };
  }

  it('has as many tokens as may come at once, and no more after any time', () => {
    const { takeAll } = make(10, 3);
    assert.equal(takeAll(), 3);
    assert.equal(takeAll(), 0);
    pass(1_000_000);
    assert.equal(takeAll(), 3);
  });

  it('fills with time, and keeps fractions', () => {
    const { takeAll } = make(10, 3);
    takeAll();
    pass(99);
    assert.equal(takeAll(), 0);
    pass(1);
    assert.equal(takeAll(), 1);
    pass(250);
    assert.equal(takeAll(), 2);
    pass(50);
    assert.equal(takeAll(), 1);
  });

  it('lets through as many as it says on average, whenever it is asked', () => {
    const { takeAll } = make(30, 5);
    let total = takeAll();
    for (let i = 0; i < 1000; i++) {
      pass((i * 7) % 90);
      total += takeAll();
    }
    const seconds = (nowMs - 1000) / 1000;
    assert.ok(total > 30 * seconds - 1 && total <= 30 * seconds + 5, `${total} in ${seconds} s`);
  });

  it('has as many as in a second unless told, and at least one', () => {
    assert.equal(make(10).takeAll(), 10);
    assert.equal(make(0.5).takeAll(), 1);
  });

  it('keeps a message until there is a token, and takes that', () => {
    const { limiter, takeAll, ready } = make(10, 2);
    assert.deepEqual([limiter.isWaiting, limiter.waitingBytes], [false, 0]);
    takeAll();
    limiter.keep('early');
    assert.deepEqual([limiter.isWaiting, limiter.waitingBytes], [true, 5]);
    pass(99);
    assert.deepEqual([ready, limiter.isWaiting], [[], true]);
    pass(1);
    assert.deepEqual([ready, limiter.isWaiting, limiter.take()], [['early'], false, false]);
    pass(10_000);
    assert.equal(ready.length, 1);
  });

  it('keeps another when that is told', () => {
    const { limiter, takeAll, ready } = make(10, 1);
    takeAll();
    for (const message of ['', Buffer.from('b')]) {
      limiter.keep(message);
      pass(100);
      assert.equal(ready.at(-1), message);
    }
  });

  it('waits on when its timer was early', () => {
    const { limiter, takeAll, ready } = make(10, 2);
    takeAll();
    limiter.keep('early');
    nowMs -= 1;
    pass(100);
    assert.deepEqual([ready, limiter.isWaiting], [[], true]);
    pass(2);
    assert.deepEqual(ready, ['early']);
  });

  it('waits for longer than a timer can', () => {
    const { limiter, takeAll, ready } = make(1e-7);
    takeAll();
    limiter.keep('early');
    pass(2 ** 31 - 1);
    assert.deepEqual([ready, limiter.isWaiting], [[], true]);
    for (let i = 0; i < 4; i++) pass(2 ** 31 - 1);
    assert.deepEqual(ready, ['early']);
  });

  it('gives a message back before its time', () => {
    const { limiter, takeAll, ready } = make(10, 1);
    takeAll();
    assert.equal(limiter.release(), undefined);
    limiter.keep('early');
    assert.equal(limiter.release(), 'early');
    assert.equal(limiter.release(), undefined);
    assert.equal(limiter.isWaiting, false);
    pass(10_000);
    assert.deepEqual(ready, []);
  });
});
