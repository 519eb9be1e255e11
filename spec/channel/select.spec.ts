import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Receive } from '../../lib/channel/receive.ts';
import { ReceiveQueue } from '../../lib/channel/receive-queue.ts';
import { type SelectOptions, select } from '../../lib/channel/select.ts';
import { collectGarbage } from './collect-garbage.ts';

const withdrawn = { name: 'InvalidStateError', code: 'WS_ERR_RECEIVE_WITHDRAWN' };

describe('select', () => {
  it('resolves with the key and the value of the first that is ready', async () => {
    const numbers = new ReceiveQueue<number>();
    const texts = new ReceiveQueue<string>();
    const selected = select({ number: numbers.receive(), text: texts.receive() });
    assert.ok(selected instanceof Promise);
    texts.push('a');
    numbers.push(1);
    const result = await selected;
    // The key tells the type of the value: this compiles only if it does.
    const length: number = result.key === 'text' ? result.value.length : result.value;
    assert.equal(length, 1);
    assert.deepEqual(result, { key: 'text', value: 'a' });
  });

  it('takes at once what is ready at once, also with a signal', async () => {
    for (const options of [{}, { signal: new AbortController().signal }]) {
      const queue = new ReceiveQueue<number>();
      queue.push(1);
      const selected = select({ a: queue.receive() }, options);
      assert.equal(queue.length, 0);
      assert.deepEqual(await selected, { key: 'a', value: 1 });
    }
  });

  it('withdraws the losers, and what they would have taken is the next receive', async () => {
    const winner = new ReceiveQueue<number>();
    const loser = new ReceiveQueue<string>();
    const lost = loser.receive();
    const selected = select({ winner: winner.receive(), lost });
    winner.push(1);
    assert.equal(loser.waiting, 0);
    loser.push('kept');
    assert.deepEqual(await selected, { key: 'winner', value: 1 });
    assert.equal(await loser.receive(), 'kept');
    await assert.rejects(lost, withdrawn);
  });

  it('loses nothing when two are ready at once', async () => {
    const left = new ReceiveQueue<number>();
    const right = new ReceiveQueue<number>();
    left.push(1);
    right.push(2);
    const { key, value } = await select({ left: left.receive(), right: right.receive() });
    const other = key === 'left' ? right : left;
    assert.deepEqual([left.length, right.length], key === 'left' ? [0, 1] : [1, 0]);
    assert.deepEqual([value, await other.receive()].sort(), [1, 2]);
  });

  it('takes the first value of a source, whichever of its receives wins', async () => {
    for (let i = 0; i < 40; i++) {
      const queue = new ReceiveQueue<number>();
      queue.push(1);
      queue.push(2);
      queue.push(3);
      const { value } = await select({ a: queue.receive(), b: queue.receive(), c: queue.receive() });
      assert.equal(value, 1);
      assert.deepEqual([await queue.receive(), await queue.receive(), queue.waiting], [2, 3, 0]);
    }
  });

  it('keeps the order of a receive that waits behind the losers', async () => {
    const queue = new ReceiveQueue<number>();
    const lost = queue.receive();
    const won = queue.receive();
    const behind = queue.receive().then();
    const selected = select({ lost, won });
    queue.push(1);
    assert.equal((await selected).value, 1);
    queue.push(2);
    assert.equal(await behind, 2);
  });

  it('gives the same value when the winner is awaited or selected again', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    queue.push(2);
    const receive = queue.receive();
    assert.deepEqual(await select({ receive }), { key: 'receive', value: 1 });
    assert.equal(await receive, 1);
    assert.deepEqual(await select({ again: receive }), { key: 'again', value: 1 });
    assert.equal(queue.length, 1);
  });

  it('rejects when it is given a receive that was withdrawn', async () => {
    const queue = new ReceiveQueue<number>();
    const receive = queue.receive();
    receive.withdraw();
    await assert.rejects(select({ receive }), withdrawn);
  });

  it('accepts the same receive under two keys', async () => {
    const queue = new ReceiveQueue<number>();
    const receive = queue.receive();
    const selected = select({ a: receive, b: receive });
    queue.push(1);
    assert.equal((await selected).value, 1);
    const controller = new AbortController();
    const unused = queue.receive();
    const aborted = select({ a: unused, b: unused }, { signal: controller.signal });
    controller.abort('stop');
    await assert.rejects(aborted, (reason) => reason === 'stop');
    assert.equal(queue.waiting, 0);
  });

  it('gives one receive held by two selects to both', async () => {
    const queue = new ReceiveQueue<number>();
    const shared = queue.receive();
    const both = Promise.all([select({ shared }), select({ also: shared })]);
    queue.push(1);
    queue.push(2);
    assert.deepEqual(await both, [
      { key: 'shared', value: 1 },
      { key: 'also', value: 1 },
    ]);
    assert.equal(queue.length, 1);
  });

  it('gives one receive held by many selects to all that were not aborted', async () => {
    const queue = new ReceiveQueue<number>();
    const shared = queue.receive();
    const controllers = [0, 1, 2, 3].map(() => new AbortController());
    const selected = Promise.allSettled(controllers.map(({ signal }) => select({ shared }, { signal })));
    controllers[1]!.abort('stop');
    queue.push(1);
    assert.deepEqual(
      (await selected).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    assert.deepEqual([queue.length, queue.waiting], [0, 0]);
  });

  it('withdraws a receive that many selects held when the last of them lets go of it', async () => {
    const queue = new ReceiveQueue<number>();
    const shared = queue.receive();
    const controllers = [0, 1, 2].map(() => new AbortController());
    const selected = Promise.allSettled(controllers.map(({ signal }) => select({ shared }, { signal })));
    for (const controller of controllers) {
      assert.equal(queue.waiting, 1);
      controller.abort();
    }
    assert.equal(queue.waiting, 0);
    await selected;
  });

  it('keeps what it has chosen when another select lets go of it meanwhile', async () => {
    let onTake = () => {};
    const texts = new ReceiveQueue<string>();
    const numbers = new ReceiveQueue<number>(() => onTake());
    texts.push('a');
    const [lost, behind] = [texts.receive(), texts.receive()];
    const [first, won] = [numbers.receive().then(), numbers.receive()];
    const other = select({ behind, won });
    let selected: Promise<unknown> | undefined;
    onTake = () => {
      onTake = () => {};
      // While a queue hands out values, it has told nobody of this one yet; and when `lost` leaves, `other` chooses.
      numbers.push(2);
      selected = select({ won, lost }, { biased: true });
    };
    numbers.push(1);
    assert.equal(await first, 1);
    assert.deepEqual(await other, { key: 'behind', value: 'a' });
    assert.deepEqual(await selected, { key: 'won', value: 2 });
    assert.deepEqual([texts.waiting, texts.length, numbers.waiting, numbers.length], [0, 0, 0, 0]);
  });

  it('does not withdraw a loser that another select holds', async () => {
    const queue = new ReceiveQueue<number>();
    const other = new ReceiveQueue<number>();
    const shared = queue.receive();
    const first = select({ shared, other: other.receive() });
    const second = select({ shared });
    other.push(9);
    assert.deepEqual(await first, { key: 'other', value: 9 });
    assert.equal(queue.waiting, 1);
    queue.push(1);
    assert.deepEqual(await second, { key: 'shared', value: 1 });
  });

  it('does not withdraw a loser that is awaited elsewhere', async () => {
    const queue = new ReceiveQueue<number>();
    const other = new ReceiveQueue<number>();
    const receive = queue.receive();
    const selected = select({ receive, other: other.receive() });
    const awaited = receive.then();
    other.push(9);
    assert.equal((await selected).value, 9);
    queue.push(1);
    assert.equal(await awaited, 1);
  });

  it('leaves a loser that has settled before as it is', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    queue.push(2);
    const [first, second] = [queue.receive(), queue.receive()];
    await Promise.all([first, second]);
    assert.equal((await select({ first, second }, { biased: true })).key, 'first');
    assert.equal(await second, 2);
  });

  it('leaves a loser that another select has chosen before as it is', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    queue.push(2);
    const [first, second] = [queue.receive(), queue.receive()];
    await select({ first });
    await select({ second });
    const waiting = queue.receive();
    assert.equal((await select({ first, second }, { biased: true })).key, 'first');
    assert.equal(await second, 2);
    queue.push(3);
    assert.equal(await waiting, 3);
  });

  it('is won by a receive that is awaited elsewhere too', async () => {
    const queue = new ReceiveQueue<number>();
    const receive = queue.receive();
    const selected = select({ receive, never: new ReceiveQueue<number>().receive() });
    const awaited = receive.then();
    queue.push(1);
    assert.deepEqual([await awaited, await selected], [1, { key: 'receive', value: 1 }]);
  });

  it('rejects in every select that holds a receive when it is withdrawn by hand', async () => {
    const queue = new ReceiveQueue<number>();
    const receive = queue.receive();
    const rejected = assert.rejects(select({ receive }), withdrawn);
    receive.withdraw();
    await rejected;
  });
});

