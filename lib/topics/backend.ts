import type { Place, Position } from './position.ts';
import type { Topic, TopicSource } from './topic.ts';

/** What orders and keeps the messages of topics: this process, or a broker. */
export interface TopicBackend extends TopicSource {
  readonly isConnected: boolean;
  /** Where a topic that nobody here was in begins, if that is known at once. */
  placeOf(name: string): Place;
  /** A topic has its first subscription. Returns a promise if it takes time, which rejects with BrokerError. */
  open(topic: Topic): Promise<void> | undefined;
  /** A topic has lost its last one. */
  leave(topic: Topic): void;
  /**
   * Publishes a message: to everyone but one connection here.
   *
   * @param topic - if anybody here is in it
   * @param sender - the number of that connection, 0 for none
   */
  publish(
    name: string,
    topic: Topic | undefined,
    body: string | Uint8Array,
    id: string | undefined,
    sender: number,
  ): Promise<Position>;
  close(): Promise<void>;
}
