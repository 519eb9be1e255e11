import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import { Connection } from '../../lib/net/connection.ts';
import type { Server } from '../../lib/server/server.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, memoryPair, open, TestOwner, HANDLER_ERROR } from '../support/connections.ts';
import { makeServer } from '../support/running-server.ts';
import { settle, soon } from '../support/watchdog.ts';
import { closeFrame, upgradeRequest } from '../support/ws-client.ts';

// Streams that are not of node:net, and do not keep to what a Duplex promises. What they do must stay their own.

afterEach(cleanUp);

const HEAD = parseUpgradeHead(Buffer.from(upgradeRequest('/')), 16_384)!;

/** What is written to a stream, and what becomes of it. */
type Write = (chunk: Buffer, done: (error?: Error) => void) => void;

/** A stream that never says 'close'. */
class Mute extends Duplex {
  readonly written: Buffer[] = [];
  readonly #onWrite: Write;

  constructor(onWrite: Write = (_chunk, done) => done()) {
    super({ emitClose: false });
    this.#onWrite = onWrite;
    onCleanUp(() => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.written.push(chunk);
    this.#onWrite(chunk, done);
  }
}

/** One whose writes throw, from the first on that `isBad`. */
function broken(isBad: (chunk: Buffer) => boolean): Mute {
  return new Mute((chunk, done) => {
    if (isBad(chunk)) throw new Error('thrown by a stream');
    done();
  });
}

async function upgrade(server: Server, stream: Duplex): Promise<WebSocketStream | undefined> {
  let opened: WebSocketStream | undefined;
  server.onWebsocketConnected((ctx) => {
    opened = ctx.getStream();
  });
  server.handleUpgrade(HEAD, stream, Buffer.alloc(0));
  await settle();
  return opened;
}

describe('a stream that never says that it is closed', () => {
  it('keeps no server from closing, open, closing or ended', async () => {
    const states: ((stream: Mute) => unknown)[] = [
      () => {},
      (stream) => stream.push(closeFrame(1000)),
      (stream) => stream.push(null),
      (stream) => stream.destroy(),
    ];
    for (const reach of states) {
      const { server, errors } = makeServer({ closeTimeoutMs: 60_000 });
      server.route('/', () => {});
      const stream = new Mute();
      const webSocket = (await upgrade(server, stream))!;
      reach(stream);
      await settle();
      assert.deepEqual(await soon('the close', server.close({ timeout: 20 })), { closed: 0, cut: 1 });
      await soon('the end', webSocket.closed);
      assert.ok(stream.destroyed);
      assert.deepEqual(errors, []);
    }
  });

  it('keeps no server from closing while its upgrade is undecided, or was refused', async () => {
    for (const path of ['/undecided', '/nowhere']) {
      const { server, errors } = makeServer();
      server.upgradeMiddleware((ctx) =>
        ctx.getRequestPath() === '/undecided' ? new Promise<void>(() => {}) : undefined,
      );
      const stream = new Mute();
      server.handleUpgrade({ ...HEAD, url: path }, stream, Buffer.alloc(0));
      await settle();
      assert.deepEqual(await soon('the close', server.close({ timeout: 20 })), { closed: 0, cut: 0 });
      assert.ok(stream.destroyed);
      assert.deepEqual(errors, []);
    }
  });

  it('is over when it was destroyed, or did not close in time', async () => {
    for (const end of ['destroy', 'close'] as const) {
      const owner = new TestOwner();
      const connection = new Connection(new Mute(), 'server', { ...CONNECTION_LIMITS, closeTimeoutMs: 50 });
      connection.start(owner);
      connection[end]();
      assert.equal(owner.closed.length, 0, 'never while the caller is busy');
      assert.equal((await soon('the end', connection.closed)).code, 1006);
      await settle();
      assert.equal(owner.closed.length, 1);
      assert.equal(connection.state, 'closed');
    }
  });
});

describe('a stream whose writes throw', () => {
  it('is cut, and stops no other output of the same turn', async () => {
    const before = await open(memoryPair);
    const owner = new TestOwner();
    const connection = new Connection(
      broken(() => true),
      'server',
      CONNECTION_LIMITS,
    );
    connection.start(owner);
    const after = await open(memoryPair);
    for (const one of [before.connection, connection, after.connection]) void one.send('hello');
    assert.equal(await before.client.receive(), 'hello');
    assert.equal(await after.client.receive(), 'hello');
    assert.equal((await soon('the end', connection.closed)).code, 1006);
  });

  it('throws out of no call', async () => {
    const calls: ((connection: Connection, stream: Mute) => unknown)[] = [
      (connection) => connection.send(Buffer.alloc(100_000)),
      (connection) => {
        void connection.send('a');
        return connection.flush();
      },
      (connection) => Promise.all(Array.from({ length: 20 }, () => connection.send(Buffer.alloc(20_000)))),
      (connection) => connection.ping().catch(() => {}),
      (connection) => connection.close(1000),
      (connection) => connection.fail('handler', HANDLER_ERROR),
      (_connection, stream) => stream.push(closeFrame(1000)),
      (_connection, stream) => stream.push(null),
    ];
    for (const call of calls) {
      const stream = broken(() => true);
      const connection = new Connection(stream, 'server', { ...CONNECTION_LIMITS, closeTimeoutMs: 50 });
      connection.start(new TestOwner());
      await soon(
        'what the call waits for',
        Promise.resolve(call(connection, stream)).catch(() => {}),
      );
      await soon('the end', connection.closed);
      assert.ok(stream.destroyed);
    }
  });

  it('fails its upgrade, accepted or refused, and is no error of a handler', async () => {
    for (const path of ['/', '/nowhere']) {
      const { server, errors } = makeServer();
      server.route('/', () => {});
      const stream = broken(() => true);
      server.handleUpgrade({ ...HEAD, url: path }, stream, Buffer.alloc(0));
      await settle();
      assert.ok(stream.destroyed);
      await soon('the close', server.close({ timeout: 60_000 }));
      assert.deepEqual(errors, []);
    }
  });

  it('ends its WebSocket only, whatever its handler is doing', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      await ctx.sendResponseBody(Buffer.alloc(200_000));
    });
    const stream = broken((chunk) => !chunk.toString('latin1').startsWith('HTTP'));
    const webSocket = (await upgrade(server, stream))!;
    stream.push(Buffer.from('818537fa213d7f9f4d5158', 'hex'));
    await soon('the end', webSocket.closed);
    await settle();
    assert.deepEqual(errors, []);
    await soon('the close', server.close({ timeout: 60_000 }));
  });
});
