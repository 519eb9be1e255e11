import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { createSecureServer, type Http2SecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import type { AttachOptions } from '../../lib/server/attach-options.ts';
import type { Server } from '../../lib/server/server.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/tls.ts';
import { defer, settle, soon } from '../support/watchdog.ts';
import { httpRequest, type ResponseHead, upgradeRequest, WsClient } from '../support/ws-client.ts';

/** As far as it is used here. */
interface TheirServer extends EventEmitter {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: (webSocket: TheirSocket) => void): void;
  close(): void;
}
type TheirSocket = EventEmitter & { send(data: string): void };

// It ships no types.
const { WebSocketServer } = (await import('ws' as string)) as { WebSocketServer: new (options: object) => TheirServer };

afterEach(cleanUp);

const TEAPOT = 'HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n';

async function listen(server: HttpServer | Http2SecureServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onCleanUp(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A server that answers on one path with its name. */
function named(name: string): Server {
  const { server } = makeServer();
  return server.route(`/${name}`, (ctx) => ctx.sendResponseBody(name));
}

/** Asks for an upgrade, and returns the answer. */
async function ask(port: number, path: string): Promise<ResponseHead> {
  const client = await WsClient.connect(port);
  return client.write(upgradeRequest(path)).readHead();
}

/** What answers on a path. */
async function hear(port: number, path: string, tls: boolean = false): Promise<string | Buffer> {
  const client = await WsClient.open(port, path, { tls });
  return client.send('').receive();
}

/** The next warning of a code. */
async function warning(code: string): Promise<Error> {
  for (;;) {
    const [error] = await once(process, 'warning');
    if (error.code === code) return error;
  }
}

describe('attach, to a path that has no route', () => {
  const withOther = (
    options: AttachOptions | undefined,
    answer: (request: IncomingMessage, socket: Duplex) => void,
  ) => {
    const http = createHttpServer();
    http.on('upgrade', answer);
    const server = named('mine').attach(http, options);
    onCleanUp(() => server.close({ timeout: 0 }));
    return listen(http);
  };

  /** Waits until an upgrade that came later than all others is refused. */
  const offerIsOver = async () => {
    assert.equal((await ask(await withOther(undefined, () => {}), '/typo')).status, 404);
  };

  it('is refused at once where nobody else listens, whatever the option', async () => {
    for (const unknownPaths of ['offer', 'refuse', 'leave'] as const) {
      const http = createHttpServer();
      named('mine').attach(http, { unknownPaths });
      assert.equal((await ask(await listen(http), '/typo')).status, 404, unknownPaths);
    }
  });

  it('is offered to the others, and refused when none of them takes it', async () => {
    const port = await withOther(undefined, () => {});
    assert.equal((await ask(port, '/typo')).status, 404);
    assert.equal(await hear(port, '/mine'), 'mine');
  });

  const signs: [what: string, sign: (socket: Duplex) => void][] = [
    ['reads it', (socket) => socket.on('data', () => {})],
    ['means to read it', (socket) => socket.on('readable', () => {})],
    ['pauses it', (socket) => socket.pause()],
    ['writes to it', (socket) => setImmediate(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'))],
  ];
  it('is theirs who take it, for as long as they like', async () => {
    const takers = signs.map(async ([what, sign]) => {
      const taken = defer<Duplex>();
      const port = await withOther(undefined, (_request, socket) => {
        sign(socket);
        taken.resolve(socket);
      });
      const client = await WsClient.connect(port);
      client.write(upgradeRequest('/theirs'));
      return { what, client, socket: await taken.promise };
    });
    const taken = await Promise.all(takers);
    await offerIsOver();
    for (const { what, client, socket } of taken) {
      socket.end(TEAPOT);
      assert.match((await client.readToEnd()).toString(), /^(HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 418/, what);
    }
  });

  it('is theirs who answer after a while without a sign before', async () => {
    const port = await withOther(undefined, (_request, socket) => {
      setTimeout(() => socket.end(TEAPOT), 200);
    });
    assert.equal((await ask(port, '/theirs')).status, 418);
  });

  it('is refused at once with unknownPaths: refuse', async () => {
    let asked: Duplex | undefined;
    const port = await withOther({ unknownPaths: 'refuse' }, (_request, socket) => {
      asked = socket;
    });
    assert.equal((await ask(port, '/typo')).status, 404);
    assert.ok(asked !== undefined);
  });

  it('is left to the others for good with unknownPaths: leave', async () => {
    const asked = defer<Duplex>();
    const port = await withOther({ unknownPaths: 'leave' }, (_request, socket) => asked.resolve(socket));
    const client = await WsClient.connect(port);
    client.write(upgradeRequest('/theirs'));
    const socket = await asked.promise;
    await offerIsOver();
    socket.end(TEAPOT);
    assert.match((await client.readToEnd()).toString(), /^HTTP\/1\.1 418 Teapot/);
  });

  it('is refused behind the response to a request before it', async () => {
    const http = createHttpServer((_request, response) => response.end('first'));
    http.on('upgrade', () => {});
    named('mine').attach(http);
    const client = await WsClient.connect(await listen(http));
    client.write(httpRequest('GET', '/') + upgradeRequest('/typo'));
    assert.equal((await client.readResponse()).body, 'first');
    assert.equal((await client.readHead()).status, 404);
  });

  it('is refused also when the server was closed meanwhile, and harms nobody when its client has left', async () => {
    const asked = defer<void>();
    const http = createHttpServer().on('upgrade', () => asked.resolve());
    const server = named('mine').attach(http);
    const port = await listen(http);
    const leaver = await WsClient.connect(port);
    leaver.write(upgradeRequest('/typo'));
    const client = await WsClient.connect(port);
    client.write(upgradeRequest('/typo'));
    await asked.promise;
    await settle();
    leaver.reset();
    await server.close();
    assert.equal((await client.readHead()).status, 503);
    assert.equal(http.listenerCount('upgrade'), 1);
  });

  it('is cut, as any other, where the response to a request before it has ended the connection', async () => {
    const warnings: unknown[] = [];
    const collect = (error: Error) => void warnings.push(error);
    process.on('warning', collect);
    onCleanUp(() => void process.off('warning', collect));
    const http = createHttpServer();
    let upgrades = 0;
    http.on('upgrade', () => upgrades++);
    named('mine').attach(http);
    for (const path of ['/typo', '/mine']) {
      // A socket is cut by node:http itself; a stream that is none is only ended.
      const [here, there] = duplexPair();
      const closed = once(here, 'close');
      http.emit('connection', here);
      there.resume().write('GET / HTTP/1.1\r\n\r\n');
      await soon('the end of the response', once(there, 'end'));
      await settle();
      there.write(upgradeRequest(path));
      await soon('the end', closed);
    }
    assert.deepEqual([upgrades, warnings], [2, []]);
  });

  it('takes options that exist, of values that they can have', () => {
    const { server } = makeServer();
    const attach = (options: unknown) => server.attach(createHttpServer(), options as AttachOptions);
    assert.throws(() => attach({ paths: [] }), { name: 'TypeError', message: /"paths" is no option of attach/ });
    assert.throws(() => attach({ unknownPaths: true }), {
      name: 'RangeError',
      message: /give one of offer, refuse, leave/,
    });
    for (const none of [null, 'leave'])
      assert.throws(() => attach(none), { name: 'TypeError', message: /as an object/ });
    attach({ unknownPaths: undefined });
  });
});

describe('attach, to one server from several', () => {
  it('has each answer its own paths, and one refuse the others at once', async () => {
    const http = createHttpServer();
    const servers = ['a', 'b', 'c'].map((name) => named(name).attach(http, { unknownPaths: 'leave' }));
    const port = await listen(http);
    for (const name of ['a', 'b', 'c']) assert.equal(await hear(port, `/${name}`), name);
    assert.equal((await ask(port, '/typo')).status, 404);
    await servers[0]!.close({ timeout: 0 });
    assert.equal((await ask(port, '/a')).status, 404);
    assert.equal(await hear(port, '/b'), 'b');
    for (const server of servers) await server.close({ timeout: 0 });
    assert.equal(http.listenerCount('upgrade'), 0);
  });

  it('has the first answer a path that two have', async () => {
    const http = createHttpServer();
    for (const name of ['first', 'second']) {
      const { server } = makeServer();
      server.route('/', (ctx) => ctx.sendResponseBody(name)).attach(http);
      onCleanUp(() => server.close({ timeout: 0 }));
    }
    assert.equal(await hear(await listen(http), '/'), 'first');
  });

  it('has one server answer on several and on its own port, and close ends all', async () => {
    const server = named('a');
    const https = [createHttpServer(), createHttpServer()];
    const ports = [await run(server)];
    for (const http of https) {
      server.attach(http);
      ports.push(await listen(http));
    }
    const clients = await Promise.all(ports.map((port) => WsClient.open(port, '/a')));
    const closing = server.close();
    for (const client of clients) assert.equal((await client.receiveClose()).code, 1001);
    assert.deepEqual(await soon('the close', closing), { closed: 3, cut: 0 });
    for (const http of https) assert.equal(http.listenerCount('upgrade'), 0);
  });
});

describe('attach, beside a WebSocketServer of ws', () => {
  it('shares the paths where that has no server', async () => {
    const http = createHttpServer();
    const server = named('mine').attach(http);
    onCleanUp(() => server.close({ timeout: 0 }));
    const wss = new WebSocketServer({ noServer: true });
    wss.on('connection', (socket: TheirSocket) => socket.on('message', () => socket.send('theirs')));
    http.on('upgrade', (request, socket, head) => {
      if (request.url === '/theirs')
        wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
    });
    const port = await listen(http);
    onCleanUp(() => wss.close());
    assert.equal(await hear(port, '/mine'), 'mine');
    assert.equal(await hear(port, '/theirs'), 'theirs');
    assert.equal((await ask(port, '/typo')).status, 404);
  });

  for (const order of ['before', 'behind'] as const) {
    it(`warns where that takes the same path, ${order} it`, async () => {
      const http = createHttpServer();
      const { server } = makeServer();
      server.route('/mine/:room', (ctx) => ctx.sendResponseBody('mine'));
      if (order === 'behind') server.attach(http);
      new WebSocketServer({ server: http, path: '/theirs' });
      if (order === 'before') server.attach(http);
      onCleanUp(() => server.close({ timeout: 0 }));
      const port = await listen(http);
      const warned = warning('WS_WARN_UPGRADE_TAKEN');
      const client = await WsClient.connect(port);
      client.write(upgradeRequest('/mine/1'));
      const answer = (await client.readToEnd()).toString();
      assert.match(answer, order === 'before' ? /^HTTP\/1\.1 400/ : /^HTTP\/1\.1 101.*HTTP\/1\.1 400/s);
      assert.match((await soon('the warning', warned)).message, /^\/mine\/1: another 'upgrade' listener/);
    });
  }

  it('warns where that takes all paths', async () => {
    const http = createHttpServer();
    const server = named('mine').attach(http);
    const wss = new WebSocketServer({ server: http });
    onCleanUp(() => server.close({ timeout: 0 }));
    onCleanUp(() => wss.close());
    const warned = warning('WS_WARN_UPGRADE_TAKEN');
    const client = await WsClient.connect(await listen(http));
    client.write(upgradeRequest('/mine'));
    await soon('the warning', warned);
  });
});

describe('attach, to servers of Node', () => {
  it('serves HTTP/1.1 of a server of node:http2', async () => {
    const http2 = createSecureServer(
      { key: PRIVATE_KEY, cert: CERTIFICATE, allowHTTP1: true },
      (_request, response) => {
        response.end('app');
      },
    );
    const server = named('mine').attach(http2);
    const port = await listen(http2);
    assert.equal(await hear(port, '/mine', true), 'mine');
    const lost = await WsClient.connect(port, { tls: true });
    assert.equal((await lost.write(upgradeRequest('/typo')).readHead()).status, 404);
    const plain = await WsClient.connect(port, { tls: true });
    assert.equal((await plain.write(httpRequest('GET', '/')).readResponse()).body, 'app');
    plain.socket.destroy();
    await server.close({ timeout: 0 });
    await soon('the end of its connections', new Promise((resolve) => http2.close(resolve)));
  });

  it('offers unknown paths over TLS too', async () => {
    const https = createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE });
    https.on('upgrade', () => {});
    named('mine').attach(https);
    const client = await WsClient.connect(await listen(https), { tls: true });
    assert.equal((await client.write(upgradeRequest('/typo')).readHead()).status, 404);
  });

  it('serves what says the same events', () => {
    const source = new EventEmitter();
    const server = named('mine').attach(source as HttpServer);
    assert.equal(source.listenerCount('upgrade'), 1);
    void server.close();
    assert.equal(source.listenerCount('upgrade'), 0);
  });
});

describe('getHttpRequest', () => {
  const describeRequest = ({ method, url, headers }: IncomingMessage) => ({ method, url, host: headers.host });

  it('is the request that came to the server it is attached to, in every handler', async () => {
    const http = createHttpServer();
    const requests: IncomingMessage[] = [];
    http.on('upgrade', (request) => requests.push(request));
    const { server } = makeServer();
    const note = (ctx: { getHttpRequest(): IncomingMessage }) => void requests.push(ctx.getHttpRequest());
    server.upgradeMiddleware(note).onWebsocketConnected(note).requestMiddleware(note);
    server.route('/', (ctx) => ctx.sendResponseBody('')).attach(http);
    onCleanUp(() => server.close({ timeout: 0 }));
    await hear(await listen(http), '/');
    assert.equal(requests.length, 4);
    assert.equal(new Set(requests).size, 1);
  });

  it('is made of what was read, on a port of its own, and stays the same', async () => {
    const { server } = makeServer();
    const requests: IncomingMessage[] = [];
    server.upgradeMiddleware((ctx) => {
      assert.equal(ctx.getRequestHeader('host'), 'localhost');
      const request = ctx.getHttpRequest();
      assert.equal(ctx.getRequestHeader('Host'), 'localhost');
      requests.push(request);
    });
    server.route('/', (ctx) => {
      requests.push(ctx.getHttpRequest());
      return ctx.sendResponseBody('');
    });
    const client = await WsClient.open(await run(server), '/?a=1');
    await client.send('').receive();
    assert.equal(requests[0], requests[1]);
    assert.deepEqual(describeRequest(requests[0]!), { method: 'GET', url: '/?a=1', host: 'localhost' });
    assert.equal(requests[0]!.socket.remotePort, (client.socket as { localPort?: number }).localPort);
  });

  it('is that of a plain request, and of an upgrade that came in pieces', async () => {
    const { server } = makeServer();
    const requests: IncomingMessage[] = [];
    server.route('/:name', (ctx) => {
      requests.push(ctx.getHttpRequest());
      return ctx.sendResponseBody('');
    });
    const port = await run(server);
    await (await fetch(`http://127.0.0.1:${port}/plain`, { headers: { Connection: 'close' } })).text();
    const client = await WsClient.connect(port);
    const request = upgradeRequest('/pieces');
    client.write(request.slice(0, 20));
    await settle();
    client.write(request.slice(20));
    assert.equal((await client.readHead()).status, 101);
    await client.send('').receive();
    assert.deepEqual(requests.map(describeRequest), [
      { method: 'GET', url: '/plain', host: `127.0.0.1:${port}` },
      { method: 'GET', url: '/pieces', host: 'localhost' },
    ]);
  });
});

describe('handleUpgrade, with attributes', () => {
  it('gives them to the upgrade middleware and to every handler', async () => {
    const { server } = makeServer();
    const user = { name: 'Ada' };
    const seen: unknown[] = [];
    server.upgradeMiddleware((ctx) => {
      seen.push(ctx.getAttribute('user'));
      ctx.setAttribute('more', 1);
    });
    server.route('/', (ctx) => {
      seen.push(ctx.getAttribute('user'), ctx.getAttribute('more'));
      return ctx.sendResponseBody('');
    });
    const attributes = { user };
    const http = createHttpServer((_request, response) => setTimeout(() => response.end('first'), 20));
    http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head, { attributes }));
    onCleanUp(() => server.close({ timeout: 0 }));
    const port = await listen(http);
    await hear(port, '/');
    assert.deepEqual(seen, [user, user, 1]);
    assert.deepEqual(attributes, { user }, 'the caller keeps its own');

    const behind = await WsClient.connect(port);
    behind.write(httpRequest('GET', '/') + upgradeRequest('/'));
    assert.equal((await behind.readResponse()).body, 'first');
    assert.equal((await behind.readHead()).status, 101);
    await behind.send('').receive();
    assert.deepEqual(seen.slice(3), [user, user, 1]);
  });

  it('takes an object, and says so', () => {
    const { server } = makeServer();
    const hand = (options: unknown) => () =>
      server.handleUpgrade({} as IncomingMessage, {} as Duplex, Buffer.alloc(0), options as object);
    for (const attributes of ['user', 1, null]) {
      assert.throws(hand({ attributes }), {
        name: 'TypeError',
        message: /attributes as an object, such as \{ user \}/,
      });
    }
    for (const options of [null, 'user'])
      assert.throws(hand(options), { name: 'TypeError', message: /its options as an object/ });
    assert.throws(hand({ user: 1 }), {
      name: 'TypeError',
      message: /"user" is no option of handleUpgrade: .*attributes/,
    });
  });
});
