import fc from 'fast-check';

/**
 * The seed of every property in this process. A counterexample is repeated with `FC_SEED=<seed> npm test`.
 * In CI the seed must be set from outside, so that a red run can be repeated to the letter.
 */
export const seed: number = readSeed();

fc.configureGlobal({ seed, numRuns: Number(process.env.FC_RUNS ?? 200) });

function readSeed(): number {
  const given = process.env.FC_SEED;
  if (given !== undefined) return Number(given) | 0;
  if (process.env.CI !== undefined) throw new Error('FC_SEED must be set in CI: a failing run has to be repeatable');
  return (Date.now() ^ (process.pid << 8)) | 0;
}
