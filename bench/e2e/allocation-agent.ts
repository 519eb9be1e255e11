/**
 * Is loaded into a server whose allocations are counted, in front of it, and answers messages of its parent. What it
 * allocates itself falls outside of what is counted.
 */
import { type HeapProfiler, Session } from 'node:inspector';
import { GCProfiler } from 'node:v8';

/** What a parent asks: to begin counting, to say what was allocated since, and the same with a profile. */
export type AllocationQuestion = 'count' | 'counted' | 'profile' | 'profiled';

export interface Allocations {
  /** Bytes of objects. */
  readonly heapBytes: number;
  /** Bytes behind them: what buffers are made of. */
  readonly externalBytes: number;
  /** How often garbage was collected. The numbers are good only without. */
  readonly collections: number;
}

/** What one function has allocated itself. */
export interface AllocationSite {
  readonly name: string;
  readonly url: string;
  /** Where the function begins, from 0. */
  readonly line: number;
  readonly column: number;
  readonly bytes: number;
}

/** A sample each so many bytes, on average. */
const SAMPLING_BYTES = 4096;
const SETTLE_MS = 50;

let before: NodeJS.MemoryUsage;
let collections: GCProfiler;
let session: Session;

const { gc } = globalThis as { gc?: () => void };

process.on('message', (question: AllocationQuestion) => {
  if (question === 'count') void count();
  else if (question === 'profile') profile();
  else if (question === 'profiled') profiled();
  else counted();
});
process.channel?.unref();

async function count(): Promise<void> {
  // The memory of buffers is let go of by and by, behind a collection: at the latest by the next.
  for (let i = 0; i < 3; i++) {
    gc!();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }
  collections = new GCProfiler();
  collections.start();
  before = process.memoryUsage();
  process.send!('counting');
}

function counted(): void {
  const { heapUsed, external } = process.memoryUsage();
  process.send!({
    heapBytes: heapUsed - before.heapUsed,
    externalBytes: external - before.external,
    collections: collections.stop()!.statistics.length,
  } satisfies Allocations);
}

function profile(): void {
  session = new Session();
  session.connect();
  const what = {
    samplingInterval: SAMPLING_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  };
  session.post('HeapProfiler.startSampling', what, () => process.send!('profiling'));
}

function profiled(): void {
  session.post('HeapProfiler.stopSampling', (_error, { profile: { head } }) => process.send!(sitesOf(head)));
}

function sitesOf(head: HeapProfiler.SamplingHeapProfileNode): AllocationSite[] {
  const sites = new Map<string, AllocationSite>();
  const visit = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void => {
    const { functionName: name, url, lineNumber: line, columnNumber: column } = callFrame;
    const key = `${url}:${line}:${column}`;
    sites.set(key, { name, url, line, column, bytes: (sites.get(key)?.bytes ?? 0) + selfSize });
    for (const child of children) visit(child);
  };
  visit(head);
  return [...sites.values()];
}
