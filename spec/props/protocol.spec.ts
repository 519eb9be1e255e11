import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { describeError } from '../../lib/errors.ts';
import type { Role } from '../../lib/protocol/events.ts';
import {
  applyChunking,
  type Chunking,
  chunking,
  maskKeys,
  payloads,
  texts,
  wellFormedTexts,
} from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { feedAll } from '../support/chunking.ts';
import { closePayload, ProtocolRecorder } from '../support/protocol-recorder.ts';
import { type Frame, type ReferenceLimits, referenceEncode, referenceReceive } from '../support/reference-codec.ts';
import { seed } from '../support/seed.ts';

const MAX_PONGS_WAITING = 16;

// --- protocol = reference -------------------------------------------------------------------------------------------

const smallBytes = (max: number): fc.Arbitrary<Buffer> => payloads(fc.nat({ max }));

const control = (): fc.Arbitrary<Frame> =>
  fc.record({
    fin: fc.constant(true),
    rsv1: fc.constant(false),
    opcode: fc.constantFrom(9, 9, 10),
    payload: smallBytes(6),
  });

/** A message cut into fragments anywhere, characters included, with control frames between them. */
const message = (): fc.Arbitrary<Frame[]> => {
  const text = texts(12).map((content) => ({ opcode: 1, bytes: Buffer.from(content) }));
  const binary = payloads(fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(125, 126, 127, 300))).map((bytes) => ({
    opcode: 2,
    bytes,
  }));
  const cuts = fc.array(fc.record({ size: fc.nat({ max: 5 }), between: fc.array(control(), { maxLength: 1 }) }), {
    maxLength: 5,
  });
  return fc.tuple(fc.oneof(text, binary), cuts).map(([{ opcode, bytes }, list]) => {
    const frames: Frame[] = [];
    let position = 0;
    const add = (payload: Buffer, fin: boolean): void => {
      frames.push({
        fin,
        rsv1: false,
        opcode: position === 0 && !frames.some((one) => one.opcode < 8) ? opcode : 0,
        payload,
      });
    };
    for (const { size, between } of list) {
      add(bytes.subarray(position, position + size), false);
      position = Math.min(bytes.length, position + size);
      frames.push(...between);
    }
    add(bytes.subarray(position), true);
    return frames;
  });
};

const close = (): fc.Arbitrary<Frame[]> => {
  const code = fc.oneof(fc.constantFrom(1000, 1001, 3000, 4999, 1005, 999, 5000), fc.nat({ max: 65_535 }));
  const reason = fc.oneof(
    texts(5).map((text) => Buffer.from(text)),
    smallBytes(4),
  );
  const payload = fc.oneof(
    fc.tuple(code, reason).map(([number, text]) => closePayload(number, text)),
    smallBytes(2),
  );
  return payload.map((bytes) => [{ fin: true, rsv1: false, opcode: 8, payload: bytes }]);
};

/** One frame that breaks a rule more often than not. */
const fault = (): fc.Arbitrary<Frame[]> =>
  fc
    .record({ fin: fc.boolean(), rsv1: fc.boolean(), opcode: fc.nat({ max: 15 }), payload: smallBytes(130) })
    .map((frame) => [frame]);

/** What a peer may send: mostly whole messages, in the end perhaps a fault, a Close frame, or half of something. */
const wire = (): fc.Arbitrary<{ role: Role; bytes: Buffer }> => {
  const unit = fc.oneof(
    { arbitrary: message(), weight: 8 },
    { arbitrary: control().map((frame) => [frame]), weight: 4 },
    { arbitrary: close(), weight: 1 },
    { arbitrary: fault(), weight: 1 },
  );
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 1 });
  return fc
    .tuple(
      fc.constantFrom<Role[]>('server', 'client'),
      fc.array(unit, { maxLength: 10, size: 'max' }),
      maskKeys(),
      changes,
      fc.nat({ max: 9 }),
    )
    .map(([role, units, key, edits, cut]) => {
      const maskKey = role === 'server' ? key : undefined;
      const bytes = Buffer.concat(units.flat().map((frame) => referenceEncode({ ...frame, maskKey })));
      for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return { role, bytes: bytes.subarray(0, Math.max(0, bytes.length - Math.max(0, cut - 5))) };
    });
};

