import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { own } from '../../lib/codec/borrowed.ts';
import { borrowEncoder, returnEncoder } from '../../lib/codec/encoder-pool.ts';
import type { FrameEncoder } from '../../lib/codec/frame-encoder.ts';
import { ConnectionClosedError, InvalidStateError, LimitError, ProtocolError } from '../../lib/errors.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { Protocol } from '../../lib/protocol/protocol.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cutAt, eachChunking } from '../support/chunking.ts';
import { hex } from '../support/hex.ts';
import {
  assertCloses,
  assertIgnoresInput,
  assertSent,
  assertSentClose,
  closePayload,
  DEFAULT_LIMITS,
  ProtocolRecorder,
  peerFrame,
} from '../support/protocol-recorder.ts';

const ROLES: readonly Role[] = ['server', 'client'];
const TEXT = 0x81;
const BINARY = 0x82;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;
const CLOSED_ERROR = { name: 'ConnectionClosedError', code: 'WS_ERR_CONNECTION_CLOSED' };

/** Whether an encoder is the next that is lent to a server. */
function isIdle(encoder: FrameEncoder): boolean {
  const next = borrowEncoder(false);
  returnEncoder(next);
  return next === encoder;
}

/** Runs the same example as server and as client. */
function forEachRole(title: string, run: (role: Role) => void): void {
  for (const role of ROLES) it(`${title} (${role})`, () => run(role));
}

describe('Protocol, receiving', () => {
  forEachRole('tells messages in order, however they are cut', (role) => {
    const frame = (bits: number, payload: Buffer | string = ''): Buffer => peerFrame(role, bits, payload);
    const bytes = Buffer.concat([
      frame(TEXT, 'héllo'),
      frame(BINARY, hex('00ff')),
      frame(0x01, 'a'),
      frame(PONG, 'p'),
      frame(0x00),
      frame(0x80, '€'),
      frame(0x02),
      frame(0x80),
      frame(TEXT),
      frame(BINARY),
    ]);
    eachChunking(bytes, (chunks) => {
      const recorder = new ProtocolRecorder(role).receive(...chunks);
      assert.deepEqual(recorder.events, [
        { type: 'message', data: 'héllo' },
        { type: 'message', data: hex('00ff') },
        { type: 'pong', payload: Buffer.from('p') },
        { type: 'message', data: 'a€' },
        { type: 'message', data: hex('') },
        { type: 'message', data: '' },
        { type: 'message', data: hex('') },
      ]);
      assert.equal(recorder.protocol.receivedBytes, 0);
      assert.equal(recorder.protocol.state, 'open');
      assert.deepEqual(recorder.sent(), []);
    });
  });

  it('hands over binary messages as buffers of their own', () => {
    for (const chunks of [1, 3]) {
      const recorder = new ProtocolRecorder('client');
      const bytes = recorder.peerFrame(BINARY, bytesOf(100, 1));
      const cuts = Array.from({ length: chunks - 1 }, (_, i) => 10 + i);
      for (const chunk of cutAt(bytes, ...cuts)) {
        recorder.protocol.receiveData(chunk);
        chunk.fill(0);
      }
      assert.deepEqual(recorder.messages(), [bytesOf(100, 1)]);
    }
  });

  it('hands over the payload of control frames as buffers of their own', () => {
    const recorder = new ProtocolRecorder('client');
    const bytes = Buffer.concat([recorder.peerFrame(PING, 'ping'), recorder.peerFrame(PONG, 'pong')]);
    recorder.protocol.receiveData(bytes);
    bytes.fill(0);
    assert.deepEqual(recorder.received(), [
      { type: 'ping', payload: Buffer.from('ping') },
      { type: 'pong', payload: Buffer.from('pong') },
    ]);
  });

  it('reads from the middle of a buffer', () => {
    const recorder = new ProtocolRecorder('client');
    assert.equal(recorder.protocol.receiveData(hex('ff 8100 ff'), 1, 3), 3);
    assert.deepEqual(recorder.messages(), ['']);
  });

  it('pauses behind a message, and goes on where it stopped', () => {
    const recorder = new ProtocolRecorder('client');
    recorder.on = () => recorder.protocol.pauseReceiving();
    const bytes = hex('8101 41 0101 42 8001 43 8101 44');
    assert.equal(recorder.protocol.receiveData(bytes), 3);
    assert.equal(recorder.protocol.receiveData(bytes, 3), 3);
    recorder.protocol.resumeReceiving();
    assert.equal(recorder.protocol.receiveData(bytes, 3), 9);
    recorder.protocol.resumeReceiving();
    assert.equal(recorder.protocol.receiveData(bytes, 9), 12);
    assert.deepEqual(recorder.messages(), ['A', 'BC', 'D']);
  });

  it('counts the bytes it holds', () => {
    const recorder = new ProtocolRecorder('client');
    const { protocol } = recorder;
    recorder.receive(hex('02'));
    assert.equal(protocol.receivedBytes, 1);
    recorder.receive(hex('7e 1388'), bytesOf(1000, 1));
    assert.ok(protocol.receivedBytes >= 1000 && protocol.receivedBytes <= 5000);
    recorder.receive(bytesOf(4000, 1), hex('89'));
    assert.ok(protocol.receivedBytes >= 5001);
    protocol.receiveEnd();
    assert.equal(protocol.receivedBytes, 0);
  });

  it('lets its owner end it in the midst of a chunk', () => {
    const ends = [
      (recorder: ProtocolRecorder) => recorder.protocol.receiveEnd(),
      (recorder: ProtocolRecorder) => recorder.protocol.fail(new Error('enough')),
    ];
    for (const end of ends) {
      const recorder = new ProtocolRecorder('client');
      recorder.on = ({ type }) => {
        if (type === 'message') end(recorder);
      };
      recorder.receive(hex('0101 41 8001 42 8101 43'));
      assert.deepEqual(recorder.messages(), ['AB']);
      assert.deepEqual(recorder.protocol.close, { code: 1006, reason: '', wasClean: false });
    }
  });
});

