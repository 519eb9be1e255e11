/// <reference types="node" preserve="true" />
export { testBroker } from './brokers/broker-testing.ts';
export type { BrokerTestOptions, TestedBroker } from './brokers/broker-testing-options.ts';
