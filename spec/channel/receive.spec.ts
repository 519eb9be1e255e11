import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Receive } from '../../lib/channel/receive.ts';
import { ReceiveQueue } from '../../lib/channel/receive-queue.ts';
import { InvalidStateError, TimeoutError } from '../../lib/errors.ts';

const withdrawn = { name: 'InvalidStateError', code: 'WS_ERR_RECEIVE_WITHDRAWN' };

describe('Receive', () => {
  it('is a promise: then, catch and finally settle as its value does', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const receive = queue.receive();
    assert.ok(receive instanceof Receive);
    assert.equal(Object.prototype.toString.call(receive), '[object Receive]');
    assert.equal(await receive, 1);
    assert.equal(await receive.then((value) => value + 1), 2);
    assert.equal(await receive.catch(() => 0), 1);
    let calls = 0;
    assert.equal(await receive.finally(() => calls++), 1);
    assert.equal(calls, 1);
    queue.fail(new Error('over'));
    assert.equal(await queue.receive().catch((error: Error) => error.message), 'over');
    await assert.rejects(
      queue.receive().finally(() => calls++),
      { message: 'over' },
    );
    assert.equal(calls, 2);
  });

  it('takes its value only when it is awaited', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    const receive = queue.receive();
    assert.equal(queue.length, 1);
    const value = receive.then();
    assert.equal(queue.length, 0);
    assert.equal(await value, 'a');
  });

  it('takes its value on arrival when it is awaited already', async () => {
    const queue = new ReceiveQueue<string>();
    const value = queue.receive().then();
    queue.push('a');
    assert.equal(queue.length, 0);
    assert.equal(await value, 'a');
  });

  it('keeps its place while it is not awaited', async () => {
    const queue = new ReceiveQueue<string>();
    const first = queue.receive();
    const second = queue.receive();
    queue.push('a');
    queue.push('b');
    assert.equal(await second, 'b');
    assert.equal(await first, 'a');
  });

  it('gives the same outcome each time it is awaited', async () => {
    const queue = new ReceiveQueue<object>();
    const waiting = queue.receive();
    const both = Promise.all([waiting, waiting]);
    const value = {};
    queue.push(value);
    queue.push({});
    assert.deepEqual(
      (await both).map((each) => each === value),
      [true, true],
    );
    assert.equal(await waiting, value);
    assert.equal(queue.length, 1);
  });

  it('never causes an unhandled rejection when nobody awaits it', async (t) => {
    const seen: unknown[] = [];
    const listener = (reason: unknown) => seen.push(reason);
    process.on('unhandledRejection', listener);
    t.after(() => process.off('unhandledRejection', listener));
    const queue = new ReceiveQueue<number>();
    const controller = new AbortController();
    queue.receive({ signal: controller.signal });
    queue.receive().withdraw();
    controller.abort();
    queue.fail(new Error('over'));
    queue.receive();
    await nextTurn();
    assert.deepEqual(seen, []);
  });

  it('makes its value with map when it takes it, and not before', async () => {
    const queue = new ReceiveQueue<string>();
    const mapped: string[] = [];
    const receive: Receive<number> = queue.receive(undefined, (item) => mapped.push(item));
    queue.push('a');
    assert.deepEqual(mapped, []);
    assert.equal(await receive, 1);
    assert.equal(await receive, 1);
    assert.deepEqual(mapped, ['a']);
  });

  it('rejects with what map throws, and the next receive goes on', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    queue.push('b');
    const failing = queue.receive({}, () => {
      throw new Error('not mapped');
    });
    await assert.rejects(failing, { message: 'not mapped' });
    assert.equal(await queue.receive(), 'b');
  });
});

describe('Receive.withdraw', () => {
  it('leaves the value to the next receive', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    const first = queue.receive();
    const second = queue.receive();
    first.withdraw();
    assert.equal(await second, 'a');
    await assert.rejects(first, withdrawn);
    await assert.rejects(first, InvalidStateError);
    assert.equal(queue.waiting, 0);
  });

  it('rejects those who await it', async () => {
    const queue = new ReceiveQueue<string>();
    const receive = queue.receive();
    const rejected = assert.rejects(receive, withdrawn);
    receive.withdraw();
    await rejected;
  });

  it('rejects those who have called then already', async () => {
    const queue = new ReceiveQueue<string>();
    const receive = queue.receive();
    const awaited = receive.then();
    receive.withdraw();
    await assert.rejects(awaited, withdrawn);
    assert.equal(queue.waiting, 0);
  });

  it('does nothing after it has settled or was withdrawn', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    const settled = queue.receive();
    await settled;
    settled.withdraw();
    assert.equal(await settled, 'a');
    const receive = queue.receive();
    const next = queue.receive();
    receive.withdraw();
    receive.withdraw();
    assert.equal(queue.waiting, 1);
    queue.push('b');
    assert.equal(await next, 'b');
  });

  it('stops the timer and the signal', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const queue = new ReceiveQueue<string>();
    const { signal } = new AbortController();
    const receive = queue.receive({ timeoutMs: 5, signal });
    receive.withdraw();
    t.mock.timers.tick(5);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await assert.rejects(receive, withdrawn);
  });
});

