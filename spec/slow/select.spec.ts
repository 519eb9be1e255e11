import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { ReceiveQueue } from '../../lib/channel/receive-queue.ts';
import { select } from '../../lib/channel/select.ts';
import { heapBytes } from '../channel/collect-garbage.ts';

describe('select a million times', () => {
  it('grows neither the line of a stream nor its memory', async () => {
    const stream = new ReceiveQueue<number>();
    const quiet = new ReceiveQueue<number>();
    const { signal } = new AbortController();
    const long = new Promise<never>(() => {});
    const styles = {
      plain: () => select({ message: stream.receive(), quiet: quiet.receive() }),
      promise: () => select({ message: stream.receive(), quiet: quiet.receive(), long }),
      signal: () => select({ message: stream.receive(), quiet: quiet.receive({ signal }) }, { signal }),
    };
    const run = async (count: number, style: keyof typeof styles) => {
      for (let i = 0; i < count; i++) {
        const selected = styles[style]();
        stream.push(i);
        const { value } = await selected;
        if (value !== i) assert.fail(`${value} came for ${i}`);
      }
    };
    for (const style of ['plain', 'promise', 'signal'] as const) await run(1000, style);
    const before = await heapBytes();
    await run(700_000, 'plain');
    await run(200_000, 'promise');
    await run(100_000, 'signal');
    const grown = (await heapBytes()) - before;
    assert.deepEqual([stream.waiting, quiet.waiting, stream.length], [0, 0, 0]);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    // One pointer kept a round would be 0.8 MB of the smallest share.
    assert.ok(grown < 500_000, `the heap grew by ${grown} bytes`);
  });

  it('leaves nothing on a promise that has settled long ago', async () => {
    const settled = Promise.resolve(1);
    const run = async (count: number) => {
      for (let i = 0; i < count; i++) await select({ settled });
    };
    await run(1000);
    const before = await heapBytes();
    await run(20_000);
    const grown = (await heapBytes()) - before;
    assert.ok(grown < 500_000, `the heap grew by ${grown} bytes`);
  });
});