describe('select when several are ready', () => {
  const { signal } = new AbortController();
  const ways: [how: string, options: SelectOptions | undefined][] = [
    ['', undefined],
    [', also with a signal', { signal }],
  ];
  for (const [how, options] of ways) {
    it(`chooses each of them now and then${how}`, async () => {
      const chosen = new Set<string>();
      for (let i = 0; i < 200 && chosen.size < 3; i++) {
        const queues = [0, 1, 2].map(() => new ReceiveQueue<number>());
        for (const queue of queues) queue.push(i);
        const [a, b, c] = queues;
        chosen.add((await select({ a: a!.receive(), b: b!.receive(), c: c!.receive() }, options)).key);
      }
      assert.deepEqual([...chosen].sort(), ['a', 'b', 'c']);
    });

    it(`takes them in the order of the keys when it is biased${how}`, async () => {
      for (let i = 0; i < 40; i++) {
        const [first, second] = [new ReceiveQueue<number>(), new ReceiveQueue<number>()];
        first.push(1);
        second.push(2);
        const receives = { second: second.receive(), first: first.receive() };
        assert.equal((await select(receives, { ...options, biased: true })).key, 'second');
      }
    });
  }

  it('goes on from the random start to the next that is ready', async (t) => {
    const ready = new ReceiveQueue<number>();
    ready.push(1);
    t.mock.method(Math, 'random', () => 0.99);
    const idle = new ReceiveQueue<number>();
    const selected = select({ a: ready.receive(), b: idle.receive(), c: idle.receive() });
    assert.deepEqual(await selected, { key: 'a', value: 1 });
  });
});

