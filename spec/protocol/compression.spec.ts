import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { receiveBuffer } from '../../lib/codec/mask-simd.ts';
import { type ErrorCode, peerError } from '../../lib/errors.ts';
import type { Compressed, Decompressed, MessageCompression } from '../../lib/protocol/compression.ts';
import type { ProtocolLimits, Role } from '../../lib/protocol/events.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { eachChunking } from '../support/chunking.ts';
import { assertCloses, assertSentClose, closePayload, ProtocolRecorder } from '../support/protocol-recorder.ts';

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0x0, 0x1, 0x2, 0x8, 0x9, 0xa];
const [FIN, RSV1] = [0x80, 0x40];

/**
 * Stands for permessage-deflate: puts a "z" before what it compresses, unless that is shorter than 10 bytes, and takes
 * its time for what begins with "slow". A message that is "bad" is no compressed data.
 */
class FakeCompression implements MessageCompression {
  readonly asked: boolean[] = [];
  readonly limits: number[] = [];
  closed = 0;
  #pending: (() => void)[] = [];

  compress(data: string | Uint8Array, always: boolean): Compressed | Promise<Compressed> {
    this.asked.push(always);
    const bytes = Buffer.from(data as Uint8Array);
    const payload = always || bytes.length >= 10 ? Buffer.concat([Buffer.from('z'), bytes]) : undefined;
    return bytes.toString('latin1', 0, 4) === 'slow' ? this.#later(payload) : payload;
  }

  decompress(
    isText: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    maxBytes: number,
  ): Decompressed | Promise<Decompressed> {
    this.limits.push(maxBytes);
    const payload = Buffer.from(bytes.subarray(start + 1, end));
    const text = payload.toString();
    const error = text.endsWith('bad') ? peerError('WS_ERR_INFLATE_FAILED') : undefined;
    const message = error ?? (isText ? text : payload);
    return text.startsWith('slow') ? this.#later(message) : message;
  }

  close(): void {
    this.closed++;
  }

  /** Finishes the first `count` tasks that take time. */
  async finish(count: number = Number.POSITIVE_INFINITY): Promise<void> {
    for (const done of this.#pending.splice(0, count)) done();
    await new Promise(setImmediate);
  }

  #later<T>(result: T): Promise<T> {
    return new Promise((resolve) => {
      this.#pending.push(() => resolve(result));
    });
  }
}

interface Opened {
  readonly compression: FakeCompression;
  readonly recorder: ProtocolRecorder;
}

function open(role: Role = 'server', limits: Partial<ProtocolLimits> = {}): Opened {
  const compression = new FakeCompression();
  return { compression, recorder: new ProtocolRecorder(role, limits, compression) };
}

/** What was sent: opcode, RSV1 and payload of each frame. */
function sent(recorder: ProtocolRecorder): string[] {
  return recorder
    .sent()
    .map(({ opcode, rsv1, payload }) => `${opcode}${rsv1 ? ' rsv1' : ''} ${payload.toString('latin1')}`);
}