describe('Protocol, limits', () => {
  const big = 1001;
  const limits = { maxMessageBytes: 1000, maxFrameBytes: 1 << 20 };

  forEachRole('refuses a message above the limit at the header of its frame', (role) => {
    const recorder = new ProtocolRecorder(role, limits);
    const header = recorder.peerFrame(BINARY, bytesOf(big, 1)).subarray(0, 4);
    recorder.receive(header);
    assertCloses(recorder, 1009);
    assert.ok(recorder.errors[0] instanceof LimitError);
    assert.equal(recorder.errors[0].code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  });

  forEachRole('refuses a message above the limit over all its fragments', (role) => {
    const recorder = new ProtocolRecorder(role, limits);
    recorder.receive(
      recorder.peerFrame(0x01, 'a'.repeat(600)),
      recorder.peerFrame(PING, 'p'),
      recorder.peerFrame(0x00),
    );
    const last = recorder.peerFrame(0x80, 'b'.repeat(401));
    recorder.receive(last.subarray(0, role === 'server' ? 7 : 3));
    assert.equal(recorder.errors.length, 0);
    recorder.receive(last.subarray(role === 'server' ? 7 : 3, role === 'server' ? 8 : 4));
    assertCloses(recorder, 1009);
    assert.equal(recorder.errors[0]!.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  });

  forEachRole('takes a message of exactly the limit, in one frame and in many', (role) => {
    const recorder = new ProtocolRecorder(role, limits);
    const payload = bytesOf(1000, 1);
    recorder.receive(recorder.peerFrame(BINARY, payload), recorder.peerFrame(0x02, payload.subarray(0, 999)));
    recorder.receive(recorder.peerFrame(0x00, payload.subarray(999)), recorder.peerFrame(0x80));
    assert.deepEqual(recorder.messages(), [payload, payload]);
  });

  it('names the option that is in the way', () => {
    const frames = new ProtocolRecorder('client', { maxMessageBytes: 2000, maxFrameBytes: 1000 });
    frames.receive(hex('827e 03e9'));
    assertCloses(frames, 1009);
    assert.equal(frames.errors[0]!.code, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH');
    assert.match(frames.errors[0]!.message, /maxFrameBytes/);

    const messages = new ProtocolRecorder('client', { maxMessageBytes: 1000, maxFrameBytes: 1000 });
    messages.receive(hex('827e 03e9'));
    assert.match(messages.errors[0]!.message, /maxMessageBytes/);
  });

  it('holds no control frame to the limits of messages', () => {
    const recorder = new ProtocolRecorder('client', { maxMessageBytes: 0, maxFrameBytes: 0 });
    recorder.receive(recorder.peerFrame(PING, bytesOf(125, 1)), recorder.peerFrame(TEXT));
    assert.deepEqual(recorder.messages(), ['']);
    assert.equal(recorder.count('ping'), 1);
  });

  it('keeps next to nothing for a flood of tiny or empty fragments', () => {
    const recorder = new ProtocolRecorder('client');
    recorder.receive(hex('0200'));
    const empty = Buffer.concat(new Array(1000).fill(hex('0000')));
    for (let i = 0; i < 100; i++) recorder.receive(empty);
    assert.equal(recorder.protocol.receivedBytes, 0);
    const tiny = Buffer.concat(new Array(1000).fill(hex('0001 61')));
    for (let i = 0; i < 20; i++) recorder.receive(tiny);
    assert.ok(recorder.protocol.receivedBytes <= 40_000);
    recorder.receive(hex('8000'));
    assert.deepEqual(recorder.messages(), [Buffer.alloc(20_000, 'a')]);
  });
});

describe('Protocol, pings', () => {
  forEachRole('answers a ping with its payload', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.receive(recorder.peerFrame(PING), recorder.peerFrame(PING, bytesOf(125, 3)));
    assertSent(recorder, [
      [10, ''],
      [10, bytesOf(125, 3)],
    ]);
    assert.deepEqual(recorder.events, [
      { type: 'output' },
      { type: 'ping', payload: Buffer.alloc(0) },
      { type: 'ping', payload: bytesOf(125, 3) },
    ]);
  });

  it('answers 16 one by one, and of more the latest until the output is taken', () => {
    const recorder = new ProtocolRecorder('server');
    for (let i = 0; i < 100; i++) recorder.receive(recorder.peerFrame(PING, `${i}`));
    const expected = Array.from({ length: 16 }, (_, i): [number, string] => [10, `${i}`]);
    assert.ok(recorder.protocol.outputBytes < 200);
    expected.push([10, '99']);
    assertSent(recorder, expected);
    assert.equal(recorder.count('ping'), 100, 'all are told');
    assert.equal(recorder.count('output'), 1);

    for (let i = 0; i < 17; i++) recorder.receive(recorder.peerFrame(PING, `again ${i}`));
    for (let i = 0; i < 17; i++) expected.push([10, `again ${i}`]);
    assertSent(recorder, expected);
  });

  it('keeps a bounded answer to a flood of pings that nobody takes', () => {
    const recorder = new ProtocolRecorder('client');
    const flood = Buffer.concat(new Array(1000).fill(recorder.peerFrame(PING, bytesOf(125, 1))));
    for (let i = 0; i < 20; i++) recorder.receive(flood);
    assert.ok(recorder.protocol.outputBytes <= 17 * 131);
  });

  it('answers with the bytes that came, whatever the owner does to the ones it is told', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.on = (event) => {
      if (event.type === 'ping') event.payload.fill(0);
    };
    for (let i = 0; i < 20; i++) recorder.receive(recorder.peerFrame(PING, 'ping'));
    assert.ok(recorder.sent().every(({ payload }) => payload.toString() === 'ping'));
  });

  it('answers the latest before a Close frame', () => {
    const recorder = new ProtocolRecorder('server');
    for (let i = 0; i < 20; i++) recorder.receive(recorder.peerFrame(PING, `${i}`));
    recorder.protocol.sendClose();
    recorder.receive(recorder.peerFrame(PING, 'too late'));
    const sent = recorder.sent();
    assert.deepEqual(
      sent.slice(-2).map(({ opcode, payload }) => [opcode, payload]),
      [
        [10, Buffer.from('19')],
        [8, closePayload(1000)],
      ],
    );
    assert.equal(sent.length, 18);
  });

  forEachRole('answers between the fragments of a message', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.receive(recorder.peerFrame(0x01, 'Hel'), recorder.peerFrame(PING, 'now'), recorder.peerFrame(0x80, 'lo'));
    assertSent(recorder, [[10, 'now']]);
    assert.deepEqual(recorder.received(), [
      { type: 'ping', payload: Buffer.from('now') },
      { type: 'message', data: 'Hello' },
    ]);
  });

  it('answers nothing to a pong', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.receive(recorder.peerFrame(PONG, 'unasked'));
    assertSent(recorder, []);
    assert.deepEqual(recorder.events, [{ type: 'pong', payload: Buffer.from('unasked') }]);
  });
});