describe('Receive with timeoutMs', () => {
  it('rejects with TimeoutError when the time has passed, and takes nothing', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const queue = new ReceiveQueue<string>();
    const receive = queue.receive({ timeoutMs: 50 });
    const next = queue.receive();
    const rejected = assert.rejects(receive, (error) => error instanceof TimeoutError && error.timeoutMs === 50);
    t.mock.timers.tick(49);
    assert.equal(queue.waiting, 2);
    t.mock.timers.tick(1);
    assert.equal(queue.waiting, 1);
    await rejected;
    queue.push('late');
    assert.equal(await next, 'late');
  });

  it('counts from its creation, also while nobody awaits it', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const receive = new ReceiveQueue<string>().receive({ timeoutMs: 50 });
    t.mock.timers.tick(50);
    await assert.rejects(receive, { code: 'WS_ERR_TIMEOUT' });
  });

  it('makes no timer when its value is there already', (t) => {
    const setTimer = t.mock.method(globalThis, 'setTimeout');
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    queue.receive({ timeoutMs: 50 });
    assert.equal(setTimer.mock.callCount(), 0);
    const second = queue.receive({ timeoutMs: 50 });
    assert.equal(setTimer.mock.callCount(), 1);
    second.withdraw();
  });

  it('clears its timer when it settles', async (t) => {
    const clearTimer = t.mock.method(globalThis, 'clearTimeout');
    const queue = new ReceiveQueue<string>();
    const receive = queue.receive({ timeoutMs: 1000 });
    queue.push('a');
    assert.equal(clearTimer.mock.callCount(), 0);
    assert.equal(await receive, 'a');
    assert.equal(clearTimer.mock.callCount(), 1);
  });

  it('keeps a value that came in time and is awaited later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const queue = new ReceiveQueue<string>();
    const receive = queue.receive({ timeoutMs: 50 });
    queue.push('in time');
    t.mock.timers.tick(100);
    assert.equal(await receive, 'in time');
  });

  it('has no limit for 0, Infinity, undefined and what no timer can count', (t) => {
    const setTimer = t.mock.method(globalThis, 'setTimeout', () => assert.fail('a timer was made'));
    const queue = new ReceiveQueue<string>();
    for (const timeoutMs of [0, Number.POSITIVE_INFINITY, undefined, 2 ** 31, Number.MAX_VALUE]) {
      queue.receive({ timeoutMs });
    }
    assert.equal(queue.waiting, 5);
    setTimer.mock.restore();
    const longest = t.mock.method(globalThis, 'setTimeout');
    queue.receive({ timeoutMs: 2 ** 31 - 1 }).withdraw();
    assert.equal(longest.mock.callCount(), 1);
  });

  it('refuses a time that is no time, and leaves the line alone', () => {
    const queue = new ReceiveQueue<string>();
    for (const timeoutMs of [-1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      assert.throws(() => queue.receive({ timeoutMs }), {
        name: 'RangeError',
        message: `timeoutMs is ${timeoutMs}: give milliseconds from 0 on, where 0 or Infinity is no timeout`,
      });
    }
    assert.equal(queue.waiting, 0);
  });

  it('refuses a bare number, and says how to write it', () => {
    const queue = new ReceiveQueue<string>();
    for (const options of [50, null]) {
      assert.throws(() => queue.receive(options as never), {
        name: 'TypeError',
        message: `options are an object: write { timeoutMs: ${options} }`,
      });
    }
    assert.equal(queue.waiting, 0);
  });
});

describe('Receive with a signal', () => {
  it('rejects with the reason of the signal, and takes nothing', async () => {
    const queue = new ReceiveQueue<string>();
    const controller = new AbortController();
    const reason = new Error('enough');
    const receive = queue.receive({ signal: controller.signal });
    const next = queue.receive();
    const rejected = assert.rejects(receive, (error) => error === reason);
    controller.abort(reason);
    await rejected;
    queue.push('a');
    assert.equal(await next, 'a');
  });

  it('gives a value back that it has not taken', async () => {
    const queue = new ReceiveQueue<string>();
    const controller = new AbortController();
    const receive = queue.receive({ signal: controller.signal });
    queue.push('a');
    controller.abort();
    await assert.rejects(receive, { name: 'AbortError' });
    assert.equal(await queue.receive(), 'a');
  });

  it('takes nothing when the signal was aborted before', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    const receive = queue.receive({ signal: AbortSignal.abort('before'), timeoutMs: 5 });
    assert.equal(queue.waiting, 0);
    assert.equal(await receive.catch((reason: unknown) => reason), 'before');
    assert.equal(queue.length, 1);
  });

  it('leaves no listener behind, and no abort changes it after it has settled', async () => {
    const queue = new ReceiveQueue<string>();
    const controller = new AbortController();
    const receive = queue.receive({ signal: controller.signal });
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
    queue.push('a');
    assert.equal(await receive, 'a');
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    controller.abort();
    receive.abort('direct');
    assert.equal(await receive, 'a');
  });
});
