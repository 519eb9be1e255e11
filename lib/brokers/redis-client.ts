import { kindOf } from '../wording.ts';
import {
  connectIoredis,
  connectNodeRedis,
  type Destroyables,
  type IoredisClient,
  type NodeRedisClient,
  quietly,
  type RedisConnector,
} from './redis-connection.ts';

/**
 * A client of `redis` or of `ioredis`, 5 or newer, for one server, by Sentinel (`ioredis`), or for a Redis Cluster. Only its options
 * are used, so it need not be connected.
 */
export interface RedisClientLike {
  duplicate(...overrides: never[]): unknown;
  connect(): Promise<unknown>;
}

/** Where the servers are, as a client of the user's says. */
export interface RedisSource {
  /** The number of the database. */
  readonly database: number;
  /**
   * Finds the servers that may be written to: one, or all of a Redis Cluster.
   *
   * @param made - gets what is to be destroyed behind that, also where it takes too long
   */
  findServers(made: Destroyables): Promise<RedisConnector[]>;
}

/** What is used of a cluster client of `redis`. */
interface NodeRedisCluster<Node = unknown> {
  readonly masters: readonly Node[];
  duplicate(): NodeRedisCluster;
  connect(): Promise<unknown>;
  nodeClient(node: Node): NodeRedisClient | Promise<NodeRedisClient>;
  on(event: string, listener: () => void): unknown;
  destroy(): void;
}

/** What is used of a `Cluster` of `ioredis`. */
interface IoredisCluster {
  duplicate(startupNodes: [], overrides: object): IoredisCluster;
  connect(): Promise<unknown>;
  nodes(role: 'master'): IoredisClient[];
  on(event: string, listener: () => void): unknown;
  disconnect(): void;
}

/**
 * Tells the clients apart by what they can do: a client of one library cast to the shape of the other would lose messages
 * without a word.
 *
 * @throws {TypeError} for everything else: it says what was given, and what to give
 */
export function readRedisClient(client: unknown, timeoutMs: number): RedisSource {
  switch (recognise(client)) {
    case 'redis': {
      const single = client as NodeRedisClient;
      return {
        database: single.options?.database ?? 0,
        findServers: async () => [connectNodeRedis(single, timeoutMs)],
      };
    }
    case 'redis cluster':
      return { database: 0, findServers: (made) => findNodeRedisServers(client as NodeRedisCluster, timeoutMs, made) };
    case 'ioredis': {
      const single = client as IoredisClient;
      return { database: single.options.db ?? 0, findServers: async () => [connectIoredis(single, timeoutMs)] };
    }
    case 'ioredis cluster':
      return { database: 0, findServers: (made) => findIoredisServers(client as IoredisCluster, timeoutMs, made) };
    default:
      throw new TypeError(
        `client is a client of the package redis or ioredis, such as createClient({ url }) or new Redis(url), and this one is ${advise(client)}`,
      );
  }
}

function recognise(client: unknown): 'redis' | 'redis cluster' | 'ioredis' | 'ioredis cluster' | undefined {
  if (typeof client !== 'object' || !can(client, 'duplicate', 'connect', 'on')) return undefined;
  if (can(client, 'callBuffer', 'disconnect')) {
    if (typeof (client as { status?: unknown }).status !== 'string') return undefined;
    return can(client, 'nodes') ? 'ioredis cluster' : 'ioredis';
  }
  // `destroy` came with version 5.
  if (!can(client, 'sendCommand', 'sSubscribe', 'destroy')) return undefined;
  if (can(client, 'nodeClient')) return 'redis cluster';
  if (can(client, 'acquire')) return undefined;
  return typeof (client as { isOpen?: unknown }).isOpen === 'boolean' ? 'redis' : undefined;
}

function can(value: unknown, ...methods: string[]): boolean {
  return methods.every((name) => typeof (value as Record<string, unknown> | null | undefined)?.[name] === 'function');
}

function advise(value: unknown): string {
  const kind = kindOf(value);
  if (typeof value === 'string')
    return `${kind}: pass createClient({ url: '…' }) of redis, or new Redis('…') of ioredis`;
  if (value instanceof Promise) return `${kind}: await it first`;
  if (typeof value === 'function') return `${kind}: pass a client, such as new Redis(url)`;
  if (can(value, 'createClient')) return 'the module redis: pass createClient({ url }) of it';
  if (can(value, 'Redis')) return 'the module ioredis: pass new Redis(url) of it';
  if (can(value, 'execute')) return 'a pool: pass the client that it was made of, as a pool cannot subscribe';
  if (can(value, 'acquire'))
    return 'a Sentinel client of redis, which has no connections of its own to make: pass new Redis({ sentinels, name }) of ioredis';
  if (can(value, 'sendCommand', 'sSubscribe') && !can(value, 'destroy'))
    return 'a client of redis 4: update it to 5 or newer';
  return kind;
}

/** Asks a client of its own for the servers of a cluster, each time anew: who is who may have changed. */
async function findNodeRedisServers(
  client: NodeRedisCluster,
  timeoutMs: number,
  made: Destroyables,
): Promise<RedisConnector[]> {
  const cluster = client.duplicate();
  made.add({ destroy: () => quietly(() => cluster.destroy()) });
  // Its errors are told by connect, too; without a listener they would end the process.
  cluster.on('error', () => {});
  await cluster.connect();
  const nodes = await Promise.all(cluster.masters.map((node) => cluster.nodeClient(node)));
  return nodes.map((node) => connectNodeRedis(node, timeoutMs));
}

async function findIoredisServers(
  client: IoredisCluster,
  timeoutMs: number,
  made: Destroyables,
): Promise<RedisConnector[]> {
  const cluster = client.duplicate([], { lazyConnect: true, clusterRetryStrategy: null });
  made.add({ destroy: () => cluster.disconnect() });
  cluster.on('error', () => {});
  await cluster.connect();
  return cluster.nodes('master').map((node) => connectIoredis(node, timeoutMs));
}
