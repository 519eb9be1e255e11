import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { Connection } from '../../lib/net/connection.ts';
import type { ConnectionLimits } from '../../lib/net/limits.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import type { Compressed, Decompressed, MessageCompression } from '../../lib/protocol/compression.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, infoOf, type Pair, receive, TestOwner, TRANSPORTS } from '../support/connections.ts';
import { countByTurn, type Deferred, defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, WsClient } from '../support/ws-client.ts';

// What ends a connection comes in the midst of something else: of messages that are being compressed or decompressed, of a
// full queue, of a read.

afterEach(cleanUp);

/** Compresses nothing, and takes its time for that, as well as for what it decompresses. */
class SlowCompression implements MessageCompression {
  readonly #pending: Deferred[] = [];

  async compress(): Promise<Compressed> {
    await this.#wait();
    return undefined;
  }

  async decompress(isText: boolean, bytes: Buffer, start: number, end: number): Promise<Decompressed> {
    const payload = Buffer.from(bytes.subarray(start, end));
    await this.#wait();
    return isText ? payload.toString() : payload;
  }

  close(): void {}

  get pending(): number {
    return this.#pending.length;
  }

  /** Ends what is pending, and what is behind it. */
  async finish(): Promise<void> {
    while (this.#pending.length > 0) {
      this.#pending.shift()!.resolve();
      await settle(1);
    }
  }

  #wait(): Promise<void> {
    const deferred = defer();
    this.#pending.push(deferred);
    return deferred.promise;
  }
}

async function open(makePair: () => Promise<Pair>, limits: Partial<ConnectionLimits> = {}) {
  const [here, there] = await makePair();
  const compression = new SlowCompression();
  const owner = new TestOwner();
  const connection = new Connection(here, 'server', { ...CONNECTION_LIMITS, ...limits }, '', compression);
  const client = new WsClient(there);
  connection.start(owner);
  onCleanUp(() => connection.destroy());
  return { connection, owner, client, compression };
}

/** Waits until the wheel has turned for so long. */
async function passTurns(count: number): Promise<void> {
  const { now } = timerWheel;
  await until('ticks', () => timerWheel.now > now + count);
}

for (const [name, makePair] of TRANSPORTS) {
  describe(`the end of a connection over ${name}, while messages are being compressed`, () => {
    for (const behind of ['nothing', 'FIN'] as const) {
      it(`comes behind them, after the peer's Close frame and ${behind}, and no heartbeat goes out`, async () => {
        const { connection, client, compression } = await open(makePair, {
          heartbeatIntervalMs: 50,
          closeTimeoutMs: 100,
        });
        for (const text of ['a', 'b', 'c']) void connection.send(text);
        client.close(4000);
        if (behind === 'FIN') client.end();
        await until('the Close frame', () => connection.state === 'closing');
        // Past heartbeats, and the time to close: it is not the peer that is slow.
        await passTurns(6);
        assert.equal(compression.pending, 1);
        await compression.finish();
        assert.deepEqual(await client.receiveAll(3), ['a', 'b', 'c']);
        assert.deepEqual(await client.receiveClose(false), { code: 4000, reason: '' });
        client.end();
        assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 4000, reason: '', wasClean: true });
      });
    }

    it('comes behind them after a FIN alone', async () => {
      const { connection, client, compression } = await open(makePair);
      for (const text of ['a', 'b']) void connection.send(text);
      client.end();
      await until('the FIN', () => connection.isFinished);
      await assert.rejects(connection.send('late'), { code: 'WS_ERR_CONNECTION_CLOSED' });
      await compression.finish();
      assert.deepEqual(await client.receiveAll(2), ['a', 'b']);
      await client.waitForEnd();
      assert.equal((await soon('the end', connection.closed)).code, 1006);
    });
  });

  describe(`the end of a connection over ${name}, behind messages that wait`, () => {
    it('is told behind all of them, when they are decompressed and the queue is full', async () => {
      const { connection, client, compression } = await open(makePair, { maxQueuedMessages: 2 });
      const messages = Array.from({ length: 10 }, (_, i) => `message ${i}`);
      const frames = messages.map((text, i) => clientFrame(i % 2 === 0 ? 0xc1 : 0x81, text));
      client.write(Buffer.concat(frames)).end();
      const got: unknown[] = [];
      const all = (async () => {
        for (;;) got.push(await receive(connection));
      })();
      all.catch(() => {});
      await until('all', () => {
        void compression.finish();
        return got.length === messages.length;
      });
      assert.deepEqual(got, messages);
      await assert.rejects(all, { code: 'WS_ERR_CONNECTION_CLOSED' });
      assert.equal((await soon('the end', connection.closed)).code, 1006);
    });
  });

  describe(`bytes that are transferred, over ${name}`, () => {
    for (const when of ['while they wait to be compressed', 'before they are written'] as const) {
      it(`end the connection that they were sent to, and no other: ${when}`, async (t) => {
        const warned = t.mock.method(process, 'emitWarning', () => {});
        const [{ connection, client, compression }, other] = [await open(makePair), await open(makePair)];
        const bytes = new Uint8Array(50_000);
        const compress = when === 'before they are written' ? false : undefined;
        void connection.send('first', false);
        if (compress === undefined) void connection.send('slow');
        void connection.send(bytes, compress);
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        void other.connection.send('other', false);
        await until('the end', () => {
          void compression.finish();
          return connection.state !== 'open' || client.ended;
        });
        if (compress === undefined) {
          assert.deepEqual(await client.receiveAll(2), ['first', 'slow']);
          assert.equal((await client.receiveClose(false)).code, 1011);
          client.end();
        }
        assert.equal((await soon('the end', connection.closed)).code, 1006);
        assert.equal(await other.client.receive(), 'other');
        assert.equal(other.connection.state, 'open');
        assert.equal(warned.mock.callCount(), 1);
        await assert.rejects(async () => receive(connection), { code: 'WS_ERR_MESSAGE_CHANGED' });
      });
    }
  });
}

