/// <reference types="node" preserve="true" />
export { type RedisBrokerOptions, redisBroker } from './brokers/redis.ts';
export type { RedisClientLike } from './brokers/redis-client.ts';
