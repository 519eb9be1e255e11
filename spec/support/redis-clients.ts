import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import type { RedisClientLike } from '../../lib/brokers/redis-client.ts';

/** A client library, and how to make its clients. None of them is connected. */
export interface RedisLibrary {
  readonly name: string;
  client(port: number, options?: { database?: number; username?: string; password?: string }): RedisClientLike;
  cluster(ports: readonly number[]): RedisClientLike;
}

export const LIBRARIES: readonly RedisLibrary[] = [
  {
    name: 'redis',
    client: (port, options) => createClient({ socket: { host: '127.0.0.1', port }, ...options }),
    cluster: (ports) => createCluster({ rootNodes: ports.map((port) => ({ socket: { host: '127.0.0.1', port } })) }),
  },
  {
    name: 'ioredis',
    client: (port, { database: db = 0, ...user } = {}) =>
      new Redis({ host: '127.0.0.1', port, db, ...user, lazyConnect: true }),
    cluster: (ports) =>
      new Cluster(
        ports.map((port) => ({ host: '127.0.0.1', port })),
        { lazyConnect: true },
      ),
  },
];
