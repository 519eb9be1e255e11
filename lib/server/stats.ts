import { REFUSAL_REASONS, type RefusalReason } from '../errors.ts';
import type { Connection } from '../net/connection.ts';
import { type ConnectionEnd, END_CAUSES, type EndCause, type Traffic } from '../net/connection-end.ts';
import type { Roster } from './roster.ts';

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
  /** What all its WebSockets have carried, those that are over and those that are open. */
  readonly traffic: Traffic;
  /** Bytes that were sent to those that are open and have not left this process. */
  readonly bufferedBytes: number;
}

const TRAFFIC = ['messagesReceived', 'messagesSent', 'bytesReceived', 'bytesSent'] as const;

/** Counts the WebSockets of a server. */
export class Tally {
  #opened = 0;
  readonly #closed = zeros(END_CAUSES);
  readonly #refused = zeros(REFUSAL_REASONS);
  /** What those have carried that are over. */
  readonly #carried = zeros(TRAFFIC);

  addOpened(): void {
    this.#opened++;
  }

  addClosed({ cause, traffic }: ConnectionEnd): void {
    this.#closed[cause]++;
    add(this.#carried, traffic);
  }

  addRefused(reason: RefusalReason): void {
    this.#refused[reason]++;
  }

  /** @param open - the WebSockets that are open: what these have carried is asked of each */
  stats(open: Roster<{ readonly connection: Connection }>): ServerStats {
    const traffic = { ...this.#carried };
    let bufferedBytes = 0;
    for (const { connection } of open) {
      add(traffic, connection.traffic);
      bufferedBytes += connection.bufferedBytes;
    }
    return {
      open: open.size,
      opened: this.#opened,
      closed: { ...this.#closed },
      refused: { ...this.#refused },
      traffic,
      bufferedBytes,
    };
  }
}

function add(sum: Record<keyof Traffic, number>, traffic: Traffic): void {
  for (const name of TRAFFIC) sum[name] += traffic[name];
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
