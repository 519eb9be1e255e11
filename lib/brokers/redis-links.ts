import type { RedisSource } from './redis-client.ts';
import { deferred } from './deferred.ts';
import type { RedisConnectionEvents } from './redis-connection.ts';
import { RedisLink } from './redis-link.ts';
import { hasSlot, slotOf } from './redis-slots.ts';

/** The links to all servers there are: one, or one for each primary of a Redis Cluster. They have one life: with one all are lost. */
export class RedisLinks {
  readonly #links: readonly RedisLink[];

  private constructor(links: readonly RedisLink[]) {
    this.#links = links;
  }

  /**
   * Connects to all, and subscribes to what is for everyone.
   *
   * @param events - `lost` is told once, and only after this has resolved
   * @throws what was wrong, when all that was made is destroyed
   */
  static async open(
    source: RedisSource,
    everyone: string,
    timeoutMs: number,
    events: RedisConnectionEvents,
  ): Promise<RedisLinks> {
    const made = new Set<{ destroy(): void }>();
    const { promise: lost, reject: lose } = deferred<never>();
    const all: RedisConnectionEvents = { message: events.message, lost: lose };
    const timer = setTimeout(() => lose(new Error(`Redis did not answer within ${timeoutMs} ms`)), timeoutMs);
    const destroy = (): void => {
      for (const one of made) one.destroy();
    };
    const connect = async (): Promise<RedisLinks> => {
      const servers = await source.findServers();
      const links = await Promise.all(servers.map((server) => RedisLink.open(server, timeoutMs, all, made)));
      await links[0]?.subscribe(everyone, false);
      return new RedisLinks(links);
    };
    try {
      const links = await Promise.race([connect(), lost]);
      lost.catch((error: Error) => {
        destroy();
        events.lost(error);
      });
      return links;
    } catch (error) {
      destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The link for what is for everyone: channels that are not sharded reach all servers of a cluster by any of them. */
  get first(): RedisLink {
    return this.#links[0]!;
  }

  /** The link to the server that has a key, or a sharded channel. */
  of(key: string): RedisLink {
    if (this.first.slots === undefined) return this.first;
    const slot = slotOf(key);
    const link = this.#links.find(({ slots }) => slots !== undefined && hasSlot(slots, slot));
    if (link === undefined)
      throw new Error(`no server of the cluster has the slot ${slot}: pass a client for the whole cluster`);
    return link;
  }

  destroy(): void {
    for (const link of this.#links) link.destroy();
  }
}
