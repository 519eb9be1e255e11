import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { Door } from '../../lib/net/door.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { cleanUp } from '../support/clean-up.ts';
import { tcpPair } from '../support/connections.ts';
import { holdWheel, pass, TICK_MS } from '../support/held-wheel.ts';
import { settle, until } from '../support/watchdog.ts';
import { httpRequest, upgradeRequest } from '../support/ws-client.ts';

holdWheel();
afterEach(cleanUp);

/** Ten ticks of the wheel. */
const HANDSHAKE_TIMEOUT_MS = 10 * TICK_MS;

/** A door, and in place of node:http and of who opens WebSockets somebody who writes down who came. */
class House {
  readonly told: string[] = [];
  /** Whether who opens WebSockets reads on at once. */
  reads = false;
  readonly http = new EventEmitter();
  readonly door: Door;

  constructor(maxHeaderBytes: number = 1000) {
    const { told, http } = this;
    http.on('connection', function (this: unknown, socket: Socket) {
      assert.equal(this, http);
      told.push('connection');
      socket.on('data', (chunk: Buffer) => told.push(`http reads ${chunk}`));
    });
    this.door = new Door(
      http as HttpServer,
      { maxHeaderBytes, handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS },
      {
        onUpgrade: (request, socket, head) => {
          told.push(`upgrade ${request.url} with ${head}`);
          if (this.reads) socket.on('data', (chunk: Buffer) => told.push(`reads ${chunk}`));
        },
        onHttp: (_socket, headMs) => told.push(`${headMs} ms left`),
      },
    );
  }

  /** Somebody rings. */
  async visit(): Promise<{ readonly socket: Socket; readonly there: Socket }> {
    const [socket, there] = await tcpPair();
    there.on('error', () => {});
    this.http.emit('connection', socket);
    return { socket, there };
  }
}

