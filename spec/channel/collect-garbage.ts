import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Runs a full garbage collection at once, in a process that was not started with --expose-gc. */
export const collectGarbage: () => void = runInNewContext('gc') as () => void;

/**
 * Counts the bytes of the heap that are in use after a collection. Lets the turn end first and in between: until then
 * WeakRefs and the test runner's own hooks on promises hold on to what is garbage already.
 */
export async function heapBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await nextTurn();
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}
