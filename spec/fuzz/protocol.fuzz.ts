import assert from 'node:assert/strict';
import fc from 'fast-check';
import { closeCodeOf, ERROR_CODES, WebSocketError } from '../../lib/errors.ts';
import type { ProtocolEvents, ProtocolLimits, Role } from '../../lib/protocol/events.ts';
import { Protocol } from '../../lib/protocol/protocol.ts';
import { frames } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { cutByChance, type FuzzTarget, type Random } from '../support/fuzzing.ts';
import { ProtocolRecorder, peerFrame } from '../support/protocol-recorder.ts';
import { type Frame, referenceEncode, referenceParse, referenceReceive } from '../support/reference-codec.ts';

/** What is held of a frame that has not arrived, besides the message: a header, and the payload of a control frame. */
const MAX_FRAME_SCRATCH_BYTES = 14 + 125;

/** A Pong each for 16 Pings and one for the latest: what waits is bounded, however many came. */
const MAX_ANSWER_BYTES = 17 * (125 + 6);

/** A protocol whose owner does anything at any time, also while it is being told something. */
class CarelessOwner implements ProtocolEvents {
  readonly role: Role;
  readonly protocol: Protocol;
  readonly limits: ProtocolLimits;
  readonly #random: Random;
  /** Every how many events the owner calls back. */
  readonly #calls: number;
  readonly #sent: Buffer[] = [];
  /** Bytes that this side sent by itself, and not as an answer. */
  #ownBytes = 0;
  #depth = 0;
  fed = 0;
  messages = 0;
  finished = 0;
  ended = false;
  error: WebSocketError | undefined;

  constructor(role: Role, limits: ProtocolLimits, random: Random) {
    this.role = role;
    this.limits = limits;
    this.#random = random;
    this.#calls = random.pick([1, 3, 10]);
    this.protocol = new Protocol(role, this, limits);
  }

  onMessage(data: string | Buffer): void {
    assert.ok(data.length <= this.limits.maxMessageBytes);
    if (typeof data !== 'string') data.fill(0xff);
    this.messages++;
    this.#told();
  }

  onPing(payload: Buffer): void {
    assert.ok(payload.length <= 125);
    payload.fill(0xff);
    this.#told();
  }

  onPong(payload: Buffer): void {
    this.onPing(payload);
  }

  onOutput(): void {
    assert.ok(this.protocol.outputBytes > 0);
    this.#told();
  }

  onProtocolError(error: WebSocketError): void {
    assert.equal(this.error, undefined, 'one error is told');
    assert.ok(error instanceof WebSocketError && ERROR_CODES.includes(error.code));
    assert.ok([1002, 1007, 1009].includes(closeCodeOf(error)), `${error.code} closes with ${closeCodeOf(error)}`);
    this.error = error;
    this.#told();
  }

  onFinished(): void {
    this.finished++;
    assert.equal(this.finished, 1, 'the end is told once');
    assert.notEqual(this.protocol.state, 'open');
    assert.notEqual(this.protocol.close, undefined);
  }

  #told(): void {
    assert.equal(this.finished, 0, 'nothing is told after the end');
    assert.equal(this.ended, false, 'nothing is told after the end of the transport');
    this.check();
    if (this.#depth < 3 && this.#random.oneIn(this.#calls)) this.act();
  }

  /** What must hold at any time. */
  check(): void {
    const { protocol, limits } = this;
    const bound = Math.min(limits.maxMessageBytes, Math.max(4096, 2 * this.fed)) + MAX_FRAME_SCRATCH_BYTES;
    assert.ok(protocol.receivedBytes <= bound, `${protocol.receivedBytes} bytes are held for ${this.fed}`);
    const waiting = this.#ownBytes + MAX_ANSWER_BYTES + 200;
    assert.ok(protocol.outputBytes <= waiting, `${protocol.outputBytes} bytes wait`);
  }

  /** Calls any method, and knows what each may throw. */
  act(): void {
    this.#depth++;
    const { protocol } = this;
    const random = this.#random;
    const isOpen = protocol.state === 'open';
    const closed = (call: () => void, bytes: number): void => {
      if (isOpen) call();
      else assert.throws(call, { name: 'ConnectionClosedError', code: 'WS_ERR_CONNECTION_CLOSED' });
      if (isOpen) this.#ownBytes += bytes + 14;
    };
    switch (random.below(14)) {
      case 0:
        closed(() => protocol.sendMessage('text é'.repeat(4)), 60);
        break;
      case 1: {
        const bytes = random.bytes(random.pick([0, 1, 125, 126]));
        closed(() => protocol.sendMessage(bytes), bytes.length);
        break;
      }
      case 2:
        closed(() => protocol.sendPing(random.bytes(random.below(126))), 125);
        break;
      case 3:
        closed(() => protocol.sendPong(), 0);
        break;
      case 4:
        assert.throws(() => protocol.sendPing(Buffer.alloc(126)), RangeError);
        assert.throws(() => protocol.sendMessage(new Float32Array(20) as unknown as Uint8Array), TypeError);
        break;
      case 5:
        assert.throws(
          () => protocol.sendClose(random.pick([0, 999, 1004, 1006, 1015, 2999, 5000, -1, 1.5])),
          RangeError,
        );
        assert.throws(() => protocol.sendClose(1000, 'x'.repeat(124)), RangeError);
        break;
      case 6:
        if (random.oneIn(4)) protocol.sendClose(random.pick([1000, 1001, 1005, 3000, 4999]));
        break;
      case 7:
        if (random.oneIn(6)) protocol.fail(random.pick([new Error('secret'), undefined, 'x', null]));
        break;
      case 8:
        if (random.oneIn(10)) this.end();
        break;
      case 9:
        protocol.pauseReceiving();
        break;
      case 10:
        protocol.resumeReceiving();
        break;
      default:
        this.take();
    }
    this.#depth--;
  }

