import assert from 'node:assert/strict';
import { closeCodeOf, type WebSocketError } from '../../lib/errors.ts';
import type { MessageCompression } from '../../lib/protocol/compression.ts';
import type { ProtocolEvents, ProtocolLimits, Role } from '../../lib/protocol/events.ts';
import { Protocol } from '../../lib/protocol/protocol.ts';
import { assertSame } from './assert-same.ts';
import { feedAll, type Push } from './chunking.ts';
import { type Frame, type ReferenceEvent, referenceEncode, referenceParse } from './reference-codec.ts';

export type RecordedEvent =
  | Exclude<ReferenceEvent, { type: 'close' }>
  | { readonly type: 'output' }
  | { readonly type: 'finished' };

export const MASK_KEY: Buffer = Buffer.from('37fa213d', 'hex');

export const DEFAULT_LIMITS: ProtocolLimits = { maxMessageBytes: 1024 * 1024, maxFrameBytes: 1024 * 1024 };

/** A protocol, everything it told, and everything it sent, read as its peer would read it. */
export class ProtocolRecorder implements ProtocolEvents {
  readonly role: Role;
  readonly protocol: Protocol;
  readonly events: RecordedEvent[] = [];
  readonly errors: WebSocketError[] = [];
  /** Whether the peer's Close frame is answered by `answerClose`, and not at once. */
  answersLater = false;
  /** Is called with each event, and may call the protocol back. */
  on: ((event: RecordedEvent) => void) | undefined;
  #sent: Buffer[] = [];

  readonly #compression: MessageCompression | undefined;
  /** Bytes that were left while the protocol was on hold. */
  #unread: Buffer[] = [];

  constructor(role: Role = 'server', limits: Partial<ProtocolLimits> = {}, compression?: MessageCompression) {
    this.role = role;
    this.#compression = compression;
    this.protocol = new Protocol(role, this, { ...DEFAULT_LIMITS, ...limits }, compression);
  }

  /** The bytes of a frame as the peer sends it: masked if this is a server. */
  peerFrame(bits: number, payload: Buffer | string = ''): Buffer {
    return peerFrame(this.role, bits, payload);
  }

  /** Feeds the protocol; see chunking.ts. */
  readonly push: Push = (bytes, start, end) => {
    const read = this.protocol.isOnHold ? start : this.protocol.receiveData(bytes, start, end);
    if (this.protocol.isOnHold) this.#unread.push(Buffer.from(bytes.subarray(read, end)));
    else assert.equal(read, end);
    return end;
  };

  /** Waits until nothing is being compressed or decompressed. */
  async settle(): Promise<this> {
    while (this.protocol.isOnHold || this.protocol.compressing !== undefined) await new Promise(setImmediate);
    return this;
  }

  receive(...chunks: Buffer[]): this {
    feedAll(this.push, chunks);
    return this;
  }

  /** All bytes that were sent since the recorder was made. */
  sentBytes(): Buffer {
    this.#sent.push(...this.protocol.takeOutput().map((chunk) => Buffer.from(chunk)));
    this.protocol.outputReleased();
    return Buffer.concat(this.#sent);
  }

  /** All frames that were sent since the recorder was made; they must break no rule. */
  sent(): Frame[] {
    const expectMask = this.role === 'client';
    const { frames, error, partial } = referenceParse(this.sentBytes(), {
      expectMask,
      allowRsv1: this.#compression !== undefined,
      maxFrameBytes: Number.POSITIVE_INFINITY,
    });
    assert.equal(error, undefined, 'what is sent breaks no rule');
    assert.equal(partial, undefined, 'what is sent are whole frames');
    return frames;
  }

  /** The events that tell of received data: all but `output` and `finished`. */
  received(): RecordedEvent[] {
    return this.events.filter(({ type }) => type !== 'output' && type !== 'finished');
  }

  messages(): (string | Buffer)[] {
    return this.events.flatMap((event) => (event.type === 'message' ? [event.data] : []));
  }

  count(type: RecordedEvent['type']): number {
    return this.events.filter((event) => event.type === type).length;
  }

  onMessage(data: string | Buffer): void {
    this.#record({ type: 'message', data });
  }

  onPing(payload: Buffer): void {
    this.#record({ type: 'ping', payload });
  }

  onPong(payload: Buffer): void {
    this.#record({ type: 'pong', payload });
  }

  onOutput(): void {
    assert.ok(this.protocol.outputBytes > 0, 'onOutput is told of bytes that are there');
    this.#record({ type: 'output' });
  }

  onProtocolError(error: WebSocketError): void {
    this.errors.push(error);
    this.#record({ type: 'error', code: error.code });
  }

  onOutputChanged(error: WebSocketError): void {
    this.errors.push(error);
  }

  onPeerClose(): boolean {
    return this.answersLater;
  }

  onHold(): void {
    assert.ok(this.protocol.isOnHold);
  }

  onContinue(): void {
    assert.ok(!this.protocol.isOnHold);
    this.protocol.resumeReceiving();
    const unread = this.#unread;
    this.#unread = [];
    for (const bytes of unread) this.push(bytes, 0, bytes.length);
  }

  onFinished(): void {
    this.#record({ type: 'finished' });
  }

  #record(event: RecordedEvent): void {
    this.events.push(event);
    this.on?.(event);
  }
}