describe('Protocol, sending', () => {
  forEachRole('sends text, binary, pings and pongs in the order of the calls', (role) => {
    const recorder = new ProtocolRecorder(role);
    const { protocol } = recorder;
    protocol.sendMessage('héllo');
    protocol.sendMessage(hex('00ff'));
    protocol.sendMessage(new Uint8Array([1, 2]));
    protocol.sendPing();
    protocol.sendPing(Buffer.from('ping'));
    protocol.sendPong();
    protocol.sendPong(Buffer.from('pong'));
    protocol.sendMessage('');
    const large = bytesOf(70_000, 1);
    protocol.sendMessage(large);
    assertSent(recorder, [
      [1, 'héllo'],
      [2, hex('00ff')],
      [2, hex('0102')],
      [9, ''],
      [9, 'ping'],
      [10, ''],
      [10, 'pong'],
      [1, ''],
      [2, large],
    ]);
  });

  it('tells once of output where there was none, when it is there', () => {
    const recorder = new ProtocolRecorder('server');
    const { protocol } = recorder;
    protocol.sendMessage('a');
    protocol.sendMessage('b');
    protocol.sendPing();
    assert.deepEqual(recorder.events, [{ type: 'output' }]);
    assert.equal(protocol.outputBytes, 8);
    assert.equal(recorder.sentBytes().length, 8);
    assert.equal(protocol.outputBytes, 0);
    protocol.sendPing();
    assert.equal(recorder.count('output'), 2);
  });

  it('lets its owner take the output when it is told of it', () => {
    const recorder = new ProtocolRecorder('server');
    const lengths: number[] = [];
    recorder.on = ({ type }) => {
      if (type !== 'output') return;
      lengths.push(...recorder.protocol.takeOutput().map(({ length }) => length));
      recorder.protocol.outputReleased();
    };
    recorder.protocol.sendMessage('a');
    recorder.protocol.sendMessage(hex('0102'));
    recorder.receive(recorder.peerFrame(PING, 'ping'));
    recorder.protocol.sendClose();
    assert.deepEqual(lengths, [3, 4, 6, 4]);
  });

  it('keeps bytes that have to wait out of the memory that others write into', () => {
    const [recorder, other] = [new ProtocolRecorder('server'), new ProtocolRecorder('server')];
    recorder.protocol.sendMessage('waits');
    recorder.protocol.holdOutput();
    recorder.protocol.sendMessage('too');
    other.protocol.sendMessage('leaves');
    const [chunks, [leaves]] = [recorder.protocol.takeOutput(), other.protocol.takeOutput()];
    assert.equal(Buffer.concat(chunks).toString('latin1'), '\x81\x05waits\x81\x03too');
    assert.ok(chunks.every(({ buffer }) => buffer !== leaves!.buffer));
  });

  const ends: [how: string, end: (protocol: Protocol) => void][] = [
    [
      'its bytes have left',
      (protocol) => {
        protocol.takeOutput();
        protocol.outputReleased();
      },
    ],
    [
      'its bytes are still being read',
      (protocol) => {
        protocol.takeOutput();
        protocol.outputRetained();
      },
    ],
    ['it is over', (protocol) => protocol.receiveEnd()],
  ];
  for (const [when, end] of ends) {
    it(`gives the memory it writes to back when ${when}, and not before`, () => {
      const encoder = borrowEncoder(false);
      returnEncoder(encoder);
      const { protocol } = new ProtocolRecorder('server');
      protocol.sendMessage('a');
      assert.equal(isIdle(encoder), false);
      end(protocol);
      assert.equal(isIdle(encoder), true);
    });
  }

  it('goes on with the memory it writes to where more was sent while its bytes were leaving', () => {
    const encoder = borrowEncoder(false);
    returnEncoder(encoder);
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendMessage('a');
    recorder.protocol.takeOutput();
    recorder.protocol.sendMessage('b');
    recorder.protocol.outputReleased();
    assert.equal(isIdle(encoder), false);
    assertSent(recorder, [[1, 'b']]);
    assert.equal(isIdle(encoder), true);
  });

  it('can be told that bytes have left, or are retained, where there were none', () => {
    const { protocol } = new ProtocolRecorder('server');
    protocol.outputReleased();
    protocol.outputRetained();
    assert.equal(protocol.outputBytes, 0);
  });

  it('keeps bytes that are retained', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendMessage('retained');
    const chunks = recorder.protocol.takeOutput();
    recorder.protocol.outputRetained();
    recorder.protocol.sendMessage('next');
    recorder.sentBytes();
    recorder.protocol.sendMessage('and next');
    assert.deepEqual(Buffer.concat(chunks), Buffer.from('\x81\x08retained', 'latin1'));
  });

  it('refuses what is neither text nor bytes', () => {
    const recorder = new ProtocolRecorder('server');
    const { protocol } = recorder;
    for (const data of [
      new Float32Array(20),
      new Uint16Array(3),
      new DataView(new ArrayBuffer(4)),
      new ArrayBuffer(4),
      5,
      null,
      undefined,
      [1],
      {},
    ]) {
      assert.throws(() => protocol.sendMessage(data as Uint8Array), {
        name: 'TypeError',
        message: /^a message is a string or bytes \(a Uint8Array\), and this one is .+: (send|give) /,
      });
      if (data === undefined) continue;
      assert.throws(() => protocol.sendPing(data as Uint8Array), TypeError);
      assert.throws(() => protocol.sendPong(data as Uint8Array), TypeError);
    }
    assert.deepEqual(recorder.events, []);
    assertSent(recorder, []);
  });

  it('refuses pings and pongs of more than 125 bytes', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendPing(bytesOf(125, 1));
    assert.throws(() => recorder.protocol.sendPing(bytesOf(126, 1)), { name: 'RangeError', message: /125 bytes.*126/ });
    assert.throws(() => recorder.protocol.sendPong(bytesOf(126, 1)), RangeError);
    assertSent(recorder, [[9, bytesOf(125, 1)]]);
  });

  it('copies the payload of a ping', () => {
    const recorder = new ProtocolRecorder('server');
    const payload = Buffer.from('ping');
    recorder.protocol.sendPing(payload);
    payload.fill(0);
    assertSent(recorder, [[9, 'ping']]);
  });
});

