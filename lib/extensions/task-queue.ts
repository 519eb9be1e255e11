/** How many of them run at a time: as many as the thread pool of Node has threads, unless it was told otherwise. */
const MAX_RUNNING = 4;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * Runs a task in the thread pool when it is its turn. Each running one holds up to 300 KiB of zlib state: without a
 * bound, ten thousand peers with a large message each would hold gigabytes.
 */
export async function runInTurn<T>(task: () => Promise<T>): Promise<T> {
  if (running === MAX_RUNNING) {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
  } else {
    running++;
  }
  try {
    return await task();
  } finally {
    // The place is handed on, so that nobody who comes meanwhile can take it.
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
