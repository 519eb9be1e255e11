/** One measurement of one contestant; what a number means is told by its unit in `METRICS`. */
export type Sample = Readonly<Record<string, number>>;

/** Somebody who takes part in a case. */
export interface Runner {
  readonly name: string;
  /** @throws {NotSupported} when it cannot do the work */
  run(): Promise<Sample>;
}

/** A case with all who take part. */
export interface Job {
  readonly name: string;
  readonly title: string;
  /** The number that contestants are compared by; less is better. */
  readonly metric: string;
  /** The numbers that are printed. */
  readonly columns: readonly string[];
  /** Ours first. */
  readonly runners: readonly Runner[];
}

/** The numbers of which each round is printed and kept: a median hides what happens in one of them. */
export const BY_ROUND: readonly string[] = ['p99Micros', 'fullCollections', 'collectingMs'];

/** A contestant that cannot do the work of a case, such as compression where it has none. */
export class NotSupported extends Error {}

/** How numbers are printed. */
export const METRICS: Readonly<Record<string, { readonly title: string; readonly digits: number }>> = {
  cpuMicros: { title: 'CPU µs', digits: 3 },
  cpuNanos: { title: 'CPU ns', digits: 1 },
  perSecond: { title: 'per second', digits: 0 },
  megabytesPerSecond: { title: 'MB/s', digits: 0 },
  p50Micros: { title: 'p50 µs', digits: 0 },
  p99Micros: { title: 'p99 µs', digits: 0 },
  collections: { title: 'collections', digits: 0 },
  fullCollections: { title: 'of them full', digits: 0 },
  collectingMs: { title: 'they took ms', digits: 0 },
  rssMegabytes: { title: 'RSS MB', digits: 0 },
  bytesPerConnection: { title: 'bytes per connection', digits: 0 },
  heapPerConnection: { title: 'of them JavaScript heap', digits: 0 },
  serverLoad: { title: 'server busy', digits: 2 },
  generatorLoad: { title: 'load busy', digits: 2 },
};
