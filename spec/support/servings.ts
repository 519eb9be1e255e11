import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Server } from '../../lib/server/server.ts';
import { memoryPair } from './connections.ts';
import { CERTIFICATE, PRIVATE_KEY } from './tls.ts';
import { WsClient } from './ws-client.ts';

/** What a server can be reached over, and how: the suites of the handshake are the same for all. */
export interface Serving {
  readonly name: string;
  /** Lets a server be reached, and returns how to connect to it and how to stop that. */
  serve(server: Server): Promise<{ connect: () => Promise<WsClient>; stop: () => Promise<void> }>;
}

/** Plain requests are those of the server that this one is attached to. */
const answerPlain = (http: HttpServer): HttpServer => http.on('request', (_request, response) => response.end('plain'));

const stopOf = (server: Server, http: HttpServer) => async () => {
  const closed = server.close({ timeout: 0 });
  http.close();
  http.closeAllConnections();
  await closed;
};

export const SERVINGS: readonly Serving[] = [
  {
    name: 'TCP',
    async serve(server) {
      await server.port(0).run();
      const { port } = server.address()!;
      return {
        connect: () => WsClient.connect(port),
        stop: async () => {
          await server.close({ timeout: 0 });
        },
      };
    },
  },
  {
    name: 'TLS',
    async serve(server) {
      const https = answerPlain(createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE }));
      server.attach(https);
      https.listen(0, '127.0.0.1');
      await once(https, 'listening');
      const { port } = https.address() as AddressInfo;
      return { connect: () => WsClient.connect(port, { tls: true }), stop: stopOf(server, https) };
    },
  },
  {
    name: 'a Duplex',
    async serve(server) {
      const http = answerPlain(createHttpServer());
      server.attach(http);
      return {
        connect: async () => {
          const [here, there] = await memoryPair();
          http.emit('connection', here);
          return new WsClient(there);
        },
        stop: stopOf(server, http),
      };
    },
  },
];
