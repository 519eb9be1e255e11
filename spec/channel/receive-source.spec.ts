import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Receive } from '../../lib/channel/receive.ts';
import { ReceiveSource } from '../../lib/channel/receive-source.ts';

/** A source whose values are the natural numbers, of which `released` may be taken. */
class Counter extends ReceiveSource<number> {
  readonly #values: number[] = [];
  #next = 0;

  release(count: number): void {
    for (let i = 0; i < count; i++) this.#values.push(this.#next++);
    this.settle();
  }

  receive(): Receive<number> {
    return this.reserve();
  }

  protected override available(): number {
    return this.#values.length;
  }

  protected override takeAt(index: number): number {
    return this.#values.splice(index, 1)[0]!;
  }
}

describe('ReceiveSource', () => {
  it('serves all that wait and have a value, and no more', async () => {
    const counter = new Counter();
    const receives = [0, 1, 2, 3].map(() => counter.receive());
    const awaited = receives.map((receive) => receive.then());
    counter.release(3);
    assert.equal(counter.waiting, 1);
    assert.deepEqual(await Promise.all(awaited.slice(0, 3)), [0, 1, 2]);
    counter.release(1);
    assert.equal(await awaited[3], 3);
  });

  it('serves those that are awaited around those that are not', async () => {
    const counter = new Counter();
    const receives = [0, 1, 2, 3].map(() => counter.receive());
    const awaited = [receives[1]!.then(), receives[3]!.then()];
    counter.release(4);
    assert.equal(counter.waiting, 2);
    assert.deepEqual(await Promise.all(awaited), [1, 3]);
    assert.deepEqual([await receives[2], await receives[0]], [2, 0]);
  });

  it('knows whether there is a value for a receive', () => {
    const counter = new Counter();
    const receive = counter.receive();
    assert.equal(counter.isReady(receive), false);
    counter.release(1);
    assert.equal(counter.isReady(receive), true);
    receive.withdraw();
    counter.release(5);
    assert.equal(counter.isReady(receive), false);
    const others = [counter.receive(), counter.receive(), counter.receive()];
    assert.equal(counter.isReady(receive), false);
    assert.deepEqual(
      others.map((other) => counter.isReady(other)),
      [true, true, true],
    );
  });
});
