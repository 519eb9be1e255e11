const STEPS_PER_OCTAVE = 16;
const OCTAVES = 32;

/** Counts durations in buckets that are 4 % wide, from one microsecond up. */
export class Histogram {
  readonly #counts: Float64Array = new Float64Array(STEPS_PER_OCTAVE * OCTAVES);
  #total = 0;

  add(milliseconds: number, count: number): void {
    const micros = Math.max(1, milliseconds * 1000);
    const bucket = Math.min(this.#counts.length - 1, Math.round(Math.log2(micros) * STEPS_PER_OCTAVE));
    this.#counts[bucket]! += count;
    this.#total += count;
  }

  /** The duration in microseconds that a share of all durations is not above. */
  percentile(share: number): number {
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= this.#total * share) return 2 ** (bucket / STEPS_PER_OCTAVE);
    }
    return 0;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
