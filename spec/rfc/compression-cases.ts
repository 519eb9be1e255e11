import assert from 'node:assert/strict';
import { constants, type ZlibOptions } from 'node:zlib';
import type { WebSocketError } from '../../lib/errors.ts';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { checkResponse, type DeflateParams, formatOffer } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate, PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import type { ProtocolEvents, Role } from '../../lib/protocol/events.ts';
import { Protocol } from '../../lib/protocol/protocol.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { peerFrame } from '../support/protocol-recorder.ts';
import { type Frame, referenceParse } from '../support/reference-codec.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';

/**
 * Groups 12 and 13 of the best-known suite for WebSockets, and more of the same: an endpoint that echoes compressed
 * messages, with every set of parameters there is. The other end is node:zlib; see zlib-peer.ts.
 */

const KIB = 1024;
const [FIN, RSV1] = [0x80, 0x40];
const [TEXT, BINARY, PING, PONG] = [0x1, 0x2, 0x9, 0xa];

const BITS = [8, 9, 10, 11, 12, 13, 14, 15];
const SWITCH = [false, true];

/** Every set of parameters that can be agreed on: each direction with and without takeover, with each window. */
export const PARAMETER_SETS: readonly DeflateParams[] = SWITCH.flatMap((serverNoContextTakeover) =>
  SWITCH.flatMap((clientNoContextTakeover) =>
    BITS.flatMap((serverMaxWindowBits) =>
      BITS.map((clientMaxWindowBits) => ({
        serverNoContextTakeover,
        clientNoContextTakeover,
        serverMaxWindowBits,
        clientMaxWindowBits,
      })),
    ),
  ),
);

/** Sets of parameters in which each direction has each window, with takeover and without: with the larger messages these will do. */
export const SPREAD_SETS: readonly DeflateParams[] = PARAMETER_SETS.filter(
  ({ serverMaxWindowBits, clientMaxWindowBits }) => serverMaxWindowBits + clientMaxWindowBits === 23,
);

/** Lengths of messages, each a multiple of 16. */
export const MESSAGE_BYTES: readonly number[] = [
  16,
  64,
  256,
  KIB,
  4 * KIB,
  8 * KIB,
  16 * KIB,
  32 * KIB,
  64 * KIB,
  128 * KIB,
];

/** The parameters as they stand in a header, all of them named. */
export function headerOf(params: DeflateParams): string {
  return [
    'permessage-deflate',
    ...(params.serverNoContextTakeover ? ['server_no_context_takeover'] : []),
    ...(params.clientNoContextTakeover ? ['client_no_context_takeover'] : []),
    `server_max_window_bits=${params.serverMaxWindowBits}`,
    `client_max_window_bits=${params.clientMaxWindowBits}`,
  ].join('; ');
}

/** What a header says that was sent by the endpoint; a parameter that is not named has the value it has by default. */
export function paramsIn(header: string): DeflateParams {
  const [name, ...parameters] = header.split('; ');
  assert.equal(name, 'permessage-deflate');
  const values = new Map(parameters.map((parameter) => parameter.split('=') as [string, string | undefined]));
  assert.equal(values.size, parameters.length, 'none comes twice');
  return {
    serverNoContextTakeover: values.has('server_no_context_takeover'),
    clientNoContextTakeover: values.has('client_no_context_takeover'),
    serverMaxWindowBits: Number(values.get('server_max_window_bits') ?? 15),
    clientMaxWindowBits: Number(values.get('client_max_window_bits') ?? 15),
  };
}

/** An endpoint that takes any parameters, and compresses whatever becomes smaller by it. */
const WILLING = resolveDeflateOptions({
  thresholdBytes: 0,
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
})!;

/** Agrees on the parameters, through the headers of an opening handshake, and returns what the endpoint makes of it. */
export function agree(role: Role, params: DeflateParams): PerMessageDeflate {
  if (role === 'server') {
    const accepted = acceptDeflate(parseExtensions(headerOf(params))!, WILLING)!;
    assert.deepEqual(paramsIn(accepted.response), params);
    return accepted.compression;
  }
  assert.deepEqual(paramsIn(formatOffer(params)), params);
  return new PerMessageDeflate('client', checkResponse(headerOf(params), params)!, { ...WILLING, ...params });
}

