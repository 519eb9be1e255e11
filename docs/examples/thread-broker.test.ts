import { MessageChannel } from 'node:worker_threads';
import { testBroker } from 'hyperlane-ws/broker-testing';
import { ThreadBroker, ThreadHub } from './thread-broker.ts';

const hub = new ThreadHub();

testBroker({
  name: 'threads',
  makeBroker() {
    const { port1, port2 } = new MessageChannel();
    hub.connect(port1);
    return { broker: new ThreadBroker(port2), end: () => port2.close() };
  },
});
