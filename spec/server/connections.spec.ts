import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError } from '../../lib/errors.ts';
import type { ServerConnection } from '../../lib/server/connections.ts';
import { Server } from '../../lib/server/server.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { httpRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** A server with rooms, whose clients say their names first. */
async function serve() {
  const { server, errors } = makeServer();
  server.upgradeMiddleware((ctx) => void ctx.setAttribute('user', ctx.getRequestQuery('user')));
  server.route('/rooms/:name', (ctx) => void ctx.sendResponseBody(ctx.getRequestBody()));
  const port = await run(server);
  const open = (user: string) => WsClient.open(port, `/rooms/gr%20een?user=${user}`);
  return { server, errors, port, open };
}

describe('server.connections', () => {
  it('lists those that are open, and none that are over', async () => {
    const { server, open } = await serve();
    assert.deepEqual([server.connections.size, [...server.connections]], [0, []]);
    const ada = await open('Ada');
    await open('Alan');
    await until('both', () => server.connections.size === 2);
    assert.deepEqual(
      [...server.connections].map((connection) => connection.getAttribute('user')),
      ['Ada', 'Alan'],
    );
    await ada.close(1000).receiveClose(false);
    await until('one', () => server.connections.size === 1);
    assert.deepEqual(
      [...server.connections].map((connection) => connection.getAttribute<string>('user')),
      ['Alan'],
    );
    assert.equal(server.connections, server.connections);
  });

  it('tells of each where it is from, what it is, and what it has carried', async () => {
    const { server, open } = await serve();
    const before = Date.now();
    const client = await open('Ada');
    await client.send('Hello').receive();
    const [shown] = server.connections;
    assert.ok(shown !== undefined);
    const { localPort } = client.socket as unknown as { localPort: number };
    assert.deepEqual(shown.address, { address: '127.0.0.1', port: localPort });
    assert.deepEqual(
      [shown.path, shown.route, shown.state, shown.subprotocol],
      ['/rooms/gr een', '/rooms/:name', 'open', ''],
    );
    assert.deepEqual(
      [shown.bufferedBytes, shown.receivedBytes, shown.droppedMessages, shown.latency],
      [0, 0, 0, undefined],
    );
    assert.deepEqual([shown.traffic.messagesReceived, shown.traffic.messagesSent], [1, 1]);
    assert.ok(shown.openedAt.getTime() >= before - 1000 && shown.openedAt.getTime() <= Date.now() + 1000);
    assert.equal(shown.openedAt, shown.openedAt);
  });

  it('has an id for each that is not given again, and finds it by that while it is open', async () => {
    const { server, open } = await serve();
    const ids = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const client = await open('Ada');
      await until('it is open', () => server.connections.size === 1);
      const [shown] = server.connections;
      assert.equal([...server.connections][0], shown);
      assert.equal(typeof shown!.id, 'string');
      assert.equal(server.connections.get(shown!.id), shown);
      ids.add(shown!.id);
      await client.close(1000).receiveClose(false);
      await until('it is over', () => server.connections.size === 0);
      assert.equal(server.connections.get(shown!.id), undefined);
    }
    assert.equal(ids.size, 3);
    for (const id of ['', '0', 'constructor', '__proto__']) assert.equal(server.connections.get(id), undefined);
  });

  it('sends to one of them, texts, bytes and JSON', async () => {
    const { server, open } = await serve();
    const [ada, alan] = await Promise.all([open('Ada'), open('Alan')]);
    await until('both', () => server.connections.size === 2);
    const find = (user: string) =>
      [...server.connections].find((connection) => connection.getAttribute('user') === user)!;
    await find('Alan').send('to Alan');
    await find('Alan').send(Buffer.from('bytes'), { compress: false });
    await find('Alan').sendJson({ a: 1 });
    assert.throws(() => find('Alan').sendJson(undefined), { message: /^sendJson takes a value that JSON has/ });
    assert.deepEqual(await alan.receiveAll(3), ['to Alan', Buffer.from('bytes'), '{"a":1}']);
    await find('Ada').send('to Ada');
    assert.equal(await ada.receive(), 'to Ada');
  });

  it('closes one with a code and a reason, or cuts it, also when all are closed in one loop', async () => {
    const { server, open } = await serve();
    const clients = await Promise.all([open('Ada'), open('Alan'), open('Grace')]);
    await until('all', () => server.connections.size === 3);
    const [first, ...rest] = server.connections;
    assert.throws(() => first!.close(1006), RangeError);
    first!.destroy();
    for (const connection of server.connections) connection.close(4001, 'kicked');
    assert.equal(rest[0]!.state, 'closing');
    for (const connection of rest) connection.close(4002, 'too late');
    const ends = await Promise.all(
      clients.map((client) =>
        client.receiveClose().then(
          ({ code, reason }) => `${code} ${reason}`,
          () => 'cut',
        ),
      ),
    );
    assert.deepEqual(ends.sort(), ['4001 kicked', '4001 kicked', 'cut']);
    await until('all are gone', () => server.connections.size === 0);
  });

  it('shows one that is over as it was, to whoever has kept it', async () => {
    const { server, open } = await serve();
    const client = await open('Ada');
    await client.send('Hello').receive();
    const [shown] = server.connections;
    void shown!.address;
    await client.close(1000).receiveClose(false);
    await until('it is over', () => server.connections.size === 0);
    assert.deepEqual([shown!.state, shown!.getAttribute('user'), shown!.path], ['closed', 'Ada', '/rooms/gr een']);
    await assert.rejects(shown!.send('late'), ConnectionClosedError);
    shown!.close();
    shown!.destroy();
  });

  it('shares its attributes with the handlers', async () => {
    const { server, open } = await serve();
    const client = await open('Ada');
    server.route(
      '/who',
      (ctx) => void ctx.sendResponseJson([ctx.getAttribute('user') ?? null, ctx.getAttribute('muted') ?? null]),
    );
    await client.send('').receive();
    const [shown] = server.connections;
    shown!.setAttribute('muted', true).removeAttribute('user');
    assert.deepEqual([shown!.getAttribute('muted'), shown!.getAttribute('user')], [true, undefined]);

    const other = await WsClient.open(server.address()!.port, '/who');
    await until('both', () => server.connections.size === 2);
    [...server.connections][1]!.setAttribute('muted', 1).setAttribute('user', 'Alan');
    assert.equal(await other.send('').receive(), '["Alan",1]');
  });

  it('makes nothing of those that nobody asks for', async () => {
    const { server, open } = await serve();
    await open('Ada');
    await until('it is open', () => server.connections.size === 1);
    assert.equal(server.connections.get('1'), undefined);
  });
});

