import type {
  Destroyables,
  RedisArguments,
  RedisConnection,
  RedisConnectionEvents,
  RedisConnector,
} from './redis-connection.ts';
import type { RedisScript } from './redis-scripts.ts';
import { ownSlots } from './redis-slots.ts';
import { RedisWatch } from './redis-watch.ts';

/**
 * Two connections to one server: one for commands and one that subscribes, as that can do little else. Both live and end
 * together.
 */
export class RedisLink {
  /** Which slots the server has, as `0-5460 6000`; `undefined` where it is no Redis Cluster. */
  readonly slots: string | undefined;
  /** Another one says that the server was started again, or is another. */
  readonly runId: string;
  readonly #commands: RedisConnection;
  readonly #subscriber: RedisConnection;
  readonly #sharded: boolean;
  /** What is subscribed, or being so. */
  readonly #channels = new Map<string, Promise<unknown>>();
  readonly #onLost: (error: Error) => void;
  readonly #watches: readonly RedisWatch[];
  readonly #timer: NodeJS.Timeout;

  private constructor(
    commands: RedisConnection,
    subscriber: RedisConnection,
    facts: ServerFacts,
    timeoutMs: number,
    events: RedisConnectionEvents,
    heard: Heard,
  ) {
    this.#commands = commands;
    this.#subscriber = subscriber;
    this.runId = facts.runId;
    this.slots = facts.slots;
    this.#sharded = facts.slots !== undefined && facts.version >= 7;
    this.#onLost = events.lost;
    const check = async (): Promise<void> => {
      const now = await askServer(commands);
      if (now.runId !== facts.runId || now.slots !== facts.slots) throw new Error('the server is another than before');
    };
    this.#watches = [
      new RedisWatch('to a command', check, timeoutMs, events.lost),
      new RedisWatch('on the connection that subscribes', () => subscriber.command(['ping']), timeoutMs, events.lost),
    ];
    heard.by = () => this.#watches[1]!.hear(performance.now());
    this.#timer = setInterval(() => {
      for (const watch of this.#watches) watch.tick(performance.now());
    }, timeoutMs / 4).unref();
  }

  /** Connects. Rejects if the server cannot be used. What was made is in `made`, for whoever gives up meanwhile. */
  static async open(
    connect: RedisConnector,
    timeoutMs: number,
    events: RedisConnectionEvents,
    made: Destroyables,
  ): Promise<RedisLink> {
    const heard: Heard = { by: () => {} };
    const commands = connect(events);
    const subscriber = connect({
      lost: events.lost,
      message: (channel, bytes) => {
        heard.by();
        events.message(channel, bytes);
      },
    });
    made.add(commands).add(subscriber);
    await Promise.all([commands.connect(), subscriber.connect()]);
    const link = new RedisLink(commands, subscriber, await askServer(commands), timeoutMs, events, heard);
    made.add(link);
    return link;
  }

  /** Runs a script. Where the error says that the server can no longer do what it is asked for, the link is lost. */
  async run(script: RedisScript, keys: readonly string[], args: RedisArguments): Promise<unknown> {
    const count = String(keys.length);
    try {
      return await this.#commands.command(['evalsha', script.sha, count, ...keys, ...args]);
    } catch (error) {
      if (!isNoScript(error)) throw this.#judge(error);
    }
    try {
      return await this.#commands.command(['eval', script.source, count, ...keys, ...args]);
    } catch (error) {
      throw this.#judge(error);
    }
  }

  /** The name of the command by which a script publishes. */
  get publishCommand(): 'SPUBLISH' | 'PUBLISH' {
    return this.#sharded ? 'SPUBLISH' : 'PUBLISH';
  }

  async publish(channel: string, bytes: RedisArguments[number]): Promise<void> {
    try {
      await this.#commands.command([this.#isSharded(channel) ? 'spublish' : 'publish', channel, bytes]);
    } catch (error) {
      throw this.#judge(error);
    }
  }

  async subscribe(channel: string): Promise<void> {
    let subscribed = this.#channels.get(channel);
    if (subscribed === undefined) {
      subscribed = this.#subscriber.subscribe(channel, this.#isSharded(channel));
      this.#channels.set(channel, subscribed);
    }
    try {
      await subscribed;
    } catch (error) {
      if (this.#channels.get(channel) === subscribed) this.#channels.delete(channel);
      throw this.#judge(error);
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    if (this.#channels.delete(channel)) await this.#subscriber.unsubscribe(channel, this.#isSharded(channel));
  }

  /** The channels of topics have a hash tag, by which they belong to one server; that of all has none. */
  #isSharded(channel: string): boolean {
    return this.#sharded && channel.includes('{');
  }

  destroy(): void {
    clearInterval(this.#timer);
    this.#commands.destroy();
    this.#subscriber.destroy();
  }

  #judge(error: unknown): unknown {
    if (error instanceof Error && /\b(?:READONLY|MOVED|CLUSTERDOWN|LOADING|MASTERDOWN)\b/.test(error.message)) {
      this.#onLost(error);
    }
    return error;
  }
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/** Whom a message on the connection that subscribes is told to, once there is somebody. */
interface Heard {
  by: () => void;
}

/** What has to stay as it is for as long as a link lives. */
interface ServerFacts {
  readonly runId: string;
  readonly slots: string | undefined;
  readonly version: number;
}

/** Asks a server who it is. Rejects if it cannot be written to. */
async function askServer(commands: RedisConnection): Promise<ServerFacts> {
  const info = String(await commands.command(['info']));
  const fact = (name: string): string => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  if (fact('role') === 'slave') {
    throw new Error('the server is a replica, which cannot be written to: have the client connect to its primary');
  }
  const isCluster = fact('redis_mode') === 'cluster';
  return {
    runId: fact('run_id'),
    slots: isCluster ? ownSlots(String(await commands.command(['cluster', 'nodes']))) : undefined,
    version: Number.parseInt(fact('redis_version'), 10),
  };
}