describe('Protocol, closing', () => {
  forEachRole('answers a Close frame with its code, and is finished', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.receive(recorder.peerFrame(TEXT, 'a'), recorder.peerFrame(CLOSE, closePayload(4000, 'bye')));
    assertSent(recorder, [[8, closePayload(4000)]]);
    assert.deepEqual(recorder.events, [{ type: 'message', data: 'a' }, { type: 'output' }, { type: 'finished' }]);
    assert.deepEqual(recorder.protocol.close, { code: 4000, reason: 'bye', wasClean: true });
    assert.equal(recorder.protocol.state, 'closing');
    assertIgnoresInput(recorder);
    recorder.protocol.receiveEnd();
    assert.equal(recorder.protocol.state, 'closed');
    assert.deepEqual(recorder.protocol.close, { code: 4000, reason: 'bye', wasClean: true });
  });

  forEachRole('answers a Close frame without a code with one without a code', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.receive(recorder.peerFrame(CLOSE));
    assertSent(recorder, [[8, '']]);
    assert.deepEqual(recorder.protocol.close, { code: 1005, reason: '', wasClean: true });
  });

  forEachRole('is finished when the answer to its own Close frame comes', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.protocol.sendClose(1001, 'going');
    assert.equal(recorder.protocol.state, 'closing');
    assert.equal(recorder.protocol.close, undefined);
    assert.deepEqual(recorder.events, [{ type: 'output' }]);
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(1001)));
    assertSent(recorder, [[8, closePayload(1001, 'going')]]);
    assert.deepEqual(recorder.events, [{ type: 'output' }, { type: 'finished' }]);
    assert.deepEqual(recorder.protocol.close, { code: 1001, reason: '', wasClean: true });
    assertIgnoresInput(recorder);
  });

  forEachRole('knows which Close frames went and came', (role) => {
    const recorder = new ProtocolRecorder(role);
    const { protocol } = recorder;
    assert.deepEqual([protocol.sentClose, protocol.receivedClose], [undefined, undefined]);
    protocol.sendClose(1001, 'going');
    assert.deepEqual([protocol.sentClose, protocol.receivedClose], [{ code: 1001, reason: 'going' }, undefined]);
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(4000, 'bye')));
    assert.deepEqual(protocol.receivedClose, { code: 4000, reason: 'bye' });
    recorder.sentBytes();
    protocol.receiveEnd();
    assert.deepEqual(
      [protocol.sentClose, protocol.receivedClose],
      [
        { code: 1001, reason: 'going' },
        { code: 4000, reason: 'bye' },
      ],
    );
  });

  it('knows of no Close frame where none left, or none came before the end', () => {
    const { protocol } = new ProtocolRecorder('server');
    protocol.sendClose(1001);
    protocol.receiveEnd();
    assert.deepEqual([protocol.sentClose, protocol.receivedClose], [undefined, undefined]);
  });

  it('closes both ends when both close at once', () => {
    const server = new ProtocolRecorder('server');
    const client = new ProtocolRecorder('client');
    server.protocol.sendClose(1001);
    client.protocol.sendClose(3000, 'mine');
    const [toClient, toServer] = [server.sentBytes(), client.sentBytes()];
    server.receive(toServer);
    client.receive(toClient);
    assert.deepEqual(server.protocol.close, { code: 3000, reason: 'mine', wasClean: true });
    assert.deepEqual(client.protocol.close, { code: 1001, reason: '', wasClean: true });
    for (const recorder of [server, client]) {
      assert.equal(recorder.sent().length, 1);
      assert.equal(recorder.count('finished'), 1);
    }
  });

  forEachRole('sends on until it answers a Close frame, where that is to wait', (role) => {
    const recorder = new ProtocolRecorder(role);
    const { protocol } = recorder;
    recorder.answersLater = true;
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(4000, 'bye')));
    assert.deepEqual([protocol.state, protocol.canSend, protocol.isAnswerDue], ['closing', true, true]);
    assertIgnoresInput(recorder);
    protocol.sendMessage('still');
    assert.throws(() => protocol.sendPing(), CLOSED_ERROR);
    protocol.receiveHalfEnd();
    protocol.sendMessage('going');
    assert.equal(recorder.count('finished'), 0);
    protocol.answerClose();
    protocol.answerClose();
    assert.deepEqual([protocol.canSend, protocol.isAnswerDue, recorder.count('finished')], [false, false, 1]);
    assert.throws(() => protocol.sendMessage('late'), CLOSED_ERROR);
    assertSent(recorder, [
      [1, 'still'],
      [1, 'going'],
      [8, closePayload(4000)],
    ]);
    assert.deepEqual(protocol.close, { code: 4000, reason: 'bye', wasClean: true });
  });

  it('answers a Close frame that waits for it by its own code when this side closes, or fails', () => {
    for (const end of [
      ({ protocol }: ProtocolRecorder) => protocol.sendClose(4001, 'mine'),
      ({ protocol }: ProtocolRecorder) => protocol.fail(new Error('mine')),
    ]) {
      const recorder = new ProtocolRecorder('server');
      recorder.answersLater = true;
      recorder.receive(recorder.peerFrame(CLOSE, closePayload(4000)));
      end(recorder);
      assertSent(recorder, [[8, closePayload(4000)]]);
      assert.equal(recorder.count('finished'), 1);
      assert.equal(recorder.protocol.close?.code, 4000);
    }
  });

  it('answers a Close frame at once where nobody asks to wait', () => {
    const recorder = new ProtocolRecorder('server');
    Object.assign(recorder, { onPeerClose: undefined });
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(4000)));
    assertSentClose(recorder, 4000);
    assert.equal(recorder.count('finished'), 1);
  });

  it('has nothing to answer where its own Close frame was sent before, or the transport has ended', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.answersLater = true;
    recorder.protocol.sendClose(1001);
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(1001)));
    assert.deepEqual([recorder.protocol.isAnswerDue, recorder.count('finished')], [false, 1]);
    const gone = new ProtocolRecorder('server');
    gone.answersLater = true;
    gone.receive(gone.peerFrame(CLOSE, closePayload(1000)));
    gone.protocol.receiveEnd();
    gone.protocol.answerClose();
    assert.deepEqual([gone.protocol.canSend, gone.count('finished'), gone.sent()], [false, 0, []]);
  });

  it('still receives what was sent before the peer saw the Close frame, and answers no ping any more', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendClose();
    recorder.receive(recorder.peerFrame(TEXT, 'in flight'), recorder.peerFrame(PING, 'p'), recorder.peerFrame(CLOSE));
    assert.deepEqual(recorder.received(), [
      { type: 'message', data: 'in flight' },
      { type: 'ping', payload: Buffer.from('p') },
    ]);
    assertSent(recorder, [[8, closePayload(1000)]]);
  });

  it('sends one Close frame, however often it is asked to', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendClose(1000, 'first');
    recorder.protocol.sendClose(1001, 'second');
    recorder.protocol.fail(new Error('third'));
    recorder.protocol.fail(new Error('fourth'));
    recorder.protocol.sendClose(1001, 'fifth');
    assertSent(recorder, [[8, closePayload(1000, 'first')]]);
    assert.equal(recorder.count('finished'), 1);
  });

  it('sends nothing but the Close frame once it is closing', () => {
    const endings: ((recorder: ProtocolRecorder) => void)[] = [
      (recorder) => recorder.protocol.sendClose(),
      (recorder) => void recorder.receive(recorder.peerFrame(CLOSE, closePayload(1000))),
      (recorder) => recorder.protocol.fail(new Error('broken')),
      (recorder) => void recorder.receive(hex('ff')),
    ];
    for (const end of endings) {
      const recorder = new ProtocolRecorder('server');
      end(recorder);
      assert.throws(() => recorder.protocol.sendMessage('late'), CLOSED_ERROR);
      assert.throws(() => recorder.protocol.sendMessage(hex('00')), CLOSED_ERROR);
      assert.throws(() => recorder.protocol.sendPing(), CLOSED_ERROR);
      assert.throws(() => recorder.protocol.sendPong(), CLOSED_ERROR);
      assert.equal(recorder.sent().length, 1);
      assert.equal(recorder.count('output'), 1);
    }
  });

  it('tells the code and the reason of the peer to whoever sends too late', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(4001, 'banned')));
    const error = recorder.protocol.closedError();
    assert.ok(error instanceof ConnectionClosedError);
    assert.deepEqual([error.closeCode, error.reason], [4001, 'banned']);
    assert.match(error.message, /4001 \(banned\)/);
    const early = new ProtocolRecorder('server').protocol.closedError();
    assert.deepEqual([early.closeCode, early.reason], [1006, '']);
  });

  it('refuses codes and reasons that may not be sent, in every state', () => {
    const recorder = new ProtocolRecorder('server');
    for (let round = 0; round < 3; round++) {
      for (const code of [0, 999, 1004, 1006, 1015, 2999, 5000, 1000.5, Number.NaN]) {
        assert.throws(() => recorder.protocol.sendClose(code), RangeError, `${code}`);
      }
      assert.throws(() => recorder.protocol.sendClose(1000, 'a'.repeat(124)), RangeError);
      assert.throws(() => recorder.protocol.sendClose(1005, 'why'), RangeError);
      if (round === 0) recorder.protocol.sendClose(1005);
      if (round === 1) recorder.protocol.receiveEnd();
    }
    assert.equal(recorder.protocol.state, 'closed');
  });

  it('sends a Close frame without a code for 1005', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendClose(1005);
    assertSent(recorder, [[8, '']]);
  });
});

