import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { growthOf } from '../../bench/soak/growth.ts';
import { Random } from '../../bench/soak/random.ts';

/** How a soak tells a leak from what varies, and from code that is compiled late. */

const MIB = 1024 * 1024;

/** An hour of samples around 12 MiB, that vary by half a MiB, with so much more from each to the next. */
function samples(growth: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: 60 }, (_, i) => 12 * MIB + i * growth + random.next() * 0.5 * MIB);
}

describe('the heap over a soak', () => {
  it('has not grown when it only varies', () => {
    for (let seed = 0; seed < 100; seed++)
      assert.equal(growthOf(samples(0, seed), MIB).hasGrown, false, `seed ${seed}`);
  });

  it('has grown when each wave leaves 50 KiB behind: 50 bytes for each of its thousand connections', () => {
    for (let seed = 0; seed < 100; seed++) {
      assert.equal(growthOf(samples(50 * 1024, seed), MIB).hasGrown, true, `seed ${seed}`);
    }
  });

  it('may grow while code is compiled, and be larger then', () => {
    const warmingUp = samples(0, 1).map((bytes, i) => bytes - Math.max(0, 10 - i) * 0.3 * MIB);
    assert.equal(growthOf(warmingUp, MIB).hasGrown, false);
  });

  it('is not judged by a few samples', () => {
    assert.equal(growthOf([1, 100 * MIB, 200 * MIB], MIB).hasGrown, undefined);
    assert.equal(growthOf([MIB], MIB).hasGrown, undefined);
  });
});

describe('the clients of a soak', () => {
  it('do the same for the same seed, and something else for another', () => {
    const draw = (seed: number): unknown => {
      const random = new Random(seed);
      return [random.whole(0, 1e6), random.bytes(8).toString('hex'), random.shuffle(['a', 'b', 'c', 'd', 'e', 'f'])];
    };
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
  });
});
