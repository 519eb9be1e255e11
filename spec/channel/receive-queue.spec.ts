import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReceiveQueue } from '../../lib/channel/receive-queue.ts';

describe('ReceiveQueue', () => {
  it('serves receives in the order of the calls', async () => {
    const queue = new ReceiveQueue<number>();
    const order: string[] = [];
    const all = ['a', 'b', 'c'].map((name) => queue.receive().then((value) => order.push(`${name}${value}`)));
    assert.equal(queue.waiting, 3);
    for (const value of [1, 2, 3]) assert.equal(queue.push(value), true);
    await Promise.all(all);
    assert.deepEqual(order, ['a1', 'b2', 'c3']);
    assert.equal(queue.waiting, 0);
  });

  it('keeps values that nobody waits for', async () => {
    const queue = new ReceiveQueue<number>();
    for (const value of [1, 2, 3]) queue.push(value);
    assert.equal(queue.length, 3);
    assert.deepEqual([await queue.receive(), await queue.receive(), await queue.receive()], [1, 2, 3]);
    assert.equal(queue.length, 0);
  });

  it('moves the later receives up when one is withdrawn', async () => {
    const queue = new ReceiveQueue<number>();
    const [first, second, third] = [queue.receive(), queue.receive(), queue.receive()];
    const awaited = third.then();
    queue.push(1);
    second.withdraw();
    queue.push(2);
    assert.equal(await awaited, 2);
    first.withdraw();
    assert.equal(await queue.receive(), 1);
  });

  it('gives a withdrawn place to a receive that is awaited behind it, at once', async () => {
    const queue = new ReceiveQueue<number>();
    const first = queue.receive();
    const second = queue.receive().then();
    queue.push(1);
    assert.equal(queue.length, 1);
    first.withdraw();
    assert.equal(queue.length, 0);
    assert.equal(await second, 1);
  });
});

describe('ReceiveQueue.replaceAll', () => {
  it('changes the values that wait, and none that is to come', async () => {
    const queue = new ReceiveQueue<string>();
    queue.push('a');
    queue.push('b');
    queue.replaceAll((value) => value.toUpperCase());
    queue.push('c');
    assert.deepEqual([await queue.receive(), await queue.receive(), await queue.receive()], ['A', 'B', 'c']);
  });
});

describe('ReceiveQueue.fail', () => {
  it('rejects what waits, and every receive from then on, with the same error', async () => {
    const queue = new ReceiveQueue<number>();
    const error = new Error('over');
    const waiting = [queue.receive(), queue.receive()];
    const rejected = Promise.allSettled(waiting);
    assert.equal(queue.isEnded, false);
    queue.fail(error);
    assert.equal(queue.isEnded, true);
    for (const outcome of await rejected) assert.deepEqual(outcome, { status: 'rejected', reason: error });
    for (let i = 0; i < 3; i++) await assert.rejects(queue.receive(), (thrown) => thrown === error);
  });

  it('lets the queued values be received first', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    queue.push(2);
    queue.fail(new Error('over'));
    assert.equal(await queue.receive(), 1);
    const second = queue.receive();
    await assert.rejects(queue.receive(), { message: 'over' });
    assert.equal(await second, 2);
  });

  it('counts only once, and no value comes after it', async () => {
    const queue = new ReceiveQueue<number>();
    queue.fail(new Error('first'));
    queue.fail(new Error('second'));
    assert.equal(queue.push(1), false);
    assert.equal(queue.length, 0);
    await assert.rejects(queue.receive(), { message: 'first' });
  });
});

describe('ReceiveQueue.tryTake', () => {
  it('takes the first value, or says that there is none', () => {
    const queue = new ReceiveQueue<number>();
    assert.equal(queue.tryTake(), undefined);
    queue.push(1);
    queue.push(2);
    assert.deepEqual([queue.tryTake(), queue.tryTake(), queue.tryTake()], [1, 2, undefined]);
    queue.fail(new Error('over'));
    assert.equal(queue.tryTake(), undefined);
  });

  it('leaves to each receive what it has reserved', async () => {
    const queue = new ReceiveQueue<number>();
    const receive = queue.receive();
    queue.push(1);
    assert.equal(queue.tryTake(), undefined);
    queue.push(2);
    assert.equal(queue.tryTake(), 2);
    assert.equal(await receive, 1);
  });
});

describe('ReceiveQueue onTake', () => {
  it('is called after each value that is taken, however it is taken', async () => {
    const lengths: number[] = [];
    const queue = new ReceiveQueue<number>(() => lengths.push(queue.length));
    for (const value of [1, 2, 3]) queue.push(value);
    assert.deepEqual(lengths, []);
    await queue.receive();
    queue.tryTake();
    queue.receive().withdraw();
    assert.deepEqual(lengths, [2, 1]);
    await queue.receive();
    const waiting = queue.receive();
    setImmediate(() => queue.push(4));
    await waiting;
    assert.deepEqual(lengths, [2, 1, 0, 0]);
  });

  it('may push, and what it pushes does not overtake what was taken', async () => {
    const order: number[] = [];
    const refill = [2, 3];
    const queue = new ReceiveQueue<number>(() => {
      const next = refill.shift();
      if (next !== undefined) queue.push(next);
    });
    queue.push(1);
    const first = queue.receive();
    const later = [queue.receive(), queue.receive()].map((receive) => receive.then((value) => order.push(value)));
    await Promise.all([first.then((value) => order.push(value)), ...later]);
    assert.deepEqual(order, [1, 2, 3]);
  });

  it('may refill the queue for thousands that wait, without going deeper for each', async () => {
    const waiting = 5000;
    let next = 1;
    const queue = new ReceiveQueue<number>(() => next < waiting && queue.push(next++));
    const all = Array.from({ length: waiting }, () => queue.receive().then());
    queue.push(0);
    assert.deepEqual(
      await Promise.all(all),
      all.map((_, i) => i),
    );
  });

  it('may take, while the receives that wait are being served', async () => {
    const taken: (number | undefined)[] = [];
    const queue = new ReceiveQueue<number>(() => {
      if (taken.length === 0) taken.push(1, queue.tryTake());
    });
    const unwanted = queue.receive();
    const awaited = queue.receive().then();
    queue.push(10);
    queue.push(11);
    queue.push(12);
    assert.equal(await awaited, 11);
    assert.deepEqual(taken, [1, undefined]);
    assert.equal(await unwanted, 10);
    assert.equal(await queue.receive(), 12);
  });

  it('does not stop the queue for good when it throws', async () => {
    let throws = true;
    const queue = new ReceiveQueue<number>(() => {
      if (throws) throw new Error('owner');
    });
    const [first, second] = [queue.receive().then(), queue.receive().then()];
    assert.throws(() => queue.push(1), { message: 'owner' });
    throws = false;
    queue.push(2);
    assert.deepEqual(await Promise.all([first, second]), [1, 2]);
  });
});