/** The bytes of a frame as the peer of an endpoint sends it. */
export function peerFrame(role: Role, bits: number, payload: Buffer | string = ''): Buffer {
  return referenceEncode({
    fin: (bits & 0x80) !== 0,
    rsv1: (bits & 0x40) !== 0,
    opcode: bits & 0x0f,
    payload: Buffer.from(payload),
    maskKey: role === 'server' ? MASK_KEY : undefined,
  });
}

/** The payload of a Close frame. */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

/** Asserts what was sent in all: opcode and payload of each frame, none of them fragmented. */
export function assertSent(
  recorder: ProtocolRecorder,
  frames: readonly [opcode: number, payload: Buffer | string][],
): void {
  const expected = frames.map(([opcode, payload]) => ({
    fin: true,
    rsv1: false,
    opcode,
    payload: Buffer.from(payload),
  }));
  assertSame(recorder.sent(), expected);
}

/** Asserts that one Close frame was sent, as the last frame, and returns its reason. */
export function assertSentClose(recorder: ProtocolRecorder, code: number): string {
  const sent = recorder.sent();
  assert.equal(sent.filter(({ opcode }) => opcode === 8).length, 1, 'exactly one Close frame is sent');
  const close = sent.at(-1)!;
  assert.equal(close.opcode, 8, 'nothing is sent behind the Close frame');
  assert.equal(close.payload.length >= 2 ? close.payload.readUInt16BE() : 1005, code);
  return close.payload.toString('utf8', 2);
}

/** Asserts that the protocol failed the connection with this close code, and takes nothing any more. §7.1.7 */
export function assertCloses(recorder: ProtocolRecorder, code: number): void {
  const { protocol, role } = recorder;
  assert.equal(recorder.errors.length, 1, 'one error is told');
  assert.equal(closeCodeOf(recorder.errors[0]), code);
  assert.deepEqual(recorder.events.at(-1), { type: 'finished' });
  assert.equal(recorder.count('finished'), 1);
  assert.equal(protocol.state, 'closing');
  assert.deepEqual(protocol.close, { code: 1006, reason: '', wasClean: false });
  assertSentClose(recorder, code);
  assertIgnoresInput(recorder, role);
}

/** Asserts that the protocol takes no byte any more: nothing is told, and nothing is sent. §1.4 */
export function assertIgnoresInput(recorder: ProtocolRecorder, role: Role = recorder.role): void {
  const events = [...recorder.events];
  const sent = recorder.sentBytes();
  recorder.receive(
    peerFrame(role, 0x81, 'late'),
    peerFrame(role, 0x89, 'late'),
    peerFrame(role, 0x8a),
    peerFrame(role, 0x88, closePayload(1000)),
    Buffer.alloc(32, 0xff),
  );
  assert.deepEqual(recorder.events, events, 'nothing is told of bytes behind the end');
  assertSame(recorder.sentBytes(), sent, 'nothing is answered to bytes behind the end');
  assert.equal(recorder.protocol.receivedBytes, 0, 'nothing is kept of bytes behind the end');
}
