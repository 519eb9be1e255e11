/// <reference types="node" preserve="true" />
export { type NatsBrokerOptions, natsBroker } from './brokers/nats.ts';
export type { NatsConnection, NatsMessage } from './brokers/nats-connection.ts';
export type { NatsStreamOptions } from './brokers/nats-stream.ts';
