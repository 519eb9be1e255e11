import type { PresenceStats } from './presence-book.ts';

/** Counters of topics, since they were made, and what there is now. */
export interface TopicsStats {
  /** Whether the broker can be reached; without one always. */
  readonly isConnected: boolean;
  /** Topics that somebody in this process is subscribed to. */
  readonly topics: number;
  /** Subscriptions in this process, of connections and of code. */
  readonly subscriptions: number;
  /** Messages that were published in this process, and are ordered. */
  readonly published: number;
  /** Messages whose publishing failed: nobody knows whether they were. */
  readonly failed: number;
  /** Messages that came, once for each topic that somebody here is in. */
  readonly received: number;
  /** Places where messages of a topic are missing for all in this process. */
  readonly gaps: number;
  /** Messages that were skipped for subscribers that were too slow. */
  readonly dropped: number;
  /** Subscriptions that were ended since they were too slow. */
  readonly ended: number;
  /** Messages that were read from the history, for those who had missed them. */
  readonly recovered: number;
  /** Of the members of topics. */
  readonly presence: PresenceStats;
}

/** What is counted of topics. */
export class TopicTally {
  /** Messages that were published here, and are ordered. */
  published = 0;
  /** Messages that were published here, and of which nobody can tell whether they were. */
  failed = 0;
  /** Messages that came, for all topics that somebody here is subscribed to. */
  received = 0;
  /** Gaps in topics: places where messages are missing for all subscribers here. */
  gaps = 0;
  /** Messages that were skipped for subscribers that were too slow. */
  dropped = 0;
  /** Subscriptions that were ended since they were too slow. */
  ended = 0;
  /** Messages that were read from the history, for subscribers and for holes. */
  recovered = 0;
}
