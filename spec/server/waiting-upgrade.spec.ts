import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError, HandshakeError } from '../../lib/errors.ts';
import { Server } from '../../lib/server/server.ts';
import { responseUnderWay, WaitingUpgrade } from '../../lib/server/waiting-upgrade.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { memoryPair } from '../support/connections.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

const PIECE = Buffer.alloc(100_000, 'x');

/** A server whose /stream sends `pieces`, and counts. */
function makeStreaming(pieces: number, options: ConstructorParameters<typeof Server>[0] = {}) {
  const { server, errors } = makeServer(options);
  const seen = { begun: 0, over: 0, failures: [] as unknown[] };
  server.route('/stream', async (ctx) => {
    seen.begun++;
    try {
      for (let i = 0; i < pieces; i++) await ctx.sendResponseBody(PIECE);
    } catch (error) {
      seen.failures.push(error);
      throw error;
    } finally {
      seen.over++;
    }
  });
  server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
  return { server, errors, seen };
}

/** An application on node:http that a server is attached to. Its responses wait for `gate`. */
async function makeAttached(server: Server, gate: Promise<unknown>): Promise<HttpServer> {
  const http = createServer(async (_request, response) => {
    await gate;
    response.end('from the application');
  });
  server.attach(http);
  onCleanUp(() => {
    http.close();
    http.closeAllConnections();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return http;
}

const portOf = (http: HttpServer) => (http.address() as AddressInfo).port;

/** A socket that reads nothing by itself, and says what is done to it. */
class StillSocket extends EventEmitter {
  readonly calls: string[] = [];
  destroyed = false;
  _paused = true;
  _httpMessage: unknown = null;

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  end(): void {
    this.calls.push('end');
  }

  destroy(): void {
    this.destroyed = true;
    this.calls.push('destroy');
  }
}

class StillResponse extends EventEmitter {
  writableNeedDrain = false;
}

describe('WaitingUpgrade, by itself', () => {
  const KIB = 1024;

  function make() {
    const socket = new StillSocket();
    const response = new StillResponse();
    const turns: [head: string, refusal: HandshakeError | undefined][] = [];
    let gone = 0;
    const waiting = new WaitingUpgrade(
      socket as unknown as Duplex,
      Buffer.from('head '),
      response as unknown as ServerResponse,
      100,
      { onTurn: (head, refusal) => turns.push([head.toString(), refusal]), onGone: () => gone++ },
    );
    return { socket, response, waiting, turns, gone: () => gone };
  }

  it('knows the response that is under way on a socket, if any', () => {
    const response = new StillResponse();
    const of = (socket: object) => responseUnderWay(socket as Duplex);
    assert.equal(of({ _httpMessage: response }), response);
    assert.equal(of({ _httpMessage: null }), undefined);
    assert.equal(of({}), undefined);
  });

  it('has its turn behind the last response, with all that came meanwhile', () => {
    const { socket, response, turns } = make();
    assert.equal(socket._paused, false);
    socket.emit('data', Buffer.from('one '));
    const second = new StillResponse();
    socket._httpMessage = second;
    response.emit('close');
    assert.deepEqual(turns, []);
    socket.emit('data', Buffer.from('two'));
    socket._httpMessage = null;
    response.emit('close');
    assert.deepEqual(turns, [], 'of the first no more is heard');
    second.emit('close');
    assert.deepEqual(turns, [['head one two', undefined]]);
    assert.deepEqual([socket.calls, socket.eventNames()], [['pause'], []]);
  });

  it('is refused in time, throws away what it held, and reads on', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { socket, response, turns } = make();
    socket.emit('data', Buffer.from('before'));
    t.mock.timers.tick(99);
    assert.deepEqual(socket.calls, []);
    t.mock.timers.tick(1);
    assert.deepEqual(socket.calls, ['resume']);
    socket.emit('data', Buffer.alloc(65 * KIB));
    assert.deepEqual(socket.calls, ['resume'], 'it is not read in vain');
    response.emit('close');
    assert.deepEqual([turns[0]![0], turns[0]![1]?.httpStatus], ['', 408]);
    assert.equal(turns[0]![1]?.message, 'the upgrade took too long');
  });

  it('keeps the first reason that it is refused for, and asks for no other in time', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { socket, response, waiting, turns } = make();
    waiting.refuseFor(new HandshakeError(503, 'closing'));
    t.mock.timers.tick(100);
    assert.deepEqual(socket.calls, ['resume']);
    waiting.refuseFor(new HandshakeError(400, 'another'));
    response.emit('close');
    assert.equal(turns[0]![1]?.httpStatus, 503);
    assert.equal(turns[0]![1]?.message, 'closing');
  });

  it('has no time limit any more once it has had its turn', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { socket, response } = make();
    response.emit('close');
    t.mock.timers.tick(100);
    assert.deepEqual(socket.calls, ['pause']);
  });

  it('reads no more when it holds more than 64 KiB, the head included', () => {
    const { socket } = make();
    socket.emit('data', Buffer.alloc(32 * KIB));
    socket.emit('data', Buffer.alloc(32 * KIB - 'head '.length));
    assert.deepEqual(socket.calls, []);
    socket.emit('data', Buffer.alloc(1));
    assert.deepEqual(socket.calls, ['pause']);
  });

  it('does for the socket what node:http did: ends it, and tells the response that there is room', () => {
    const { socket, response } = make();
    let drains = 0;
    response.on('drain', () => drains++);
    socket.emit('drain');
    assert.equal(drains, 0);
    response.writableNeedDrain = true;
    socket.emit('drain');
    assert.equal(drains, 1);
    const second = new StillResponse();
    second.writableNeedDrain = true;
    second.on('drain', () => drains++);
    socket._httpMessage = second;
    response.emit('close');
    socket.emit('drain');
    assert.equal(drains, 2);
    socket.emit('end');
    assert.deepEqual(socket.calls, ['end']);
  });

  it('is let go of when the connection is gone, and has no turn then', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { socket, response, waiting, turns, gone } = make();
    waiting.destroy();
    assert.deepEqual([socket.calls, gone()], [['destroy'], 0]);
    response.emit('close');
    socket.emit('close');
    assert.deepEqual([turns, gone(), socket.eventNames()], [[], 1, []]);
    t.mock.timers.tick(100);
    assert.deepEqual(socket.calls, ['destroy']);
  });
});

