import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The two ends of a connection that goes through. */
interface Passage {
  readonly client: Socket;
  readonly server: Socket;
}

/** Stands between a client and a server, and breaks what is between them in the ways that networks do. */
export class TcpProxy {
  /** Where connections go that are made from now on. */
  target: number;
  readonly #listener: Server;
  readonly #passages = new Set<Passage>();
  /** Of all passages, those that are forgotten too. */
  readonly #sockets = new Set<Socket>();
  #mode: 'open' | 'cut' | 'stalled' = 'open';

  private constructor(target: number) {
    this.target = target;
    this.#listener = createServer((client) => this.#accept(client));
  }

  /** @param target - a port of 127.0.0.1 */
  static async open(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as { port: number }).port;
  }

  /** How many connections go through. */
  get size(): number {
    return this.#passages.size;
  }

  /** Ends all connections, and each new one, until `heal`. */
  cut(): void {
    this.#mode = 'cut';
    for (const passage of this.#passages) destroy(passage);
  }

  /** Passes nothing more on, of new connections neither, until `heal`. Nothing is lost. */
  stall(): void {
    this.#mode = 'stalled';
    for (const passage of this.#passages) pause(passage);
  }

  /** Passes no answers on until `heal`, but all that is asked. */
  stallAnswers(): void {
    for (const { server } of this.#passages) server.pause();
  }

  /** Forgets all connections, as a router that is started again: nothing of them passes ever again, and no end is told of. */
  forget(): void {
    for (const passage of this.#passages) pause(passage);
    this.#passages.clear();
  }

  heal(): void {
    this.#mode = 'open';
    for (const { client, server } of this.#passages) {
      client.resume();
      server.resume();
    }
  }

  async close(): Promise<void> {
    this.#mode = 'cut';
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#listener, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    if (this.#mode === 'cut') {
      client.destroy();
      return;
    }
    const server = connect(this.target, '127.0.0.1');
    server.on('error', () => {});
    const passage = { client, server };
    this.#passages.add(passage);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('close', () => {
        this.#sockets.delete(from);
        if (this.#passages.delete(passage)) destroy(passage);
      });
    }
    if (this.#mode === 'stalled') pause(passage);
  }
}

function pause({ client, server }: Passage): void {
  client.pause();
  server.pause();
}

function destroy({ client, server }: Passage): void {
  client.destroy();
  server.destroy();
}
