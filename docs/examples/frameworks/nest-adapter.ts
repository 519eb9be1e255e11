/** An adapter between Nest and this library, to be copied into an application: see nest.ts. */
// #region adapter
import type { INestApplication, WebSocketAdapter, WsMessageHandler } from '@nestjs/common';
import { type Context, Request, Server } from 'hyperlane-ws';
import { filter, type Observable } from 'rxjs';

/** What methods of a gateway get as client. */
export class Client {
  readonly handlers: { handler: WsMessageHandler; transform: (data: unknown) => Observable<unknown> }[] = [];

  constructor(readonly context: Context) {}

  /** What the upgrade middleware has set. */
  get<T>(attribute: string): T | undefined {
    return this.context.getAttribute<T>(attribute);
  }

  /** Sends an event, as Nest also does for what a method returned or threw. */
  emit(event: string, data: unknown): void {
    void this.context.sendResponseBody(JSON.stringify({ event, data }));
  }
}

/** One path of a server, which gateways get as `@WebSocketServer()`. */
export class GatewayServer {
  readonly clients: Set<Client> = new Set();
  readonly connect: ((client: Client) => void)[] = [];

  constructor(readonly server: Server) {}

  /** Sends an event to all clients. */
  emit(event: string, data: unknown): void {
    for (const client of this.clients) client.emit(event, data);
  }
}

/** Has gateways of Nest speak `{ "event": …, "data": … }` over this library. */
export class HyperlaneAdapter implements WebSocketAdapter<GatewayServer, Client> {
  /** The server of gateways without a port of their own: for `upgradeMiddleware`, and options. */
  readonly server: Server;
  readonly #app: INestApplication;
  readonly #servers = new Map<number, Server>();

  constructor(app: INestApplication, server: Server = new Server()) {
    this.#app = app;
    this.server = server;
  }

  create(port: number, { path = '/' }: { path?: string } = {}): GatewayServer {
    let server = this.#servers.get(port);
    if (server === undefined) {
      server = port === 0 ? this.server.attach(this.#app.getHttpServer()) : new Server({ port });
      this.#servers.set(port, server);
      if (port !== 0) void server.run();
    }
    const gateway = new GatewayServer(server);
    server.route(path, (ctx) => this.#serve(gateway, ctx)).enableInnerWebsocketHandle(path);
    return gateway;
  }

  bindClientConnect(gateway: GatewayServer, callback: (client: Client) => void): void {
    gateway.connect.push(callback);
  }

  bindClientDisconnect(client: Client, callback: () => void): void {
    void client.context.getStream()?.closed.then(callback);
  }

  bindMessageHandlers(
    client: Client,
    handlers: WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    for (const handler of handlers) client.handlers.push({ handler, transform });
  }

  closeClient(client: Client): void {
    void client.context.close(1013);
  }

  async close(gateway: GatewayServer): Promise<void> {
    await gateway.server.close();
  }

  /** Nest calls it behind `close`, though its types do not say so. */
  async dispose(): Promise<void> {}

  async #serve(gateway: GatewayServer, ctx: Context): Promise<void> {
    const stream = ctx.getStream();
    if (stream === undefined) return void (await ctx.sendResponse(426, 'this is a WebSocket'));
    const client = new Client(ctx);
    gateway.clients.add(client);
    void stream.closed.then(() => gateway.clients.delete(client));
    for (const connect of gateway.connect) connect(client);
    for (;;) {
      let request: Request;
      try {
        request = await Request.websocketRequestFromStream(stream);
      } catch {
        return;
      }
      this.#handle(client, request.getBodyString());
    }
  }

  #handle(client: Client, text: string): void {
    let message: { event?: unknown; data?: unknown } | null;
    try {
      message = JSON.parse(text);
    } catch {
      message = null;
    }
    for (const { handler, transform } of client.handlers) {
      if (handler.message !== message?.event) continue;
      transform(handler.callback(message?.data, handler.message))
        .pipe(filter((result) => result !== undefined && result !== null))
        .subscribe((result) => void client.context.sendResponseBody(JSON.stringify(result)));
    }
  }
}

// #endregion adapter
