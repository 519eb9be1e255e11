import fc from 'fast-check';
import { Finding } from './finding.ts';
import { play, type Run, runs } from './property.ts';

/** What a search has found: the smallest run that still shows it. */
export interface Found {
  /** Which oracle, and what it saw, without the numbers. */
  readonly key: string;
  readonly oracle: string;
  readonly seed: number;
  readonly path: string;
  readonly run: Run;
  readonly error: unknown;
}

/** What stays the same of a finding while it is made smaller. */
export function keyOf(error: unknown): string {
  const text = error instanceof Finding ? error.message.split('\n')[0]! : String(error);
  return text
    .replace(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replace(/\d+/g, 'n')
    .slice(0, 160);
}

/** Plays runs of a seed until one fails, or so many were played. */
export async function search(
  seed: number,
  numRuns: number,
  options: {
    readonly known?: ReadonlySet<string>;
    readonly shrinks?: boolean;
    readonly path?: string | undefined;
    readonly replayPath?: string | undefined;
    readonly isTcp?: boolean;
    /** No further run is begun when so much time is over. */
    readonly limitMs?: number;
  } = {},
): Promise<{ executions: number; found: Found | undefined }> {
  const { limitMs = Number.POSITIVE_INFINITY } = options;
  const start = performance.now();
  let executions = 0;
  let wanted: string | undefined;
  const property = fc.asyncProperty(runs(options.replayPath), async (run) => {
    if (wanted === undefined) {
      if (performance.now() - start > limitMs) return;
      executions++;
    }
    try {
      await play(run, options.isTcp);
    } catch (error) {
      const key = keyOf(error);
      if (options.known?.has(key) === true) return;
      wanted ??= key;
      // A smaller run may fail in another way, which is another finding.
      if (key === wanted) throw error;
    }
  });
  const result = await fc.check(property, {
    seed,
    numRuns,
    endOnFailure: options.shrinks !== true,
    ...(options.path === undefined ? {} : { path: options.path }),
  });
  if (!result.failed || wanted === undefined) return { executions, found: undefined };
  const [run] = result.counterexample!;
  const error = result.errorInstance;
  const oracle = error instanceof Finding ? error.oracle : 'the model itself';
  return { executions, found: { key: wanted, oracle, seed, path: result.counterexamplePath!, run, error } };
}