const limits = (): fc.Arbitrary<ReferenceLimits> => {
  const bytes = fc.oneof(
    { arbitrary: fc.constantFrom(0, 1, 10, 125, 126), weight: 1 },
    { arbitrary: fc.constantFrom(1000, 1 << 20, Number.POSITIVE_INFINITY), weight: 3 },
  );
  return fc.record({ maxMessageBytes: bytes, maxFrameBytes: bytes });
};

/** Compares all that an endpoint tells and sends with what the reference makes of the same bytes. */
function assertAsReference(role: Role, bytes: Buffer, given: ReferenceLimits, sizes: Chunking): void {
  const recorder = new ProtocolRecorder(role, given);
  let fed = 0;
  for (const chunk of applyChunking(bytes, sizes)) {
    recorder.receive(chunk);
    fed += chunk.length;
    const bound = Math.min(given.maxMessageBytes, Math.max(4096, 16 * fed)) + 125;
    assert.ok(recorder.protocol.receivedBytes <= bound, `${recorder.protocol.receivedBytes} bytes are held`);
  }
  const expected = referenceReceive(bytes, role, given);
  const last = expected.at(-1);
  assertSame(
    recorder.received(),
    expected.filter(({ type }) => type !== 'close'),
  );

  const pings = expected.flatMap((event) => (event.type === 'ping' ? [event.payload] : []));
  const answered = pings.length > MAX_PONGS_WAITING ? [...pings.slice(0, MAX_PONGS_WAITING), pings.at(-1)!] : pings;
  const sent = answered.map((payload): [number, Buffer] => [10, payload]);
  const frames = recorder.sent();
  if (last?.type === 'close') {
    const { code, reason } = last;
    assert.deepEqual(recorder.protocol.close, { code, reason, wasClean: true });
    sent.push([8, code === 1005 ? Buffer.alloc(0) : closePayload(code)]);
  } else if (last?.type === 'error') {
    assert.deepEqual(recorder.protocol.close, { code: 1006, reason: '', wasClean: false });
    const payload = frames.at(-1)!.payload;
    assert.equal(payload.readUInt16BE(), describeError(last.code).closeCode);
    sent.push([8, payload]);
  } else {
    assert.equal(recorder.protocol.close, undefined);
  }
  const isOver = last?.type === 'close' || last?.type === 'error';
  assert.equal(recorder.count('finished'), isOver ? 1 : 0);
  assert.equal(recorder.protocol.state, isOver ? 'closing' : 'open');
  assertSame(
    frames.map(({ opcode, payload }) => [opcode, payload]),
    sent,
  );
}

describe(`protocol properties (FC_SEED=${seed})`, () => {
  it('(b) (c) (e) (f) makes of any frames, cut in any way, what the reference makes of them', () => {
    fc.assert(
      fc.property(wire(), limits(), chunking(), ({ role, bytes }, given, sizes) => {
        assertAsReference(role, bytes, given, sizes);
      }),
      { numRuns: 5 * (fc.readConfigureGlobal().numRuns ?? 100) },
    );
  });

  it('(b) (c) (e) (f) makes of any bytes, cut in any way, what the reference makes of them', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Role[]>('server', 'client'),
        fc.uint8Array({ maxLength: 60 }),
        limits(),
        chunking(),
        (role, bytes, given, sizes) => assertAsReference(role, Buffer.from(bytes), given, sizes),
      ),
    );
  });
});

// --- two endpoints --------------------------------------------------------------------------------------------------

/** One end of a connection, with the bytes that travel to it. */
class End {
  readonly recorder: ProtocolRecorder;
  arriving: Buffer = Buffer.alloc(0);

  constructor(role: Role) {
    this.recorder = new ProtocolRecorder(role, { maxMessageBytes: 4096, maxFrameBytes: 4096 });
  }

  /** Moves what was sent into the pipe to the other end. */
  flushTo(other: End): void {
    const chunks = this.recorder.protocol.takeOutput();
    other.arriving = Buffer.concat([other.arriving, ...chunks]);
    this.recorder.protocol.outputReleased();
  }

