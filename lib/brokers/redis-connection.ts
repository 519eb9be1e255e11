import { Buffer } from 'node:buffer';

/** The arguments of a command, with its name as the first. */
export type RedisArguments = readonly (string | Buffer)[];

/**
 * One connection to one server, by either library, with one life: it never reconnects, sends nothing again and subscribes to
 * nothing by itself. So a subscription that Redis has confirmed is in force for as long as the connection is there, and nothing
 * depends on what a library restores, or forgets to.
 */
export interface RedisConnection {
  /** Rejects if that fails; the connection is of no use then, but to be destroyed. */
  connect(): Promise<unknown>;
  /** Strings come as bytes. */
  command(args: RedisArguments): Promise<unknown>;
  /** Resolves when Redis has confirmed it. */
  subscribe(channel: string, sharded: boolean): Promise<unknown>;
  unsubscribe(channel: string, sharded: boolean): Promise<unknown>;
  /** At once, and whatever its state: what was not answered rejects. */
  destroy(): void;
}

/** What is to be destroyed when it is of no use any more. */
export type Destroyables = Set<{ destroy(): void }>;

/** Calls what may throw as it has been done already. */
export function quietly(call: () => void): void {
  try {
    call();
  } catch {
    // Nothing depends on it.
  }
}

/** What a connection tells. */
export interface RedisConnectionEvents {
  message(channel: string, bytes: Uint8Array): void;
  /** It is of no use any more. May be told several times. */
  lost(error: Error): void;
}

/** Makes a connection that is not yet connected. */
export type RedisConnector = (events: RedisConnectionEvents) => RedisConnection;

/** What is used of a client of `redis`. */
export interface NodeRedisClient {
  readonly options?: { readonly socket?: object; readonly database?: number };
  duplicate(overrides: object): NodeRedisClient;
  connect(): Promise<unknown>;
  sendCommand(args: RedisArguments, options: object): Promise<unknown>;
  subscribe: NodeRedisSubscribe;
  unsubscribe: NodeRedisSubscribe;
  sSubscribe: NodeRedisSubscribe;
  sUnsubscribe: NodeRedisSubscribe;
  on(event: string, listener: (error?: unknown) => void): unknown;
  destroy(): void;
}

type NodeRedisListener = (message: Buffer, channel: Buffer) => void;
type NodeRedisSubscribe = (channel: string, listener: NodeRedisListener, asBuffers: true) => Promise<unknown>;

/** Has a bulk string (RESP type `$`) come as a Buffer. */
const AS_BYTES = { typeMapping: { 36: Buffer } };

/** A connector for a client of `redis`, of which only the options are used. */
export function connectNodeRedis(client: NodeRedisClient, timeoutMs: number): RedisConnector {
  return (events) => new NodeRedisConnection(client, timeoutMs, events);
}

class NodeRedisConnection implements RedisConnection {
  readonly #client: NodeRedisClient;
  /** One for all channels: by it the library finds what is unsubscribed. */
  readonly #listener: NodeRedisListener;

  constructor(client: NodeRedisClient, timeoutMs: number, events: RedisConnectionEvents) {
    this.#client = client.duplicate({
      socket: { ...client.options?.socket, connectTimeout: timeoutMs, reconnectStrategy: false },
      // The link watches whether there are answers. A signal for each command took as much as the command itself.
      commandOptions: { timeout: 0 },
      clientSideCache: undefined,
      disableOfflineQueue: false,
      pingInterval: undefined,
      readonly: false,
    });
    this.#listener = (message, channel) => events.message(channel.toString(), message);
    const lost = (error: unknown): void =>
      events.lost(error instanceof Error ? error : new Error('the connection ended'));
    for (const event of ['error', 'end', 'sharded-channel-moved']) this.#client.on(event, lost);
  }

  connect(): Promise<unknown> {
    return this.#client.connect();
  }

  command(args: RedisArguments): Promise<unknown> {
    return this.#client.sendCommand(args, AS_BYTES);
  }

  subscribe(channel: string, sharded: boolean): Promise<unknown> {
    return this.#client[sharded ? 'sSubscribe' : 'subscribe'](channel, this.#listener, true);
  }

  unsubscribe(channel: string, sharded: boolean): Promise<unknown> {
    return this.#client[sharded ? 'sUnsubscribe' : 'unsubscribe'](channel, this.#listener, true);
  }

  destroy(): void {
    // It throws where it is closed already.
    quietly(() => this.#client.destroy());
  }
}

/** What is used of a client of `ioredis`. */
export interface IoredisClient {
  readonly options: { readonly db?: number };
  readonly stream?: { destroy(): unknown };
  duplicate(overrides: object): IoredisClient;
  connect(): Promise<unknown>;
  callBuffer(...args: (string | Buffer)[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  disconnect(): void;
}

/** A connector for a client of `ioredis`, of which only the options are used. */
export function connectIoredis(client: IoredisClient, timeoutMs: number): RedisConnector {
  return (events) => new IoredisConnection(client, timeoutMs, events);
}

class IoredisConnection implements RedisConnection {
  readonly #client: IoredisClient;

  constructor(client: IoredisClient, timeoutMs: number, events: RedisConnectionEvents) {
    this.#client = client.duplicate({
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      commandTimeout: undefined,
      connectTimeout: timeoutMs,
      enableAutoPipelining: false,
      enableOfflineQueue: true,
      keyPrefix: '',
      lazyConnect: true,
      maxRetriesPerRequest: null,
      monitor: false,
      readOnly: false,
      reconnectOnError: null,
      retryStrategy: null,
    });
    const message = (channel: Buffer, bytes: Buffer): void => events.message(channel.toString(), bytes);
    for (const event of ['messageBuffer', 'smessageBuffer']) this.#client.on(event, message);
    const lost = (error?: Error): void => events.lost(error ?? new Error('the connection was closed'));
    // It says `moved` when a slot has gone to another server.
    for (const event of ['error', 'close', 'moved']) this.#client.on(event, lost);
  }

  connect(): Promise<unknown> {
    return this.#client.connect();
  }

  command(args: RedisArguments): Promise<unknown> {
    return this.#client.callBuffer(...args);
  }

  subscribe(channel: string, sharded: boolean): Promise<unknown> {
    return this.#client.callBuffer(sharded ? 'ssubscribe' : 'subscribe', channel);
  }

  unsubscribe(channel: string, sharded: boolean): Promise<unknown> {
    return this.#client.callBuffer(sharded ? 'sunsubscribe' : 'unsubscribe', channel);
  }

  destroy(): void {
    this.#client.disconnect();
    // It would wait for an end that a dead network never brings.
    this.#client.stream?.destroy();
  }
}
