import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { Request } from '../../lib/server/request.ts';
import type { Server } from '../../lib/server/server.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { infoOf } from '../support/connections.ts';
import { makeServer } from '../support/running-server.ts';
import { soon } from '../support/watchdog.ts';
import { clientFrame, httpRequest, WsClient } from '../support/ws-client.ts';

/** A server that is reached by a path: `run` listens on ports, so a server of node:http listens and this one is attached. */

const isWindows = process.platform === 'win32';

/** Listens on a path, and returns how to connect to it. */
async function serve(server: Server, path: string): Promise<() => Promise<WsClient>> {
  const http = createServer((request, response) => response.end(`plain ${request.url}`));
  server.attach(http);
  http.listen(path);
  await once(http, 'listening');
  onCleanUp(async () => {
    await server.close({ timeout: 0 });
    http.close();
    http.closeAllConnections();
  });
  return async () => {
    const socket = connect({ path, allowHalfOpen: true });
    const client = new WsClient(socket);
    await soon('a connection', once(socket, 'connect'));
    return client;
  };
}

function socketFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hyperlane-socket-'));
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'server.sock');
}

const PLACES = [
  { name: 'a Unix domain socket', path: socketFile, skip: isWindows ? 'there are none on Windows' : false },
  {
    name: 'a named pipe',
    path: () => `\\\\.\\pipe\\hyperlane-${process.pid}-${Math.random()}`,
    skip: isWindows ? false : 'there are none but on Windows',
  },
];

for (const { name, path, skip } of PLACES) {
  describe(`a server that listens on ${name}`, { skip }, () => {
    afterEach(cleanUp);

    it('returns messages of all sizes, in order', async () => {
      const { server, errors } = makeServer();
      server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
      const open = await serve(server, path());
      const client = await open();
      await client.upgrade();
      const messages = [
        '',
        'short',
        'Grüße 🙂',
        bytesOf(125, 1),
        bytesOf(70_000, 2),
        'x'.repeat(300_000),
        bytesOf(900_000, 3),
      ];
      for (const message of messages) client.send(message);
      assert.deepEqual(await client.receiveAll(messages.length), messages);
      client.close(1000);
      assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' });
      assert.deepEqual(errors, []);
    });

    it('takes messages that come with the upgrade', async () => {
      const { server } = makeServer();
      server.upgradeMiddleware(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
      });
      server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
      const client = await (await serve(server, path()))();
      const messages = ['one', 'two', 'three'];
      await client.upgrade('/', {}, Buffer.concat(messages.map((message) => clientFrame(0x81, message))));
      assert.deepEqual(await client.receiveAll(3), messages);
    });

    it('has no address to tell, and leaves plain requests to the server it is attached to', async () => {
      const { server } = makeServer();
      let address: unknown = 'nothing yet';
      server.onWebsocketConnected((ctx) => {
        address = ctx.getSocketAddr();
      });
      server.route('/', () => {});
      const open = await serve(server, path());
      const websocket = await open();
      await websocket.upgrade();
      assert.equal(address, undefined);
      const plain = await open();
      plain.write(httpRequest('GET', '/page'));
      assert.equal((await plain.readResponse()).body, 'plain /page');
    });

    it('refuses, and closes from its side', async () => {
      const { server } = makeServer();
      server.route('/close', (ctx) => ctx.close(4000, 'as you wish'));
      const open = await serve(server, path());
      const refused = await open();
      refused.write(httpRequest('GET', '/nowhere', { Connection: 'Upgrade', Upgrade: 'websocket' }));
      assert.equal((await refused.readResponse()).status, 400);
      const client = await open();
      await client.upgrade('/close');
      client.send('close me');
      assert.deepEqual(await client.receiveClose(), { code: 4000, reason: 'as you wish' });
    });

    it('makes a peer wait that sends faster than it is handled, and loses nothing', async () => {
      const { server } = makeServer({ maxQueuedMessages: 4 });
      const received: string[] = [];
      server.route('/', async (ctx) => {
        for (let i = 0; i < 2000; i++) {
          const request = await Request.websocketRequestFromStream(ctx.getStream()!);
          received.push(request.getBodyString());
          if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await ctx.sendResponseBody('all');
      });
      server.enableInnerWebsocketHandle('/');
      const client = await (await serve(server, path()))();
      await client.upgrade();
      const sent = Array.from({ length: 2000 }, (_, i) => `${i}`.padEnd(500, '.'));
      for (const message of sent) client.send(message);
      assert.equal(await client.receive(), 'all');
      assert.deepEqual(received, sent);
    });

    it('tells a handler that its peer is gone', async () => {
      const { server } = makeServer();
      const ends: unknown[] = [];
      server.onWebsocketConnected((ctx) => {
        void ctx.getStream()!.closed.then((end) => ends.push(infoOf(end)));
      });
      server.route('/', () => {});
      const open = await serve(server, path());
      const client = await open();
      await client.upgrade();
      client.socket.destroy();
      const result = await server.close({ timeout: 4000 });
      assert.deepEqual(ends, [{ code: 1006, reason: '', wasClean: false }]);
      assert.equal(result.cut, 0);
    });
  });
}