  /** Receives at most `byteLength` bytes of the pipe, cut in some way; what is not read stays in it. */
  receive(byteLength: number, sizes: Chunking): void {
    const { protocol } = this.recorder;
    const bytes = this.arriving.subarray(0, byteLength);
    let read = 0;
    for (const chunk of applyChunking(bytes, sizes)) {
      const position = protocol.receiveData(Buffer.from(chunk), 0, chunk.length);
      read += position;
      if (position < chunk.length) break;
    }
    this.arriving = this.arriving.subarray(read);
  }
}

/** What must hold of one end, kept apart from it. */
class EndModel {
  /** Whether a Close frame was sent, of its own or as the answer, or a Close frame came. */
  open = true;
  failed = false;
  readonly messages: (string | Buffer)[] = [];
  /** The code of the first Close frame it sent by itself. */
  closeCode: number | undefined;
}

interface Model {
  readonly ends: readonly [EndModel, EndModel];
}

interface Real {
  readonly ends: readonly [End, End];
}

type Index = 0 | 1;

const other = (index: Index): Index => (index === 0 ? 1 : 0);

/** The protocol says itself when the peer's Close frame has closed it for sending; the model only follows. */
function isOpen(real: Real, index: Index): boolean {
  return real.ends[index].recorder.protocol.state === 'open';
}

class Send implements fc.Command<Model, Real> {
  readonly index: Index;
  readonly data: string | Buffer;

  constructor(index: Index, data: string | Buffer) {
    this.index = index;
    this.data = data;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    const end = model.ends[this.index];
    const { protocol } = real.ends[this.index].recorder;
    if (isOpen(real, this.index)) {
      assert.ok(end.open);
      protocol.sendMessage(this.data);
      end.messages.push(this.data);
    } else {
      assert.throws(() => protocol.sendMessage(this.data), { name: 'ConnectionClosedError' });
    }
  }

  toString(): string {
    return `send(${this.index}, ${JSON.stringify(this.data).slice(0, 40)})`;
  }
}

class Ping implements fc.Command<Model, Real> {
  readonly index: Index;

  constructor(index: Index) {
    this.index = index;
  }

  check(): boolean {
    return true;
  }

  run(_model: Model, real: Real): void {
    if (isOpen(real, this.index)) real.ends[this.index].recorder.protocol.sendPing(Buffer.from('ping'));
  }

  toString(): string {
    return `ping(${this.index})`;
  }
}

class Close implements fc.Command<Model, Real> {
  readonly index: Index;
  readonly code: number;

  constructor(index: Index, code: number) {
    this.index = index;
    this.code = code;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    const end = model.ends[this.index];
    if (isOpen(real, this.index)) {
      end.closeCode = this.code;
      end.open = false;
    }
    real.ends[this.index].recorder.protocol.sendClose(this.code);
    assert.notEqual(real.ends[this.index].recorder.protocol.state, 'open');
  }

  toString(): string {
    return `close(${this.index}, ${this.code})`;
  }
}

class Fail implements fc.Command<Model, Real> {
  readonly index: Index;

  constructor(index: Index) {
    this.index = index;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    const end = model.ends[this.index];
    const { protocol } = real.ends[this.index].recorder;
    // After the peer's Close frame there is nothing left to fail.
    if (protocol.close === undefined) end.failed = true;
    if (isOpen(real, this.index)) {
      end.closeCode = 1011;
      end.open = false;
    }
    protocol.fail(new Error('secret'));
  }

  toString(): string {
    return `fail(${this.index})`;
  }
}

class Travel implements fc.Command<Model, Real> {
  readonly index: Index;
  readonly byteLength: number;
  readonly sizes: Chunking;

  constructor(index: Index, byteLength: number, sizes: Chunking) {
    this.index = index;
    this.byteLength = byteLength;
    this.sizes = sizes;
  }

  check(): boolean {
    return true;
  }

  run(_model: Model, real: Real): void {
    real.ends[other(this.index)].flushTo(real.ends[this.index]);
    real.ends[this.index].receive(this.byteLength, this.sizes);
  }

  toString(): string {
    return `travel(to ${this.index}, ${this.byteLength} bytes by ${this.sizes})`;
  }
}

class Pause implements fc.Command<Model, Real> {
  readonly index: Index;
  readonly paused: boolean;

  constructor(index: Index, paused: boolean) {
    this.index = index;
    this.paused = paused;
  }

