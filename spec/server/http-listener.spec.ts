import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import http, { type ServerOptions as HttpOptions, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { Duplex } from 'node:stream';
import { afterEach, describe, it, mock } from 'node:test';
import { HttpListener } from '../../lib/server/http-listener.ts';
import { resolveOptions, type ServerOptions } from '../../lib/server/options.ts';
import { Response } from '../../lib/server/response.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { memoryPair } from '../support/connections.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** A listener that answers what comes with its target, what it is told, and the server of node:http that it made. */
function make(options: ServerOptions = {}) {
  const made: { options?: HttpOptions; server?: HttpServer } = {};
  const original = http.createServer;
  mock.method(http, 'createServer', (given: HttpOptions) => {
    made.options = given;
    made.server = original(given);
    return made.server;
  });
  syncBuiltinESMExports();
  const requests: string[] = [];
  const upgrades: { url: string | undefined; socket: Duplex; head: Buffer }[] = [];
  const errors: Error[] = [];
  const listener = new HttpListener(resolveOptions({ host: '127.0.0.1', port: 0, ...options }), {
    onRequest(exchange) {
      requests.push(exchange.head.rawPath);
      if (exchange.head.rawPath !== '/never') void exchange.sendResponse(new Response().setBody('here'));
    },
    onUpgrade: ({ url }, socket, head) => void upgrades.push({ url, socket, head }),
    onError: (error) => void errors.push(error),
  });
  mock.restoreAll();
  syncBuiltinESMExports();
  onCleanUp(() => {
    const closed = listener.close();
    listener.destroyAll();
    for (const { socket } of upgrades) socket.destroy();
    return closed;
  });
  const connect = async () => {
    if (listener.address === undefined) await listener.listen();
    return WsClient.connect(listener.address!.port);
  };
  return { listener, requests, upgrades, errors, connect, options: made.options!, server: made.server! };
}

describe('HttpListener', () => {
  it('has node:http keep the limits, and answer nothing that it could answer itself', () => {
    const { options } = make({ nodelay: false, maxHeaderBytes: 5000, handshakeTimeoutMs: 700 });
    assert.deepEqual(options, {
      noDelay: false,
      maxHeaderSize: 5000,
      headersTimeout: 700,
      requestTimeout: 300_000,
      requireHostHeader: false,
      connectionsCheckingInterval: 700,
    });
    const slow = make({ handshakeTimeoutMs: 400_000 }).options;
    assert.deepEqual([slow.noDelay, slow.requestTimeout, slow.connectionsCheckingInterval], [true, 400_000, 1000]);
  });

  it('listens, and tells where', async () => {
    const { listener, server } = make();
    assert.deepEqual([listener.address], [undefined]);
    await listener.listen();
    assert.equal(listener.address?.address, '127.0.0.1');
    // So it is where node:http listens on a pipe.
    mock.method(server, 'address', () => 'pipe');
    assert.deepEqual([listener.address], [undefined]);
    mock.restoreAll();
  });

  it('tells of errors of the listening socket, which goes on listening, once it listens', async () => {
    const { listener, server, errors } = make();
    await listener.listen();
    const all = [new Error('too many open files'), new Error('again')];
    for (const error of all) server.emit('error', error);
    assert.deepEqual(errors, all);
    assert.notEqual(listener.address, undefined);
  });

  it('rejects with the error of the system, or says what to do where a port is in use', async () => {
    const first = make();
    await first.listener.listen();
    const { port } = first.listener.address!;
    const second = make({ port });
    await assert.rejects(soon('the error', second.listener.listen()), (error: Error) => {
      assert.deepEqual([error.name, (error as { code?: string }).code], ['InvalidStateError', 'WS_ERR_PORT_IN_USE']);
      return (error.cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    });
    assert.deepEqual(second.errors, []);
    const elsewhere = make({ host: '192.0.2.1' });
    await assert.rejects(soon('the error', elsewhere.listener.listen()), { code: 'EADDRNOTAVAIL' });
  });

  it('rejects when it is closed before it listens', async () => {
    const { listener } = make({ host: 'localhost' });
    const listening = listener.listen();
    const closed = listener.close();
    await assert.rejects(soon('the error', listening), {
      name: 'InvalidStateError',
      code: 'WS_ERR_SERVER_STATE',
      message: /await run\(\)/,
    });
    await soon('the close', closed);
  });

  it('hands over requests, also those without a host, and keeps the connection', async () => {
    const { connect, requests, listener } = make();
    const client = await connect();
    for (let i = 0; i < 2; i++) {
      assert.equal((await client.write(`GET /${i} HTTP/1.1\r\n\r\n`).readResponse()).body, 'here');
    }
    assert.deepEqual([requests, listener.isClosing], [['/0', '/1'], false]);
  });

  it('refuses what a request expects, unless it is 100-continue', async () => {
    const { connect, requests } = make({ handshakeTimeoutMs: 60 });
    const client = await connect();
    const refused = await client.write(httpRequest('GET', '/', { Expect: 'more' })).readResponse();
    assert.deepEqual([refused.status, requests], [417, []]);
    // It counts as a request: the next may take its time.
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).status, 200);
  });

  it('hands over an upgrade with what came behind it: read at the door, or by node:http', async () => {
    const { connect, upgrades } = make();
    const request = upgradeRequest('/ws');
    const atDoor = await connect();
    atDoor.write(`${request}behind`);
    const inPieces = await connect();
    inPieces.write(request.slice(0, 20));
    await settle(10);
    inPieces.write(`${request.slice(20)}behind`);
    await until('both', () => upgrades.length === 2);
    assert.deepEqual(
      upgrades.map(({ url, head }) => [url, head.toString()]),
      [
        ['/ws', 'behind'],
        ['/ws', 'behind'],
      ],
    );
  });

  it('hands over an upgrade whose connection it does not know', async () => {
    const { server, upgrades } = make();
    const [here] = await memoryPair();
    const held = Buffer.from('head');
    server.emit('upgrade', { url: '/ws' } as IncomingMessage, here, held);
    assert.deepEqual([upgrades[0]!.socket, upgrades[0]!.head.toString()], [here, 'head']);
    held.fill(0);
    assert.equal(upgrades[0]!.head.toString(), 'head', 'a copy');
  });

  it('ends what is idle or silent when it closes, and what is under way behind its response', async () => {
    const { connect, listener, requests, upgrades, server } = make();
    // Else node:http ends the idle one by itself, a little later.
    server.keepAliveTimeout = 0;
    const [silent, idle, busy] = [await connect(), await connect(), await connect()];
    await idle.write(httpRequest('GET', '/')).readResponse();
    busy.write(httpRequest('GET', '/never'));
    await until('the request', () => requests.includes('/never'));
    const closed = listener.close();
    assert.equal(listener.isClosing, true);
    await Promise.all([silent.waitForEnd(), idle.waitForEnd()]);
    await settle(5);
    assert.equal(busy.ended, false);
    listener.destroyAll();
    await busy.waitForEnd();
    await soon('the close', closed);
    assert.deepEqual(upgrades, []);
  });

  it('cuts connections of plain HTTP alone: not one that is an upgrade now', async () => {
    const { connect, listener, requests, upgrades } = make();
    const [plain, upgraded] = [await connect(), await connect()];
    plain.write(httpRequest('GET', '/never'));
    const request = upgradeRequest('/ws');
    upgraded.write(request.slice(0, 20));
    await settle(10);
    upgraded.write(request.slice(20));
    await until('both', () => upgrades.length === 1 && requests.length === 1);
    listener.destroyAll();
    await plain.waitForEnd();
    assert.equal(upgrades[0]!.socket.destroyed, false);
  });
});
