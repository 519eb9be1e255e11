import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError, LimitError } from '../../lib/errors.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { HttpConnection } from '../../lib/server/http-connection.ts';
import type { ResolvedOptions } from '../../lib/server/options.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

const KIB = 1024;

/** A request with a body. */
function post(target: string, body: string): string {
  return httpRequest('POST', target, { 'Content-Length': String(body.length) }) + body;
}

/** A socket that does nothing by itself, and says what is done to it. */
class StillSocket extends EventEmitter {
  readonly calls: string[] = [];
  writableLength = 0;
  bytesWritten = 0;

  write(text: string): void {
    this.calls.push(text.slice(0, text.indexOf('\r\n')));
  }

  destroy(): void {
    this.calls.push('destroy');
  }

  destroySoon(): void {
    this.calls.push('destroySoon');
  }
}

class StillResponse extends EventEmitter {
  shouldKeepAlive = true;
  headersSent = false;
  writableLength = 0;

  destroy(): void {}
}

describe('HttpConnection, by itself', () => {
  const made: HttpConnection[] = [];
  afterEach(() => {
    for (const connection of made.splice(0)) timerWheel.cancel(connection);
  });

  function make(changes: Partial<ResolvedOptions> = {}) {
    const socket = new StillSocket();
    let over = 0;
    const options = {
      maxPipelinedRequests: 2,
      maxRequestBodyBytes: 10,
      heartbeatIntervalMs: 60_000,
      ...changes,
    } as ResolvedOptions;
    const connection = new HttpConnection(socket as unknown as Socket, options, 10_000, () => over++);
    made.push(connection);
    const begin = () => {
      const response = new StillResponse();
      const request = { socket, headers: {}, rawHeaders: [] } as unknown as IncomingMessage;
      return { response, exchange: connection.begin(request, response as unknown as ServerResponse) };
    };
    /** Says that its time has come. */
    const wake = () => {
      timerWheel.cancel(connection);
      connection.onTimer();
    };
    return { socket, connection, begin, wake, over: () => over };
  }

  const isWatched = (connection: HttpConnection): boolean => connection.wheelSlot >= 0;

  it('waits for the first request alone, and answers 408 when that does not come', () => {
    const before = timerWheel.waiting;
    const silent = make();
    assert.equal(timerWheel.waiting, before + 1);
    silent.wake();
    assert.deepEqual(silent.socket.calls, ['HTTP/1.1 408 Request Timeout', 'destroy']);
    const busy = make({ heartbeatIntervalMs: 0 });
    assert.ok(isWatched(busy.connection));
    busy.begin();
    assert.ok(!isWatched(busy.connection), 'without heartbeats there is nothing more to wait for');
  });

  it('is full at maxPipelinedRequests, and cut beyond', () => {
    const { connection, begin, socket } = make();
    assert.equal(connection.isFull, false);
    begin();
    assert.equal(connection.isFull, false);
    const { response } = begin();
    assert.equal(connection.isFull, true);
    assert.deepEqual(socket.calls, []);
    response.emit('close');
    assert.equal(connection.isFull, false);
    begin();
    begin();
    assert.deepEqual(socket.calls, ['destroy']);
  });

  it('is full while a body waits for those before it', async () => {
    const { connection, begin } = make({ maxPipelinedRequests: 9 });
    const [first, second, third] = [begin(), begin(), begin()];
    assert.equal(connection.takeBody(first.exchange, 10), undefined);
    const waits = [connection.takeBody(second.exchange, 8), connection.takeBody(third.exchange, 3)];
    assert.equal(connection.isFull, true);
    first.response.emit('close');
    await waits[0];
    assert.equal(connection.isFull, true, 'the third has no room yet');
    second.response.emit('close');
    await waits[1];
    assert.equal(connection.isFull, false);
  });

  it('is cut when bytes wait, and none has left since the last look; and not before', () => {
    const { socket, begin, wake } = make();
    begin();
    socket.bytesWritten = 100;
    socket.writableLength = 50;
    wake();
    assert.deepEqual(socket.calls, [], 'the first look');
    socket.writableLength = 49;
    wake();
    assert.deepEqual(socket.calls, [], 'one byte has left');
    socket.bytesWritten = 200;
    socket.writableLength = 149;
    wake();
    assert.deepEqual(socket.calls, ['destroy'], 'more was written, and none has left');
  });

  it('is not cut when nothing waits, nor for what waits since then', () => {
    const { socket, begin, wake } = make();
    begin();
    for (const unsent of [0, 0, 50, 0, 50]) {
      socket.writableLength = unsent;
      wake();
    }
    assert.deepEqual(socket.calls, []);
  });

  it('is looked at while a request is under way, or bytes wait', () => {
    const { socket, connection, begin, wake } = make();
    const { response } = begin();
    assert.ok(isWatched(connection));
    wake();
    assert.ok(isWatched(connection), 'a request is under way');
    response.emit('close');
    socket.writableLength = 1;
    wake();
    assert.ok(isWatched(connection), 'bytes wait');
    socket.writableLength = 0;
    wake();
    assert.ok(!isWatched(connection), 'it is idle');
    begin();
    assert.ok(isWatched(connection));
  });

  it('is looked at no later for the requests that come meanwhile', () => {
    const { connection, begin } = make();
    begin();
    const slot = connection.wheelSlot;
    timerWheel.turn();
    begin();
    assert.equal(connection.wheelSlot, slot);
  });

  it('ends behind the requests that are under way, and those that come meanwhile are the last', () => {
    const { socket, connection, begin } = make();
    const first = begin();
    connection.close();
    assert.deepEqual([first.response.shouldKeepAlive, socket.calls], [false, []]);
    const second = begin();
    assert.equal(second.response.shouldKeepAlive, false);
    first.response.emit('close');
    assert.deepEqual(socket.calls, []);
    second.response.emit('close');
    assert.deepEqual(socket.calls, ['destroySoon']);
    const idle = make();
    const { response } = idle.begin();
    response.emit('close');
    assert.deepEqual(idle.socket.calls, [], 'it is kept');
    idle.connection.close();
    assert.deepEqual(idle.socket.calls, ['destroySoon']);
  });

  it('is over with its socket, of which its requests learn', async () => {
    const { socket, connection, begin, over } = make();
    const { response } = begin();
    let lost = 0;
    response.once('close', () => lost++);
    assert.equal(over(), 0);
    socket.emit('close');
    assert.deepEqual([over(), lost, isWatched(connection)], [1, 0, false]);
    await settle(1);
    assert.equal(lost, 1);
  });

  it('is over when its socket is released, and its requests are answered', () => {
    const idle = make();
    assert.equal(idle.connection.release(), undefined);
    assert.deepEqual([idle.over(), isWatched(idle.connection)], [1, false]);
    idle.socket.emit('close');
    assert.equal(idle.over(), 1);

    const busy = make();
    const [first, second] = [busy.begin(), busy.begin()];
    busy.connection.release();
    first.response.emit('close');
    assert.equal(busy.over(), 0);
    second.response.emit('close');
    assert.equal(busy.over(), 1);
    busy.connection.close();
    assert.deepEqual(busy.socket.calls, [], 'the socket is an upgrade now');
    const kept = make();
    kept.begin().response.emit('close');
    assert.equal(kept.over(), 0);
  });
});