describe('An upgrade behind a response', () => {
  it('leaves a stream its way to a client that reads, and is answered behind it', async () => {
    const { server, errors, seen } = makeStreaming(50);
    const client = await WsClient.connect(await run(server));
    client.write(
      Buffer.concat([Buffer.from(httpRequest('GET', '/stream') + upgradeRequest('/echo')), clientFrame(0x81, 'early')]),
    );
    client.write(clientFrame(0x81, 'later'));
    assert.equal((await client.readResponse()).body.length, 50 * PIECE.length);
    assert.equal((await client.readHead()).status, 101);
    assert.equal(await client.receive(), 'early');
    assert.equal(await client.receive(), 'later');
    assert.equal(await client.send('last').receive(), 'last');
    assert.deepEqual([seen.over, errors], [1, []]);
  });

  it('takes what comes in pieces while it waits, in order', async () => {
    const { server } = makeServer();
    const gate = defer();
    server.route('/slow', () => gate.promise);
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    server.upgradeMiddleware(() => settle(3));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/slow') + upgradeRequest('/echo'));
    const frames = Buffer.concat(Array.from({ length: 60 }, (_, i) => clientFrame(0x81, `message ${i}`)));
    for (let i = 0; i < frames.length; i += 100) {
      client.write(frames.subarray(i, i + 100));
      await settle(2);
    }
    gate.resolve();
    assert.equal((await client.readResponse()).status, 200);
    assert.equal((await client.readHead()).status, 101);
    for (let i = 0; i < 60; i++) assert.equal(await client.receive(), `message ${i}`);
  });

  it('is not read without bound, and loses nothing of a client that sends before the answer', async () => {
    const { server } = makeServer();
    const gate = defer();
    server.route('/slow', () => gate.promise);
    let bytes = 0;
    server.route('/count', (ctx) => {
      bytes += ctx.getRequestBody().length;
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/slow') + upgradeRequest('/count'));
    const message = clientFrame(0x82, Buffer.alloc(100_000));
    for (let i = 0; i < 200; i++) client.write(message);
    let before = -1;
    while (before !== client.socket.writableLength) {
      before = client.socket.writableLength;
      await settle(100);
    }
    assert.ok(before > 0, 'not all is read');
    gate.resolve();
    await until('all of it', () => bytes === 200 * 100_000);
  });

  it('is let go of when the client ends its side, or resets', async () => {
    const { server, errors, seen } = makeStreaming(Number.POSITIVE_INFINITY, { handshakeTimeoutMs: 60_000 });
    const port = await run(server);
    for (const leave of ['end', 'reset'] as const) {
      const client = await WsClient.connect(port, { allowHalfOpen: true });
      client.write(httpRequest('GET', '/stream') + upgradeRequest('/echo'));
      await client.readHead();
      client[leave]();
      await client.waitForEnd();
    }
    await until('the handlers', () => seen.over === 2);
    assert.ok(seen.failures.every((error) => error instanceof ConnectionClosedError));
    await soon('the close', server.close({ timeout: 60_000 }));
    assert.deepEqual(errors, []);
  });

  it('is let go of behind two responses when the client is gone, though a byte behind it was never read', async () => {
    const { server, errors } = makeServer({ handshakeTimeoutMs: 60_000 });
    const gate = defer();
    let running = 0;
    server.route('/part', async (ctx) => {
      running++;
      await gate.promise;
      await ctx.sendResponseBody('part');
      await ctx.close();
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/part').repeat(2) + upgradeRequest('/part'));
    await until('both', () => running === 2);
    client.write('x');
    await settle(10);
    client.socket.destroy();
    gate.resolve();
    await soon('the close', server.close({ timeout: 60_000 }));
    assert.deepEqual(errors, []);
  });

  it('is refused in its turn when it waits for longer than handshakeTimeoutMs', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 20 });
    const gate = defer();
    server.route('/slow', () => gate.promise);
    server.route('/echo', () => assert.fail('no message'));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/slow') + upgradeRequest('/echo'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.write(clientFrame(0x81, 'thrown away'));
    await settle(10);
    gate.resolve();
    assert.equal((await client.readResponse()).status, 200);
    assert.equal((await client.readHead()).status, 408);
    await client.waitForEnd();
  });

  it('is refused when the server closes, or cut with the response before it', async () => {
    for (const cut of [false, true]) {
      const server = new Server();
      server.route('/echo', () => {});
      const gate = defer();
      const http = await makeAttached(server, gate.promise);
      const client = await WsClient.connect(portOf(http));
      client.write(httpRequest('GET', '/') + upgradeRequest('/echo'));
      await settle(20);
      const closed = server.close({ timeout: cut ? 20 : 60_000 });
      if (!cut) {
        gate.resolve();
        assert.equal((await client.readResponse()).body, 'from the application');
        assert.equal((await client.readHead()).status, 503);
      }
      await client.waitForEnd();
      assert.deepEqual(await soon('the close', closed), { closed: 0, cut: 0 });
    }
  });
});

describe('An upgrade behind a response of a server that is closing', () => {
  for (const when of ['before the close', 'behind the close', 'behind it, and attached meanwhile'] as const) {
    const comesFirst = when === 'before the close';
    it(`is cut with the rest, though it was refused meanwhile, and its client stays; ${when}`, async (t) => {
      const { server } = makeServer();
      const gate = defer();
      let hasBegun = false;
      server.route('/slow', async (ctx) => {
        // One that has begun is not the last of its connection.
        await ctx.sendResponseBody('begun');
        hasBegun = true;
        await gate.promise;
      });
      const client = await WsClient.connect(await run(server), { allowHalfOpen: true });
      client.write(httpRequest('GET', '/slow') + (comesFirst ? upgradeRequest('/') : ''));
      await until('the request', () => hasBegun);
      await settle(20);
      t.mock.timers.enable({ apis: ['setTimeout'] });
      let isClosed = false;
      const closed = server.close({ timeout: 300 }).then(() => {
        isClosed = true;
      });
      if (when === 'behind it, and attached meanwhile') server.attach(createServer());
      if (!comesFirst) client.write(upgradeRequest('/'));
      await settle(20);
      gate.resolve();
      await settle(50);
      assert.equal(isClosed, false, 'the client is still there');
      t.mock.timers.tick(300);
      // Long before the time that a refused client has by itself.
      for (let turns = 0; turns < 1000 && !isClosed; turns++) await settle(1);
      t.mock.timers.reset();
      assert.equal(isClosed, true);
      await closed;
    });
  }
});

describe('An upgrade behind a response of an application', () => {
  it('is answered behind it, over TCP and a Duplex', async () => {
    for (const over of ['TCP', 'a Duplex']) {
      const server = new Server();
      server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
      const gate = defer();
      const http = await makeAttached(server, gate.promise);
      let client: WsClient;
      if (over === 'TCP') client = await WsClient.connect(portOf(http));
      else {
        const [here, there] = await memoryPair();
        http.emit('connection', here);
        client = new WsClient(there);
      }
      client.write(httpRequest('GET', '/').repeat(2) + upgradeRequest('/echo'));
      await settle(20);
      assert.equal(client.available, 0);
      gate.resolve();
      for (let i = 0; i < 2; i++) assert.equal((await client.readResponse()).body, 'from the application');
      assert.equal((await client.readHead()).status, 101);
      assert.equal(await client.send('hello').receive(), 'hello');
      await server.close({ timeout: 0 });
    }
  });

  it('waits for one that began before the server was attached', async () => {
    const server = new Server();
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const responses: ServerResponse[] = [];
    const http = createServer((_request, response) => responses.push(response));
    onCleanUp(() => {
      http.close();
      http.closeAllConnections();
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const client = await WsClient.connect(portOf(http));
    client.write(httpRequest('GET', '/'));
    await until('the request', () => responses.length === 1);
    server.attach(http);
    client.write(upgradeRequest('/echo'));
    await settle(20);
    assert.equal(client.available, 0);
    responses[0]!.end('whole');
    assert.equal((await client.readResponse()).body, 'whole');
    assert.equal((await client.readHead()).status, 101);
    await server.close({ timeout: 0 });
  });
});
