import type { Cursor } from '../broadcast/ring.ts';
import { topicDropped, topicGap } from '../diagnostics.ts';
import type { GapReason } from '../errors.ts';
import { formatPosition, type Place, type Position, parsePosition } from './position.ts';
import type { Topic } from './topic.ts';
import { PAGE_MESSAGES, type TopicEntry, TopicGap, type TopicPage } from './topic-entry.ts';

/**
 * What happens to a subscriber that has fallen further behind than the ring of its topic reaches: it reads what it has missed
 * from the history; goes on with the oldest message that is there; with the newest; or is ended.
 */
export type WhenBehind = 'catchUp' | 'skip' | 'latest' | 'end';

/** About how many bytes of them wait for one subscriber, at most: it may be a peer that never reads, and there may be many. */
const PAGE_BYTES = 256 * 1024;

/** After how long reading is tried again that has failed, in milliseconds: twice as long each time, up to the second number. */
export const FIRST_RETRY_MS = 50;
export const LAST_RETRY_MS = 2000;

/**
 * Reads a topic at the pace of one subscriber: from the history until it meets the ring, and then from the ring. Each entry
 * that it gives is the neighbour of the one before, or a gap.
 */
export class TopicReader implements Place {
  readonly #topic: Topic;
  readonly #cursor: Cursor;
  readonly #whenBehind: WhenBehind;
  readonly #onReady: () => void;
  /** How far it was read. */
  epoch: string;
  offset: number;
  /** What comes before all that is in the ring. */
  #ready: TopicEntry[] = [];
  /** Whether what is behind `#ready` is in the ring, or is still to come. */
  #isJoined: boolean;
  #isReading = false;
  #isClosed = false;
  #retryMs = FIRST_RETRY_MS;
  /** Whether no more comes behind `#ready`. */
  isEnded = false;
  /** How many messages were skipped. */
  dropped = 0;

  /**
   * @param after - reads from this position on, as somebody gave it; `undefined`: what comes from now on
   * @param onReady - is called when there may be more, after `take` had nothing and the ring nothing new
   */
  constructor(topic: Topic, after: string | undefined, whenBehind: WhenBehind, onReady: () => void) {
    this.#topic = topic;
    this.#cursor = topic.ring.join();
    this.#whenBehind = whenBehind;
    this.#onReady = onReady;
    const place = after === undefined ? topic : (parsePosition(after) ?? { epoch: '', offset: 0 });
    this.epoch = place.epoch;
    this.offset = place.offset;
    this.#isJoined = place.epoch === topic.epoch && place.offset === topic.offset;
    if (place.epoch !== topic.epoch) this.#startOver();
  }

  /** Behind what was taken last. */
  get position(): Position {
    return formatPosition(this.epoch, this.offset);
  }

  /** Whether all that has come to the topic was taken, and no more: what is read from a history may be on its way to the topic. */
  get hasCaughtUp(): boolean {
    const { ring, epoch, offset } = this.#topic;
    if (!this.#isJoined || this.#ready.length > 0 || this.#cursor.position !== ring.end) return false;
    return epoch !== this.epoch || offset >= this.offset;
  }

  /** Whether it is to be ended when one more comes. */
  get isOnTheBrink(): boolean {
    return this.#whenBehind === 'end' && this.#isJoined && this.#behind >= this.#topic.ring.capacity;
  }

  /** Whether that one has come. */
  get isOverTheBrink(): boolean {
    return this.#behind > this.#topic.ring.capacity;
  }

  get #behind(): number {
    return this.#topic.ring.end - this.#cursor.position;
  }

  /** How many entries there are to take now, at least: none only if there are none. */
  available(): number {
    this.#advance();
    if (this.#ready.length > 0) return this.#ready.length;
    return this.#canReadRing ? this.#topic.ring.end - this.#cursor.position : 0;
  }

  /** Takes the next entry, if there is one. */
  take(): TopicEntry | undefined {
    if (this.available() === 0) return undefined;
    const entry = this.#ready.shift() ?? this.#topic.ring.read(this.#cursor);
    this.epoch = entry.epoch;
    this.offset = entry.offset;
    return entry;
  }

  /** Has a gap be taken first, behind which this begins. */
  putBack(gap: TopicGap): void {
    this.#ready.push(gap);
    this.epoch = gap.from;
    this.offset = gap.previous;
  }

  /** Leaves the ring. Once. */
  close(): void {
    this.#isClosed = true;
    this.isEnded = true;
    this.#ready = [];
    this.#topic.ring.leave(this.#cursor);
  }

  get #canReadRing(): boolean {
    return this.#isJoined && !this.isEnded;
  }

