/** How the servers of a fleet come to their broker. */
import type { Broker } from '../../lib/topics/broker.ts';

export const BROKERS = ['redis', 'ioredis', 'nats', 'cluster'] as const;

/** Which broker, and by which client. */
export type BrokerKind = (typeof BROKERS)[number];

/** What one server of a fleet is to do. */
export interface ServerTask {
  readonly broker: BrokerKind;
  /** Where the broker listens on 127.0.0.1, or what stands between. */
  readonly port: number;
  readonly historyMessages: number;
  /** Where it listens itself; 0: where there is room. */
  readonly listenPort?: number;
  /** Has clients be members of their room, and so many rooms watched. */
  readonly watchedRooms?: number;
}

export interface ConnectedBroker {
  readonly broker: Broker;
  /** Ends the client, which is not the broker's. */
  disconnect(): Promise<unknown>;
}

export async function connectBroker({ broker, port }: ServerTask): Promise<ConnectedBroker> {
  switch (broker) {
    case 'redis': {
      const [{ createClient }, { redisBroker }] = await Promise.all([
        import('redis'),
        import('../../lib/brokers/redis.ts'),
      ]);
      const client = createClient({ url: `redis://127.0.0.1:${port}` });
      client.on('error', () => {});
      await client.connect();
      return { broker: redisBroker({ client }), disconnect: async () => client.destroy() };
    }
    case 'ioredis': {
      const [{ Redis }, { redisBroker }] = await Promise.all([import('ioredis'), import('../../lib/brokers/redis.ts')]);
      const client = new Redis(port, '127.0.0.1');
      client.on('error', () => {});
      return { broker: redisBroker({ client }), disconnect: async () => client.disconnect() };
    }
    case 'nats': {
      const [{ connect }, { natsBroker }] = await Promise.all([
        import('@nats-io/transport-node'),
        import('../../lib/brokers/nats.ts'),
      ]);
      const connection = await connect({ port, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
      return { broker: natsBroker({ connection }), disconnect: () => connection.close() };
    }
    case 'cluster': {
      const { clusterBroker } = await import('../../lib/brokers/cluster.ts');
      return { broker: clusterBroker(), disconnect: async () => {} };
    }
  }
}
