import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Runs a full garbage collection at once, in a process that was not started with --expose-gc. */
export const collectGarbage: () => void = runInNewContext('gc') as () => void;

/** Counts the bytes of the heap that are in use after a collection. */
export function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
