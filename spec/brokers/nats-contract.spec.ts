import { after, before, describe } from 'node:test';
import { testBroker } from '../../lib/brokers/broker-testing.ts';
import { NatsBroker } from '../../lib/brokers/nats.ts';
import { NatsServer, skipWithoutNats } from '../support/nats-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** As in an application, but with less patience. */
const TIMING = { checkMs: 100, answerMs: 2000, quietChecks: 30 };

/** How much is kept of a topic is a setting of the stream, and nobody lowers it. */
function prefixOf(historyMessages: number): string {
  return `keeps-${historyMessages}`;
}

describe('NATS', skipWithoutNats(), () => {
  let server: NatsServer;

  before(async () => {
    server = await NatsServer.start();
  });
  after(() => server.stop());

  testBroker({
    name: 'NATS with JetStream',
    async makeBroker({ historyMessages }) {
      const proxy = await TcpProxy.open(server.port);
      const connection = await server.connect(proxy.port);
      return {
        broker: new NatsBroker(
          { connection, jetstream: { storage: 'memory' }, prefix: prefixOf(historyMessages) },
          TIMING,
        ),
        disconnect: () => proxy.cut(),
        reconnect: () => proxy.heal(),
        async end() {
          await connection.close();
          await proxy.close();
        },
      };
    },
    loseData: () => server.api(`STREAM.DELETE.${prefixOf(1000)}`),
    maxMessageBytes: 900_000,
  });
});