describe('HttpConnection, what its responses hold', () => {
  it('counts together: a stream behind another is cut with it', async () => {
    const { server, errors } = makeServer({ maxBackpressureBytes: 64 * KIB });
    const gate = defer();
    let sent = 0;
    const failures: unknown[] = [];
    server.route('/first', () => gate.promise);
    server.route('/stream', async (ctx) => {
      try {
        for (let i = 0; i < 40; i++, sent++) {
          void ctx.sendResponseBody(Buffer.alloc(4 * KIB)).catch((error) => failures.push(error));
          await settle(1);
        }
      } catch {}
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/first') + httpRequest('GET', '/stream').repeat(4));
    await client.waitForEnd();
    assert.ok(sent * 4 * KIB <= 4 * (64 + 8) * KIB);
    await until('the failures', () => failures.length > 0);
    assert.ok(failures.every((error) => error instanceof LimitError || error instanceof ConnectionClosedError));
    gate.resolve();
    assert.deepEqual(errors, []);
  });

  it('counts whole responses, too', async () => {
    const { server, errors } = makeServer({ maxBackpressureBytes: 8 * KIB });
    const gate = defer();
    // So little that node:http reads on.
    server.route('/first', () => gate.promise);
    server.route('/whole', (ctx) => ctx.sendResponse(200, Buffer.alloc(5 * KIB)));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/first') + httpRequest('GET', '/whole').repeat(3));
    await client.waitForEnd();
    await until('the error', () => errors.length > 0);
    assert.equal((errors[0] as LimitError).code, 'WS_ERR_BACKPRESSURE');
  });

  it('is kept with the policy wait', async () => {
    const { server, errors } = makeServer({ maxBackpressureBytes: 64 * KIB, backpressurePolicy: 'wait' });
    const gate = defer();
    server.route('/first', () => gate.promise);
    server.route('/whole', (ctx) => ctx.sendResponse(200, Buffer.alloc(40 * KIB)));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/first') + httpRequest('GET', '/whole').repeat(5));
    await settle(20);
    gate.resolve();
    assert.equal((await client.readResponse()).body, '');
    for (let i = 0; i < 5; i++) assert.equal((await client.readResponse()).body.length, 40 * KIB);
    assert.deepEqual(errors, []);
  });
});

describe('HttpConnection, what bodies hold', () => {
  it('counts together: a body waits for those before it, and is not refused', async () => {
    const { server, errors } = makeServer({ maxRequestBodyBytes: 64 * KIB });
    const gates = [defer(), defer()];
    const begun: string[] = [];
    server.route('/:id', async (ctx) => {
      const id = ctx.getRouteParam('id')!;
      begun.push(id);
      await gates[Number(id)]?.promise;
      ctx.setResponseBody(String(ctx.getRequestBody().length));
    });
    const client = await WsClient.connect(await run(server));
    const body = 'x'.repeat(30 * KIB);
    client.write(post('/0', body) + post('/1', body) + post('/2', body) + post('/3', body));
    await until('two of them', () => begun.length === 2);
    await settle(50);
    assert.deepEqual(begun, ['0', '1'], 'two bodies fit');
    gates[0]!.resolve();
    assert.equal((await client.readResponse()).body, String(30 * KIB));
    await until('the third', () => begun.length === 3);
    gates[1]!.resolve();
    for (let i = 0; i < 3; i++) assert.equal((await client.readResponse()).body, String(30 * KIB));
    assert.deepEqual(errors, []);
  });

  it('lets go of one that waits when the client leaves', async () => {
    const { server, errors } = makeServer({ maxRequestBodyBytes: 64 * KIB });
    const gate = defer();
    let begun = 0;
    server.route('/', async () => {
      begun++;
      await gate.promise;
    });
    const client = await WsClient.connect(await run(server));
    client.write(post('/', 'x'.repeat(60 * KIB)).repeat(3));
    await until('the first', () => begun === 1);
    await settle(20);
    client.reset();
    gate.resolve();
    await soon('the close', server.close({ timeout: 60_000 }));
    assert.equal(begun, 1);
    assert.deepEqual(errors, []);
  });
});

describe('HttpConnection, a client that does not read', () => {
  it('is cut when nothing leaves from one heartbeat to the next, and its handlers are told', async () => {
    const { server } = makeServer({ heartbeatIntervalMs: 60 });
    const failures: unknown[] = [];
    let begun = 0;
    server.requestMiddleware(() => {
      begun++;
    });
    server.route('/awaited', async (ctx) => {
      try {
        for (;;) await ctx.sendResponseBody(Buffer.alloc(1024 * KIB));
      } catch (error) {
        failures.push(error);
      }
    });
    server.route('/whole', (ctx) => ctx.sendResponse(200, Buffer.alloc(16 * 1024 * KIB)));
    for (const target of ['/awaited', '/whole']) {
      const before = begun;
      const client = await WsClient.connect(await run(server));
      client.socket.pause();
      client.write(httpRequest('GET', target) + (target === '/whole' ? upgradeRequest('/awaited') : ''));
      await until('the request', () => begun > before);
      await soon('the end of all connections', server.close({ timeout: 60_000 }));
    }
    assert.ok(failures[0] instanceof ConnectionClosedError);
  });

  it('is not cut while it reads, however slowly', async () => {
    const { server, errors } = makeServer({ heartbeatIntervalMs: 100 });
    let over = false;
    server.route('/', async (ctx) => {
      await ctx.sendResponse(200, Buffer.alloc(8 * 1024 * KIB));
      over = true;
    });
    const client = await WsClient.connect(await run(server));
    assert.ok(client.socket instanceof Socket);
    client.write(httpRequest('GET', '/'));
    const { headers } = await client.readHead();
    // Some at every turn, and never all that there is: more than two intervals pass.
    const end = Date.now() + 500;
    while (Date.now() < end) {
      client.socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 1));
      client.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    client.socket.resume();
    assert.equal((await client.readBytes(Number(headers.get('content-length')))).length, 8 * 1024 * KIB);
    assert.ok(over);
    assert.deepEqual(errors, []);
  });

  it('is not blamed for a response that its handler takes time for', async () => {
    const { server } = makeServer({ heartbeatIntervalMs: 50 });
    const gate = defer();
    server.route('/slow', async (ctx) => {
      await ctx.sendResponseBody('first');
      await gate.promise;
      await ctx.sendResponseBody('last');
    });
    server.route('/stream', (ctx) => ctx.sendResponseBody('behind'));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/slow') + httpRequest('GET', '/stream'));
    await client.readHead();
    await new Promise((resolve) => setTimeout(resolve, 250));
    gate.resolve();
    assert.equal(await client.readChunk(), 'first');
    assert.equal(await client.readChunk(), 'last');
    assert.equal(await client.readChunk(), '');
    assert.equal((await client.readResponse()).body, 'behind');
  });
});

describe('HttpConnection, time', () => {
  it('counts handshakeTimeoutMs once, at the door and behind it: 408 for a head that began late', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 1000 });
    server.route('/', () => {});
    const client = await WsClient.connect(await run(server));
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 800));
    client.write('GET / HTTP/1.1\r\nX: ');
    assert.equal((await client.readHead()).status, 408);
    await client.waitForEnd();
    // Twice the time, if it were counted again; node:http would look a second later.
    assert.ok(performance.now() - start < 1700);
  });

  it('is not held against a connection that is kept, or whose request takes long', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 60 });
    server.route('/', async (ctx) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      ctx.setResponseBody('done');
    });
    server.route('/ws', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const client = await WsClient.connect(await run(server));
    for (let i = 0; i < 2; i++) {
      assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, 'done');
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    client.write(upgradeRequest('/ws'));
    await client.readHead();
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(await client.send('here').receive(), 'here');
  });

  it('a head in part keeps no server from closing: the first of a connection, and a later one', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: Number.POSITIVE_INFINITY });
    server.route('/', () => {});
    const port = await run(server);
    const first = await WsClient.connect(port);
    first.write('GET / HTTP/1.1\r\nX: ');
    const later = await WsClient.connect(port);
    await later.write(httpRequest('GET', '/')).readResponse();
    later.write('GET / HTTP/1.1\r\nX: ');
    const silent = await WsClient.connect(port);
    await settle(50);
    await soon('the close', server.close({ timeout: Number.POSITIVE_INFINITY }));
    await Promise.all([first, later, silent].map((client) => client.waitForEnd()));
  });
});
