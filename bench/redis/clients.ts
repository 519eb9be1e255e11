/** The clients of Redis, as their users make them. */
import { createRequire } from 'node:module';
import type { RedisServerTask } from './messages.ts';

export interface RedisClient {
  duplicate(): RedisClient;
  connect(): Promise<unknown>;
  on(event: 'error', listener: () => void): unknown;
}

interface Packages {
  readonly redis: { createClient(options: { readonly url: string }): RedisClient };
  readonly ioredis: { readonly Redis: new (url: string, options: { readonly lazyConnect: boolean }) => RedisClient };
}

/** Makes a client that is not connected. */
export function makeClient({ client, clients, redisPort }: RedisServerTask): RedisClient {
  const require = createRequire(clients);
  const load = <Name extends keyof Packages>(name: Name): Packages[Name] => require(name);
  const url = `redis://127.0.0.1:${redisPort}`;
  if (client === 'redis') return load('redis').createClient({ url });
  return new (load('ioredis').Redis)(url, { lazyConnect: true });
}
