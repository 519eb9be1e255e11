import assert from 'node:assert/strict';
import { Duplex, duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import {
  ConnectionClosedError,
  InvalidPayloadError,
  LimitError,
  ProtocolError,
  TimeoutError,
} from '../../lib/errors.ts';
import { Connection } from '../../lib/net/connection.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import {
  CONNECTION_LIMITS,
  countWrites,
  HANDLER_ERROR,
  infoOf,
  open,
  receive,
  tcpPair,
  TestOwner,
  TRANSPORTS,
} from '../support/connections.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

const KIB = 1024;
const MIB = 1024 * KIB;

function frames(count: number, payload: (i: number) => string = String): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => clientFrame(0x81, payload(i))));
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settled = () => {
    pending = false;
  };
  promise.then(settled, settled);
  await settle(3);
  return pending;
}

for (const [name, makePair] of TRANSPORTS) {
  describe(`Connection over ${name}`, () => {
    it('sends and receives messages of all sizes, and keeps their type', async () => {
      const { connection, owner, client } = await open(makePair, {
        maxMessageBytes: 3 * MIB,
        maxQueuedBytes: 10 * MIB,
      });
      owner.take = (data) => {
        void connection.send(data);
        return true;
      };
      for (const length of [0, 1, 125, 126, 65535, 65536, MIB, 2 * MIB + 1]) {
        for (const data of ['x'.repeat(length), Buffer.alloc(length, 7)]) {
          assert.deepEqual(await client.send(data).receive(), data);
        }
      }
    });

    it('reads messages however they are cut', async () => {
      const { connection, client } = await open(makePair);
      for (const byte of clientFrame(0x81, 'byte by byte')) {
        client.write(Buffer.of(byte));
        await settle(1);
      }
      assert.equal(await soon('a message', receive(connection)), 'byte by byte');
    });

    it('keeps messages in order until somebody receives them, and makes the peer wait meanwhile', async () => {
      const limits = { maxQueuedMessages: 10, maxQueuedBytes: 64 * KIB };
      const { connection, client } = await open(makePair, limits);
      const count = 3000;
      const payload = (i: number) => `${i} `.padEnd(1000, 'x');
      client.write(frames(count, payload));
      let most = 0;
      for (let i = 0; i < count; i++) {
        assert.equal(await soon('a message', receive(connection)), payload(i));
        most = Math.max(most, connection.receivedBytes);
      }
      // The queue, and the rest of one read: of 256 KiB for a socket, of what was written for a Duplex.
      const read = name === 'a Duplex' ? count * 1010 : 256 * KIB;
      assert.ok(most <= limits.maxQueuedMessages * 1000 + read, `${most} bytes were held`);
    });

    it('makes the peer wait when the messages that wait are large', async () => {
      const { connection, client } = await open(makePair, { maxQueuedBytes: 200_000 });
      for (let i = 0; i < 20; i++) client.send('x'.repeat(100_000));
      await settle(50);
      assert.ok(connection.receivedBytes < 500_000, `${connection.receivedBytes} bytes are held`);
      for (let i = 0; i < 20; i++) assert.equal((await soon('a message', receive(connection))).length, 100_000);
      assert.equal(connection.receivedBytes, 0);
    });

    it('closes when the peer does, with its code and reason', async () => {
      const { connection, owner, client } = await open(makePair);
      client.close(4000, 'my reason');
      assert.deepEqual(await client.receiveClose(false), { code: 4000, reason: '' });
      client.end();
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), {
        code: 4000,
        reason: 'my reason',
        wasClean: true,
      });
      assert.deepEqual(owner.closed, [await connection.closed]);
      assert.deepEqual([connection.state, connection.isFinished], ['closed', true]);
      await assert.rejects(connection.send('late'), ConnectionClosedError);
      await assert.rejects(connection.ping(), ConnectionClosedError);
      await connection.flush();
      connection.close();
      connection.fail('handler', HANDLER_ERROR);
      connection.destroy();
    });

    it('closes the peer, with a code and a reason, behind all that was sent', async () => {
      const { connection, client } = await open(makePair);
      for (let i = 0; i < 10; i++) void connection.send(`${i}`);
      connection.close(4001, 'bye');
      assert.equal(connection.state, 'closing');
      assert.equal(connection.isFinished, false);
      assert.deepEqual(
        await client.receiveAll(10),
        Array.from({ length: 10 }, (_, i) => `${i}`),
      );
      assert.deepEqual(await client.receiveClose(), { code: 4001, reason: 'bye' });
      client.end();
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 4001, reason: '', wasClean: true });
    });

    it('still receives what the peer sent before its answer to a Close frame', async () => {
      const { connection, client } = await open(makePair);
      connection.close();
      client.send('on its way').close(1000);
      assert.equal(await soon('a message', receive(connection)), 'on its way');
      await assert.rejects(async () => receive(connection), { closeCode: 1000 });
    });

    it('finds the Close frame behind more messages than it may keep', async () => {
      const { connection, client } = await open(makePair, { maxQueuedMessages: 2 });
      client.write(frames(50));
      await until('a full queue', () => connection.receivedBytes > 2);
      connection.close(1000);
      assert.equal((await client.receiveClose()).code, 1000);
      client.end();
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 1000, reason: '', wasClean: true });
      assert.equal(await soon('a message', receive(connection)), '0');
    });

    it('throws away what comes behind a Close frame', async () => {
      const { connection, owner, client } = await open(makePair);
      owner.take = () => assert.fail('is not told');
      client.write(Buffer.concat([closeFrame(1000), clientFrame(0x81, 'late'), Buffer.alloc(100_000, 0xff)]));
      await client.receiveClose(false);
      client.write(clientFrame(0x81, 'later still'));
      client.end();
      assert.equal((await soon('the end', connection.closed)).code, 1000);
      assert.equal(connection.receivedBytes, 0);
    });

    it('cuts a peer that does not answer its Close frame in time', async () => {
      const { connection, client } = await open(makePair, { closeTimeoutMs: 1 });
      connection.close(1000);
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 1006, reason: '', wasClean: false });
      client.socket.destroy();
    });

    it('cuts a peer that answers but does not end the transport in time', async () => {
      const { connection, client } = await open(makePair, { closeTimeoutMs: 1 });
      client.close(1000);
      assert.equal((await client.receiveClose(false)).code, 1000);
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 1000, reason: '', wasClean: true });
      client.socket.destroy();
    });

    it('tells a peer that breaks the protocol why, and whoever receives', async () => {
      const cases: [bytes: Buffer, type: new (...args: never[]) => Error, code: number][] = [
        [Buffer.from('f1', 'hex'), ProtocolError, 1002],
        [clientFrame(0x81, Buffer.of(0xff)), InvalidPayloadError, 1007],
        [clientFrame(0x82, Buffer.alloc(2000)), LimitError, 1009],
      ];
      for (const [bytes, type, code] of cases) {
        const { connection, client } = await open(makePair, { maxMessageBytes: 1000 });
        const waiting = assert.rejects(async () => receive(connection), type);
        client.write(Buffer.concat([bytes, clientFrame(0x81, 'late')]));
        assert.equal((await client.receiveClose()).code, code);
        await waiting;
        await assert.rejects(async () => receive(connection), type);
        client.end();
        assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 1006, reason: '', wasClean: false });
      }
    });

    it('fails with 1011 and no reason for an error of this side', async () => {
      const { connection, client } = await open(makePair);
      connection.fail('handler', HANDLER_ERROR);
      assert.deepEqual(await client.receiveClose(), { code: 1011, reason: '' });
    });

    const states: [state: string, bytes: Buffer, act: (connection: Connection) => void, closeCode: number][] = [
      ['open', Buffer.alloc(0), () => {}, 1006],
      ['in the middle of a header', clientFrame(0x81, 'x'.repeat(200)).subarray(0, 3), () => {}, 1006],
      ['in the middle of a payload', clientFrame(0x81, 'x'.repeat(200)).subarray(0, 100), () => {}, 1006],
      ['between two fragments', clientFrame(0x01, 'x'), () => {}, 1006],
      ['in the middle of a ping', clientFrame(0x89, 'x'.repeat(100)).subarray(0, 50), () => {}, 1006],
      ['closing', Buffer.alloc(0), (connection) => connection.close(), 1006],
      ['closing by the peer', closeFrame(4000), () => {}, 4000],
      ['failed', Buffer.alloc(0), (connection) => connection.fail('handler', HANDLER_ERROR), 1006],
      ['with a message that nobody took', clientFrame(0x81, 'x'), () => {}, 1006],
    ];
    for (const [state, bytes, act, closeCode] of states) {
      for (const leave of ['end', 'destroy'] as const) {
        it(`is over when the peer leaves by ${leave}: ${state}`, async () => {
          const { connection, owner, client } = await open(makePair);
          const unawaited = connection.send('unawaited');
          client.write(bytes);
          await settle(5);
          act(connection);
          const pending = connection.receive(undefined, (data) => data);
          if (leave === 'end') client.end();
          else client.socket.destroy();
          const info = await soon('the end', connection.closed);
          assert.equal(info.code, closeCode);
          assert.equal(owner.closed.length, 1);
          const outcome = await pending.then(
            (data) => data,
            (error) => (error as Error).name,
          );
          assert.equal(outcome, state.startsWith('with a message') ? 'x' : 'ConnectionClosedError');
          await unawaited;
          await soon('flush', connection.flush());
          client.socket.destroy();
        });
      }
    }

    it('makes senders wait for a peer that does not read, and go on when it does', async () => {
      const { connection, client } = await open(makePair, { highWaterMarkBytes: 100_000 });
      client.socket.pause();
      let sent = 0;
      let done = false;
      const total = 1000;
      const sending = (async () => {
        for (; sent < total; sent++) await connection.send(Buffer.alloc(10_000, sent));
        done = true;
      })();
      let before = -1;
      while (sent !== before) {
        before = sent;
        await settle(20);
      }
      assert.ok(!done, 'the senders wait');
      assert.ok(connection.bufferedBytes <= 120_000, `${connection.bufferedBytes} bytes are held`);
      client.socket.resume();
      for (let i = 0; i < total; i++) {
        const message = (await client.receive()) as Buffer;
        assert.ok(message.length === 10_000 && message[0] === i % 256);
      }
      await soon('the senders', sending);
      await soon('flush', connection.flush());
      assert.equal(connection.bufferedBytes, 0);
    });

    it('lets go of senders that wait when the peer is cut', async () => {
      const { connection, client } = await open(makePair, { highWaterMarkBytes: 1 });
      client.socket.pause();
      const sends: Promise<void>[] = [];
      do sends.push(connection.send(Buffer.alloc(100_000)));
      while (connection.bufferedBytes < 5 * MIB);
      assert.ok(await isPending(sends.at(-1)!));
      const flushing = connection.flush();
      connection.destroy();
      await assert.rejects(sends.at(-1)!, ConnectionClosedError);
      await soon('flush', flushing);
    });

    it("drops messages above maxBackpressureBytes by the policy 'drop', and sends on when there is room", async () => {
      const limits = { maxBackpressureBytes: 200_000, backpressurePolicy: 'drop' } as const;
      const { connection, client } = await open(makePair, limits);
      client.socket.pause();
      for (let i = 0; i < 2000; i++) {
        void connection.send(Buffer.alloc(10_000));
        if (i % 50 === 0) await settle(1);
      }
      assert.ok(connection.bufferedBytes <= 220_000, `${connection.bufferedBytes} bytes are held`);
      client.socket.resume();
      await soon('flush', connection.flush());
      void connection.send('the last');
      let count = 0;
      for (let message = await client.receive(); message !== 'the last'; message = await client.receive()) count++;
      assert.ok(count > 0 && count < 2000, `${count} of 2000`);
    });

    it("cuts the connection above maxBackpressureBytes by the policy 'close'", async () => {
      const { connection, client } = await open(makePair, { maxBackpressureBytes: 200_000 });
      client.socket.pause();
      let error: unknown;
      for (let i = 0; error === undefined && i < 10_000; i++) {
        connection.send(Buffer.alloc(10_000)).catch((reason) => {
          error ??= reason;
        });
        if (connection.state !== 'open') await settle(1);
        assert.ok(connection.bufferedBytes <= 220_000);
        if (i % 50 === 0) await settle(1);
      }
      assert.ok(error instanceof LimitError, String(error));
      assert.equal(error.code, 'WS_ERR_BACKPRESSURE');
      assert.equal((await soon('the end', connection.closed)).code, 1006);
      await assert.rejects(async () => receive(connection), { code: 'WS_ERR_BACKPRESSURE' });
      client.socket.destroy();
    });

    it("keeps everything by the policy 'wait'", async () => {
      const { connection, client } = await open(makePair, { maxBackpressureBytes: 10_000, backpressurePolicy: 'wait' });
      client.socket.pause();
      for (let i = 0; i < 200; i++) void connection.send(Buffer.alloc(10_000, i));
      client.socket.resume();
      for (let i = 0; i < 200; i++) assert.equal(((await client.receive()) as Buffer)[0], i);
    });

    it('never has a rejection that nobody handles', async (t) => {
      const unhandled: unknown[] = [];
      const note = (error: unknown) => unhandled.push(error);
      process.on('unhandledRejection', note);
      t.after(() => process.off('unhandledRejection', note));
      const { connection, client } = await open(makePair, { maxBackpressureBytes: 100_000, highWaterMarkBytes: 1 });
      client.socket.pause();
      for (let i = 0; i < 5000 && connection.state === 'open'; i++) void connection.send(Buffer.alloc(10_000));
      for (let i = 0; i < 3; i++) {
        void connection.send('late');
        void connection.ping();
        void connection.ping(Buffer.alloc(126));
        connection.receive({ timeoutMs: 1 }, (data) => data);
      }
      await soon('the end', connection.closed);
      await settle(20);
      assert.deepEqual(unhandled, []);
      client.socket.destroy();
    });

    it('wakes senders that wait although more was sent meanwhile', async () => {
      const { connection, client } = await open(makePair, { highWaterMarkBytes: 1 });
      client.socket.pause();
      const waiting = connection.send('x'.repeat(5000));
      void connection.ping();
      process.nextTick(() => void connection.ping());
      client.socket.resume();
      await soon('the sender', waiting);
      assert.equal(((await client.receive()) as string).length, 5000);
    });

    it('flushes at once, and says when everything has left', async () => {
      const { connection, client } = await open(makePair);
      client.socket.pause();
      const total = 8 * MIB;
      for (let sent = 0; sent < total; sent += MIB) void connection.send(Buffer.alloc(MIB));
      const flushing = connection.flush();
      let left = false;
      void flushing.then(() => {
        left = true;
        assert.equal(connection.bufferedBytes, 0);
      });
      await settle(10);
      assert.equal(left, false);
      client.socket.resume();
      for (let sent = 0; sent < total; sent += MIB) await client.receive();
      await soon('flush', flushing);
    });

    it('answers pings, and measures its own', async () => {
      const { connection, client } = await open(makePair);
      client.ping('are you there');
      const pong = await client.readFrame();
      assert.deepEqual([pong?.opcode, pong?.payload.toString()], [10, 'are you there']);
      assert.equal(connection.latencyMs, undefined);
      const latency = connection.ping(Buffer.from('mine'));
      const ping = await client.readFrame();
      assert.deepEqual([ping?.opcode, ping?.payload.toString()], [9, 'mine']);
      client.write(clientFrame(0x8a, 'mine'));
      assert.ok((await soon('the pong', latency)) >= 0);
      assert.equal(connection.latencyMs, await latency);
      await assert.rejects(connection.ping(Buffer.from('other'), 1), TimeoutError);
      await assert.rejects(connection.ping(Buffer.alloc(126)), RangeError);
    });

    it('waits for a pong without a limit when told so', async () => {
      const { connection, client } = await open(makePair);
      for (const timeoutMs of [0, Number.POSITIVE_INFINITY, 1e12]) {
        const latency = connection.ping(Buffer.from('mine'), timeoutMs);
        assert.equal((await client.readFrame())?.opcode, 9);
        assert.ok(await isPending(latency));
        await new Promise((resolve) => setTimeout(resolve, 5));
        client.write(clientFrame(0x8a, 'mine'));
        await soon('the pong', latency);
      }
    });

    it('holds few pongs for a peer that floods it with pings and reads nothing, and the latest among them', async () => {
      const { connection, client } = await open(makePair);
      client.socket.pause();
      while (connection.bufferedBytes < MIB) void connection.send(Buffer.alloc(100_000));
      await settle(5);
      const before = connection.bufferedBytes;
      for (let i = 0; i < 20_000; i++) client.ping(`${i}`.padEnd(100));
      await settle(50);
      assert.ok(connection.bufferedBytes <= before + 200_000, `${connection.bufferedBytes - before} bytes of pongs`);
      client.ping('the latest');
      await settle(20);
      client.socket.resume();
      for (;;) {
        const frame = await client.readFrame();
        if (frame?.opcode === 10 && frame.payload.toString() === 'the latest') break;
        assert.ok(frame !== undefined);
      }
    });

    it('rejects a receive that times out, and loses nothing', async () => {
      const { connection, client } = await open(makePair);
      await assert.rejects(async () => connection.receive({ timeoutMs: 1 }, (data) => data), TimeoutError);
      client.send('later');
      assert.equal(await soon('a message', receive(connection)), 'later');
    });
  });
}