  check(): boolean {
    return true;
  }

  run(_model: Model, real: Real): void {
    const { protocol } = real.ends[this.index].recorder;
    if (this.paused) protocol.pauseReceiving();
    else protocol.resumeReceiving();
  }

  toString(): string {
    return `${this.paused ? 'pause' : 'resume'}(${this.index})`;
  }
}

const commands = (): fc.Arbitrary<Iterable<fc.Command<Model, Real>>> => {
  const index = fc.constantFrom<Index[]>(0, 1);
  const data = fc.oneof(
    wellFormedTexts(20),
    payloads(fc.oneof(fc.nat({ max: 10 }), fc.constantFrom(125, 126, 300, 4096))),
  );
  const byteLength = fc.oneof(fc.nat({ max: 30 }), fc.constant(1 << 20));
  const send = fc.tuple(index, data).map(([at, value]) => new Send(at, value));
  const travel = fc.tuple(index, byteLength, chunking()).map((row) => new Travel(...row));
  return fc.commands(
    [
      send,
      send,
      send,
      travel,
      travel,
      travel,
      index.map((at) => new Ping(at)),
      fc.tuple(index, fc.boolean()).map((row) => new Pause(...row)),
      fc.tuple(index, fc.constantFrom(1000, 1001, 3000, 4999)).map((row) => new Close(...row)),
      index.map((at) => new Fail(at)),
    ],
    { maxCommands: 60, size: 'max' },
  );
};

/** Lets everything arrive, closes what is still open, and lets that arrive. */
function settle({ ends }: Real): void {
  for (let round = 0; round < 4; round++) {
    for (const index of [0, 1] as const) {
      ends[index].recorder.protocol.resumeReceiving();
      ends[other(index)].flushTo(ends[index]);
      ends[index].receive(Number.POSITIVE_INFINITY, [1 << 24]);
    }
  }
}

describe(`protocol, two endpoints (FC_SEED=${seed})`, () => {
  it('(g) both finish, nothing is told afterwards, and all messages before the Close frame arrive in order', () => {
    fc.assert(
      fc.property(commands(), (list) => {
        const model: Model = { ends: [new EndModel(), new EndModel()] };
        const real: Real = { ends: [new End('server'), new End('client')] };
        fc.modelRun(() => ({ model, real }), list);
        settle(real);
        if (isOpen(real, 0)) new Close(0, 1000).run(model, real);
        settle(real);

        for (const index of [0, 1] as const) {
          const { recorder } = real.ends[index];
          const { protocol } = recorder;
          const [mine, theirs] = [model.ends[index], model.ends[other(index)]];
          assert.equal(recorder.count('finished'), 1);
          assert.deepEqual(recorder.events.at(-1), { type: 'finished' }, 'nothing is told afterwards');
          assert.deepEqual(recorder.errors, []);
          assert.deepEqual(protocol.takeOutput(), []);
          assert.equal(real.ends[index].arriving.length, 0);
          const messages = recorder.messages();
          if (mine.failed) {
            assertSame(messages, theirs.messages.slice(0, messages.length), 'a failed end ignores the rest');
            assert.deepEqual(protocol.close, { code: 1006, reason: '', wasClean: false });
          } else {
            assertSame(messages, theirs.messages);
            // The peer's own Close frame, or its answer with this end's code.
            const code = theirs.closeCode ?? mine.closeCode;
            assert.deepEqual(protocol.close, { code, reason: '', wasClean: true });
          }
        }
      }),
    );
  });

  it('(g) the same with every byte on its own', () => {
    fc.assert(
      fc.property(fc.array(wellFormedTexts(), { maxLength: 8 }), fc.constantFrom<Index[]>(0, 1), (all, sender) => {
        const ends = [new ProtocolRecorder('server'), new ProtocolRecorder('client')] as const;
        for (const text of all) ends[sender].protocol.sendMessage(text);
        ends[sender].protocol.sendClose(1000);
        const receiver = ends[other(sender)];
        const bytes = Array.from(ends[sender].sentBytes(), (byte) => Buffer.of(byte));
        feedAll(receiver.push, bytes);
        assertSame(receiver.messages(), all);
        assert.equal(receiver.protocol.close!.code, 1000);
      }),
    );
  });
});
