import type { Buffer } from 'node:buffer';
import { copyAlone } from '../codec/copy-alone.ts';
import { GapError, type GapReason } from '../errors.ts';
import { formatPosition, type Place, type Position } from './position.ts';

/** A message of a topic. Many may be given the same one: leave it, and the bytes of its body, unchanged. */
export class TopicMessage {
  /** A text message is a string, a binary one a Buffer. */
  body: string | Buffer;
  /** @internal */
  readonly epoch: string;
  /** The offset of the message before. @internal */
  readonly previous: number;
  /** @internal */
  readonly offset: number;
  /** The number of the connection here that has published it; 0 for none. @internal */
  readonly sender: number;
  /** Whether the bytes of the body are its own. @internal */
  isOwn: boolean;

  /** @internal */
  constructor(epoch: string, previous: number, offset: number, body: string | Buffer, sender: number, isOwn: boolean) {
    this.body = body;
    this.epoch = epoch;
    this.previous = previous;
    this.offset = offset;
    this.sender = sender;
    this.isOwn = isOwn;
  }

  /** Where it stands in the order of its topic: whoever has it goes on behind that. */
  get position(): Position {
    return formatPosition(this.epoch, this.offset);
  }

  /** The epoch of what comes before. @internal */
  get from(): string {
    return this.epoch;
  }

  /** Sees to it that nobody changes its bytes while it is kept. @internal */
  keep(): this {
    if (!this.isOwn && typeof this.body !== 'string') this.body = copyAlone(this.body);
    this.isOwn = true;
    return this;
  }
}

/** A place in a topic where messages are missing. */
export class TopicGap {
  /** What there is before it: up to this offset of this epoch. */
  readonly from: string;
  readonly previous: number;
  /** Where it goes on: behind this offset of this epoch. */
  readonly epoch: string;
  readonly offset: number;
  readonly error: GapError;

  /** @param missed - how many messages; NaN where nobody can tell */
  constructor(topic: string, from: Place, to: Place, reason: GapReason, missed: number) {
    this.from = from.epoch;
    this.previous = from.offset;
    this.epoch = to.epoch;
    this.offset = to.offset;
    this.error = new GapError(topic, reason, formatPosition(to.epoch, to.offset), missed);
  }
}

/** What a topic has in its order, each the neighbour of the one before. */
export type TopicEntry = TopicMessage | TopicGap;

/** How many messages are read from a history at once, at most. */
export const PAGE_MESSAGES = 128;

/** What is kept of a topic behind an offset: the oldest first. */
export interface TopicPage {
  readonly epoch: string;
  /** Of the newest message of all. */
  readonly offset: number;
  readonly entries: readonly TopicEntry[];
}
