/** Something that ends when a signal is aborted. */
export interface AbortWaiter {
  /** Is called once, when the signal is aborted, with the reason it was given. */
  abort(reason: unknown): void;
}

interface SignalWaiters {
  readonly waiters: Set<AbortWaiter>;
  readonly listener: () => void;
}

/**
 * One listener a signal, however many wait for it: a server may give one shutdown signal to a thousand receives, and
 * Node warns of a leak at the eleventh listener.
 */
const waitersOf = new WeakMap<AbortSignal, SignalWaiters>();

/** Tells `waiter` when `signal`, which is not aborted yet, is aborted. Pair it with `stopWaitingForAbort`. */
export function waitForAbort(signal: AbortSignal, waiter: AbortWaiter): void {
  let entry = waitersOf.get(signal);
  if (entry === undefined) {
    const waiters = new Set<AbortWaiter>();
    entry = { waiters, listener: () => abortAll(signal, waiters) };
    waitersOf.set(signal, entry);
    signal.addEventListener('abort', entry.listener);
  }
  entry.waiters.add(waiter);
}

/** Takes back `waitForAbort`. The last waiter to leave takes the listener off the signal. */
export function stopWaitingForAbort(signal: AbortSignal, waiter: AbortWaiter): void {
  const entry = waitersOf.get(signal);
  if (entry === undefined) return;
  entry.waiters.delete(waiter);
  if (entry.waiters.size > 0) return;
  waitersOf.delete(signal);
  signal.removeEventListener('abort', entry.listener);
}

function abortAll(signal: AbortSignal, waiters: ReadonlySet<AbortWaiter>): void {
  // A waiter that leaves while the others are told is not told any more: iterating a Set does exactly that.
  for (const waiter of waiters) waiter.abort(signal.reason);
}
