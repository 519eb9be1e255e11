import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { afterEach, describe, it, mock } from 'node:test';
import { InvalidStateError } from '../../lib/errors.ts';
import { Request } from '../../lib/server/request.ts';
import { Server } from '../../lib/server/server.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/tls.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** A server of node:http that is not ours, on a free port until the end of the test. */
async function listen(server: HttpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onCleanUp(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('Server, settings', () => {
  it('returns itself from all of them, and awaiting it is harmless', async () => {
    const server = new Server();
    const nothing = () => {};
    assert.equal(server.host('127.0.0.1').port(0).route('/', nothing), server);
    assert.equal(server.requestMiddleware(nothing).responseMiddleware(nothing).upgradeMiddleware(nothing), server);
    assert.equal(server.onWebsocketConnected(nothing).errorHandle(nothing), server);
    assert.equal(server.enableNodelay().disableNodelay().enableNodelay(), server);
    assert.equal(server.enableInnerWebsocketHandle('/').disableInnerWebsocketHandle('/'), server);
    assert.equal(await server.host('127.0.0.1'), server);
  });

  it('refuses a port that is none, and a pattern that is registered', () => {
    for (const port of [-1, 65536, 1.5, Number.NaN, '80' as unknown as number]) {
      assert.throws(() => new Server().port(port), RangeError);
      assert.throws(() => new Server({ port }), RangeError);
    }
    const server = new Server().route('/a/:b', () => {});
    assert.throws(() => server.route('/a/:b', () => {}), { code: 'WS_ERR_DUPLICATE_ROUTE' });
    assert.throws(() => server.route('/a/:c', () => {}), { code: 'WS_ERR_DUPLICATE_ROUTE' });
    assert.throws(() => server.route('a', () => {}), { code: 'WS_ERR_INVALID_ROUTE' });
  });

  it('names itself where it is given no function', () => {
    const server = new Server();
    const none = undefined as unknown as () => void;
    for (const [set, name] of [
      [() => server.route('/a', none), "route('/a', …)"],
      [() => server.requestMiddleware(none), 'requestMiddleware'],
      [() => server.responseMiddleware(none), 'responseMiddleware'],
      [() => server.upgradeMiddleware(none), 'upgradeMiddleware'],
      [() => server.onWebsocketConnected(none), 'onWebsocketConnected'],
      [() => server.errorHandle(none), 'errorHandle'],
    ] as const) {
      assert.throws(set, (error) => error instanceof TypeError && error.message.startsWith(`${name}: a handler`));
    }
    assert.throws(() => server.host(7 as unknown as string), { name: 'RangeError', message: /^host is 7/ });
    assert.throws(() => server.port(-1), { name: 'RangeError', message: /^port is -1/ });
  });

  it('sets TCP_NODELAY as told', async (t) => {
    for (const nodelay of [true, false]) {
      const { server } = makeServer();
      if (nodelay) server.enableNodelay();
      else server.disableNodelay();
      server.route('/', (ctx) => ctx.sendResponseBody('x'.repeat(10)));
      const port = await run(server);
      const { Socket } = await import('node:net');
      const set = t.mock.method(Socket.prototype, 'setNoDelay');
      const client = await WsClient.open(port);
      await client.send('').receive();
      assert.ok(set.mock.calls.every((call) => call.arguments[0] === nodelay || call.arguments[0] === undefined));
      set.mock.restore();
    }
  });
});

describe('Server, run', () => {
  it('resolves once it listens, and tells its address', async () => {
    const { server } = makeServer();
    assert.equal(server.address(), undefined);
    server.route('/', (ctx) => ctx.sendResponse(200, 'here'));
    await server.port(0).run();
    onCleanUp(() => server.close());
    const { port, address, family } = server.address()!;
    assert.ok(port > 0);
    assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here');
  });

  it('listens on all addresses unless told otherwise, IPv4 and IPv6', async () => {
    const server = new Server({ port: 0 }).route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestHost()!));
    const port = await run(server);
    for (const host of ['127.0.0.1', '::1']) {
      const client = await WsClient.open(port, '/', { host });
      assert.equal(await client.send('').receive(), 'localhost');
    }
  });

  it('listens on the IPv6 loopback', async () => {
    const { server } = makeServer({ host: '::1' });
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getSocketAddr()!.address));
    const client = await WsClient.open(await run(server), '/', { host: '::1' });
    assert.equal(await client.send('').receive(), '::1');
  });

  it('rejects when another program listens on the port, and can be run on another then', async () => {
    const other = createNetServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onCleanUp(() => other.close());
    const { port } = other.address() as AddressInfo;
    const { server } = makeServer({ port });
    await assert.rejects(server.run(), (error) => {
      assert.ok(error instanceof InvalidStateError);
      assert.equal(error.code, 'WS_ERR_PORT_IN_USE');
      assert.ok(error.message.includes(String(port)));
      return (error.cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    });
    assert.equal(server.address(), undefined);
    server.route('/', (ctx) => ctx.sendResponseBody('after all'));
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('').receive(), 'after all');
  });

  it('rejects with the error of the system for an address it does not have', async () => {
    const { server } = makeServer({ host: '192.0.2.1', port: 0 });
    await assert.rejects(server.run(), { code: 'EADDRNOTAVAIL' });
  });

  it('rejects a second run', async () => {
    const { server } = makeServer({ port: 0 });
    const first = server.run();
    await assert.rejects(server.run(), { code: 'WS_ERR_SERVER_STATE' });
    await first;
    onCleanUp(() => server.close());
    await assert.rejects(server.run(), { code: 'WS_ERR_SERVER_STATE' });
  });

  it('rejects an inner handle without a route, and so does attach', async () => {
    const { server } = makeServer({ port: 0 });
    server.enableInnerWebsocketHandle('/nowhere');
    await assert.rejects(server.run(), { code: 'WS_ERR_UNKNOWN_ROUTE' });
    assert.throws(() => server.attach(createHttpServer()), { code: 'WS_ERR_UNKNOWN_ROUTE' });
  });

  it('takes options at their extremes', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 600_000, closeTimeoutMs: 1e12, maxMessageBytes: Infinity });
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const port = await run(server);
    const client = await WsClient.open(port);
    assert.equal(await client.send('x').receive(), 'x');
    // The close timer, were it wrapped around to 1 ms, would cut this one off.
    const closing = server.close({ code: 1000, timeout: Infinity });
    await settle();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
    assert.deepEqual(await soon('close', closing), { closed: 1, cut: 0 });
  });

  it('takes no limit at all for a handshake', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: Infinity, closeTimeoutMs: Infinity });
    server.upgradeMiddleware(() => settle());
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('x').receive(), 'x');
  });
});

