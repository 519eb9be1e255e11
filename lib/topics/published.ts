import type { Position } from './position.ts';

/** The promise that was made last for a message that is published already. */
export let published: Promise<Position> | undefined;

/**
 * Makes the promise of a message that is published already. A handler that returns it need not be waited for, and is not, as
 * long as none was made since: to wait would take longer than to publish (measured: bench, chat-32).
 */
export function alreadyPublished(position: Position): Promise<Position> {
  published = Promise.resolve(position);
  return published;
}
