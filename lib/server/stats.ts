import { END_CAUSES, type EndCause } from '../net/connection-end.ts';

/** Counters of a server, since it was made. */
export interface ServerStats {
  /** WebSockets that are open. */
  readonly open: number;
  /** WebSockets that were opened. */
  readonly opened: number;
  /** WebSockets that are over, by the cause of their end. Each cause is there. */
  readonly closed: Readonly<Record<EndCause, number>>;
}

/** Counts the WebSockets of a server. */
export class Tally {
  #opened = 0;
  readonly #closed = Object.fromEntries(END_CAUSES.map((cause) => [cause, 0])) as Record<EndCause, number>;

  addOpened(): void {
    this.#opened++;
  }

  addClosed(cause: EndCause): void {
    this.#closed[cause]++;
  }

  /** @param open - how many WebSockets are open */
  stats(open: number): ServerStats {
    return { open, opened: this.#opened, closed: { ...this.#closed } };
  }
}