describe('Protocol.fail', () => {
  it('sends 1011 and no reason for an error that is nobody else’s business', () => {
    for (const error of [
      new Error('secret'),
      'secret',
      undefined,
      null,
      new InvalidStateError('WS_ERR_SERVER_STATE', 'secret'),
    ]) {
      const recorder = new ProtocolRecorder('server');
      recorder.protocol.fail(error);
      assert.equal(assertSentClose(recorder, 1011), '');
      assert.deepEqual(recorder.events, [{ type: 'output' }, { type: 'finished' }]);
      assert.deepEqual(recorder.protocol.close, { code: 1006, reason: '', wasClean: false });
      assertIgnoresInput(recorder);
    }
  });

  it('sends the code and the message of an error the peer has to do with', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.fail(new LimitError('WS_ERR_BACKPRESSURE', 'read faster'));
    assert.equal(assertSentClose(recorder, 1008), 'read faster');
  });

  it('cuts a message that is too long, but no character', () => {
    for (const [message, reason] of [
      ['a'.repeat(123), 'a'.repeat(123)],
      ['a'.repeat(124), 'a'.repeat(123)],
      ['€'.repeat(41), '€'.repeat(41)],
      [`a${'€'.repeat(41)}`, `a${'€'.repeat(40)}`],
      [`aa${'€'.repeat(41)}`, `aa${'€'.repeat(40)}`],
      [`${'a'.repeat(122)}😀`, 'a'.repeat(122)],
      [`${'a'.repeat(121)}😀`, 'a'.repeat(121)],
      [`${'a'.repeat(119)}😀b`, `${'a'.repeat(119)}😀`],
      ['😀'.repeat(1_000_000), '😀'.repeat(30)],
    ] as const) {
      const recorder = new ProtocolRecorder('server');
      recorder.protocol.fail(new ProtocolError('WS_ERR_INVALID_OPCODE', message));
      assert.equal(assertSentClose(recorder, 1002), reason);
    }
  });

  it('forgets the message in hand', () => {
    const recorder = new ProtocolRecorder('client');
    recorder.receive(hex('0103 616263'));
    assert.ok(recorder.protocol.receivedBytes > 0);
    recorder.protocol.fail(new Error('no more'));
    assert.equal(recorder.protocol.receivedBytes, 0);
  });

  it('does nothing when the connection is over', () => {
    const closed = new ProtocolRecorder('server');
    closed.receive(closed.peerFrame(CLOSE, closePayload(1000)));
    closed.protocol.fail(new Error('late'));
    assertSent(closed, [[8, closePayload(1000)]]);
    assert.equal(closed.protocol.close!.wasClean, true);

    const ended = new ProtocolRecorder('server');
    ended.protocol.receiveEnd();
    ended.protocol.fail(new Error('late'));
    assert.deepEqual(ended.events, []);
    assertSent(ended, []);
  });

  it('lets its owner close with another code when it is told of a fault', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.on = ({ type }) => {
      if (type === 'error') recorder.protocol.sendClose(4002, 'my own words');
    };
    recorder.receive(hex('ff'));
    assertSent(recorder, [[8, closePayload(4002, 'my own words')]]);
    assert.equal(recorder.count('finished'), 1);
  });

  it('takes nothing more from an owner that goes on when it is told of a fault', () => {
    const recorder = new ProtocolRecorder('client');
    recorder.on = ({ type }) => {
      if (type === 'error') recorder.receive(hex('8101 41 ff'));
    };
    recorder.receive(hex('ff'));
    assertCloses(recorder, 1002);
    assert.deepEqual(recorder.messages(), []);
  });

  it('tells nothing of a Ping whose owner ended the connection when it was told of the answer', () => {
    const ends: ((recorder: ProtocolRecorder) => void)[] = [
      ({ protocol }) => protocol.receiveEnd(),
      ({ protocol }) => protocol.fail(new Error('secret')),
    ];
    for (const end of ends) {
      const recorder = new ProtocolRecorder('server');
      recorder.on = ({ type }) => {
        recorder.on = undefined;
        if (type === 'output') end(recorder);
      };
      recorder.receive(recorder.peerFrame(0x89, 'ping'));
      assert.deepEqual(recorder.received(), []);
    }
  });

  it('lets its owner cut the connection when it is told of a fault', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.on = ({ type }) => {
      if (type === 'error') recorder.protocol.receiveEnd();
    };
    recorder.receive(hex('ff'));
    assertSent(recorder, []);
    assert.equal(recorder.protocol.state, 'closed');
  });
});

