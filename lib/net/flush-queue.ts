/** Something whose output is to leave at the end of this turn of the event loop. */
export interface Flushable {
  flushOutput(): void;
}

let waiting: Flushable[] = [];

/**
 * Has the output of `target` written at the end of this turn of the event loop. All that is sent until then, by whatever
 * handler, leaves in one write: ten thousand messages to a thousand connections are a thousand writes.
 */
export function flushSoon(target: Flushable): void {
  if (waiting.length === 0) setImmediate(flushAll);
  waiting.push(target);
}

/** Whether a flush is certain to come in this turn. */
export function isFlushDue(): boolean {
  return waiting.length > 0;
}

function flushAll(): void {
  const targets = waiting;
  waiting = [];
  for (const target of targets) target.flushOutput();
}