describe('Server, maxConnections', () => {
  it('refuses a further WebSocket with 503, serves plain requests, and takes one again when another has left', async () => {
    const { server } = makeServer({ maxConnections: 2 });
    server.route('/', (ctx) => ctx.sendResponseBody('here'));
    const port = await run(server);
    const [first, second] = [await WsClient.open(port), await WsClient.open(port)];
    const third = await WsClient.connect(port);
    assert.equal((await third.write(upgradeRequest()).readHead()).status, 503);
    const plain = await WsClient.connect(port);
    assert.equal((await plain.write(httpRequest('GET', '/')).readHead()).status, 200);

    first.close(1000);
    await first.receiveClose();
    await first.ended;
    const fourth = await WsClient.open(port);
    for (const client of [second, fourth]) assert.equal(await client.send('').receive(), 'here');
  });
});

describe('Server, close', () => {
  it('resolves when it never ran, and when it is called twice', async () => {
    const { server } = makeServer();
    assert.deepEqual(await server.close(), { closed: 0, cut: 0 });
    server.route('/', () => {});
    const client = await WsClient.open(await run(server));
    const both = Promise.all([server.close(), server.close()]);
    assert.equal((await client.receiveClose()).code, 1001);
    assert.deepEqual(
      (await soon('both', both)).map(({ cut }) => cut),
      [0, 0],
    );
  });

  it('rejects a run that it overtakes, and can run again', async () => {
    for (const options of [{ host: 'localhost' }, { host: '127.0.0.1' }, {}]) {
      const server = new Server({ ...options, port: 0 }).route('/', () => {});
      const running = server.run();
      running.catch(() => {});
      await soon('the close', server.close());
      await assert.rejects(soon('the run', running), { code: 'WS_ERR_SERVER_STATE' });
      assert.equal(server.address(), undefined);
      await WsClient.open(await run(server), '/', options);
    }
  });

  it('refuses what are no options, such as the function of node:http and a code', async () => {
    const { server } = makeServer();
    for (const options of [() => {}, 1000, 'why']) {
      await assert.rejects(server.close(options as object), { name: 'TypeError', message: /close takes/ });
    }
  });

  it('keeps no timer, and so no process, once all is closed', async () => {
    const { server } = makeServer();
    await run(server);
    const original = globalThis.setTimeout;
    const timers: unknown[] = [];
    mock.method(globalThis, 'setTimeout', (callback: () => void, ms: number) => {
      const timer = original(callback, ms);
      if (ms === 54_321) timers.push(timer);
      return timer;
    });
    const cleared = mock.method(globalThis, 'clearTimeout');
    try {
      await server.close({ timeout: 54_321 });
    } finally {
      mock.restoreAll();
    }
    assert.equal(timers.length, 1);
    assert.ok(cleared.mock.calls.some((call) => call.arguments[0] === timers[0]));
  });

  it('keeps a port that was opened since, when it ends what came through another server', async () => {
    const { server } = makeServer();
    server.route('/', () => {});
    await run(server);
    const first = server.close();
    const http = createHttpServer();
    const other = await listen(http);
    server.attach(http);
    const client = await WsClient.open(other);
    const second = server.close({ timeout: 60_000 });
    await soon('the first', first);
    await server.run();
    client.close((await client.receiveClose()).code);
    client.end();
    assert.deepEqual(await soon('the second', second), { closed: 1, cut: 0 });
    assert.notEqual(server.address(), undefined);
  });

  it('refuses a code and a reason that may not be sent, and goes on', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody('on'));
    const port = await run(server);
    await assert.rejects(server.close({ code: 1006 }), RangeError);
    await assert.rejects(server.close({ reason: 'x'.repeat(124) }), RangeError);
    assert.equal(await (await WsClient.open(port)).send('').receive(), 'on');
  });

  it('closes all WebSockets with 1001, or as told, and accepts no more', async () => {
    for (const [options, expected] of [
      [{}, { code: 1001, reason: '' }],
      [
        { code: 4000, reason: 'maintenance' },
        { code: 4000, reason: 'maintenance' },
      ],
    ] as const) {
      const { server } = makeServer();
      server.route('/', () => {});
      const port = await run(server);
      const clients = await Promise.all([1, 2, 3].map(() => WsClient.open(port)));
      const closing = server.close(options);
      for (const client of clients) assert.deepEqual(await client.receiveClose(), expected);
      assert.deepEqual(await soon('close', closing), { closed: 3, cut: 0 });
      assert.equal(server.address(), undefined);
      await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
    }
  });

  it('lets running handlers finish: what they send arrives before the Close frame', async () => {
    const { server, errors } = makeServer();
    const gate = defer();
    const started = defer();
    server.route('/', async (ctx) => {
      started.resolve();
      await gate.promise;
      await ctx.sendResponseBody(`done: ${ctx.getRequestBodyString()}`);
    });
    server.responseMiddleware((ctx) => ctx.sendResponseBody('and the middleware'));
    const client = await WsClient.open(await run(server));
    client.send('1').send('not any more');
    await started.promise;
    const closing = server.close();
    await settle();
    gate.resolve();
    assert.deepEqual(await client.receiveAll(2), ['done: 1', 'and the middleware']);
    assert.deepEqual(await client.receiveClose(), { code: 1001, reason: '' });
    assert.deepEqual(await soon('close', closing), { closed: 1, cut: 0 });
    assert.deepEqual(errors, []);
  });

  it('ends handlers that wait for a message, in either mode', async () => {
    const { server, errors } = makeServer();
    const loop = async (stream: Parameters<typeof Request.websocketRequestFromStream>[0]) => {
      for (;;) await Request.websocketRequestFromStream(stream);
    };
    server.route('/owner', (ctx) => loop(ctx.getStream()!)).enableInnerWebsocketHandle('/owner');
    server.route('/taken', (ctx) => loop(ctx.getStream()!));
    const port = await run(server);
    const clients = [await WsClient.open(port, '/owner'), await WsClient.open(port, '/taken')];
    clients[1]!.send('').ping();
    assert.equal((await clients[1]!.readFrame())!.opcode, 10);
    const closing = server.close();
    for (const client of clients) assert.deepEqual(await client.receiveClose(), { code: 1001, reason: '' });
    assert.deepEqual(await soon('close', closing), { closed: 2, cut: 0 });
    assert.deepEqual(errors, []);
  });

  it('cuts after the timeout what does not end, but tells it why', async () => {
    const { server } = makeServer();
    server.route('/hangs', () => new Promise(() => {}));
    server.route('/silent', () => {});
    const port = await run(server);
    const hanging = await WsClient.open(port, '/hangs');
    hanging.send('').ping();
    assert.equal((await hanging.readFrame())!.opcode, 10, 'its handler runs');
    const silent = await WsClient.open(port, '/silent');
    const request = await WsClient.connect(port);
    request.write(httpRequest('GET', '/hangs'));
    await settle(20);
    assert.deepEqual(await soon('close', server.close({ timeout: 10 })), { closed: 0, cut: 2 });
    assert.deepEqual(await hanging.receiveClose(false), { code: 1001, reason: '' });
    assert.deepEqual(await silent.receiveClose(false), { code: 1001, reason: '' });
    await request.waitForEnd();
  });

  it('cuts an upgrade that hangs, and one that is refused and lingers', async () => {
    const { server } = makeServer();
    server.upgradeMiddleware((ctx) => {
      return ctx.getRequestPath() === '/hangs' ? new Promise<void>(() => {}) : undefined;
    });
    server.route('/hangs', () => {});
    const port = await run(server);
    const hanging = await WsClient.connect(port, { allowHalfOpen: true });
    hanging.write(upgradeRequest('/hangs'));
    const refused = await WsClient.connect(port, { allowHalfOpen: true });
    refused.write(upgradeRequest('/nowhere'));
    assert.equal((await refused.readHead()).status, 404);
    await settle(20);
    const closing = server.close({ timeout: 10 });
    assert.equal((await hanging.readHead()).status, 503);
    assert.deepEqual(await soon('close', closing), { closed: 0, cut: 0 });
    await hanging.waitForEnd();
    await refused.waitForEnd();
  });

  it('counts and cuts those that were there, and serves what comes through a server it is attached to meanwhile', async () => {
    const { server } = makeServer();
    server.route('/hangs', () => new Promise<void>(() => {}));
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const port = await run(server);
    const old = await WsClient.open(port, '/hangs');
    old.send('begin').ping();
    assert.equal((await old.readFrame())!.opcode, 10, 'its handler runs');
    const streaming = await WsClient.connect(port);
    streaming.write(httpRequest('GET', '/hangs') + upgradeRequest('/echo'));
    await settle(20);
    const closing = server.close({ timeout: 200 });
    const http = createHttpServer();
    const other = await listen(http);
    server.attach(http);
    const client = await WsClient.open(other, '/echo');
    assert.deepEqual(await soon('close', closing), { closed: 0, cut: 1 });
    await streaming.waitForEnd();
    assert.equal(await client.send('still here').receive(), 'still here');
    assert.deepEqual(await soon('close', server.close({ timeout: 0 })), { closed: 0, cut: 1 });
  });

  it('ends connections that are silent, and idle ones, at once', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, 'x'));
    const port = await run(server);
    const silent = await WsClient.connect(port);
    const idle = await WsClient.connect(port);
    await idle.write(httpRequest('GET', '/')).readResponse();
    await settle();
    await soon('close', server.close({ timeout: 60_000 }));
    await silent.waitForEnd();
    await idle.waitForEnd();
  });

  it('lets running HTTP requests finish, and keeps their connections no longer', async () => {
    const { server } = makeServer();
    const gate = defer();
    let running = 0;
    server.route('/whole', async (ctx) => {
      running++;
      await gate.promise;
      await ctx.sendResponse(200, 'whole');
    });
    server.route('/stream', async (ctx) => {
      await ctx.sendResponseBody('one');
      running++;
      await gate.promise;
      await ctx.sendResponseBody('two');
    });
    const port = await run(server);
    const whole = await WsClient.connect(port);
    const stream = await WsClient.connect(port);
    whole.write(httpRequest('GET', '/whole'));
    stream.write(httpRequest('GET', '/stream'));
    await until('both handlers', () => running === 2);
    const closing = server.close({ timeout: 60_000 });
    await settle();
    gate.resolve();
    const response = await whole.readResponse();
    assert.deepEqual([response.body, response.headers.get('connection')], ['whole', 'close']);
    assert.equal((await stream.readResponse()).body, 'onetwo');
    await soon('close', closing);
    await whole.waitForEnd();
    await stream.waitForEnd();
  });

  it('lets a response that is on its way arrive whole', async () => {
    const { server } = makeServer();
    const bytes = 16 * 1024 * 1024;
    server.route('/', (ctx) => ctx.sendResponse(200, Buffer.alloc(bytes)));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/'));
    await client.readHead();
    client.socket.pause();
    await settle(50);
    const closing = server.close({ timeout: 60_000 });
    await settle(50);
    client.socket.resume();
    assert.equal((await client.readToEnd()).length, bytes);
    await soon('close', closing);
  });

  it('can run again, with its routes and new connections', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    for (let i = 0; i < 3; i++) {
      const port = await run(server);
      const client = await WsClient.open(port);
      assert.equal(await client.send(`run ${i}`).receive(), `run ${i}`);
      const closing = server.close();
      await client.receiveClose();
      assert.deepEqual(await closing, { closed: 1, cut: 0 });
    }
  });

  it('refuses upgrades that are still being decided with 503', async () => {
    const { server } = makeServer();
    const gate = defer();
    const asked = defer();
    server.upgradeMiddleware(async () => {
      asked.resolve();
      await gate.promise;
    });
    server.route('/', () => {});
    const client = await WsClient.connect(await run(server));
    client.write(upgradeRequest());
    await asked.promise;
    const closing = server.close();
    await settle();
    gate.resolve();
    assert.equal((await client.readHead()).status, 503);
    await soon('close', closing);
  });
});