for (const [name, makePair] of TRANSPORTS) {
  describe(`waiting for a Pong over ${name}`, () => {
    it('ends with the Close frame of the peer, behind which none comes', async () => {
      const { connection, client } = await open(makePair);
      const pong = connection.ping();
      client.close(4000);
      await assert.rejects(async () => soon('the end', pong), { code: 'WS_ERR_CONNECTION_CLOSED', closeCode: 4000 });
    });

    it('ends at a heartbeat when the Pong is not read, since the queue is full', async () => {
      const { connection, client } = await open(makePair, { maxQueuedMessages: 2, heartbeatIntervalMs: 50 });
      client.write(Buffer.concat(['1', '2', '3'].map((text) => clientFrame(0x81, text))));
      await until('a full queue', () => connection.isPaused);
      const pong = connection.ping();
      await assert.rejects(async () => soon('the end', pong), { code: 'WS_ERR_TIMEOUT' });
      assert.equal(connection.state, 'open');
    });
  });

  describe(`a connection over ${name} that is cut`, () => {
    it('is closed at once for whoever uses it, and its end is told later', async () => {
      const { connection, owner } = await open(makePair);
      const message = receive(connection);
      connection.destroy();
      assert.deepEqual([connection.state, connection.isFinished, owner.closed], ['closed', true, []]);
      await assert.rejects(connection.send('late'), { code: 'WS_ERR_CONNECTION_CLOSED' });
      await assert.rejects(async () => soon('the end', message), { code: 'WS_ERR_CONNECTION_CLOSED' });
      assert.equal((await soon('the end', connection.closed)).code, 1006);
    });

    it('has no heartbeat any more, though a message is still being decompressed', async () => {
      const { connection, client, compression } = await open(makePair, { heartbeatIntervalMs: 50 });
      // Has the wheel turn on.
      await open(makePair, { heartbeatIntervalMs: 60_000 });
      client.write(clientFrame(0xc1, 'x'));
      await until('the message', () => compression.pending === 1);
      connection.destroy();
      await passTurns(4);
      await compression.finish();
      assert.equal((await soon('the end', connection.closed)).code, 1006);
    });

    it('is not clean when the Close frame of this side never left', async () => {
      const { connection, client } = await open(makePair);
      void connection.send('slow');
      client.close(4000);
      await until('the Close frame', () => connection.state === 'closing');
      connection.destroy();
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 4000, reason: '', wasClean: false });
    });
  });

  describe(`a connection over ${name} that this side closes`, () => {
    it('has no gap in what is received: behind a message for which there is no room there is none', async () => {
      const { connection, client } = await open(makePair, { maxQueuedMessages: 2 });
      connection.close(1000);
      const texts = Array.from({ length: 20 }, (_, i) => String(i));
      client.write(Buffer.concat(texts.slice(0, 10).map((text) => clientFrame(0x81, text))));
      await until('a full queue', () => connection.queuedMessages === 2);
      const got = [await receive(connection), await receive(connection)];
      client.write(Buffer.concat([...texts.slice(10).map((text) => clientFrame(0x81, text)), closeFrame(1000)]));
      await assert.rejects(async () => soon('the end', receive(connection)), { code: 'WS_ERR_CONNECTION_CLOSED' });
      assert.deepEqual(got, ['0', '1']);
    });
  });
}