describe('select when one fails', () => {
  it('rejects with the error and withdraws the others', async () => {
    const failing = new ReceiveQueue<number>();
    const other = new ReceiveQueue<number>();
    const selected = select({ failing: failing.receive(), other: other.receive() });
    const rejected = assert.rejects(selected, { message: 'over' });
    failing.fail(new Error('over'));
    other.push(1);
    await rejected;
    assert.equal(await other.receive(), 1);
  });

  it('rejects with the TimeoutError of a receive', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const queue = new ReceiveQueue<number>();
    const other = new ReceiveQueue<number>();
    const selected = select({ slow: queue.receive({ timeoutMs: 5 }), other: other.receive() });
    const rejected = assert.rejects(selected, { code: 'WS_ERR_TIMEOUT' });
    t.mock.timers.tick(5);
    await rejected;
    assert.deepEqual([queue.waiting, other.waiting], [0, 0]);
  });

  it('rejects with the reason of its signal, and takes nothing', async () => {
    const queue = new ReceiveQueue<number>();
    const controller = new AbortController();
    const selected = select({ a: queue.receive(), b: queue.receive() }, { signal: controller.signal });
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
    const rejected = assert.rejects(selected, (reason) => reason === 'stop');
    controller.abort('stop');
    queue.push(1);
    await rejected;
    assert.equal(await queue.receive(), 1);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  });

  it('takes nothing when its signal was aborted before', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const signal = AbortSignal.abort('before');
    await assert.rejects(select({ a: queue.receive() }, { signal }), (reason) => reason === 'before');
    assert.equal(await queue.receive(), 1);
  });

  it('leaves no listener on its signal when it is decided', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const { signal } = new AbortController();
    await select({ a: queue.receive() }, { signal });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('refuses to wait for nothing', async () => {
    await assert.rejects(select({}), {
      name: 'TypeError',
      message: 'select has nothing to wait for: give it at least one receive, by key',
    });
  });

  it('rejects, and does not throw, when it is given no object', async () => {
    await assert.rejects(select(undefined as never), { name: 'TypeError' });
    await assert.rejects(select({ a: new ReceiveQueue<number>().receive() }, null as never), { name: 'TypeError' });
  });

  it('names the first value that is no promise, and withdraws the receives', async () => {
    const queue = new ReceiveQueue<number>();
    // biome-ignore lint/suspicious/noThenProperty: one that is no method
    for (const value of [5, null, 'text', {}, { then: 1 }, undefined]) {
      const branches = { ok: queue.receive(), awaited: value, too: 6 } as unknown as { ok: Promise<number> };
      await assert.rejects(select(branches), {
        name: 'TypeError',
        message:
          'select cannot wait for "awaited": give it a receive, such as receiver.recv(), and not an awaited value',
      });
    }
    assert.equal(queue.waiting, 0);
  });
});

