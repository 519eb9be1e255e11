export { type Deferred, defer } from '../../lib/net/promises.ts';

const PATIENCE_MS = 8000;

/**
 * Waits for a promise, and fails with `what` instead of waiting for ever. No test depends on how long it takes: what is
 * waited for comes at once, or there is a bug.
 */
export async function soon<T>(what: string, promise: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`never came: ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds, looking again at every turn of the event loop. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Lets everything run that is ready to run: some turns of the event loop. */
export async function settle(turns: number = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Counts what is done in each turn of the event loop, until `stop`. */
export function countByTurn(): { count(): void; most(): number; stop(): void } {
  let isOver = false;
  let inTurn = 0;
  let most = 0;
  const nextTurn = (): void => {
    inTurn = 0;
    if (!isOver) setImmediate(nextTurn);
  };
  nextTurn();
  return {
    count() {
      most = Math.max(most, ++inTurn);
    },
    most: () => most,
    stop() {
      isOver = true;
    },
  };
}