  end(): void {
    this.protocol.receiveEnd();
    this.ended = true;
    assert.equal(this.protocol.state, 'closed');
    assert.equal(this.protocol.outputBytes, 0);
  }

  take(): void {
    const chunks = this.protocol.takeOutput().map((chunk) => Buffer.from(chunk));
    this.#sent.push(...chunks);
    this.#ownBytes = 0;
    if (this.#random.oneIn(2)) this.protocol.outputReleased();
    else this.protocol.outputRetained();
  }

  /** All frames that were sent. */
  sent(): Frame[] {
    this.take();
    const rules = { expectMask: this.role === 'client', allowRsv1: false, maxFrameBytes: Number.POSITIVE_INFINITY };
    const { frames: sent, error, partial } = referenceParse(Buffer.concat(this.#sent), rules);
    assert.deepEqual([error, partial], [undefined, undefined], 'what is sent are whole frames, and legal');
    return sent;
  }

  feed(input: Buffer): void {
    for (const chunk of cutByChance(input, this.#random)) {
      let position = 0;
      for (let tries = 0; position < chunk.length; tries++) {
        this.fed += chunk.length - position;
        const read = this.protocol.receiveData(chunk, position);
        assert.ok(read >= position && read <= chunk.length);
        position = read;
        if (position < chunk.length) this.protocol.resumeReceiving();
        assert.ok(tries <= chunk.length, 'reading goes on');
      }
      this.check();
      if (this.#random.oneIn(this.#calls)) this.act();
    }
  }
}

function runCareless(input: Buffer, role: Role, limits: ProtocolLimits, random: Random): string {
  const owner = new CarelessOwner(role, limits, random);
  owner.feed(input);
  const sent = owner.sent();
  const closes = sent.filter(({ opcode }) => opcode === 8);
  assert.ok(closes.length <= 1, 'at most one Close frame is sent');
  if (closes.length === 1) assert.equal(sent.at(-1)!.opcode, 8, 'nothing is sent behind a Close frame');
  if (owner.error !== undefined)
    assert.equal(owner.finished + Number(owner.ended), 1 + Number(owner.ended && owner.finished > 0));
  const { state, close } = owner.protocol;
  if (!owner.ended) owner.end();
  assert.equal(owner.protocol.receivedBytes, 0, 'nothing is held of a connection that is over');
  return `careless ${role} ${state} ${close?.code} ${owner.error?.code} ${Math.min(owner.messages, 5)} ${Math.min(sent.length, 5)}`;
}

/** With an owner who only listens, all must be as the naive implementation has it. */
function runListening(input: Buffer, role: Role, limits: ProtocolLimits, random: Random): string {
  const recorder = new ProtocolRecorder(role, limits).receive(...cutByChance(input, random));
  const expected = referenceReceive(input, role, limits);
  assertSame(
    recorder.received(),
    expected.filter(({ type }) => type !== 'close'),
  );
  const last = expected.at(-1);
  const frame = recorder.sent().at(-1);
  const { close } = recorder.protocol;
  if (last?.type === 'close') assert.deepEqual(close, { code: last.code, reason: last.reason, wasClean: true });
  else assert.equal(close?.code, last?.type === 'error' ? 1006 : undefined);
  if (last?.type === 'error') assert.equal(frame!.payload.readUInt16BE(), closeCodeOf(recorder.errors[0]));
  const kinds = expected.map((event) => event.type[0]).join('');
  return `listening ${role} ${kinds.slice(0, 6)} ${recorder.errors[0]?.code} ${close?.code}`;
}

/** A whole endpoint, either role. */
export const target: FuzzTarget = {
  name: 'protocol',
  inputs: fc
    .boolean()
    .chain((masked) => fc.array(frames(masked, fc.nat({ max: 150 })), { maxLength: 12, size: 'max' }))
    .map((list) => Buffer.concat(list.map(referenceEncode))),
  run(input, random) {
    // The role that the input is for, most of the time.
    const role: Role = (input.length > 1 && input[1]! >= 0x80) !== random.oneIn(30) ? 'server' : 'client';
    const limits = {
      maxMessageBytes: random.pick([1, 10, 125, 1000, 1 << 20, Number.POSITIVE_INFINITY]),
      maxFrameBytes: random.pick([1, 100, 1 << 20, Number.POSITIVE_INFINITY]),
    };
    const run = random.oneIn(3) ? runListening : runCareless;
    const outcome = run(input, role, limits, random);
    const fresh = new ProtocolRecorder(role).receive(peerFrame(role, 0x81, 'Hello'));
    assert.deepEqual(fresh.messages(), ['Hello'], 'a fresh endpoint works');
    return outcome;
  },
};