describe('Connection, what it writes and when', () => {
  for (const [name, makePair] of TRANSPORTS.slice(0, 2)) {
    it(`answers everything of one read in one write over ${name}`, async (t) => {
      // Within its share of the turn, that is: the clock stands still.
      t.mock.method(performance, 'now', () => 0);
      const { connection, owner, client, here } = await open(makePair);
      owner.take = (data) => {
        void connection.send(data);
        return true;
      };
      const counter = countWrites(here);
      let reads = 0;
      here.on('data', () => reads++);
      client.write(Buffer.concat([frames(100), clientFrame(0x89, 'ping')]));
      const received = await client.receiveAll(100);
      assert.equal(received.length, 100);
      assert.equal((await client.readFrame())?.opcode, 10);
      assert.ok(counter.writes <= Math.max(1, reads), `${counter.writes} writes for ${reads} reads`);
    });

    it(`sends everything of one turn in one write over ${name}, also across promises`, async () => {
      const { connection, client, here } = await open(makePair);
      const counter = countWrites(here);
      for (let i = 0; i < 100; i++) {
        void connection.send(`${i}`);
        if (i % 10 === 0) await Promise.resolve();
      }
      connection.close();
      assert.equal(counter.writes, 0, 'nothing is written before the turn has ended');
      await client.receiveAll(100);
      assert.equal((await client.receiveClose()).code, 1000);
      assert.equal(counter.writes, 1);
    });

    it(`sends large messages by reference, in one write with the small ones around them, over ${name}`, async () => {
      const { connection, client, here } = await open(makePair);
      const counter = countWrites(here);
      const large = Buffer.alloc(20 * KIB, 'x');
      const small = Buffer.alloc(100, 'y');
      void connection.send('first');
      void connection.send(large);
      void connection.send(small);
      assert.deepEqual(await client.receiveAll(3), ['first', large, small]);
      assert.equal(counter.writes, 1);
      assert.ok(counter.chunks.includes(large), 'the buffer itself is written');
      assert.ok(!counter.chunks.includes(small), 'a small one is copied');
    });
  }

  it('copies small messages: they may change once they are sent', async () => {
    const { connection, client } = await open(tcpPair);
    const data = Buffer.from('before');
    void connection.send(data);
    data.fill('x');
    assert.deepEqual(await client.receive(), Buffer.from('before'));
  });

  it('gives each message a buffer of its own, which is never written to again', async () => {
    for (const [, makePair] of TRANSPORTS) {
      const { connection, client } = await open(makePair);
      const sent = Array.from({ length: 100 }, (_, i) => Buffer.alloc(i * 10, i));
      const received: Buffer[] = [];
      for (const data of sent) {
        client.send(data);
        received.push((await soon('a message', receive(connection))) as Buffer);
      }
      assert.deepEqual(received, sent);
      // Node cuts small buffers from a pool.
      const pool = Buffer.from('x').buffer.byteLength;
      for (const data of received) {
        assert.ok(data.buffer.byteLength <= Math.max(64 * KIB, pool), 'and pins no large memory');
      }
    }
  });

  it('does not change the chunks of whoever feeds a foreign Duplex', async () => {
    const [here, there] = duplexPair();
    const connection = new Connection(here, 'server', CONNECTION_LIMITS);
    const head = clientFrame(0x81, 'head');
    const chunk = clientFrame(0x82, 'chunk'.repeat(100));
    const copies = [Buffer.from(head), Buffer.from(chunk)];
    connection.start(new TestOwner(), head);
    there.write(chunk);
    assert.equal(await soon('a message', receive(connection)), 'head');
    assert.deepEqual(await soon('a message', receive(connection)), Buffer.from('chunk'.repeat(100)));
    assert.deepEqual([head, chunk], copies);
    connection.destroy();
    there.destroy();
  });

  it('survives a Duplex that fails in every way', async () => {
    const fail = (where: string) =>
      new Duplex({
        read() {
          if (where === 'read') this.destroy(new Error('read'));
        },
        write(_chunk, _encoding, done) {
          done(where === 'write' ? new Error('write') : null);
        },
        final(done) {
          done(where === 'final' ? new Error('final') : null);
        },
        destroy(error, done) {
          done(where === 'destroy' ? new Error('destroy') : error);
        },
      });
    for (const where of ['read', 'write', 'final', 'destroy']) {
      const connection = new Connection(fail(where), 'server', { ...CONNECTION_LIMITS, closeTimeoutMs: 1 });
      const owner = new TestOwner();
      connection.start(owner);
      void connection.send('x');
      connection.close();
      await soon(`the end by ${where}`, connection.closed);
      assert.equal(owner.closed.length, 1);
    }
  });

  it('goes on reading in pieces when the owner pauses it again and again', async () => {
    const { connection, client } = await open(tcpPair, { maxQueuedMessages: 1 });
    client.write(Buffer.concat([frames(200), closeFrame(1000)]));
    for (let i = 0; i < 200; i++) assert.equal(await soon('a message', receive(connection)), String(i));
    await assert.rejects(async () => receive(connection), { closeCode: 1000 });
  });
});

