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