describe('Protocol, messages that are lent', () => {
  it('lends whole binary messages, and makes a buffer of those that nobody takes', () => {
    const recorder = new ProtocolRecorder('server');
    const lent: string[] = [];
    Object.assign(recorder, {
      onLentMessage: (bytes: Buffer, start: number, end: number) => {
        lent.push(bytes.toString('latin1', start, end));
        return lent.length === 1;
      },
    });
    recorder.receive(
      recorder.peerFrame(0x82, 'taken'),
      recorder.peerFrame(0x82, 'left'),
      recorder.peerFrame(0x81, 'text'),
      recorder.peerFrame(0x02, 'pie'),
      recorder.peerFrame(0x80, 'ces'),
    );
    assert.deepEqual(lent, ['taken', 'left', 'pieces']);
    assert.deepEqual(recorder.messages(), [Buffer.from('left'), 'text', Buffer.from('pieces')]);
  });

  for (const isTakenOver of [true, false]) {
    it(`uses the memory of a message in pieces again, ${isTakenOver ? 'but not where it was taken over' : 'once it was read'}`, () => {
      const recorder = new ProtocolRecorder('server');
      const seen: Buffer[] = [];
      Object.assign(recorder, {
        onLentMessage: (bytes: Buffer, start: number, end: number) => {
          seen.push(isTakenOver ? own(bytes, start, end) : bytes);
          return true;
        },
      });
      const half = Buffer.alloc(50_000, 'x');
      for (let i = 0; i < 2; i++) recorder.receive(recorder.peerFrame(0x02, half), recorder.peerFrame(0x80, half));
      assert.equal(seen[0]!.buffer !== seen[1]!.buffer, isTakenOver);
      assert.deepEqual(recorder.messages(), []);
    });
  }
});