// --- what is sent -----------------------------------------------------------------------------------------------------

const LONGEST = MESSAGE_BYTES.at(-1)!;
/** What a message is taken from begins here or there. */
const OFFSETS = 61;
const UNIT_BYTES = 16;
const SOURCE_BYTES = LONGEST + OFFSETS * UNIT_BYTES;

const filled = (text: string): Buffer => Buffer.from(text.repeat(Math.ceil(SOURCE_BYTES / text.length) + 1));

/** Text of units of 16 bytes, of which the first 8 are ASCII: so that it can be cut, and numbered. */
const SOURCES: readonly (readonly [opcode: number, bytes: Buffer])[] = [
  [
    TEXT,
    Buffer.from(
      Array.from({ length: SOURCE_BYTES / 8 }, (_, i) => `{"n":${i % 977},"s":"${(i * i) % 7919}"},`).join(''),
    ),
  ],
  [BINARY, bytesOf(SOURCE_BYTES, 1)],
  [TEXT, filled('letters éß𝄞')],
  [BINARY, Buffer.from(bytesOf(SOURCE_BYTES, 2).map((byte, i) => (i % 12 < 9 ? i >> 9 : byte)))],
];

interface Message {
  readonly opcode: number;
  readonly data: Buffer;
}

/** The message of one round: no two are the same, but for those that follow each other in places. */
export function messageOf(round: number, bytes: number): Message {
  const number = round % 5 === 4 ? round - 4 : round;
  const [opcode, source] = SOURCES[number % SOURCES.length]!;
  const start = (number % OFFSETS) * UNIT_BYTES;
  const data = Buffer.from(source.subarray(start, start + bytes));
  data.write(String(number).padStart(8, ' '), 0, 'latin1');
  return { opcode, data };
}

/** How the peer compresses: blocks of all three kinds, and nothing but them. RFC 7692 §7.2.1 */
const WAYS: readonly ZlibOptions[] = [
  {},
  { level: 1 },
  { strategy: constants.Z_FIXED },
  { level: 0 },
  { strategy: constants.Z_HUFFMAN_ONLY },
  { strategy: constants.Z_RLE },
  { level: 5 },
];

/** Cuts a payload into the fragments of one round. */
function cutIntoFragments(payload: Buffer, round: number): Buffer[] {
  const half = payload.length >> 1;
  const fifth = Math.ceil(payload.length / 5);
  switch (round % 4) {
    case 0:
      return [payload];
    case 1:
      return [payload.subarray(0, half), payload.subarray(half)];
    case 2:
      return [0, 1, 2, 3, 4].map((i) => payload.subarray(i * fifth, (i + 1) * fifth)).concat(Buffer.alloc(0));
    default:
      return [Buffer.alloc(0), payload.subarray(0, 1), payload.subarray(1)];
  }
}

/** Into how many bytes each the stream of one round is cut; one by one where there are few. */
function chopOf(length: number, round: number): number {
  if (round % 3 === 0) return length;
  return round % 3 === 1 && length < KIB ? 1 : 1448;
}

// --- the endpoint -------------------------------------------------------------------------------------------------------

/** An endpoint that echoes. */
class Echo implements ProtocolEvents {
  readonly role: Role;
  readonly protocol: Protocol;
  #unread: Buffer[] = [];
  #error: WebSocketError | undefined;

  constructor(role: Role, compression: PerMessageDeflate) {
    this.role = role;
    // What cannot be compressed becomes a little larger by it.
    const limits = { maxMessageBytes: 2 * LONGEST, maxFrameBytes: Number.POSITIVE_INFINITY };
    this.protocol = new Protocol(role, this, limits, compression);
  }

  /** Gives bytes to the endpoint, cut, and returns the frames with which it answers. */
  async answer(bytes: Buffer, chop: number): Promise<Frame[]> {
    for (let at = 0; at < bytes.length; at += chop) this.#receive(Buffer.from(bytes.subarray(at, at + chop)));
    while (this.protocol.isOnHold || this.protocol.compressing !== undefined) await new Promise(setImmediate);
    if (this.#error !== undefined) throw this.#error;
    const sent = Buffer.concat(this.protocol.takeOutput());
    this.protocol.outputReleased();
    const rules = { expectMask: this.role === 'client', allowRsv1: true, maxFrameBytes: Number.POSITIVE_INFINITY };
    const { frames, error, partial } = referenceParse(sent, rules);
    assert.equal(error ?? partial, undefined, 'what is sent are whole frames, and breaks no rule');
    return frames;
  }

  #receive(bytes: Buffer): void {
    const read = this.protocol.isOnHold ? 0 : this.protocol.receiveData(bytes);
    if (read < bytes.length) this.#unread.push(bytes.subarray(read));
  }

