import type { Broker } from 'hyperlane-ws';

/** What joins many processes to one chat, and what ends that. */
export interface ChatBroker {
  readonly broker: Broker;
  /** Lets go of what was made for it; behind the end of the server. */
  close(): Promise<void>;
}

/** Why the chat does not start, as a sentence. */
export class StartError extends Error {}

/** @throws {StartError} */
export async function redisAt(url: string): Promise<ChatBroker> {
  const { createClient } = await imported('redis', () => import('redis'));
  const { redisBroker } = await import('hyperlane-ws/redis');
  try {
    return { broker: redisBroker({ client: createClient({ url }) }), close: async () => {} };
  } catch (error) {
    throw new StartError(`"${url}" is no address of a Redis: give one as in --redis redis://127.0.0.1:6379`, {
      cause: error,
    });
  }
}

/** @throws {StartError} */
export async function natsAt(address: string): Promise<ChatBroker> {
  const { connect } = await imported('@nats-io/transport-node', () => import('@nats-io/transport-node'));
  const { natsBroker } = await import('hyperlane-ws/nats');
  try {
    const connection = await connect({ servers: address, maxReconnectAttempts: -1, reconnectTimeWait: 250 });
    return { broker: natsBroker({ connection }), close: () => connection.close() };
  } catch (error) {
    throw new StartError(`There is no NATS at ${address}: start it with nats-server -js, or give its address`, {
      cause: error,
    });
  }
}

/** A package that is only needed by those who ask for it. */
async function imported<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new StartError(`The package ${name} is needed for that: npm install ${name}`, { cause: error });
  }
}
