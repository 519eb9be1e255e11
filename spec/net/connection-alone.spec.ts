import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError, InvalidStateError, LimitError, ProtocolError } from '../../lib/errors.ts';
import { Connection, type ConnectionOwner } from '../../lib/net/connection.ts';
import type { ServerConnection } from '../../lib/server/connections.ts';
import type { ConnectionLimits } from '../../lib/net/limits.ts';
import type { Compressed, Decompressed, MessageCompression } from '../../lib/protocol/compression.ts';
import type { CloseInfo, Role } from '../../lib/protocol/events.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, HANDLER_ERROR, infoOf, tcpPair, TestOwner } from '../support/connections.ts';
import { holdWheel, pass, TICK_MS } from '../support/held-wheel.ts';
import { settle, soon } from '../support/watchdog.ts';
import { clientFrame, closeFrame } from '../support/ws-client.ts';

holdWheel();

/** A stream whose other end is the spec: what is pushed is read at once, and what is written leaves when it says so. */
class Line extends Duplex {
  /** Whether what is written stays. */
  holds = false;
  hasEnded = false;
  onWrite: (() => void) | undefined;
  readonly #chunks: Buffer[] = [];
  #held: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1000 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk));
    this.onWrite?.();
    if (this.holds) this.#held = done;
    else done();
  }

  override _final(done: () => void): void {
    this.hasEnded = true;
    done();
  }

  /** Lets what was written leave. */
  let(): void {
    this.holds = false;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  /** The frames that were written since it was last asked: opcode and payload, of a Close frame its code and reason. */
  frames(): string[] {
    let bytes = Buffer.concat(this.#chunks.splice(0));
    const frames: string[] = [];
    while (bytes.length > 0) {
      const isMasked = (bytes[1]! & 0x80) !== 0;
      let length = bytes[1]! & 0x7f;
      let start = 2;
      if (length === 126) [length, start] = [bytes.readUInt16BE(2), 4];
      else if (length === 127) [length, start] = [Number(bytes.readBigUInt64BE(2)), 10];
      const key = isMasked ? bytes.subarray(start, start + 4) : Buffer.alloc(4);
      if (isMasked) start += 4;
      const payload = Buffer.from(bytes.subarray(start, start + length)).map((byte, i) => byte ^ key[i & 3]!);
      const opcode = bytes[0]! & 0x0f;
      const text = Buffer.from(payload).toString();
      frames.push(
        opcode === 8 && length > 1 ? `8 ${Buffer.from(payload).readUInt16BE()} ${text.slice(2)}` : `${opcode} ${text}`,
      );
      bytes = bytes.subarray(start + length);
    }
    return frames;
  }
}

/** Looks after a connection as it is told to, and writes down what it is told. */
class Owner implements ConnectionOwner {
  readonly shown = {} as ServerConnection;
  isBusy = false;
  isHandling = false;
  readonly told: string[] = [];
  /** Whether it takes messages, and bytes that are lent. */
  takes = false;
  borrows = false;
  onMessage: ((data: string | Buffer) => void) | undefined;

  takeMessage(data: string | Buffer): boolean {
    this.told.push(`message ${data}`);
    this.onMessage?.(data);
    return this.takes;
  }

  takeLent(bytes: Buffer, start: number, end: number): boolean {
    this.told.push(`lent ${bytes.toString('latin1', start, end)}`);
    return this.borrows;
  }

  onDestroyed(): void {
    this.told.push('destroyed');
  }

  onConnectionClosed({ code, reason, wasClean }: CloseInfo): void {
    this.told.push(`closed ${code} ${reason}${wasClean ? ' clean' : ''}`);
  }
}

/** Compresses to what it was, and takes its time, for both ways. */
class Slow implements MessageCompression {
  readonly asked: boolean[] = [];
  #pending: (() => void)[] = [];

  compress(data: string | Uint8Array, always: boolean): Promise<Compressed> {
    this.asked.push(always);
    return this.#later(always ? Buffer.from(data as Uint8Array) : undefined);
  }

  decompress(_isText: boolean, bytes: Buffer, start: number, end: number): Promise<Decompressed> {
    return this.#later(bytes.toString('latin1', start, end));
  }

  close(): void {}

  async finish(): Promise<void> {
    for (const done of this.#pending.splice(0)) done();
    await settle(2);
  }

  #later<T>(result: T): Promise<T> {
    return new Promise((resolve) => {
      this.#pending.push(() => resolve(result));
    });
  }
}

interface Alone {
  readonly line: Line;
  readonly owner: Owner;
  readonly connection: Connection;
}

async function start(
  limits: Partial<ConnectionLimits> = {},
  { role = 'server', compression }: { readonly role?: Role; readonly compression?: MessageCompression } = {},
): Promise<Alone> {
  const line = new Line();
  const owner = new Owner();
  const connection = new Connection(line, role, { ...CONNECTION_LIMITS, ...limits }, 'chat', compression);
  connection.start(owner);
  onCleanUp(() => line.destroy());
  // Then it reads: what is pushed comes at once.
  await settle(1);
  return { line, owner, connection };
}

function text(payload: string): Buffer {
  return clientFrame(0x81, payload);
}

function receive(connection: Connection): Promise<string | Buffer> {
  return connection.receive(undefined, (data) => data).then();
}

/** What has become of a promise by now. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  let found = 'pending';
  promise.then(
    (value) => {
      found = `${value}`;
    },
    (error) => {
      found = (error as Error).name;
    },
  );
  await settle(1);
  return found;
}

describe('Connection, alone', () => {
  afterEach(cleanUp);

  it('is open, and nothing has been said', async () => {
    const { connection } = await start();
    const { state, subprotocol, isFinished, canSend, isClosing, hasTaken, hasReceivers } = connection;
    assert.deepEqual([state, subprotocol, isFinished, canSend], ['open', 'chat', false, true]);
    assert.deepEqual([isClosing, hasTaken, hasReceivers], [false, false, false]);
    const { bufferedBytes, receivedBytes, queuedMessages, latencyMs, isPaused, hasUnsent, leftBytes } = connection;
    assert.deepEqual([bufferedBytes, receivedBytes, queuedMessages, leftBytes], [0, 0, 0, 0]);
    assert.deepEqual([latencyMs, isPaused, hasUnsent, connection.tryTake()], [undefined, false, false, undefined]);
    assert.equal(new Connection(new Line(), 'server', CONNECTION_LIMITS).subprotocol, '');
  });

  it('offers a message to its owner first, and keeps what that does not take', async () => {
    const { line, owner, connection } = await start();
    owner.takes = true;
    line.push(text('one'));
    assert.deepEqual([owner.told, connection.queuedMessages], [['message one'], 0]);
    owner.takes = false;
    line.push(text('two'));
    assert.deepEqual([connection.queuedMessages, connection.receivedBytes, connection.hasTaken], [1, 3, false]);
    assert.equal(connection.tryTake(), 'two');
    assert.deepEqual([connection.queuedMessages, connection.receivedBytes, connection.hasTaken], [0, 0, true]);
    const receiving = receive(connection);
    assert.equal(connection.hasReceivers, true);
    line.push(text('three'));
    assert.equal(await receiving, 'three');
    assert.equal(connection.hasReceivers, false);
  });

  it('lends a binary message, and tells of it otherwise where nobody borrows', async () => {
    const { line, owner } = await start();
    owner.borrows = true;
    line.push(clientFrame(0x82, 'one'));
    owner.borrows = false;
    owner.takes = true;
    line.push(clientFrame(0x82, 'two'));
    assert.deepEqual(owner.told, ['lent one', 'lent two', 'message two']);
  });

  it('needs nobody to look after it', async () => {
    const line = new Line();
    const connection = new Connection(line, 'server', CONNECTION_LIMITS);
    connection.start(undefined, Buffer.concat([text('head'), clientFrame(0x82, 'bytes')]));
    assert.deepEqual([connection.tryTake(), connection.tryTake()], ['head', Buffer.from('bytes')]);
    connection.onHandled();
    await settle(1);
    line.push(clientFrame(0x89, 'there?'));
    assert.deepEqual(line.frames(), ['10 there?'], 'at once');
    line.push(closeFrame(4000));
    line.push(null);
    assert.equal((await soon('the end', connection.closed)).code, 4000);
    const other = new Connection(new Line(), 'server', CONNECTION_LIMITS);
    other.start(undefined);
    other.destroy();
    assert.equal((await soon('the end', other.closed)).code, 1006);
  });

  it('tells an owner that borrows nothing of binary messages as of all others', async () => {
    const line = new Line();
    const connection = new Connection(line, 'server', CONNECTION_LIMITS);
    const owner = new TestOwner();
    connection.start(owner, clientFrame(0x82, 'bytes'));
    assert.deepEqual(connection.tryTake(), Buffer.from('bytes'));
    connection.destroy();
  });

  it('counts what has come and was not handed to anybody, wherever it is', async () => {
    const { line, connection } = await start({ maxQueuedMessages: 1 });
    line.push(text('123'));
    assert.deepEqual([connection.isPaused, connection.mustPause, line.isPaused()], [true, true, true]);
    // Two frames that wait behind the full queue, of 7 and 8 bytes.
    line.emit('data', text('4'));
    line.emit('data', text('56'));
    assert.equal(connection.receivedBytes, 18);
    assert.equal(await receive(connection), '123');
    await settle(1);
    assert.deepEqual([connection.receivedBytes, connection.isPaused], [1 + 8, true]);
    assert.deepEqual([await receive(connection), await receive(connection)], ['4', '56']);
    await settle(2);
    assert.deepEqual([connection.isPaused, line.isPaused(), connection.receivedBytes], [false, false, 0]);
    line.push(text('half').subarray(0, 8));
    assert.ok(connection.receivedBytes > 0);
  });

  it('reads what comes in the midst of a read behind that', async () => {
    const { line, owner } = await start();
    let isFirst = true;
    owner.takes = true;
    owner.onMessage = () => {
      if (isFirst) line.emit('data', text('three'));
      isFirst = false;
    };
    line.push(Buffer.concat([text('one'), text('two')]));
    assert.deepEqual(owner.told, ['message one', 'message two', 'message three']);
  });

  it('tells of an end that comes in the midst of a read behind the messages in it', async () => {
    const { line, owner, connection } = await start();
    owner.takes = true;
    owner.onMessage = () => {
      line.emit('end');
      line.emit('close');
    };
    line.push(Buffer.concat([text('one'), text('two')]));
    assert.deepEqual(owner.told, ['message one', 'message two', 'closed 1006 ']);
    assert.equal(connection.state, 'closed');
  });

  it('tells of an end behind what waits for a full queue', async () => {
    const { line, owner, connection } = await start({ maxQueuedMessages: 1 });
    line.push(Buffer.concat([text('one'), text('two')]));
    line.emit('end');
    assert.deepEqual([connection.state, connection.isFinished], ['open', false]);
    assert.equal(await receive(connection), 'one');
    await settle(2);
    assert.equal(connection.isFinished, false);
    assert.equal(await receive(connection), 'two');
    await settle(2);
    assert.deepEqual([connection.isFinished, line.hasEnded], [true, true]);
    assert.deepEqual(owner.told, ['message one', 'message two']);
  });

  it('ends its side when the peer has ended its own, also one of a client', async () => {
    for (const role of ['server', 'client'] as const) {
      const { line, connection } = await start({}, { role });
      void connection.send('last');
      line.push(null);
      await settle(3);
      assert.deepEqual([line.hasEnded, line.frames()], [true, ['1 last']]);
      assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 1006, reason: '', wasClean: false });
    }
  });

  it('lets the other side end first where it is the client, unless that broke the protocol (§7.1.1)', async () => {
    const close = Buffer.of(0x88, 2, 0x03, 0xe8);
    for (const [bytes, hasEnded] of [
      [close, false],
      [Buffer.of(0xf1, 0), true],
    ] as const) {
      const { line, connection } = await start({}, { role: 'client' });
      line.push(bytes);
      await settle(2);
      assert.deepEqual([line.hasEnded, connection.isFinished], [hasEnded, true]);
    }
    const { line } = await start();
    line.push(closeFrame(1000));
    await settle(2);
    assert.equal(line.hasEnded, true);
  });

  it('answers a Close frame behind the handlers of what came before', async () => {
    const { line, owner, connection } = await start();
    owner.isHandling = true;
    line.push(closeFrame(4000, 'bye'));
    connection.onHandled();
    await settle(1);
    assert.deepEqual([line.frames(), connection.canSend, connection.isFinished], [[], true, true]);
    assert.deepEqual([connection.state, connection.isClosing], ['closing', false]);
    void connection.send('late');
    owner.isHandling = false;
    connection.onHandled();
    await settle(1);
    assert.deepEqual(line.frames(), ['1 late', '8 4000 ']);
    connection.onHandled();
  });

  it('answers a Close frame when somebody asks for more than there is', async () => {
    const { line, owner, connection } = await start();
    owner.isHandling = true;
    line.push(Buffer.concat([text('one'), closeFrame(4000)]));
    assert.equal(await receive(connection), 'one');
    await settle(1);
    assert.deepEqual(line.frames(), [], 'what was there may be being handled');
    await assert.rejects(receive(connection), ConnectionClosedError);
    await settle(1);
    assert.deepEqual(line.frames(), ['8 4000 ']);
  });

  it('answers a Close frame late, if its time is over, and gives the peer its own', async () => {
    const { line, owner, connection } = await start({ closeTimeoutMs: 2 * TICK_MS });
    owner.isHandling = true;
    line.push(closeFrame(4000));
    pass(2);
    await settle(1);
    assert.deepEqual([line.frames(), line.hasEnded, line.destroyed], [['8 4000 '], true, false]);
    pass(1);
    assert.equal(line.destroyed, false);
    pass(1);
    assert.equal(line.destroyed, true);
    assert.equal((await soon('the end', connection.closed)).code, 4000);
  });

  it('gives the peer its time to close from when it is answered', async () => {
    const { line, owner, connection } = await start({ closeTimeoutMs: 4 * TICK_MS });
    owner.isHandling = true;
    line.push(closeFrame(4000));
    pass(3);
    owner.isHandling = false;
    connection.onHandled();
    pass(3);
    assert.equal(line.destroyed, false);
    pass(1);
    assert.equal(line.destroyed, true);
  });

  it('closes with 1000 and no reason unless told otherwise, and cuts who does not answer', async () => {
    const { line, owner, connection } = await start({ closeTimeoutMs: 2 * TICK_MS });
    connection.close();
    assert.deepEqual([connection.state, connection.isClosing, connection.isFinished], ['closing', true, false]);
    await settle(1);
    assert.deepEqual([line.frames(), line.hasEnded], [['8 1000 '], false]);
    pass(1);
    assert.equal(line.destroyed, false);
    pass(1);
    assert.equal(line.destroyed, true);
    await settle(2);
    assert.deepEqual(owner.told, ['closed 1006 ']);
  });

  it('keeps of what comes while it is closing as much as it may, and nothing behind a gap', async () => {
    const { line, connection } = await start({ maxQueuedMessages: 2 });
    connection.close(4001, 'bye');
    line.push(Buffer.concat([text('1'), text('2'), text('3')]));
    assert.deepEqual([connection.queuedMessages, connection.mustPause, connection.isPaused], [2, false, false]);
    assert.equal(await receive(connection), '1');
    line.push(text('4'));
    assert.equal(connection.queuedMessages, 1);
    line.push(closeFrame(4001));
    line.push(null);
    await settle(2);
    assert.deepEqual(line.frames(), ['8 4001 bye']);
    assert.deepEqual(infoOf(await soon('the end', connection.closed)), { code: 4001, reason: '', wasClean: true });
    assert.equal(await receive(connection), '2');
    await assert.rejects(receive(connection), ConnectionClosedError);
  });

  it('reads on behind a full queue once it is closing', async () => {
    const { line, connection } = await start({ maxQueuedMessages: 1 });
    line.push(Buffer.concat([text('1'), text('2'), closeFrame(1000)]));
    assert.equal(connection.isFinished, false);
    connection.close();
    await settle(2);
    assert.equal(connection.isFinished, true);
    assert.deepEqual(line.frames(), ['8 1000 ']);
  });

  it('throws away what comes behind its end', async () => {
    const { line, owner, connection } = await start();
    owner.takes = true;
    line.push(closeFrame(1000));
    line.emit('data', text('late'));
    assert.deepEqual([owner.told, connection.receivedBytes], [[], 0]);
  });

  it('reads on and throws away, once it has failed, what waits for a full queue', async () => {
    const { line, connection } = await start({ maxQueuedMessages: 1 });
    line.push(text('one'));
    assert.equal(line.isPaused(), true);
    connection.fail('handler', HANDLER_ERROR);
    assert.equal(line.isPaused(), false);
    line.push(text('late'));
    await settle(1);
    assert.deepEqual([connection.queuedMessages, connection.receivedBytes], [1, 3]);
  });

  it('fails with 1011, and its owner is told once', async () => {
    const { line, owner, connection } = await start();
    connection.fail('handler', HANDLER_ERROR);
    await settle(3);
    assert.deepEqual([line.frames(), line.hasEnded], [['8 1011 '], true]);
    line.push(null);
    await settle(3);
    line.emit('close');
    assert.deepEqual(owner.told, ['closed 1006 ']);
  });

  it('knows by which errors it tells of its end', async () => {
    const { line, connection } = await start();
    const closed = new ConnectionClosedError(1000, '');
    assert.equal(connection.isEndedBy(closed), false, 'that of another connection');
    assert.equal(connection.isEndedBy(undefined), false);
    const receiving = receive(connection);
    line.push(Buffer.of(0xf1, 0));
    const error = await receiving.catch((reason) => reason);
    assert.ok(error instanceof ProtocolError);
    assert.equal(connection.isEndedBy(error), true);
    assert.equal(connection.isEndedBy(new Error()), false);
    assert.equal(connection.isEndedBy(closed), true);
    assert.equal(connection.isEndedBy(undefined), false);
    assert.equal(await receive(connection).catch((reason) => reason), error, 'also of whoever asks later');
  });

  it('resolves with how it ended, whenever it is asked, and by the same promise', async () => {
    const { line, connection } = await start();
    const before = connection.closed;
    assert.equal(connection.closed, before);
    assert.equal(await outcome(before), 'pending');
    line.push(closeFrame(4000, 'bye'));
    assert.equal(await outcome(before), 'pending');
    line.push(null);
    await settle(2);
    assert.equal(await outcome(before), '[object Object]');
    const info = { code: 4000, reason: 'bye', wasClean: true };
    assert.deepEqual(infoOf(await before), info);
    assert.equal(await soon('the end', connection.closed), await before);
    const late = await start();
    late.line.push(closeFrame(4000, 'bye'));
    late.line.push(null);
    await settle(3);
    assert.deepEqual(infoOf(await soon('the end', late.connection.closed)), info);
  });

  it('is cut at once, and loses what has not left', async () => {
    for (const [holds, ending] of [
      [false, 'closed 1000  clean'],
      [true, 'closed 1000 '],
    ] as const) {
      const { line, owner, connection } = await start();
      line.holds = holds;
      owner.isHandling = true;
      line.push(closeFrame(1000));
      owner.isHandling = false;
      connection.onHandled();
      await settle(1);
      connection.destroy();
      assert.deepEqual([line.destroyed, connection.state, connection.isFinished], [true, 'closed', true]);
      await settle(2);
      assert.deepEqual(owner.told.at(-1), ending);
      if (holds) assert.deepEqual(owner.told, ['destroyed', ending]);
    }
  });

  it('tells who waits that it was cut', async () => {
    const { line, owner, connection } = await start({ highWaterMarkBytes: 10 });
    line.holds = true;
    const waiting = [connection.send('x'.repeat(100)), receive(connection), connection.ping(), connection.flush()];
    await settle(1);
    assert.equal(await outcome(waiting[0]!), 'pending');
    connection.destroy();
    assert.equal(connection.isFinished, true, 'at once');
    assert.equal(await outcome(waiting[1]!), 'ConnectionClosedError');
    await settle(2);
    const outcomes = await Promise.all(waiting.map(outcome));
    assert.deepEqual(outcomes, [...Array(3).fill('ConnectionClosedError'), 'undefined']);
    assert.deepEqual(owner.told, ['destroyed', 'closed 1006 ']);
    for (const late of [connection.send('late'), connection.ping()]) await assert.rejects(late, ConnectionClosedError);
  });

  it('takes no Pong for an answer any more once the peer has closed', async () => {
    const { line, owner, connection } = await start();
    owner.isHandling = true;
    const ping = connection.ping();
    line.push(closeFrame(1000));
    assert.equal(await outcome(ping), 'ConnectionClosedError');
  });

  it('sends a Ping with its payload, and takes the Pong for its answer', async () => {
    const { line, connection } = await start();
    const ping = connection.ping(Buffer.from('mine'));
    await settle(1);
    assert.deepEqual(line.frames(), ['9 mine']);
    line.push(clientFrame(0x8a, 'other'));
    assert.equal(await outcome(ping), 'pending');
    assert.equal(connection.latencyMs, undefined);
    line.push(clientFrame(0x8a, 'mine'));
    assert.equal(await ping, connection.latencyMs);
  });

  it('does with a message above the bound what its policy says, and not at the bound', async () => {
    for (const [backpressurePolicy, sent] of [
      ['wait', ['2 12345678', '1 next', '1 last']],
      ['drop', ['2 12345678', '1 next']],
    ] as const) {
      const { line, connection } = await start({ maxBackpressureBytes: 10, backpressurePolicy });
      line.holds = true;
      void connection.send(Buffer.from('12345678'));
      assert.equal(connection.bufferedBytes, 10);
      await connection.send('next');
      assert.equal(connection.bufferedBytes, 16);
      await connection.send('last');
      assert.deepEqual([connection.state, connection.bufferedBytes], ['open', backpressurePolicy === 'wait' ? 22 : 16]);
      await settle(1);
      line.let();
      await settle(1);
      assert.deepEqual(line.frames(), sent);
    }
    const { line, owner, connection } = await start({ maxBackpressureBytes: 10 });
    line.holds = true;
    void connection.send(Buffer.from('12345678'));
    void connection.send('next');
    const error = await connection.send('last').catch((reason) => reason);
    assert.ok(error instanceof LimitError);
    assert.equal(error.code, 'WS_ERR_BACKPRESSURE');
    assert.deepEqual([line.destroyed, connection.isEndedBy(error), connection.canSend], [true, true, false]);
    assert.equal(await receive(connection).catch((reason) => reason), error);
    await settle(2);
    assert.deepEqual(owner.told, ['closed 1006 ']);
  });

  it('closes with 1001 when no message came or went for too long, of either kind and in either direction', async () => {
    const calls: ((alone: Alone) => unknown)[] = [
      ({ connection }) => connection.send('x'),
      ({ line }) => line.push(text('x')),
      ({ line, owner }) => {
        owner.borrows = true;
        line.push(clientFrame(0x82, 'x'));
      },
    ];
    for (const call of calls) {
      const alone = await start({ idleTimeoutMs: 4 * TICK_MS });
      pass(3);
      call(alone);
      pass(3);
      await settle(1);
      assert.equal(alone.connection.state, 'open');
      pass(1);
      await settle(1);
      assert.equal(alone.line.frames().at(-1), '8 1001 idle timeout');
      assert.equal(alone.connection.isClosing, true);
    }
  });

  it('does not take bytes that are lent to nobody, or a Ping, for a message', async () => {
    const { line, connection } = await start({ idleTimeoutMs: 2 * TICK_MS });
    pass(1);
    line.push(clientFrame(0x89, 'x'));
    assert.equal(connection.onLentMessage(Buffer.alloc(1), 0, 1), false);
    pass(1);
    assert.equal(connection.state, 'closing');
  });

  it('beats from the start, and keeps a peer that says something', async () => {
    const { line, connection } = await start({ heartbeatIntervalMs: TICK_MS });
    for (let beat = 0; beat < 3; beat++) {
      pass(1);
      await settle(1);
      assert.match(line.frames()[0]!, /^9 /);
      line.push(text('x'));
      assert.equal(connection.state, 'open');
    }
    pass(2);
    assert.equal(line.destroyed, true);
  });

  it('keeps a silent peer that reads, and cuts one that does not, and one that only does not answer', async () => {
    const { line, connection } = await start({ heartbeatIntervalMs: TICK_MS });
    for (let beat = 0; beat < 4; beat++) {
      line.holds = true;
      void connection.send('x'.repeat(100));
      await settle(1);
      assert.deepEqual([connection.hasUnsent, connection.leftBytes > 0], [true, beat > 0]);
      pass(1);
      line.let();
      await settle(1);
      line.holds = true;
      void connection.send('x'.repeat(100));
      await settle(1);
      assert.equal(line.destroyed, false);
    }
    line.holds = true;
    pass(3);
    assert.equal(line.destroyed, true);
  });

  it('has the system forget what a dead peer did not read, and only then', async (t) => {
    for (const isStuck of [true, false]) {
      const [socket, there] = (await tcpPair()) as readonly [Socket, Socket];
      there.on('error', () => {}).pause();
      const connection = new Connection(socket, 'server', { ...CONNECTION_LIMITS, closeTimeoutMs: TICK_MS });
      connection.start(undefined);
      const reset = t.mock.method(socket, 'resetAndDestroy');
      while (isStuck && socket.writableLength === 0) {
        void connection.send(Buffer.alloc(1_000_000));
        await settle(1);
      }
      connection.close();
      await settle(1);
      pass(1);
      assert.deepEqual([reset.mock.callCount() > 0, socket.destroyed], [isStuck, true]);
      there.destroy();
    }
  });

  it('answers all that comes in one read in one write, and at once', async () => {
    const { line, owner, connection } = await start();
    owner.takes = true;
    owner.onMessage = (data) => void connection.send(data);
    let writes = 0;
    line.onWrite = () => writes++;
    line.push(Buffer.concat([text('1'), text('2')]));
    assert.deepEqual([writes > 0, line.frames()], [true, ['1 1', '1 2']]);
  });

  it('waits for handlers that are running, which may send more', async () => {
    const { line, owner, connection } = await start();
    owner.takes = true;
    owner.isBusy = true;
    owner.onMessage = (data) => void connection.send(data);
    line.push(text('1'));
    assert.deepEqual(line.frames(), []);
    await settle(1);
    assert.deepEqual(line.frames(), ['1 1']);
  });

  it('writes what is sent otherwise at the end of the turn, and what waited when the peer reads on', async () => {
    const { line, connection } = await start();
    line.holds = true;
    void connection.send('x'.repeat(2000));
    assert.deepEqual(line.frames(), []);
    await settle(1);
    void connection.send('next');
    await settle(1);
    assert.deepEqual(line.frames(), [`1 ${'x'.repeat(2000)}`]);
    line.let();
    await settle(1);
    assert.deepEqual(line.frames(), ['1 next']);
    line.push(clientFrame(0x89, 'there?'));
    await settle(1);
    assert.deepEqual(line.frames(), ['10 there?']);
    line.holds = true;
    const flushing = connection.send('x').then(() => connection.flush());
    assert.equal(await outcome(flushing), 'pending');
    line.let();
    await flushing;
  });

  it('reads nothing on while a message takes time, and tells of an end behind it', async () => {
    for (const end of ['end', 'close']) {
      const compression = new Slow();
      const { line, owner, connection } = await start({}, { compression });
      line.push(Buffer.concat([clientFrame(0xc1, 'slow'), text('next')]));
      assert.deepEqual(
        [owner.told, connection.isPaused, connection.mustPause, line.isPaused()],
        [[], true, true, true],
      );
      line.emit(end);
      assert.deepEqual([owner.told, connection.state, connection.isFinished], [[], 'open', false]);
      await compression.finish();
      assert.deepEqual(owner.told.slice(0, 2), ['message slow', 'message next']);
      assert.equal(connection.isFinished, true);
      await settle(2);
      assert.deepEqual(owner.told.slice(2), end === 'close' ? ['closed 1006 '] : []);
    }
  });

  it('tells that it was cut while a message took time, and reads no more than may wait', async () => {
    const compression = new Slow();
    const { line, owner, connection } = await start({ maxQueuedMessages: 1 }, { compression });
    line.push(Buffer.concat([clientFrame(0xc1, 'slow'), text('next')]));
    line.emit('close');
    await compression.finish();
    assert.deepEqual(owner.told, ['message slow', 'closed 1006 ']);
    assert.equal(await receive(connection), 'slow');
    await assert.rejects(receive(connection), ConnectionClosedError);
  });

  it('reads on when the message that took time was told', async () => {
    const compression = new Slow();
    const { line, owner, connection } = await start({}, { compression });
    owner.takes = true;
    line.push(clientFrame(0xc1, 'slow'));
    line.emit('data', text('next'));
    await compression.finish();
    await settle(1);
    assert.deepEqual(owner.told, ['message slow', 'message next']);
    assert.deepEqual([connection.isPaused, line.isPaused()], [false, false]);
  });

  it('gives itself time to compress what it sent before its Close frame', async () => {
    const compression = new Slow();
    const { line, connection } = await start({ closeTimeoutMs: TICK_MS }, { compression });
    void connection.send('slow', true);
    connection.close();
    pass(3);
    assert.equal(line.destroyed, false);
    await compression.finish();
    await settle(1);
    assert.deepEqual(line.frames(), ['1 slow', '8 1000 ']);
    pass(1);
    assert.equal(line.destroyed, true);
  });

  it('has finished with a peer that ended its side, though its own messages take time', async () => {
    const compression = new Slow();
    const { line, connection } = await start({}, { compression });
    void connection.send('slow', true);
    line.emit('end');
    assert.deepEqual([connection.isFinished, connection.canSend], [true, false]);
    await compression.finish();
    await settle(1);
    assert.deepEqual([line.frames(), line.hasEnded], [['1 slow'], true]);
  });

  it('does not excuse a silent peer by what is being compressed while it is open', async () => {
    const { line, connection } = await start({ heartbeatIntervalMs: TICK_MS }, { compression: new Slow() });
    void connection.send('slow', true);
    pass(2);
    assert.equal(line.destroyed, true);
  });

  it('compresses what it is told to', async () => {
    const compression = new Slow();
    const { line, connection } = await start({}, { compression });
    for (const compress of [true, false, undefined]) void connection.send('x', compress);
    for (let i = 0; i < 3; i++) await compression.finish();
    assert.deepEqual(line.frames(), ['1 x', '1 x', '1 x']);
    assert.deepEqual(compression.asked, [true, false], 'and does not ask where it is told not to');
  });

  it('is cut, and warns, when bytes that wait were taken away', async () => {
    const warnings: (Error & { code?: string })[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    onCleanUp(() => process.off('warning', note));
    const { line, connection } = await start();
    line.holds = true;
    void connection.send('x'.repeat(2000));
    await settle(1);
    const bytes = new Uint8Array(100_000);
    void connection.send(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    line.let();
    await settle(2);
    assert.equal(line.destroyed, true);
    const error = await receive(connection).catch((reason) => reason);
    assert.ok(error instanceof InvalidStateError);
    assert.deepEqual([warnings.length, warnings[0]?.code, warnings[0]?.message], [1, error.code, error.message]);
    const other = await start();
    other.line.push(Buffer.of(0xf1, 0));
    await settle(2);
    assert.equal(warnings.length, 1, 'but not of what the peer did');
  });
});
