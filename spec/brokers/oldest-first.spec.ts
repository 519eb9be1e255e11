import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OldestFirst } from '../../lib/brokers/oldest-first.ts';
import { seed } from '../support/seed.ts';

describe('OldestFirst', () => {
  it('is a Map whose entries move to the end when they are set', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('set', 'delete', 'oldest'), fc.nat(5))), (steps) => {
        const map = new OldestFirst<number, number>();
        const model = new Map<number, number>();
        for (const [index, [what, key]] of steps.entries()) {
          const target = what === 'oldest' ? model.keys().next().value : key;
          if (target !== undefined) {
            model.delete(target);
            if (what !== 'set') map.delete(target);
          }
          if (what === 'set') {
            model.set(key, index);
            map.set(key, index);
          }
          assert.deepEqual(map.oldest, model.entries().next().value);
          assert.deepEqual([map.size, map.get(key)], [model.size, model.get(key)]);
        }
      }),
      { seed },
    );
  });
});