  /** The next entry of the ring that was not taken. */
  #first(): TopicEntry | undefined {
    const { ring } = this.#topic;
    const cursor = this.#cursor;
    if (cursor.position < ring.start) cursor.position = ring.start;
    while (cursor.position < ring.end) {
      const entry = ring.peek(cursor);
      if (entry.epoch !== this.epoch || entry.offset > this.offset) return entry;
      ring.read(cursor);
    }
    return undefined;
  }

  /** Sees to it that `#ready` or the ring has what is next, or that it is being read. */
  #advance(): void {
    if (this.#ready.length > 0 || this.#isReading || this.isEnded || this.#topic.isClosed) return;
    if (this.#isJoined && this.#cursor.position < this.#topic.ring.start) this.#fallOut();
    if (this.#isJoined) this.#first();
    else this.#read();
  }

  /** The ring has moved on past the next message. */
  #fallOut(): void {
    const { ring, tally } = this.#topic;
    if (this.#whenBehind === 'catchUp') {
      this.#isJoined = false;
      return;
    }
    const from = this.#cursor.position;
    this.#cursor.position = ring.start;
    // The newest stays, but for one who is to be ended.
    const last = this.#whenBehind === 'skip' ? ring.start : this.#whenBehind === 'latest' ? ring.end - 1 : ring.end;
    while (this.#cursor.position < last) ring.read(this.#cursor);
    const missed = last - from;
    this.dropped += missed;
    tally.dropped += missed;
    if (topicDropped.hasSubscribers) {
      topicDropped.publish({ topic: this.#topic.name, messages: missed, whenBehind: this.#whenBehind });
    }
    if (this.#whenBehind === 'end') {
      this.isEnded = true;
      tally.ended++;
    }
    this.#pushGap(this.#first(), 'skipped', missed);
  }

  #read(): void {
    const topic = this.#topic;
    const page = topic.source.read(topic.name, topic, this.offset, topic.pageMessages);
    if (!(page instanceof Promise)) {
      this.#meet(page);
      return;
    }
    this.#isReading = true;
    page.then(
      (read) => {
        if (this.#isClosed) return;
        this.#isReading = false;
        this.#retryMs = FIRST_RETRY_MS;
        this.#meet(this.#cut(read));
        this.#onReady();
      },
      () => this.#readLater(),
    );
  }

  /** Leaves out of a page what is too much to wait, and has the next ones of this topic be so long. Those of this process cost nothing. */
  #cut(page: TopicPage): TopicPage {
    const topic = this.#topic;
    const { entries } = page;
    let bytes = 0;
    let count = 0;
    for (const entry of entries) {
      bytes += entry instanceof TopicGap ? 0 : entry.body.length;
      if (count > 0 && bytes > PAGE_BYTES) break;
      count++;
    }
    const isWhole = count === entries.length;
    topic.pageMessages = isWhole ? Math.min(2 * topic.pageMessages, PAGE_MESSAGES) : count;
    return isWhole ? page : { ...page, entries: entries.slice(0, count) };
  }

  /** Reads again in a while: the broker is not there, or the topic has not heard yet what the broker says. */
  #readLater(): void {
    this.#isReading = true;
    const timer = setTimeout(() => {
      this.#isReading = false;
      if (!this.#isClosed) this.#onReady();
    }, this.#retryMs);
    timer.unref();
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
  }

  /** Puts what was read between what was taken and the ring, with a gap where they do not meet. */
  #meet(page: TopicPage): void {
    const topic = this.#topic;
    if (page.epoch !== this.epoch && topic.epoch === this.epoch) {
      topic.source.check?.(topic);
      this.#readLater();
      return;
    }
    // Behind the top there is no position: there never was, or the broker has forgotten it.
    if (page.epoch !== this.epoch || page.offset < this.offset) {
      this.#startOver();
      return;
    }
    const first = this.#first();
    // A broker may have no place of its own for a topic of which it keeps nothing, and say that this is as good as any.
    const isTop = first === undefined && page.entries.length === 0 && page.offset === this.offset;
    this.#isJoined = isTop || this.#isNeighbour(first, this.offset);
    if (this.#isJoined) return;
    const oldest = page.entries[0];
    const isInRing =
      first !== undefined && first.from === this.epoch && first.previous <= (oldest?.previous ?? first.previous);
    if (oldest === undefined || isInRing) {
      this.#isJoined = true;
      this.#pushGap(first, 'history', Number.NaN);
      return;
    }
    if (oldest.previous > this.offset) {
      const to = { epoch: this.epoch, offset: oldest.previous };
      this.#put(new TopicGap(topic.name, this, to, 'history', Number.NaN));
    }
    for (const entry of page.entries) if (entry.offset > this.offset) this.#ready.push(entry);
    topic.recover(page.entries.length);
    this.#isJoined = this.#isNeighbour(first, page.entries.at(-1)!.offset);
  }

  /** Whether nothing is missing between an offset and the first entry of the ring, or what is to come. */
  #isNeighbour(first: TopicEntry | undefined, offset: number): boolean {
    if (first !== undefined) return first.from === this.epoch && first.previous <= offset;
    return this.#topic.epoch === this.epoch && this.#topic.offset <= offset;
  }

  /** Goes on with what there is of the present epoch of the topic: nobody can tell what lies before. */
  #startOver(): void {
    const topic = this.#topic;
    this.#isJoined = true;
    let first = this.#first();
    while (first !== undefined && first.epoch !== topic.epoch) {
      topic.ring.read(this.#cursor);
      first = this.#first();
    }
    if (first instanceof TopicGap) {
      topic.ring.read(this.#cursor);
      this.#put(new TopicGap(topic.name, this, first, 'epoch', Number.NaN));
    } else this.#pushGap(first, 'epoch', Number.NaN);
  }

  #put(gap: TopicGap): void {
    this.#ready.push(gap);
    if (topicGap.hasSubscribers) topicGap.publish({ topic: this.#topic.name, error: gap.error, isForAll: false });
  }

  /** @param first - what comes behind the gap; `undefined` for what is still to come */
  #pushGap(first: TopicEntry | undefined, reason: GapReason, missed: number): void {
    const to = first === undefined ? this.#topic : { epoch: first.from, offset: first.previous };
    this.#put(new TopicGap(this.#topic.name, this, to, to.epoch === this.epoch ? reason : 'epoch', missed));
  }
}