describe('Door', () => {
  it('lets an upgrade request in that came whole, with the bytes behind it, past node:http', async () => {
    const house = new House();
    const { socket, there } = await house.visit();
    there.write(`${upgradeRequest('/chat')}frames`);
    await until('the upgrade', () => house.told.length > 0);
    assert.deepEqual(house.told, ['upgrade /chat with frames']);
    // What it sends next waits for somebody who reads it.
    assert.equal(socket.isPaused(), true);
    there.write('more');
    await settle(20);
    socket.on('data', (chunk: Buffer) => house.told.push(`${chunk}`)).resume();
    await until('the rest', () => house.told.length > 1);
    assert.deepEqual(house.told.slice(1), ['more']);
  });

  it('has a socket read on whose new owner does', async () => {
    const house = new House();
    house.reads = true;
    const { socket, there } = await house.visit();
    there.write(upgradeRequest());
    await until('the upgrade', () => house.told.length > 0);
    assert.equal(socket.isPaused(), false);
    there.write('more');
    await until('the rest', () => house.told.length > 1);
    assert.deepEqual(house.told, ['upgrade / with ', 'reads more']);
  });

  it('leaves all others to node:http, as if nothing had been read', async () => {
    for (const bytes of [httpRequest('GET', '/'), 'GET / HT', 'nonsense', upgradeRequest(`/${'x'.repeat(1000)}`)]) {
      const house = new House();
      const { there } = await house.visit();
      there.write(bytes);
      await until('the bytes', () => house.told.length > 2);
      const [connection, left, read] = house.told;
      assert.match(left!, /^\d+ ms left$/);
      assert.deepEqual([connection, read], ['connection', `http reads ${bytes}`]);
    }
  });

  it('is alone in taking connections', async () => {
    const house = new House();
    assert.equal(house.http.listenerCount('connection'), 1);
    await house.visit();
    await settle(20);
    assert.deepEqual(house.told, []);
  });

  it('takes no request head that is larger than allowed, and one that is as large', async () => {
    const request = upgradeRequest('/');
    for (const [maxHeaderBytes, told] of [
      [request.length, 'upgrade / with '],
      [request.length - 1, 'connection'],
    ] as const) {
      const house = new House(maxHeaderBytes);
      const { there } = await house.visit();
      there.write(request);
      await until('the request', () => house.told.length > 0);
      assert.equal(house.told[0], told);
    }
  });

  it('cuts a connection that sends nothing for too long', async () => {
    const house = new House();
    const { socket } = await house.visit();
    pass(8);
    assert.equal(socket.destroyed, false);
    pass(2);
    assert.equal(socket.destroyed, true);
    assert.deepEqual(house.told, []);
  });

  it('tells how much is left of the time for the first request head, and no longer counts it', async () => {
    const house = new House();
    const { socket, there } = await house.visit();
    const came = timerWheel.now;
    pass(5);
    let passed = 0;
    socket.prependListener('data', () => {
      passed = timerWheel.now - came;
    });
    there.write('GET / HT');
    await until('the bytes', () => house.told.length > 1);
    assert.ok(passed >= 5);
    assert.equal(house.told[1], `${HANDSHAKE_TIMEOUT_MS - passed * TICK_MS} ms left`);
    pass(10);
    assert.equal(socket.destroyed, false);
  });

  it('counts no time for one that was let in, either', async () => {
    const house = new House();
    house.reads = true;
    const { socket, there } = await house.visit();
    there.write(upgradeRequest());
    await until('the upgrade', () => house.told.length > 0);
    pass(20);
    house.door.closeSilent();
    assert.equal(socket.destroyed, false);
  });

  it('cuts those that have sent nothing when it is told to, and no others', async () => {
    const house = new House();
    const silent = [await house.visit(), await house.visit()];
    const { socket, there } = await house.visit();
    there.write('GET / HT');
    await until('the bytes', () => house.told.length > 1);
    house.door.closeSilent();
    assert.deepEqual(
      silent.map((visitor) => visitor.socket.destroyed),
      [true, true],
    );
    assert.equal(socket.destroyed, false);
  });

  it('forgets a connection that is gone', async (t) => {
    // Those of other tests have gone.
    await settle(10);
    const house = new House();
    const { waiting } = timerWheel;
    const { socket } = await house.visit();
    assert.equal(timerWheel.waiting, waiting + 1);
    socket.destroy();
    await until('the end', () => timerWheel.waiting === waiting);
    const destroy = t.mock.method(socket, 'destroy');
    house.door.closeSilent();
    assert.equal(destroy.mock.callCount(), 0, 'it is cut no more');
  });

  it('leaves nothing of its own on the socket but a listener for errors', async () => {
    const house = new House();
    const { socket, there } = await house.visit();
    const before = ['data', 'end', 'close'].map((name) => socket.listenerCount(name));
    there.write(upgradeRequest());
    await until('the upgrade', () => house.told.length > 0);
    const after = ['data', 'end', 'close'].map((name) => socket.listenerCount(name));
    assert.deepEqual(
      after,
      before.map((count) => count - 1),
    );
    for (const key of Object.getOwnPropertySymbols(socket)) {
      if (key.description === 'visitor') assert.equal((socket as unknown as Record<symbol, unknown>)[key], undefined);
    }
  });

  it('cuts a connection that ends before it has sent anything', async () => {
    const house = new House();
    const { socket, there } = await house.visit();
    there.end();
    // Sooner than its time is over.
    await until('the end', () => socket.readableEnded);
    assert.equal(socket.destroyed, true);
    assert.deepEqual(house.told, []);
  });

  it('survives an error of a socket, before it has spoken and after', async () => {
    const house = new House();
    const { socket } = await house.visit();
    socket.destroy(new Error('before'));
    await until('the end', () => socket.closed);
    const other = await house.visit();
    other.there.write(upgradeRequest());
    await until('the upgrade', () => house.told.length > 0);
    other.socket.destroy(new Error('after'));
    await until('the end', () => other.socket.closed);
    assert.equal(house.told.length, 1);
  });
});
