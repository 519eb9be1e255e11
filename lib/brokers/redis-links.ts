import type { RedisSource } from './redis-client.ts';
import { pending } from './pending.ts';
import type { Destroyables, RedisConnectionEvents } from './redis-connection.ts';
import { RedisLink } from './redis-link.ts';
import { eachSlot, SLOT_COUNT, slotOf } from './redis-slots.ts';

/** The links to all servers there are: one, or one for each primary of a Redis Cluster. They have one life: with one all are lost. */
export class RedisLinks {
  /** The link for what is for everyone: channels that are not sharded reach all servers of a cluster by any of them. */
  readonly first: RedisLink;
  /** Which link has a slot; empty where there are no slots. */
  readonly #bySlot: RedisLink[] = [];

  private constructor(links: readonly RedisLink[]) {
    this.first = links[0]!;
    for (const link of links) for (const slot of eachSlot(link.slots ?? '')) this.#bySlot[slot] = link;
    const count = this.#bySlot.filter(Boolean).length;
    if (this.first.slots !== undefined && count < SLOT_COUNT) {
      throw new Error(
        `the servers that were found have ${count} of the ${SLOT_COUNT} slots of a Redis Cluster: pass a client for the whole of it, such as createCluster() or new Cluster(), and see that all its slots have a primary`,
      );
    }
  }

  /**
   * Connects to all, and subscribes to what is for everyone.
   *
   * @param events - `lost` is told once, behind this has resolved
   * @param closing - ends them, and the attempt to connect as well
   * @throws what was wrong, when all that was made is destroyed
   */
  static async open(
    source: RedisSource,
    everyone: string,
    timeoutMs: number,
    events: RedisConnectionEvents,
    closing: AbortSignal,
  ): Promise<RedisLinks> {
    const made: Destroyables = new Set();
    const found: Destroyables = new Set();
    const { promise: lost, reject: lose } = pending<never>();
    const close = (): void => lose(new Error('the broker was closed'));
    closing.addEventListener('abort', close);
    const destroy = (what: Destroyables): void => {
      for (const one of what) one.destroy();
    };
    let isLost = false;
    lost.catch(() => {
      isLost = true;
      closing.removeEventListener('abort', close);
      destroy(made);
    });
    const connect = async (): Promise<RedisLinks> => {
      const servers = await source.findServers(found);
      // Nobody would destroy what is made from now on.
      if (isLost) return lost;
      const all: RedisConnectionEvents = { message: events.message, lost: lose };
      const links = await Promise.all(servers.map((server) => RedisLink.open(server, timeoutMs, all, made)));
      const whole = new RedisLinks(links);
      await whole.first.subscribe(everyone);
      return whole;
    };
    const timer = setTimeout(() => lose(new Error(`Redis did not answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const links = await Promise.race([connect(), lost]);
      lost.catch(events.lost);
      return links;
    } catch (error) {
      lose(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
      destroy(found);
    }
  }

  /** The link to the server that has a key, or a sharded channel. */
  of(key: string): RedisLink {
    return this.first.slots === undefined ? this.first : this.#bySlot[slotOf(key)]!;
  }
}
