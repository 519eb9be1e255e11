import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInTurn } from '../../lib/extensions/task-queue.ts';

const MAX_RUNNING = 4;

const settle = (): Promise<void> => new Promise(setImmediate);

describe('runInTurn', () => {
  it('returns what the task returns, or throws what it throws', async () => {
    assert.equal(await runInTurn(async () => 1), 1);
    await assert.rejects(
      runInTurn(async () => {
        throw new RangeError('no');
      }),
      RangeError,
    );
  });

  it('runs at most as many tasks at a time as there are threads, in order', async () => {
    const started: number[] = [];
    const finish: (() => void)[] = [];
    const results = Array.from({ length: 10 }, (_, i) =>
      runInTurn(async () => {
        started.push(i);
        await new Promise<void>((resolve) => {
          finish[i] = resolve;
        });
        if (i % 2 === 1) throw new Error(String(i));
        return i;
      }).catch((error: Error) => -Number(error.message)),
    );
    await settle();
    assert.deepEqual(started, [0, 1, 2, 3]);
    finish[2]!();
    await settle();
    assert.deepEqual(started, [0, 1, 2, 3, 4], 'one that is done makes room for the next');
    finish[3]!();
    await settle();
    assert.deepEqual(started, [0, 1, 2, 3, 4, 5], 'and so does one that failed');
    for (let i = 0; i < 10; i++) {
      while (finish[i] === undefined) await settle();
      finish[i]!();
      await settle();
      assert.ok(started.length <= i + 1 + MAX_RUNNING + 2);
    }
    assert.deepEqual(await Promise.all(results), [0, -1, 2, -3, 4, -5, 6, -7, 8, -9]);
    assert.deepEqual(
      started,
      Array.from({ length: 10 }, (_, i) => i),
    );
    assert.equal(await runInTurn(async () => 'free again'), 'free again');
  });
});
