import type { GapError } from '../errors.ts';
import type { WhenBehind } from './topic-reader.ts';

/** How a message is published. */
export interface PublishOptions {
  /** Publishing again with the same one, within five minutes, publishes nothing: it resolves with the position of the first. */
  readonly id?: string | undefined;
}

/** A seat among the members of a topic. */
export interface PresenceSeat {
  /** Who it is, such as the id of a user: at most 256 bytes. */
  readonly key: string;
  /** What is told of it: JSON of at most 1,024 bytes. */
  readonly info?: unknown;
}

/** How code subscribes. */
export interface SubscribeOptions {
  /** Makes the subscription a member of the topic, as long as it lasts. `key` says who it is: one may have several subscriptions. */
  readonly presence?: PresenceSeat | undefined;
  /** Begins behind this position, as a message or a subscription had it, instead of now. */
  readonly after?: string | undefined;
  /** What happens when it falls too far behind. Default `'catchUp'` with history, `'skip'` without. */
  readonly whenBehind?: WhenBehind | undefined;
}

/** How a connection subscribes. */
export interface ConnectionSubscribeOptions extends SubscribeOptions {
  /** Is told of each gap, at its place between the messages that are sent: what it sends stands there. */
  readonly onGap?: ((gap: GapError) => void) | undefined;
}