for (const [name, makePair] of TRANSPORTS) {
  describe(`a peer over ${name} that leaves while its messages are decompressed`, () => {
    it('has no more of them decompressed than may wait', async () => {
      for (const end of ['FIN', 'destroy'] as const) {
        const { connection, client, compression } = await open(makePair, { maxQueuedMessages: 2 });
        client.write(Buffer.concat(Array.from({ length: 50 }, () => clientFrame(0xc1, 'x'))));
        await until('the first', () => compression.pending === 1);
        if (end === 'FIN') client.end();
        else client.socket.destroy();
        for (let i = 0; i < 20; i++) await compression.finish();
        await settle(20);
        for (let i = 0; i < 20; i++) await compression.finish();
        assert.ok(connection.queuedMessages <= 3, `${end}: ${connection.queuedMessages} messages wait`);
      }
    });
  });

  describe(`a peer over ${name} that floods`, () => {
    it('has some hundred messages read in a turn of the event loop, whole and in order', async () => {
      const { owner, client } = await open(makePair);
      const turns = countByTurn();
      let count = 0;
      owner.take = (data) => {
        assert.equal(Number(data), count++);
        turns.count();
        return true;
      };
      client.write(Buffer.concat(Array.from({ length: 20_000 }, (_, i) => clientFrame(0x81, String(i)))));
      await until('all', () => count === 20_000);
      turns.stop();
      // What was left to the turn, and what a read brought in the same.
      assert.ok(turns.most() <= 2 * 512, `${turns.most()} in a turn`);
    });
  });
}

describe('a stream that brings what comes next while it is written to', () => {
  /** What is written at one end is read at the other before `write` returns. */
  function synchronousPair(): Pair {
    class End extends Duplex {
      other: End | undefined;

      override _read(): void {}

      override _write(chunk: Buffer, _encoding: string, done: () => void): void {
        done();
        this.other!.push(chunk);
      }

      override _final(done: () => void): void {
        this.other!.push(null);
        done();
      }
    }
    const [here, there] = [new End(), new End()];
    here.other = there;
    there.other = here;
    return [here, there];
  }

  for (const cut of [0, 3]) {
    it(`has it read behind what is being read, and the end behind that; cut at ${cut}`, async () => {
      const [here, there] = synchronousPair();
      const owner = new TestOwner();
      const connection = new Connection(here, 'server', CONNECTION_LIMITS);
      onCleanUp(() => connection.destroy());
      const got: unknown[] = [];
      owner.take = (data) => {
        got.push(data);
        void connection.send(`ack ${data}`);
        void connection.flush();
        return true;
      };
      const answers = Buffer.concat([clientFrame(0x81, '4'), clientFrame(0x81, '5'), closeFrame(4000)]);
      there.once('data', () => {
        if (cut > 0) there.write(answers.subarray(0, cut));
        there.end(answers.subarray(cut));
      });
      connection.start(owner);
      there.write(Buffer.concat(['1', '2', '3'].map((text) => clientFrame(0x81, text))));
      assert.equal((await soon('the end', connection.closed)).code, 4000);
      assert.deepEqual(got, ['1', '2', '3', '4', '5']);
    });
  }

  it('is asked for no more meanwhile', async () => {
    const piece = clientFrame(0x81, 'more');
    let left = 1000;
    const stream: Duplex = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        // As long as it is asked for more.
        while (left > 0) {
          left--;
          if (!stream.push(piece)) break;
        }
        done();
      },
    });
    const owner = new TestOwner();
    const connection = new Connection(stream, 'server', CONNECTION_LIMITS);
    onCleanUp(() => connection.destroy());
    let got = 0;
    let most = 0;
    owner.take = () => {
      got++;
      void connection.send('answer');
      void connection.flush();
      most = Math.max(most, connection.receivedBytes);
      return true;
    };
    connection.start(owner);
    stream.push(piece);
    await until('all', () => got === 1001);
    assert.equal(most, piece.length);
  });
});
