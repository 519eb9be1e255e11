import { ChannelClosedError } from '../errors.ts';
import type { Receive } from './receive.ts';

/** What values can be received from, one after the other, until it has ended or is left. */
export interface Iterated<T> {
  recv(): Receive<T>;
  unsubscribe(): boolean;
}

/**
 * Iterates over the values of a source as they come. The loop ends with ChannelClosedError, which is the normal end, and leaving it
 * unsubscribes. Any other error is thrown, and the source stays as it is: a new loop goes on.
 */
export function iterate<T>(source: Iterated<T>): AsyncIterableIterator<T> {
  const end = (): IteratorResult<T> => {
    source.unsubscribe();
    return { done: true, value: undefined };
  };
  return {
    next: () =>
      source.recv().then(
        (value): IteratorResult<T> => ({ done: false, value }),
        (error: unknown) => {
          if (error instanceof ChannelClosedError) return end();
          throw error;
        },
      ),
    return: async () => end(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
