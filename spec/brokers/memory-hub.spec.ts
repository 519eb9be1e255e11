import { testBroker } from '../../lib/brokers/broker-testing.ts';
import { MemoryHub } from '../support/memory-hub.ts';

/** The hub that specs of topics are run over is a broker itself. */
for (const isSparse of [false, true]) {
  const hub = new MemoryHub({ isSparse });
  testBroker({
    name: isSparse ? 'a hub in memory whose topics share one count' : 'a hub in memory',
    makeBroker() {
      const broker = hub.makeBroker();
      return { broker, disconnect: () => broker.disconnect(), reconnect: () => broker.reconnect() };
    },
    loseData: () => hub.loseData(),
  });
}
