import type { BrokerMessage, BrokerPage, BrokerTop } from '../topics/broker.ts';
import type { NatsMessage } from './nats-connection.ts';

/** What an order tells of a topic. */
export interface OrderEvents {
  message(topic: string, epoch: string, message: BrokerMessage): void;
  /** Messages are missing behind the last one of a topic: each is to be subscribed again. */
  missed(): void;
  /** Something is not as it was at the last check: have it made soon. */
  checkNow(): void;
  /** The same, and resolves when it is made. */
  renew(): Promise<void>;
}

/** How the messages of topics are ordered, and kept: by JetStream, or by each process for itself. */
export interface NatsOrder {
  /** Asked again and again whether all is well. @returns whether each topic is to be subscribed again */
  check(): Promise<boolean>;
  /** The connection was lost: messages may have been. */
  lost(): void;
  /** A message came of a topic that is subscribed. */
  receive(topic: string, message: NatsMessage): void;
  /** The server has been told that messages of a topic are wanted. */
  subscribe(topic: string): Promise<BrokerTop>;
  unsubscribe(topic: string): void;
  publish(topic: string, data: Uint8Array, id: string | undefined): Promise<BrokerTop>;
  read(topic: string, after: number, limit: number): Promise<BrokerPage>;
  close(): void;
}