describe('Protocol.receiveHalfEnd', () => {
  forEachRole('sends what was sent before, and nothing more; is finished, and 1006', (role) => {
    const recorder = new ProtocolRecorder(role);
    const { protocol } = recorder;
    protocol.sendMessage('before');
    protocol.receiveHalfEnd();
    assert.deepEqual([protocol.state, protocol.canSend, recorder.count('finished')], ['closing', false, 1]);
    assert.throws(() => protocol.sendMessage('late'), CLOSED_ERROR);
    protocol.sendClose();
    protocol.fail(undefined);
    assertSent(recorder, [[1, 'before']]);
    assert.deepEqual(protocol.close, { code: 1006, reason: '', wasClean: false });
    assertIgnoresInput(recorder);
  });

  it('leaves what is known of a connection that is closing, or closed', () => {
    const recorder = new ProtocolRecorder('client');
    recorder.receive(recorder.peerFrame(CLOSE, closePayload(4000)));
    recorder.protocol.receiveHalfEnd();
    assert.deepEqual([recorder.protocol.close?.code, recorder.count('finished')], [4000, 2]);
    recorder.protocol.receiveEnd();
    recorder.protocol.receiveHalfEnd();
    assert.deepEqual([recorder.protocol.state, recorder.count('finished')], ['closed', 2]);
  });
});

describe('Protocol whose owner asks to be told of no more than it must', () => {
  function makeBare(): { protocol: Protocol; told: string[] } {
    const told: string[] = [];
    const protocol = new Protocol(
      'server',
      {
        onMessage: () => told.push('message'),
        onPong: () => told.push('pong'),
        onOutput: () => told.push('output'),
        onProtocolError: () => told.push('error'),
        onFinished: () => told.push('finished'),
      },
      DEFAULT_LIMITS,
    );
    return { protocol, told };
  }

  it('answers a Ping, and a Close at once', () => {
    const { protocol, told } = makeBare();
    protocol.receiveData(
      Buffer.concat([peerFrame('server', PING, 'p'), peerFrame('server', CLOSE, closePayload(1000))]),
    );
    assert.deepEqual(told, ['output', 'finished']);
    assert.deepEqual(Buffer.concat(protocol.takeOutput()), Buffer.concat([hex('8a01 70'), hex('8802 03e8')]));
  });

  it('sends nothing more when what waits was transferred', () => {
    const { protocol } = makeBare();
    const large = new Uint8Array(20_000);
    protocol.sendMessage(large);
    structuredClone(large.buffer, { transfer: [large.buffer] });
    assert.deepEqual(protocol.takeOutput(), []);
  });
});

describe('Protocol.takeOutput', () => {
  it('hands nothing over when bytes that are kept by reference were transferred', () => {
    const recorder = new ProtocolRecorder('server');
    const large = new Uint8Array(20_000);
    recorder.protocol.sendMessage('before');
    recorder.protocol.sendMessage(large);
    structuredClone(large.buffer, { transfer: [large.buffer] });
    assert.deepEqual(recorder.sent(), []);
    assert.equal(recorder.errors[0]?.code, 'WS_ERR_MESSAGE_CHANGED');
    assert.equal(recorder.protocol.outputBytes, 0);
  });
});

