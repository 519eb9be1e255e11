/** What the servers of a fleet share: a real broker of its own on a free port, behind a proxy that can be cut. */
import { NatsServer } from '../support/nats-server.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import type { BrokerKind } from './brokers.ts';

export interface Backend {
  /** Where servers connect to; 0 where they need not. */
  readonly port: number;
  readonly proxy: TcpProxy | undefined;
  readonly redis: RedisServer | undefined;
  readonly program: RedisServer | NatsServer | undefined;
  /** What else is to be ended with it. */
  readonly cleanUps: (() => Promise<void>)[];
  stop(): Promise<void>;
}

/** Starts what a broker needs. @param isDurable - whether a Redis keeps its data as one does that must not lose any */
export async function startBackend(kind: BrokerKind, isDurable: boolean): Promise<Backend> {
  if (kind === 'cluster') {
    return { port: 0, proxy: undefined, redis: undefined, program: undefined, cleanUps: [], stop: async () => {} };
  }
  const program =
    kind === 'nats'
      ? await NatsServer.start()
      : await RedisServer.start(...(isDurable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []));
  const proxy = await TcpProxy.open(program.port);
  const cleanUps: (() => Promise<void>)[] = [];
  return {
    cleanUps,
    port: proxy.port,
    proxy,
    redis: program instanceof RedisServer ? program : undefined,
    program,
    stop: async () => {
      await proxy.close();
      await program.stop();
      for (const cleanUp of cleanUps) await cleanUp();
    },
  };
}
