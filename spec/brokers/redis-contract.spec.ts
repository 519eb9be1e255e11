import { after } from 'node:test';
import { testBroker } from '../../lib/brokers/broker-testing.ts';
import { redisBroker } from '../../lib/brokers/redis.ts';
import { skipWithoutRedis } from '../support/redis-server.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { LIBRARIES } from '../support/redis-clients.ts';

if (skipWithoutRedis().skip === undefined) {
  const server = await RedisServer.start();
  after(() => server.stop());
  for (const { name, client } of LIBRARIES) {
    testBroker({
      name: `Redis by ${name}`,
      async makeBroker() {
        const proxy = await TcpProxy.open(server.port);
        return {
          broker: redisBroker({ client: client(proxy.port) }),
          disconnect: () => proxy.cut(),
          reconnect: () => proxy.heal(),
          end: () => proxy.close(),
        };
      },
      loseData: () => server.command('flushall'),
    });
  }
}