describe('Server, beside an existing server', () => {
  const app: RequestListener = (_request, response) => void response.end('app');

  it('attaches to a server of node:http, whose plain requests stay its own', async () => {
    const { server } = makeServer();
    server.route('/ws', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const http = createHttpServer(app);
    assert.equal(server.attach(http), server);
    assert.throws(() => server.attach(http), { code: 'WS_ERR_SERVER_STATE' });
    const port = await listen(http);
    const client = await WsClient.open(port, '/ws');
    assert.equal(await client.send('hello').receive(), 'hello');
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/ws`)).text(), 'app');
    const lost = await WsClient.connect(port);
    assert.equal((await lost.write(upgradeRequest('/nowhere')).readHead()).status, 404);

    const closing = server.close();
    assert.equal((await client.receiveClose()).code, 1001);
    assert.deepEqual(await closing, { closed: 1, cut: 0 });
    assert.equal(http.listenerCount('upgrade'), 0);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'app', 'it goes on');
  });

  it('attaches to nothing that is no server', () => {
    const { server } = makeServer();
    for (const other of [undefined, {}, { on: 'no function' }, () => {}]) {
      assert.throws(() => server.attach(other as unknown as HttpServer), {
        name: 'TypeError',
        message: /attach takes/,
      });
    }
  });

  it('can be attached again once it was closed, and serves then', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody('again'));
    const http = createHttpServer(app);
    const port = await listen(http);
    server.attach(http);
    await server.close();
    server.attach(http);
    const client = await WsClient.open(port);
    assert.equal(await client.send('').receive(), 'again');
    assert.deepEqual(await soon('the close', server.close({ timeout: 0 })), { closed: 0, cut: 1 });
  });

  it('attaches to a server of node:https', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const https = createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE }, app);
    server.attach(https);
    const client = await WsClient.open(await listen(https), '/', { tls: true });
    const large = Buffer.alloc(1024 * 1024 - 1, 'x');
    for (const data of ['text', Buffer.of(1, 2), large]) assert.deepEqual(await client.send(data).receive(), data);
    client.close(1000);
    assert.deepEqual(await client.receiveClose(false), { code: 1000, reason: '' });
  });

  it('leaves paths without a route to other upgrade listeners', async () => {
    const { server } = makeServer();
    server.route('/mine', (ctx) => ctx.sendResponseBody('mine'));
    const http = createHttpServer(app);
    server.attach(http);
    http.on('upgrade', (request, socket) => {
      if (request.url === '/theirs') socket.end('HTTP/1.1 101 Switching Protocols\r\nX: theirs\r\n\r\n');
    });
    const port = await listen(http);
    const theirs = await WsClient.connect(port);
    assert.equal((await theirs.write(upgradeRequest('/theirs')).readHead()).headers.get('x'), 'theirs');
    const mine = await WsClient.open(port, '/mine');
    assert.equal(await mine.send('').receive(), 'mine');
  });

  it('answers upgrades that it is handed, beside other listeners', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const http = createHttpServer(app);
    http.on('upgrade', (request, socket, head) => {
      if (request.url === '/') server.handleUpgrade(request, socket, head);
      else socket.end('HTTP/1.1 418 Teapot\r\n\r\n');
    });
    const port = await listen(http);
    const client = await WsClient.connect(port);
    await client.upgrade('/');
    assert.equal(await client.send('x').receive(), 'x');
    const other = await WsClient.connect(port);
    assert.equal((await other.write(upgradeRequest('/other')).readHead()).status, 418);
    client.close(1000);
    await client.receiveClose(false);
    await soon('close', server.close());
  });

  it('can be handed a socket that is gone already, and still closes', async () => {
    const { server, errors } = makeServer();
    server.route('/', () => assert.fail('does not run'));
    const http = createHttpServer(app);
    const handed = defer();
    http.on('upgrade', (request, socket, head) => {
      socket.destroy();
      socket.once('close', () => {
        setImmediate(() => {
          server.handleUpgrade(request, socket, head);
          handed.resolve();
        });
      });
    });
    const client = await WsClient.connect(await listen(http));
    client.write(upgradeRequest());
    await soon('the upgrade', handed.promise);
    await settle();
    assert.deepEqual(await soon('close', server.close()), { closed: 0, cut: 0 });
    assert.deepEqual(errors, []);
  });

  it('refuses what it is handed once it is closed', async () => {
    const { server } = makeServer();
    server.route('/', () => {});
    const http = createHttpServer(app);
    http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head));
    const port = await listen(http);
    await server.close();
    const client = await WsClient.connect(port);
    assert.equal((await client.write(upgradeRequest()).readHead()).status, 503);
  });
});