describe('ctx.getConnection', () => {
  it('is the one that is listed, from when it is open until all its handlers are done', async () => {
    const { server } = makeServer();
    const seen: Record<string, ServerConnection | undefined> = {};
    const ended = defer();
    server.upgradeMiddleware((ctx) => {
      seen.upgrade = ctx.getConnection();
    });
    server.onWebsocketConnected((ctx) => {
      seen.connected = ctx.getConnection();
    });
    server.onWebsocketClosed((ctx) => {
      seen.closed = ctx.getConnection();
      ended.resolve();
    });
    server.route('/', (ctx) => {
      seen[ctx.isWebSocket() ? 'message' : 'http'] = ctx.getConnection();
      void ctx.sendResponseBody('');
    });
    const port = await run(server);
    await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse();
    const client = await WsClient.open(port);
    await client.send('').receive();
    const [listed] = server.connections;
    client.socket.destroy();
    await soon('the end', ended.promise);
    assert.deepEqual([seen.upgrade, seen.http], [undefined, undefined]);
    assert.ok(listed !== undefined);
    assert.deepEqual([seen.connected, seen.message, seen.closed], [listed, listed, listed]);
  });

  it('keeps nothing of one that is shown when it is over', async () => {
    const { server } = makeServer();
    let shown: ServerConnection | undefined;
    const gate = defer();
    const done = defer();
    server.route('/', async (ctx) => {
      await gate.promise;
      shown = ctx.getConnection();
      done.resolve();
    });
    const client = await WsClient.open(await run(server));
    client.send('');
    await settle();
    client.socket.destroy();
    await until('it is over', () => server.connections.size === 0);
    gate.resolve();
    await done.promise;
    assert.equal(server.connections.get(shown!.id), undefined);
    assert.equal(shown!.state, 'closed');
  });
});