describe('Protocol that receives compressed messages', () => {
  it('has messages decompressed whose first frame has RSV1, and only those', () => {
    for (const role of ['server', 'client'] as const) {
      const frames = (recorder: ProtocolRecorder): Buffer[] => [
        recorder.peerFrame(FIN | RSV1 | TEXT, 'zone'),
        recorder.peerFrame(FIN | TEXT, 'ztwo'),
        recorder.peerFrame(FIN | RSV1 | BINARY, 'zthree'),
        recorder.peerFrame(RSV1 | TEXT, 'zfo'),
        recorder.peerFrame(FIN | PING, 'ping'),
        recorder.peerFrame(CONTINUATION, ''),
        recorder.peerFrame(FIN | CONTINUATION, 'ur'),
        recorder.peerFrame(TEXT, 'zfi'),
        recorder.peerFrame(FIN | CONTINUATION, 've'),
        recorder.peerFrame(RSV1 | BINARY, 'z'),
        recorder.peerFrame(FIN | CONTINUATION, 'six'),
      ];
      eachChunking(Buffer.concat(frames(new ProtocolRecorder(role))), (chunks) => {
        const { recorder, compression } = open(role);
        recorder.receive(...chunks);
        assert.deepEqual(recorder.messages(), [
          'one',
          'ztwo',
          Buffer.from('three'),
          'four',
          'zfive',
          Buffer.from('six'),
        ]);
        assert.equal(recorder.count('ping'), 1);
        assert.deepEqual(compression.limits, Array(4).fill(1024 * 1024));
        assert.equal(recorder.protocol.receivedBytes, 0);
      });
    }
  });

  it('refuses RSV1 where it may not be, with 1002', () => {
    const wrong: ((recorder: ProtocolRecorder) => Buffer[])[] = [
      (recorder) => [recorder.peerFrame(TEXT, 'z'), recorder.peerFrame(FIN | RSV1 | CONTINUATION, 'z')],
      (recorder) => [recorder.peerFrame(RSV1 | TEXT, 'z'), recorder.peerFrame(FIN | RSV1 | CONTINUATION, 'z')],
      (recorder) => [recorder.peerFrame(FIN | RSV1 | PING, 'z')],
      (recorder) => [recorder.peerFrame(FIN | RSV1 | PONG, 'z')],
      (recorder) => [recorder.peerFrame(FIN | RSV1 | CLOSE, closePayload(1000))],
    ];
    for (const frames of wrong) {
      const { recorder } = open();
      recorder.receive(...frames(recorder));
      assert.deepEqual(recorder.received(), [{ type: 'error', code: 'WS_ERR_UNEXPECTED_RSV_1' }]);
      assertCloses(recorder, 1002);
    }
    const without = new ProtocolRecorder();
    without.receive(without.peerFrame(FIN | RSV1 | TEXT, 'z'));
    assertCloses(without, 1002);
  });

  it('keeps the order of fragments', () => {
    const { recorder } = open();
    recorder.receive(recorder.peerFrame(RSV1 | TEXT, 'z'), recorder.peerFrame(FIN | RSV1 | TEXT, 'z'));
    assert.deepEqual(recorder.received(), [{ type: 'error', code: 'WS_ERR_EXPECTED_CONTINUATION' }]);
  });

  it('checks the UTF-8 of what comes out, not of what comes in', () => {
    const { recorder } = open();
    const payload = Buffer.from('ff68', 'hex');
    recorder.receive(recorder.peerFrame(FIN | RSV1 | TEXT, payload));
    recorder.receive(recorder.peerFrame(RSV1 | TEXT, payload), recorder.peerFrame(FIN | CONTINUATION, 'i'));
    assert.deepEqual(recorder.messages(), ['h', 'hi']);
  });

  it('bounds what is gathered, and hands on how large the message may be', () => {
    const { recorder, compression } = open('server', { maxMessageBytes: 100 });
    recorder.receive(
      recorder.peerFrame(RSV1 | TEXT, `z${'a'.repeat(60)}`),
      recorder.peerFrame(CONTINUATION, 'b'.repeat(60)),
    );
    assert.deepEqual(recorder.received(), [{ type: 'error', code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' }]);
    assertCloses(recorder, 1009);
    assert.deepEqual(compression.limits, []);
    const other = open('server', { maxMessageBytes: 100 });
    other.recorder.receive(recorder.peerFrame(FIN | RSV1 | TEXT, 'zyes'));
    assert.deepEqual(other.compression.limits, [100]);
  });

  it('fails the connection with the error of the decompression', async () => {
    for (const payload of ['zbad', 'zslow bad']) {
      const { recorder, compression } = open();
      recorder.receive(recorder.peerFrame(FIN | RSV1 | TEXT, payload), recorder.peerFrame(FIN | TEXT, 'never'));
      await compression.finish();
      assert.deepEqual(recorder.received(), [{ type: 'error', code: 'WS_ERR_INFLATE_FAILED' satisfies ErrorCode }]);
      assertCloses(recorder, 1007);
    }
  });

  it('tells nothing of what comes behind a message that takes time, before it', async () => {
    const { recorder, compression } = open();
    const bytes = Buffer.concat([
      recorder.peerFrame(FIN | TEXT, 'first'),
      recorder.peerFrame(FIN | RSV1 | TEXT, 'zslow one'),
      recorder.peerFrame(FIN | PING, 'ping'),
      recorder.peerFrame(FIN | RSV1 | BINARY, 'zslow two'),
      recorder.peerFrame(FIN | RSV1 | TEXT, 'zquick'),
      recorder.peerFrame(FIN | CLOSE, closePayload(1000, 'bye')),
    ]);
    const whole: string[] = [
      'message first',
      'message slow one',
      'ping',
      'message slow two',
      'message quick',
      'finished',
    ];
    for (const chunks of [[bytes], Array.from(bytes, (byte) => Buffer.of(byte))]) {
      const opened = open();
      opened.recorder.receive(...chunks);
      const told = (): string[] =>
        opened.recorder.events
          .filter(({ type }) => type !== 'output')
          .map((event) => (event.type === 'message' ? `message ${event.data}` : event.type));
      assert.deepEqual(told(), whole.slice(0, 1));
      assert.ok(opened.recorder.protocol.isOnHold);
      await opened.compression.finish();
      assert.deepEqual(told(), whole.slice(0, 3));
      await opened.compression.finish();
      assert.deepEqual(told(), whole);
      assert.ok(!opened.recorder.protocol.isOnHold);
      assert.deepEqual(opened.recorder.protocol.close, { code: 1000, reason: 'bye', wasClean: true });
    }
    await compression.finish();
  });

  it('stays on hold although its owner goes on, and may be paused by the message itself', async () => {
    const { recorder, compression } = open();
    const bytes = Buffer.concat([
      recorder.peerFrame(FIN | RSV1 | TEXT, 'zslow'),
      recorder.peerFrame(FIN | TEXT, 'next'),
    ]);
    const read = recorder.protocol.receiveData(bytes);
    assert.ok(read < bytes.length);
    recorder.protocol.resumeReceiving();
    assert.equal(recorder.protocol.receiveData(bytes, read), read);
    recorder.on = ({ type }) => {
      if (type === 'message') recorder.protocol.pauseReceiving();
    };
    recorder.onContinue = () => {};
    await compression.finish();
    assert.deepEqual(recorder.messages(), ['slow']);
    assert.equal(recorder.protocol.receiveData(bytes, read), read);
    recorder.protocol.resumeReceiving();
    assert.equal(recorder.protocol.receiveData(bytes, read), bytes.length);
    assert.deepEqual(recorder.messages(), ['slow', 'next']);
  });

  it('tells no message once the connection is over, and goes off hold', async () => {
    const ends: ((recorder: ProtocolRecorder) => void)[] = [
      (recorder) => recorder.protocol.fail(undefined),
      (recorder) => recorder.protocol.receiveEnd(),
    ];
    for (const end of ends) {
      const { recorder, compression } = open();
      recorder.receive(recorder.peerFrame(FIN | RSV1 | TEXT, 'zslow'));
      end(recorder);
      await compression.finish();
      assert.deepEqual(recorder.messages(), []);
      assert.ok(!recorder.protocol.isOnHold);
    }
  });

  it('needs no owner that knows of it, as long as nothing takes time', async () => {
    const { recorder, compression } = open();
    Object.assign(recorder, { onHold: undefined, onContinue: undefined });
    recorder.protocol.receiveData(recorder.peerFrame(FIN | RSV1 | TEXT, 'zslow'));
    await compression.finish();
    assert.deepEqual(recorder.messages(), ['slow']);
  });
});

describe('Protocol that sends compressed messages', () => {
  it('sends with RSV1 what is compressed, and as it is what is not', () => {
    for (const role of ['server', 'client'] as const) {
      const { recorder } = open(role);
      recorder.protocol.sendMessage('a long message');
      recorder.protocol.sendMessage('short');
      recorder.protocol.sendMessage(Buffer.from('a long message'));
      recorder.protocol.sendMessage(Buffer.from('short'));
      assert.deepEqual(sent(recorder), ['1 rsv1 za long message', '1 short', '2 rsv1 za long message', '2 short']);
      assert.equal(recorder.count('output'), 1);
    }
  });

  it('lets the sender choose', () => {
    const { recorder, compression } = open();
    recorder.protocol.sendMessage('a long message', false);
    recorder.protocol.sendMessage('short', true);
    recorder.protocol.sendMessage('short', undefined);
    assert.deepEqual(sent(recorder), ['1 a long message', '1 rsv1 zshort', '1 short']);
    assert.deepEqual(compression.asked, [true, false]);
  });

  it('takes the choice for no more than a wish where nothing was agreed on', () => {
    const recorder = new ProtocolRecorder();
    recorder.protocol.sendMessage('a long message', true);
    assert.deepEqual(sent(recorder), ['1 a long message']);
  });

  it('refuses what is neither text nor bytes before it is compressed', () => {
    const { recorder, compression } = open();
    assert.throws(() => recorder.protocol.sendMessage(1 as never), TypeError);
    assert.throws(() => recorder.protocol.sendMessage(new Float32Array(1) as never), TypeError);
    assert.deepEqual(compression.asked, []);
  });

  it('keeps the order of messages where one takes time, and lets Pings and Pongs pass', async () => {
    const { recorder, compression } = open();
    const { protocol } = recorder;
    protocol.sendMessage('slow one');
    protocol.sendMessage('two');
    protocol.sendMessage(Buffer.from('slow three'));
    protocol.sendMessage('a long four');
    assert.equal(protocol.outputBytes, 'slow onetwoslow threea long four'.length);
    assert.ok(protocol.compressing !== undefined);
    protocol.sendPing(Buffer.from('ping'));
    recorder.receive(recorder.peerFrame(FIN | PING, 'pong'));
    assert.deepEqual(sent(recorder), ['9 ping', '10 pong']);
    await compression.finish();
    assert.deepEqual(sent(recorder).slice(2), ['1 slow one', '1 two']);
    protocol.sendMessage('five');
    await compression.finish();
    assert.deepEqual(sent(recorder).slice(4), ['2 rsv1 zslow three', '1 rsv1 za long four', '1 five']);
    assert.equal(protocol.compressing, undefined);
    assert.equal(protocol.outputBytes, 0);
    protocol.sendMessage('slow again');
    const { compressing } = protocol;
    await compression.finish();
    await compressing;
    assert.deepEqual(sent(recorder).slice(7), ['1 rsv1 zslow again']);
  });

  it('tells its owner of output that comes later', async () => {
    const { recorder, compression } = open();
    recorder.protocol.sendMessage('slow message');
    assert.equal(recorder.count('output'), 0);
    await compression.finish();
    assert.equal(recorder.count('output'), 1);
  });

  it('copies small bytes that wait, and keeps large ones by reference', async () => {
    const { recorder, compression } = open();
    const slow = Buffer.from('slow');
    const small = Buffer.from('small');
    const large = bytesOf(16 * 1024, 1);
    recorder.protocol.sendMessage(slow);
    recorder.protocol.sendMessage(small);
    recorder.protocol.sendMessage(large, false);
    slow.fill('x');
    small.fill('x');
    await compression.finish();
    const frames = recorder.sent();
    assert.deepEqual(
      frames.map(({ payload }) => payload.toString('latin1', 0, 5)),
      ['slow', 'small', large.toString('latin1', 0, 5)],
    );
    assert.ok(frames[2]!.payload.equals(large));
  });

  it('closes behind the messages that wait', async () => {
    const { recorder, compression } = open();
    const { protocol } = recorder;
    protocol.sendMessage('slow one');
    protocol.sendMessage('two');
    protocol.sendClose(1000, 'done');
    protocol.sendClose(1001);
    assert.equal(protocol.state, 'closing');
    assert.throws(() => protocol.sendMessage('late'), { code: 'WS_ERR_CONNECTION_CLOSED' });
    assert.deepEqual(sent(recorder), []);
    await compression.finish();
    assert.deepEqual(sent(recorder).slice(0, 2), ['1 slow one', '1 two']);
    assert.equal(assertSentClose(recorder, 1000), 'done');
    assert.equal(recorder.count('finished'), 0);
    recorder.receive(recorder.peerFrame(FIN | CLOSE, closePayload(1000)));
    assert.equal(recorder.count('finished'), 1);
  });

  it('answers a Close frame behind the messages that wait, and is finished then', async () => {
    for (const first of [false, true]) {
      const { recorder, compression } = open();
      recorder.protocol.sendMessage('slow one');
      if (first) recorder.protocol.sendClose(1001);
      recorder.receive(recorder.peerFrame(FIN | CLOSE, closePayload(1000)));
      recorder.protocol.fail(undefined);
      assert.equal(recorder.count('finished'), 0);
      await compression.finish();
      assert.equal(recorder.count('finished'), 1);
      assert.equal(sent(recorder)[0], '1 slow one');
      assertSentClose(recorder, first ? 1001 : 1000);
      assert.deepEqual(recorder.protocol.close, { code: 1000, reason: '', wasClean: true });
    }
  });

  it('throws away what waits when the connection fails', async () => {
    for (const closing of [false, true]) {
      const { recorder, compression } = open();
      recorder.protocol.sendMessage('slow one');
      recorder.protocol.sendMessage('two');
      if (closing) recorder.protocol.sendClose(1000);
      recorder.protocol.fail(new Error('our fault'));
      assert.equal(recorder.protocol.compressing, undefined);
      assertSentClose(recorder, 1011);
      await compression.finish();
      assert.equal(recorder.sent().length, 1);
      assert.equal(recorder.count('finished'), 1);
    }
  });

  it('counts what waits, and no more of it than still does', async () => {
    const { recorder, compression } = open();
    const messages = ['slow one', 'slow second', 'slow third one'];
    for (const message of messages) recorder.protocol.sendMessage(message);
    for (const [i, message] of messages.entries()) {
      const waiting = messages.slice(i).reduce((sum, { length }) => sum + length, 0);
      assert.equal(recorder.protocol.outputBytes, waiting, message);
      await compression.finish(1);
      recorder.sent();
    }
    assert.equal(recorder.protocol.outputBytes, 0);
  });

  it('keeps bytes of 16 KiB and more as they are while they wait, and copies fewer', async () => {
    for (const [length, isKept] of [
      [16_384, true],
      [16_383, false],
    ] as const) {
      const { recorder, compression } = open();
      recorder.protocol.sendMessage('slow first');
      const bytes = new Uint8Array(length);
      recorder.protocol.sendMessage(bytes);
      bytes.fill(0x61);
      await compression.finish();
      await recorder.settle();
      assert.equal(recorder.sent()[1]!.payload.at(-1), isKept ? 0x61 : 0, `${length}`);
    }
  });

  it('fails the connection when bytes that wait are no longer what was sent, and sends none of them', async () => {
    const slow = 'slow one'.padEnd(20_000);
    for (const [position, message] of [
      [0, Buffer.from(slow)],
      [1, Buffer.alloc(20_000)],
    ] as const) {
      const { recorder, compression } = open();
      const own = new Uint8Array(new ArrayBuffer(message.length));
      own.set(message);
      if (position === 1) recorder.protocol.sendMessage('slow first');
      recorder.protocol.sendMessage(own);
      recorder.protocol.sendMessage('behind');
      assert.ok(recorder.protocol.outputBytes >= message.length);
      structuredClone(own.buffer, { transfer: [own.buffer] });
      await compression.finish();
      await recorder.settle();
      assert.equal(recorder.errors[0]?.code, 'WS_ERR_MESSAGE_CHANGED');
      assert.equal(assertSentClose(recorder, 1011), '');
      assert.equal(recorder.sent().length, position + 1);
      assert.equal(recorder.count('finished'), 1);
    }
  });

  it('copies what is only lent, where it has to wait', async () => {
    const { recorder, compression } = open();
    const expected = bytesOf(20_000, 1);
    expected.copy(receiveBuffer);
    recorder.protocol.sendMessage('slow one');
    recorder.protocol.sendMessage(receiveBuffer.subarray(0, 20_000));
    receiveBuffer.fill(0, 0, 20_000);
    await compression.finish();
    await recorder.settle();
    assert.ok(recorder.sent()[1]!.payload.subarray(1).equals(expected));
  });

  it('still answers the Close frame of the peer when bytes that wait are no longer what was sent', async () => {
    for (const answersLater of [false, true]) {
      const { recorder, compression } = open();
      recorder.answersLater = answersLater;
      const own = new Uint8Array(20_000);
      recorder.protocol.sendMessage('slow one');
      recorder.protocol.sendMessage(own);
      structuredClone(own.buffer, { transfer: [own.buffer] });
      recorder.receive(recorder.peerFrame(FIN | CLOSE, closePayload(4000)));
      await compression.finish();
      assert.equal(recorder.protocol.compressing, undefined);
      assert.equal(recorder.errors[0]?.code, 'WS_ERR_MESSAGE_CHANGED');
      assertSentClose(recorder, 4000);
      assert.equal(recorder.count('finished'), 1);
    }
  });

  it('counts the bytes that wait as they were when they were sent', async () => {
    const { recorder, compression } = open();
    recorder.protocol.sendMessage('slow one');
    recorder.protocol.sendMessage(Buffer.alloc(10));
    assert.equal(recorder.protocol.outputBytes, 18);
    await compression.finish();
    await recorder.settle();
    recorder.protocol.takeOutput();
    assert.equal(recorder.protocol.outputBytes, 0);
  });

  it('lets go of the compression with the connection, once', async () => {
    const { recorder, compression } = open();
    recorder.protocol.sendMessage('slow one');
    recorder.protocol.sendClose();
    assert.equal(compression.closed, 0);
    recorder.protocol.receiveEnd();
    recorder.protocol.receiveEnd();
    assert.equal(compression.closed, 1);
    assert.equal(recorder.protocol.outputBytes, 0);
    await compression.finish();
    assert.deepEqual(sent(recorder), []);
    assert.equal(recorder.count('finished'), 0);
  });
});
