import { Ring } from '../broadcast/ring.ts';
import { WaitingList, type WaitingPlace } from '../broadcast/waiting-list.ts';
import { topicGap, topicRecovered } from '../diagnostics.ts';
import { formatPosition, type Place, type Position } from './position.ts';
import { PAGE_MESSAGES, type TopicEntry, TopicGap, type TopicMessage, type TopicPage } from './topic-entry.ts';
import type { TopicTally } from './topic-tally.ts';

/** Where a topic is read from, behind what its ring has. */
export interface TopicSource {
  /**
   * Reads what is kept of a topic behind an offset, the oldest first, at most `limit`.
   *
   * @param topic - if anybody here is in it
   */
  read(name: string, topic: Topic | undefined, after: number, limit: number): TopicPage | Promise<TopicPage>;
  /** Looks whether the epoch of a topic is still what it seems to be. */
  check?(topic: Topic): void;
}

/** A connection in a topic, as the topic sees it. */
export interface TopicMember {
  /** Whether it reads by itself, from the ring or the history. @internal */
  readonly isBehind: boolean;
  /** @internal */
  deliver(message: TopicMessage): void;
  /** @internal */
  deliverGap(gap: TopicGap): void;
}

/** Someone who waits for the next entry of a topic. */
export interface TopicWaiter {
  /** Takes what there is; returns whether it still waits. */
  wake(): boolean;
}

/**
 * One topic in this process: what comes, in order, and those who get it. Members are given each message at once, as long as
 * they keep up; all others read it from the ring, which keeps messages only while somebody does.
 */
export class Topic implements Place {
  readonly name: string;
  readonly ring: Ring<TopicEntry>;
  readonly source: TopicSource;
  readonly tally: TopicTally;
  /** How far it has got. */
  epoch: string;
  offset: number;
  /** The offset of what was added last: members may still have to be told of it. */
  last: number;
  /** How many subscriptions there are, of connections and of code, those included that are to begin. */
  subscriptions = 0;
  /** How many of them are there for the sake of signals alone. */
  listeners = 0;
  /** How many of its messages are read from a history at once, as far as is known of their size. */
  pageMessages: number = PAGE_MESSAGES;
  /** Resolves when it has its place in the order of the broker; `undefined` once it has. */
  joining: Promise<void> | undefined;
  /** Whether no more will come. */
  isClosed = false;
  readonly #members = new Set<TopicMember>();
  readonly #waiting = new WaitingList<TopicWaiter>();
  #isTelling = false;
  /** What was added meanwhile. */
  readonly #later: TopicEntry[] = [];

  constructor(name: string, capacity: number, source: TopicSource, tally: TopicTally, place: Place) {
    this.name = name;
    this.ring = new Ring(capacity);
    this.source = source;
    this.tally = tally;
    this.epoch = place.epoch;
    this.offset = place.offset;
    this.last = place.offset;
  }

  /** Begins here, before anybody is in it. */
  beginAt({ epoch, offset }: Place): void {
    this.epoch = epoch;
    this.offset = offset;
    this.last = offset;
  }

  get position(): Position {
    return formatPosition(this.epoch, this.offset);
  }

  /** Adds the next message: the neighbour of what was there before. */
  accept(message: TopicMessage): void {
    this.#add(message);
  }

  /** Says that messages are missing, and where it goes on. */
  skip(gap: TopicGap): void {
    this.tally.gaps++;
    if (topicGap.hasSubscribers) topicGap.publish({ topic: this.name, error: gap.error, isForAll: true });
    this.#add(gap);
  }

  /** Counts messages that were read from the history. */
  recover(messages: number): void {
    this.tally.recovered += messages;
    if (messages > 0 && topicRecovered.hasSubscribers) topicRecovered.publish({ topic: this.name, messages });
  }

  add(member: TopicMember): void {
    this.#members.add(member);
  }

  remove(member: TopicMember): void {
    this.#members.delete(member);
  }

  /** Wakes this one when there is something new. */
  wait(place: WaitingPlace<TopicWaiter>): void {
    this.#waiting.add(place);
  }

  stopWaiting(place: WaitingPlace<TopicWaiter>): void {
    this.#waiting.remove(place);
  }

  /** Says that no more will come. */
  close(): void {
    this.isClosed = true;
    this.wake();
  }

  wake(): void {
    // Counted before: one that waits for more goes back to the end.
    for (let count = this.#waiting.length; count > 0; count--) {
      const place = this.#waiting.takeFirst();
      if (place?.owner.wake() === true) this.#waiting.add(place);
    }
  }

  /** Tells all of one entry before the next, also of one that is added by what a member does: so they have the same order. */
  #add(entry: TopicEntry): void {
    this.last = entry.offset;
    if (this.#isTelling) {
      this.#later.push(entry);
      return;
    }
    this.#isTelling = true;
    try {
      this.#tell(entry);
      while (this.#later.length > 0) this.#tell(this.#later.shift()!);
    } finally {
      this.#isTelling = false;
    }
  }

  #tell(entry: TopicEntry): void {
    if (entry instanceof TopicGap) {
      this.#tellGap(entry);
      return;
    }
    // Those who fall behind here begin to read in front of this message.
    for (const member of this.#members) member.deliver(entry);
    this.offset = entry.offset;
    this.#append(entry);
  }

  #tellGap(gap: TopicGap): void {
    // Who joins while these are told begins behind it, and who is reading reads it, or is beyond it.
    const members = [...this.#members].filter((member) => !member.isBehind);
    this.epoch = gap.epoch;
    this.offset = gap.offset;
    this.#append(gap);
    for (const member of members) member.deliverGap(gap);
  }

  #append(entry: TopicEntry): void {
    if (this.ring.cursors === 0) return;
    this.ring.append(entry instanceof TopicGap ? entry : entry.keep());
    this.wake();
  }
}