describe('Connection, as a client', () => {
  for (const [name, makePair] of TRANSPORTS) {
    it(`talks to one of a server over ${name}: masks, and lets the server end first (§7.1.1)`, async () => {
      const [here, there] = await makePair();
      const server = new Connection(here, 'server', CONNECTION_LIMITS);
      const client = new Connection(there, 'client', CONNECTION_LIMITS);
      onCleanUp(() => there.destroy());
      const echo = new TestOwner();
      echo.take = (data) => {
        void server.send(data);
        return true;
      };
      server.start(echo);
      client.start(undefined);
      for (const data of ['text', Buffer.of(1, 2, 3), 'x'.repeat(100_000), Buffer.alloc(100_000, 9)]) {
        void client.send(data);
        assert.deepEqual(await soon('an echo', receive(client)), data);
      }
      assert.ok((await soon('a pong', client.ping())) >= 0);
      client.close(4000, 'done');
      assert.deepEqual(infoOf(await soon('the end', client.closed)), { code: 4000, reason: '', wasClean: true });
      assert.deepEqual(infoOf(await soon('the end', server.closed)), { code: 4000, reason: 'done', wasClean: true });
    });
  }

  it('is closed by a reset in the middle of a frame, on both ends', async () => {
    const [here, there] = await tcpPair();
    const connection = new Connection(here, 'server', CONNECTION_LIMITS);
    connection.start(undefined);
    const client = new WsClient(there);
    client.write(clientFrame(0x81, 'x'.repeat(1000)).subarray(0, 500));
    await until('the first half', () => connection.receivedBytes > 0);
    client.reset();
    assert.equal((await soon('the end', connection.closed)).code, 1006);
  });

  it('is closed by a reset in the middle of a closing handshake', async () => {
    const { connection, client } = await open(tcpPair);
    connection.close(1000);
    assert.equal((await client.readFrame())?.opcode, 8);
    client.reset();
    assert.equal((await soon('the end', connection.closed)).code, 1006);
  });
});
