import { REFUSAL_REASONS, type RefusalReason } from '../errors.ts';
import { END_CAUSES, type EndCause } from '../net/connection-end.ts';

/** Counters of a server, since it was made. */
export interface ServerStats {
  /** WebSockets that are open. */
  readonly open: number;
  /** WebSockets that were opened. */
  readonly opened: number;
  /** WebSockets that are over, by the cause of their end. Each cause is there. */
  readonly closed: Readonly<Record<EndCause, number>>;
  /** Upgrade requests that were refused, by the reason. Each reason is there. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

/** Counts the WebSockets of a server. */
export class Tally {
  #opened = 0;
  readonly #closed = zeros(END_CAUSES);
  readonly #refused = zeros(REFUSAL_REASONS);

  addOpened(): void {
    this.#opened++;
  }

  addClosed(cause: EndCause): void {
    this.#closed[cause]++;
  }

  addRefused(reason: RefusalReason): void {
    this.#refused[reason]++;
  }

  /** @param open - how many WebSockets are open */
  stats(open: number): ServerStats {
    return { open, opened: this.#opened, closed: { ...this.#closed }, refused: { ...this.#refused } };
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
