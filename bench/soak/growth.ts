import { median } from '../statistics.ts';

/**
 * Whether a number grew over a soak. Samples are taken when all clients of a wave are gone, after a collection, so that
 * they differ only by what the process keeps. The first fifth of them is warm-up: code is compiled, and pools reach their
 * size. Of the rest the median of the last third may be above that of the first third by no more than 3 %, or by what is
 * given, whichever is more.
 */
const WARM_UP_SHARE = 0.2;
const ALLOWED_SHARE = 0.03;
/** With fewer samples behind the warm-up nothing is said. */
const MIN_SAMPLES = 9;

export interface Growth {
  readonly before: number;
  readonly after: number;
  readonly allowed: number;
  /** `undefined` when there are too few samples to tell. */
  readonly hasGrown: boolean | undefined;
}

export function growthOf(samples: readonly number[], allowedBytes: number): Growth {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const third = Math.max(1, Math.floor(warm.length / 3));
  const before = median(warm.slice(0, third));
  const after = median(warm.slice(-third));
  const allowed = Math.max(before * ALLOWED_SHARE, allowedBytes);
  return { before, after, allowed, hasGrown: warm.length < MIN_SAMPLES ? undefined : after - before > allowed };
}