describe('select with plain promises', () => {
  it('resolves with the value of a promise, which keeps it', async () => {
    const queue = new ReceiveQueue<number>();
    let resolve: (value: string) => void = () => {};
    const promise = new Promise<string>((settle) => {
      resolve = settle;
    });
    const selected = select({ message: queue.receive(), promise });
    queueMicrotask(() => resolve('done'));
    assert.deepEqual(await selected, { key: 'promise', value: 'done' });
    assert.equal(queue.waiting, 0);
    assert.deepEqual(await select({ promise }), { key: 'promise', value: 'done' });
    assert.equal(await promise, 'done');
  });

  it('rejects with the error of a promise', async () => {
    const queue = new ReceiveQueue<number>();
    const promise = Promise.reject(new Error('failed'));
    await assert.rejects(select({ message: queue.receive(), promise }), { message: 'failed' });
    assert.equal(queue.waiting, 0);
  });

  it('leaves a promise that loses alone', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const promise = new Promise<number>((resolve) => setImmediate(resolve, 2));
    assert.deepEqual(await select({ message: queue.receive(), promise }), { key: 'message', value: 1 });
    assert.equal(await promise, 2);
  });

  it('gives a promise that has settled the same chance as a receive that is ready', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const branches = { promise: Promise.resolve(2), message: queue.receive() };
    assert.deepEqual(await select(branches, { biased: true }), { key: 'promise', value: 2 });
    assert.equal(await queue.receive(), 1);
  });

  it('gives it the same chance as a receive that is ready a moment later', async () => {
    const queue = new ReceiveQueue<number>();
    const branches = { promise: Promise.resolve(2), message: queue.receive() };
    const selected = select(branches, { biased: true });
    queue.push(1);
    assert.deepEqual(await selected, { key: 'promise', value: 2 });
    assert.equal(await queue.receive(), 1);
  });

  it('accepts any object with a then method', async () => {
    const thenable: PromiseLike<string> = {
      // biome-ignore lint/suspicious/noThenProperty: it is what this is about
      then: (resolve) => Promise.resolve('a').then(resolve),
    };
    assert.deepEqual(await select({ thenable }), { key: 'thenable', value: 'a' });
  });

  it('stays rejected when it is aborted before the promises had their turn', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const controller = new AbortController();
    const message = queue.receive();
    const other = select({ message, never: new Promise<never>(() => {}) });
    const branches = { promise: Promise.resolve(2), message };
    const selected = select(branches, { signal: controller.signal });
    controller.abort('stop');
    await assert.rejects(selected, (reason) => reason === 'stop');
    assert.deepEqual(await other, { key: 'message', value: 1 });
  });

  it('takes nothing when it is aborted before the promises had their turn, also of what another select holds', async () => {
    const [queue, urgent] = [new ReceiveQueue<number>(), new ReceiveQueue<string>()];
    queue.push(1);
    urgent.push('now');
    const controller = new AbortController();
    const never = new Promise<never>(() => {});
    const message = queue.receive();
    const selected = select({ message, never }, { signal: controller.signal, biased: true });
    const other = select({ urgent: urgent.receive(), message, never }, { biased: true });
    controller.abort('stop');
    await assert.rejects(selected, (reason) => reason === 'stop');
    assert.deepEqual(await other, { key: 'urgent', value: 'now' });
    assert.equal(queue.length, 1);
    assert.equal(await queue.receive(), 1);
  });
});

describe('select once it is decided', () => {
  it('is not held by a receive that had settled before, nor holds its losers', async () => {
    const queue = new ReceiveQueue<number>();
    queue.push(1);
    const settled = queue.receive();
    await settled;
    const loser = await loseTo(settled);
    await nextTurn();
    collectGarbage();
    assert.equal(loser.deref(), undefined);
    assert.equal(await settled, 1);
  });
});

/** Selects among a receive that has settled and a new one, which only the select has held. */
async function loseTo(settled: Receive<number>): Promise<WeakRef<Receive<number>>> {
  const loser = new ReceiveQueue<number>().receive();
  const { signal } = new AbortController();
  assert.equal((await select({ settled, loser }, { signal, biased: true })).key, 'settled');
  return new WeakRef(loser);
}
