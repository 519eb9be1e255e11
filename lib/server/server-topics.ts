import { Topics } from '../topics/topics.ts';
import type { TopicConnection } from '../topics/connection-subscription.ts';
import type { TopicsOptions } from '../topics/topics-options.ts';

/** The topics of a server: those that it was given, or its own, which are made when they are needed. */
export class ServerTopics {
  readonly #options: TopicsOptions | undefined;
  readonly #isOwn: boolean;
  #topics: Topics | undefined;

  /** @throws {TypeError | RangeError} for options that topics do not have */
  constructor(given: Topics | TopicsOptions | undefined) {
    this.#isOwn = !(given instanceof Topics);
    this.#options = given instanceof Topics ? undefined : given;
    // What is wrong with options is to be told at once, and a broker may take a while to connect.
    if (given !== undefined) this.#topics = given instanceof Topics ? given : new Topics(given);
  }

  get current(): Topics {
    this.#topics ??= new Topics(this.#options);
    return this.#topics;
  }

  /** Resolves when the broker can be used, and rejects with BrokerError if it cannot; `undefined` where there is none. */
  get opened(): Promise<void> | undefined {
    return this.#topics?.opened;
  }

  /** A connection is over. */
  forget(connection: TopicConnection): void {
    this.#topics?.forget(connection);
  }

  /** Closes those that are the server's own. */
  async close(): Promise<void> {
    if (!this.#isOwn || this.#topics === undefined) return;
    const topics = this.#topics;
    // A broker is opened once. Without one, a server that runs again has new topics.
    if (this.#options?.broker === undefined) this.#topics = undefined;
    await topics.close();
  }
}
