/** What the processes of the Redis bench are told, and tell. */

/** What a server and the load of one contestant have in common. */
export interface Work {
  readonly rooms: number;
  /** Connections in each room, half of them at each process. */
  readonly members: number;
  readonly payloadBytes: number;
  /** What the server speaks. */
  readonly wire: 'plain' | 'socket.io';
}

/** What a server is told by its command line. */
export interface RedisServerTask {
  readonly client: 'redis' | 'ioredis';
  readonly redisPort: number;
  /** How many messages are kept for those who come back; 0 for none. */
  readonly historyMessages: number;
  /** URL of the folder of the built library. */
  readonly lib: string;
  /** Files in the folders whose node_modules hold the peers, and the clients of Redis. */
  readonly peers: string;
  readonly clients: string;
}

/** What a load is told by its command line. */
export interface RedisLoadTask {
  readonly work: Work;
  /** Those of the two server processes. */
  readonly ports: readonly [number, number];
  readonly milliseconds: Readonly<Record<Phase, number>>;
}

/**
 * `busy`: everybody publishes, and again when all has arrived everywhere. `calm`: one message in all, and
 * some milliseconds behind its last delivery the next.
 */
export type Phase = 'busy' | 'calm';

export interface PhaseResult {
  readonly published: number;
  readonly deliveries: number;
  readonly elapsedMs: number;
  /** From publishing to a delivery by the other process. */
  readonly p50Micros: number;
  readonly p99Micros: number;
}
