/**
 * What every measured server does besides serving: it says where it listens, and answers lines on its standard input.
 * Standard input and output are all it needs of its runtime, so that the same file serves Node and Bun.
 */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { EndToEndCase } from './cases.ts';

/** What a server is told by its command line. */
export interface ServerTask {
  readonly work: EndToEndCase;
  /** How the library is used, where there is more than one way. */
  readonly variant: string;
  /** URL of the folder of the built library. */
  readonly lib: string;
  /** A file in the folder whose node_modules hold the peers. */
  readonly peers: string;
}

/** What a server answers to the line `usage`, and, after collecting its garbage, to `gc`. */
export interface ServerUsage {
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Garbage collections so far, how many of them were of everything, and how long they took together; 0 where nobody tells. */
  readonly collections: number;
  readonly fullCollections: number;
  readonly collectingMs: number;
}

/** The first line of a server. */
export interface ServerHello {
  readonly port: number;
}

/** Bounds that every server is given, so that none drops what others deliver. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024 * 1024;
export const MAX_BACKPRESSURE_BYTES: number = 64 * 1024 * 1024;

type CollectionEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

let collections = 0;
let fullCollections = 0;
let collectingMs = 0;

function watchCollections(): void {
  const { supportedEntryTypes = [] } = PerformanceObserver as { readonly supportedEntryTypes?: readonly string[] };
  if (!supportedEntryTypes.includes('gc')) return;
  new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as CollectionEntry[]) {
      collections++;
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) fullCollections++;
      collectingMs += duration;
    }
  }).observe({ entryTypes: ['gc'] });
}

export function readTask(): ServerTask {
  return JSON.parse(process.argv[2]!) as ServerTask;
}

/** Says that the server listens, and answers questions from now on until standard input ends. */
export function serveQuestions(port: number): void {
  watchCollections();
  say({ port } satisfies ServerHello);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'gc') collectGarbage();
    say(usage());
  });
  lines.on('close', () => process.exit(0));
}

function usage(): ServerUsage {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    cpuMicros: user + system,
    rssBytes: rss,
    heapBytes: heapUsed,
    collections,
    fullCollections,
    collectingMs,
  };
}

function collectGarbage(): void {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
  gc?.();
  Bun?.gc(true);
}

function say(answer: ServerUsage | ServerHello): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