describe('Protocol.receiveEnd', () => {
  const abnormal = { code: 1006, reason: '', wasClean: false };

  forEachRole('makes 1006 of a connection that ends while it is open', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.protocol.receiveEnd();
    assert.equal(recorder.protocol.state, 'closed');
    assert.deepEqual(recorder.protocol.close, abnormal);
    assert.throws(() => recorder.protocol.sendMessage('late'), CLOSED_ERROR);
    assertIgnoresInput(recorder);
  });

  it('makes 1006 of a connection whose Close frame is not answered', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendClose();
    recorder.protocol.receiveEnd();
    assert.deepEqual(recorder.protocol.close, abnormal);
  });

  it('leaves what was known of a connection that is finished', () => {
    for (const fault of [false, true]) {
      const recorder = new ProtocolRecorder('server');
      recorder.receive(fault ? hex('ff') : recorder.peerFrame(CLOSE, closePayload(1001, 'x')));
      recorder.sentBytes();
      recorder.protocol.receiveEnd();
      recorder.protocol.receiveEnd();
      assert.deepEqual(recorder.protocol.close, fault ? abnormal : { code: 1001, reason: 'x', wasClean: true });
    }
  });

  it('makes no clean end of one whose answer to the Close frame of the peer has not left', () => {
    for (const how of ['not answered', 'not taken', 'lost', 'changed'] as const) {
      const recorder = new ProtocolRecorder('server');
      recorder.answersLater = how === 'not answered';
      const large = new Uint8Array(20_000);
      if (how === 'changed') recorder.protocol.sendMessage(large);
      recorder.receive(recorder.peerFrame(CLOSE, closePayload(1001, 'x')));
      if (how === 'changed') structuredClone(large.buffer, { transfer: [large.buffer] });
      if (how === 'lost' || how === 'changed') recorder.sentBytes();
      recorder.protocol.receiveEnd(how === 'lost');
      assert.deepEqual(recorder.protocol.close, { code: 1001, reason: 'x', wasClean: false });
    }
  });

  it('drops the output, since nobody is left to read it', () => {
    const recorder = new ProtocolRecorder('server');
    for (let i = 0; i < 20; i++) recorder.receive(recorder.peerFrame(PING, 'ping'));
    recorder.protocol.sendMessage('unread');
    recorder.protocol.receiveEnd();
    assert.equal(recorder.protocol.outputBytes, 0);
    assert.deepEqual(recorder.protocol.takeOutput(), []);
    recorder.protocol.sendClose();
    assert.deepEqual(recorder.protocol.takeOutput(), []);
  });

  it('does not give up bytes that are still being written', () => {
    const recorder = new ProtocolRecorder('server');
    recorder.protocol.sendMessage('being written');
    const chunks = recorder.protocol.takeOutput();
    recorder.protocol.receiveEnd();
    new ProtocolRecorder('server').protocol.sendMessage('overwritten??');
    assert.equal(Buffer.concat(chunks).toString('latin1', 2), 'being written');
  });

  it('ends a frame and a message that will never be whole', () => {
    for (const bytes of ['8205 00', '8905 00', '81', '0101 41']) {
      const recorder = new ProtocolRecorder('client');
      recorder.receive(hex(bytes));
      recorder.protocol.receiveEnd();
      assert.equal(recorder.protocol.receivedBytes, 0);
      assert.deepEqual(recorder.events, []);
    }
  });
});

describe('Protocol, faults', () => {
  /** What only the sequence of frames can break; what one frame breaks is in spec/rfc. */
  const faults: readonly [title: string, bits: readonly [number, string][], code: number, error: string][] = [
    ['a continuation with nothing to continue', [[0x80, '']], 1002, 'WS_ERR_UNEXPECTED_CONTINUATION'],
    [
      'a message inside a message',
      [
        [0x01, 'a'],
        [TEXT, 'b'],
      ],
      1002,
      'WS_ERR_EXPECTED_CONTINUATION',
    ],
    ['text that ends inside a character', [[TEXT, '\xe2\x82']], 1007, 'WS_ERR_INVALID_UTF8'],
    [
      'fragments that end inside a character',
      [
        [0x01, 'a\xe2'],
        [0x80, '\x82'],
      ],
      1007,
      'WS_ERR_INVALID_UTF8',
    ],
    ['a Close frame with half a code', [[CLOSE, '\x03']], 1002, 'WS_ERR_INVALID_CLOSE_PAYLOAD'],
    ['a Close frame with a code that is never sent', [[CLOSE, '\x03\xed']], 1002, 'WS_ERR_INVALID_CLOSE_CODE'],
    ['a Close frame with a faulty reason', [[CLOSE, '\x03\xe8\xff']], 1007, 'WS_ERR_INVALID_UTF8'],
  ];

  for (const [title, frames, code, error] of faults) {
    forEachRole(`fails the connection for ${title}`, (role) => {
      const bytes = Buffer.concat(
        frames.map(([bits, payload]) => peerFrame(role, bits, Buffer.from(payload, 'latin1'))),
      );
      eachChunking(bytes, (chunks) => {
        const recorder = new ProtocolRecorder(role).receive(...chunks);
        assertCloses(recorder, code);
        assert.equal(recorder.errors[0]!.code, error);
        assert.deepEqual(recorder.messages(), []);
      });
    });
  }

  forEachRole('finds bad UTF-8 in the midst of a frame, with the byte that makes it so', (role) => {
    for (const fragmented of [false, true]) {
      const recorder = new ProtocolRecorder(role);
      if (fragmented) recorder.receive(recorder.peerFrame(0x01, 'é'));
      const payload = Buffer.concat([Buffer.from('aé'), hex('eda0'), Buffer.alloc(1000)]);
      const bytes = recorder.peerFrame(fragmented ? 0x80 : TEXT, payload);
      const fault = bytes.length - 1000;
      for (let i = 0; i < fault - 1; i++) recorder.receive(bytes.subarray(i, i + 1));
      assert.deepEqual(recorder.errors, []);
      recorder.receive(bytes.subarray(fault - 1, fault));
      assertCloses(recorder, 1007);
    }
  });

  forEachRole('sends no second Close frame for a fault behind its own', (role) => {
    const recorder = new ProtocolRecorder(role);
    recorder.protocol.sendClose(1001);
    recorder.receive(hex('ff'));
    assertSent(recorder, [[8, closePayload(1001)]]);
    assert.deepEqual(recorder.events, [
      { type: 'output' },
      { type: 'error', code: 'WS_ERR_UNEXPECTED_RSV_2_3' },
      { type: 'finished' },
    ]);
  });
});