describe('the hooks of a route', () => {
  it('run behind those of the server, for its WebSockets alone', async () => {
    const { server, errors } = makeServer();
    const calls: string[] = [];
    const all = defer();
    server.upgradeMiddleware(() => void calls.push('upgrade all'));
    server.onWebsocketConnected(() => void calls.push('connected all'));
    server.onWebsocketClosed(() => void calls.push('closed all'));
    server.route('/a', () => void calls.push('message'), {
      upgrade: async (ctx) => {
        await undefined;
        calls.push('upgrade a');
        ctx.setResponseHeader('X-A', 'yes').setAttribute('a', 1);
      },
      connected: async (ctx) => {
        await undefined;
        calls.push(`connected a ${ctx.getAttribute('a')}`);
      },
      closed: (ctx, end) => {
        calls.push(`closed a ${ctx.getAttribute('a')} ${end.cause} ${end.code}`);
        all.resolve();
      },
    });
    server.route('/b', () => {});
    const port = await run(server);
    const client = await WsClient.connect(port);
    assert.equal((await client.upgrade('/a')).headers.get('x-a'), 'yes');
    await client.send('').close(1000).receiveClose(false);
    await soon('the end', all.promise);
    assert.deepEqual(calls, [
      'upgrade all',
      'upgrade a',
      'connected all',
      'connected a 1',
      'message',
      'closed all',
      'closed a 1 peer 1000',
    ]);
    calls.length = 0;
    await (await WsClient.open(port, '/b')).close(1000).receiveClose(false);
    await until('the end', () => calls.includes('closed all'));
    assert.deepEqual(calls, ['upgrade all', 'connected all', 'closed all']);
    assert.deepEqual(errors, []);
  });

  it('refuse an upgrade', async () => {
    const { server } = makeServer();
    server.route('/', () => {}, { upgrade: (ctx) => ctx.sendResponse(401, 'not you') });
    const client = await WsClient.connect(await run(server));
    await assert.rejects(client.upgrade('/'), /401/);
  });
});

describe('the option only of a route', () => {
  it("'websocket': a plain request gets 426, whatever its method, and keeps its connection", async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => void ctx.setResponseHeader('X-Seen', 'yes'));
    server.route('/', (ctx) => void ctx.sendResponseBody('echo'), { only: 'websocket' });
    const port = await run(server);
    const client = await WsClient.connect(port);
    for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS']) {
      const request = httpRequest(method, '/', { 'Content-Length': '0' });
      const { status, headers, body } = await client.write(request).readResponse({ head: method === 'HEAD' });
      const told = ['upgrade', 'connection', 'x-seen'].map((name) => headers.get(name)?.toLowerCase());
      assert.deepEqual([status, ...told], [426, 'websocket', 'upgrade', 'yes'], method);
      assert.equal(body, method === 'HEAD' ? '' : 'this path is for WebSockets');
    }
    assert.equal(await (await WsClient.open(port)).send('').receive(), 'echo');
  });

  it("'websocket': leaves a response alone that a middleware has set", async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => void ctx.setResponseStatusCode(200).setResponseBody('the page'));
    server.route('/', () => {}, { only: 'websocket' });
    const client = await WsClient.connect(await run(server));
    const { status, body } = await client.write(httpRequest('GET', '/')).readResponse();
    assert.deepEqual([status, body], [200, 'the page']);
  });

  it("'http': an upgrade gets 404, behind the upgrade middleware", async () => {
    const server = new Server({ host: '127.0.0.1' });
    let asked = 0;
    const warned: string[] = [];
    const note = (warning: Error) => void warned.push(warning.message);
    process.on('warning', note);
    server.upgradeMiddleware(() => {
      asked++;
    });
    server.route('/', (ctx) => void ctx.setResponseBody('plain'), { only: 'http' });
    const port = await run(server);
    const client = await WsClient.connect(port);
    await assert.rejects(client.upgrade('/'), /404/);
    assert.equal(asked, 1);
    await settle();
    process.off('warning', note);
    assert.match(warned[0]!, /the route of this path is not for WebSockets: it was given only: 'http'/);
    const { body } = await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse();
    assert.equal(body, 'plain');
  });
});
