import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Context } from '../../lib/server/context.ts';
import type { Exchange } from '../../lib/server/exchange.ts';
import { type Resumable, resumeAfter } from '../../lib/server/resume-after.ts';

function record() {
  const seen: [Context, unknown][] = [];
  const target: Resumable = {
    resume: (ctx) => void seen.push([ctx, undefined]),
    resumeWithError: (ctx, error) => void seen.push([ctx, error]),
  };
  return { seen, target };
}

const makeContext = (): Context => new Context({} as Exchange, '');
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('resumeAfter', () => {
  it('goes on when the promise is fulfilled, and with the error when it is rejected', async () => {
    const { seen, target } = record();
    const [first, second] = [makeContext(), makeContext()];
    const error = new Error('mine');
    resumeAfter(Promise.resolve(), target, first);
    resumeAfter(Promise.reject(error), target, second);
    assert.equal(seen.length, 0, 'never at once');
    await turn();
    assert.deepEqual(seen, [
      [first, undefined],
      [second, error],
    ]);
  });

  it('keeps those apart that wait at the same time, however they end', async () => {
    const { seen, target } = record();
    const waits = Array.from({ length: 1000 }, () => {
      let resolve!: () => void;
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      const ctx = makeContext();
      resumeAfter(promise, target, ctx);
      return { ctx, resolve };
    });
    for (let round = 0; round < 2; round++) {
      const turned = waits.toReversed();
      for (const { resolve } of turned) resolve();
      await turn();
      assert.deepEqual(
        seen.splice(0).map(([ctx]) => ctx),
        round === 0 ? turned.map(({ ctx }) => ctx) : [],
      );
    }
  });

  it('can be called again from where it goes on', async () => {
    const ends: number[] = [];
    let count = 0;
    const target: Resumable = {
      resume: (ctx) => {
        if (++count < 5) resumeAfter(Promise.resolve(), target, ctx);
        else ends.push(count);
      },
      resumeWithError: () => assert.fail('nothing was rejected'),
    };
    resumeAfter(Promise.resolve(), target, makeContext());
    await turn();
    assert.deepEqual(ends, [5]);
  });

  it('goes on once behind what only looks like a promise, whatever that does', async () => {
    const { seen, target } = record();
    const wild = (act: (resolve: () => void, reject: (error: unknown) => void) => void) =>
      Object.fromEntries([['then', act]]) as unknown as PromiseLike<void>;
    resumeAfter(
      wild((resolve, reject) => [resolve(), resolve(), reject(new Error('late'))]),
      target,
      makeContext(),
    );
    resumeAfter(
      wild(() => {
        throw new Error('thrown by then');
      }),
      target,
      makeContext(),
    );
    assert.equal(seen.length, 0);
    await turn();
    assert.deepEqual(
      seen.map(([, error]) => (error as Error | undefined)?.message),
      [undefined, 'thrown by then'],
    );
  });
});