  onMessage(data: string | Buffer): void {
    this.protocol.sendMessage(data);
  }

  onContinue(): void {
    this.protocol.resumeReceiving();
    const unread = this.#unread;
    this.#unread = [];
    for (const bytes of unread) this.#receive(bytes);
  }

  onProtocolError(error: WebSocketError): void {
    this.#error = error;
  }

  onHold(): void {}
  onPing(): void {}
  onPong(): void {}
  onOutput(): void {}
  onFinished(): void {}
}

/** One set of parameters, with messages of one length. */
export interface CompressionCase {
  readonly role: Role;
  readonly params: DeflateParams;
  readonly bytes: number;
}

/** The frames of one round, as the peer sends them, and the payloads of the Pings among them. */
export function framesOf(
  role: Role,
  peer: ZlibPeer,
  round: number,
  { opcode, data }: Message,
): [bytes: Buffer, pings: string[]] {
  // Now and then a message comes as it is: that is always allowed, and leaves the window alone. RFC 7692 §6.1
  const isCompressed = round % 7 !== 6;
  const payload = isCompressed ? peer.compress(data, WAYS[round % WAYS.length]) : data;
  const fragments = cutIntoFragments(payload, round);
  const frames: Buffer[] = [];
  const pings: string[] = [];
  for (const [i, fragment] of fragments.entries()) {
    const isLast = i === fragments.length - 1;
    frames.push(peerFrame(role, (i === 0 ? opcode | (isCompressed ? RSV1 : 0) : 0) | (isLast ? FIN : 0), fragment));
    if (isLast) break;
    frames.push(peerFrame(role, FIN | PING, `${round} ${i}`), peerFrame(role, FIN | PONG, 'unasked-for'));
    pings.push(`${round} ${i}`);
  }
  return [Buffer.concat(frames), pings];
}

/** Checks what came back in one round, and returns whether it was compressed. */
export function checkAnswer(
  answer: readonly Frame[],
  pings: readonly string[],
  peer: ZlibPeer,
  sent: Message,
  isStrict: boolean,
): boolean {
  const message = answer.at(-1)!;
  assert.deepEqual(
    answer.slice(0, -1).map(({ opcode, payload }) => [opcode, payload.toString()]),
    pings.map((ping) => [PONG, ping]),
  );
  assert.deepEqual([message.fin, message.opcode], [true, sent.opcode]);
  const data = message.rsv1 ? peer.decompress(message.payload, isStrict) : message.payload;
  assert.ok(data.equals(sent.data), 'the message comes back as it was');
  assert.ok(message.payload.length <= sent.data.length, 'nothing becomes larger by being compressed');
  return message.rsv1;
}

/**
 * Has an endpoint echo so many messages, one after the other on one connection.
 *
 * @param firstRound - rounds differ in content, fragments, and in how the stream is cut
 * @returns how many of the echoes were compressed
 */
export async function playCompression(
  { role, params, bytes }: CompressionCase,
  rounds: number,
  firstRound: number = 0,
): Promise<number> {
  const peer = new ZlibPeer(role, params);
  const echo = new Echo(role, agree(role, params));
  let compressed = 0;
  try {
    for (let round = firstRound; round < firstRound + rounds; round++) {
      const message = messageOf(round, bytes);
      const [frames, pings] = framesOf(role, peer, round, message);
      const answer = await echo.answer(frames, chopOf(frames.length, round));
      // Beyond the first, whether the window is kept is looked at now and then: it takes its time.
      if (checkAnswer(answer, pings, peer, message, round < firstRound + 4 || round % 16 === 0)) compressed++;
    }
  } catch (error) {
    if (error instanceof Error) error.message = `${role}, ${headerOf(params)}, ${bytes} bytes: ${error.message}`;
    throw error;
  } finally {
    echo.protocol.receiveEnd();
  }
  return compressed;
}
