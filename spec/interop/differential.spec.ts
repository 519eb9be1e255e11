import '../support/seed.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readPage } from '../docs/markdown.ts';
import {
  applyChunking,
  bytesOf,
  type Chunking,
  chunking,
  frames,
  maskKeys,
  payloads,
  texts,
} from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { closePayload, MASK_KEY, ProtocolRecorder, peerFrame } from '../support/protocol-recorder.ts';
import {
  type Frame,
  referenceEncode,
  referenceIsUtf8Prefix,
  referenceMask,
  referenceParse,
} from '../support/reference-codec.ts';
import { seed } from '../support/seed.ts';
import { COMPRESSION_ROWS } from './compression-differences.ts';
import { assertAlike, Ours, Theirs, WS_MAX_CHUNKS, WS_MAX_FRAGMENTS, type WsSocket, ws } from './receivers.ts';

/**
 * The same bytes to our server and to the receiver of ws: both must tell the same messages and the same end, but for the
 * differences in the tables below. Each of those is a row of docs/reference/differences-from-ws.md.
 */

const DOCS = 'docs/reference/differences-from-ws.md';

// --- what a stream consists of ----------------------------------------------------------------------------------------

/** The bytes of one frame, as many as there are, with the fields that are whole. Breaks any rule. */
interface Piece {
  readonly bytes: Buffer;
  readonly fin: boolean;
  readonly opcode: number;
  /** The first two bytes, as far as they are there, break no rule of their own. */
  readonly wellBegun: boolean;
  readonly length: bigint | undefined;
  /** Whether a shorter form of the length would have done. */
  readonly lengthIsMinimal: boolean;
  readonly headerBytes: number;
  readonly headerIsWhole: boolean;
  readonly isWhole: boolean;
  /** What there is of the payload, unmasked. */
  readonly payload: Buffer;
}

function cutPiece(rest: Buffer): Piece {
  const first = rest[0]!;
  const second = rest[1];
  const opcode = first & 15;
  const isControl = opcode >= 8;
  const isMasked = (second ?? 128) >= 128;
  const short = (second ?? 0) & 127;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const headerBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
  let length: bigint | undefined;
  if (second !== undefined && rest.length >= 2 + lengthBytes) {
    length = BigInt(short);
    if (lengthBytes === 2) length = BigInt(rest.readUInt16BE(2));
    if (lengthBytes === 8) length = rest.readBigUInt64BE(2);
  }
  const headerIsWhole = length !== undefined && rest.length >= headerBytes;
  const isWhole = headerIsWhole && BigInt(rest.length - headerBytes) >= length!;
  const bytes = isWhole ? rest.subarray(0, headerBytes + Number(length)) : rest;
  return {
    bytes,
    fin: first >= 128,
    opcode,
    wellBegun:
      [0, 1, 2, 8, 9, 10].includes(opcode) &&
      (first & 0x70) === 0 &&
      (!isControl || (first >= 128 && short <= 125)) &&
      isMasked,
    length,
    lengthIsMinimal: lengthBytes === 0 || length === undefined || length > (lengthBytes === 2 ? 125n : 65_535n),
    headerBytes,
    headerIsWhole,
    isWhole,
    payload:
      headerIsWhole && isMasked
        ? referenceMask(bytes.subarray(headerBytes), bytes.subarray(headerBytes - 4, headerBytes))
        : Buffer.alloc(0),
  };
}

/** The same frame, with its length in the shortest form. */
function shorten(piece: Piece): Buffer {
  const lengthEnd = piece.headerBytes - 4;
  const length = Number(piece.length);
  const prefix = Buffer.from(length < 126 ? [128 + length] : [128 + 126, length >> 8, length]);
  return Buffer.concat([piece.bytes.subarray(0, 1), prefix, piece.bytes.subarray(lengthEnd)]);
}

/** What lies before a frame. */
interface Before {
  readonly maxBytes: bigint;
  /** The message that was begun and has not ended. */
  readonly message: { readonly opcode: number; readonly bytes: Buffer; readonly fragments: number } | undefined;
}

const isData = ({ opcode }: Piece): boolean => opcode < 8;

/** Whether a frame begins a message inside another, or continues one that was not begun. §5.4 */
const isOutOfOrder = (piece: Piece, { message }: Before): boolean =>
  isData(piece) && (piece.opcode === 0) !== (message !== undefined);

// --- the differences --------------------------------------------------------------------------------------------------

interface Row {
  readonly name: string;
  /** Whether the two differ over this frame, given all of it that ever comes. */
  readonly when: (piece: Piece, before: Before) => boolean;
  readonly ours: string;
  readonly theirs: string;
  /**
   * What comes of it. `nothing`: neither tells anything of the frame. `ours tells`: ours may tell the end of a message.
   * `no message`: theirs goes on, and delivers none any more. `shorten`: theirs goes on as ours would have with a
   * shorter length, and the two are compared further.
   */
  readonly afterwards: 'nothing' | 'ours tells' | 'no message' | 'shorten';
  readonly example: Buffer;
  readonly maxBytes?: number;
}

const masked = (bits: number, payload: Buffer | string = ''): Buffer => peerFrame('server', bits, payload);

/** A header with a length in 16 or 64 bits, whatever that length is. */
function longHeader(bits: number, length: bigint, form: 126 | 127 = 127): Buffer {
  const header = Buffer.alloc(form === 126 ? 4 : 10);
  header[0] = bits;
  header[1] = 128 + form;
  if (form === 126) header.writeUInt16BE(Number(length), 2);
  else header.writeBigUInt64BE(length, 2);
  return Buffer.concat([header, MASK_KEY]);
}

/** The one difference that depends on how the bytes are cut. */
const CHUNKS_ROW = 'a frame in more than 262144 chunks';

const ROWS: readonly Row[] = [
  {
    name: 'a fault in the first byte',
    when: ({ bytes, wellBegun }) => bytes.length === 1 && !wellBegun,
    ours: 'failed 1002',
    theirs: 'open',
    afterwards: 'nothing',
    example: Buffer.of(0x83),
  },
  {
    name: 'a Close frame of one byte',
    when: ({ opcode, wellBegun, length, isWhole }) => opcode === 8 && wellBegun && length === 1n && !isWhole,
    ours: 'open',
    theirs: 'failed 1002',
    afterwards: 'nothing',
    example: masked(0x88, 'x').subarray(0, 2),
  },
  {
    name: 'a frame out of order that is too long',
    when: (piece, before) =>
      piece.wellBegun &&
      isOutOfOrder(piece, before) &&
      piece.length !== undefined &&
      piece.lengthIsMinimal &&
      piece.length > before.maxBytes &&
      piece.length < 1n << 63n,
    ours: 'failed 1009',
    theirs: 'failed 1002',
    afterwards: 'nothing',
    example: longHeader(0x80, 70_000n),
    maxBytes: 1000,
  },
  {
    name: 'a frame out of order whose header is not whole',
    when: (piece, before) =>
      piece.wellBegun &&
      isOutOfOrder(piece, before) &&
      piece.bytes.length >= 2 &&
      !piece.headerIsWhole &&
      piece.lengthIsMinimal &&
      (piece.length ?? 0n) <= before.maxBytes,
    ours: 'open',
    theirs: 'failed 1002',
    afterwards: 'nothing',
    example: masked(0x80, 'x').subarray(0, 2),
  },
  {
    name: 'a length of 2^63 or more',
    when: (piece, before) =>
      piece.wellBegun && isData(piece) && !isOutOfOrder(piece, before) && (piece.length ?? 0n) >= 1n << 63n,
    ours: 'failed 1002',
    theirs: 'failed 1009',
    afterwards: 'nothing',
    example: longHeader(0x82, 1n << 63n),
  },
  {
    name: 'a length that is not in its shortest form',
    when: (piece, before) => piece.wellBegun && isData(piece) && !isOutOfOrder(piece, before) && !piece.lengthIsMinimal,
    ours: 'failed 1002',
    theirs: 'open',
    afterwards: 'shorten',
    example: Buffer.concat([longHeader(0x82, 1n, 126), Buffer.from('x'), masked(0x81, 'y')]),
  },
  {
    name: 'fragments that are too long together, before the masking key',
    when: (piece, before) =>
      piece.wellBegun &&
      piece.opcode === 0 &&
      before.message !== undefined &&
      piece.length !== undefined &&
      piece.lengthIsMinimal &&
      !piece.headerIsWhole &&
      piece.length <= before.maxBytes &&
      piece.length + BigInt(before.message.bytes.length) > before.maxBytes,
    ours: 'open',
    theirs: 'failed 1009',
    afterwards: 'nothing',
    example: Buffer.concat([masked(0x02, 'eight...'), masked(0x80, 'three').subarray(0, 2)]),
    maxBytes: 10,
  },
  {
    name: 'text that is no UTF-8, before its end',
    when: (piece, before) => {
      if (!piece.wellBegun || !piece.headerIsWhole || !isData(piece) || isOutOfOrder(piece, before)) return false;
      if ((before.message?.opcode ?? piece.opcode) !== 1 || !piece.lengthIsMinimal) return false;
      const bytes = Buffer.concat([before.message?.bytes ?? Buffer.alloc(0), piece.payload]);
      const announced = BigInt(before.message?.bytes.length ?? 0) + piece.length!;
      return announced <= before.maxBytes && !(piece.isWhole && piece.fin) && !referenceIsUtf8Prefix(bytes);
    },
    ours: 'failed 1007',
    theirs: 'open',
    afterwards: 'no message',
    example: Buffer.concat([masked(0x01, Buffer.of(0xff)), masked(0x89, 'still there'), masked(0x80)]),
  },
  {
    name: 'more than 16384 fragments',
    when: (piece, { message }) => isData(piece) && piece.isWhole && message?.fragments === WS_MAX_FRAGMENTS,
    ours: 'open',
    theirs: 'failed 1008',
    afterwards: 'ours tells',
    example: Buffer.concat([
      masked(0x02, 'x'),
      ...Array<Buffer>(WS_MAX_FRAGMENTS - 1).fill(masked(0x00, 'x')),
      masked(0x80, 'end'),
    ]),
  },
];

// --- the comparison ---------------------------------------------------------------------------------------------------

/** Gives the frames of a stream to both, one by one, and returns the names of the differences that were seen. */
function compare(stream: Buffer, maxBytes: number, sizes: Chunking): string[] {
  const first = new Ours(maxBytes);
  const theirs = new Theirs(maxBytes);
  const seen: string[] = [];
  let ours = first;
  const given: Buffer[] = [];
  let message: Before['message'];
  let position = 0;
  let noMessageFrom: number | undefined;

  /** Gives a frame to both, and returns whether they are still to be compared. */
  const step = (original: Piece): boolean => {
    const where = `the frame at ${position}`;
    const before = { maxBytes: BigInt(maxBytes), message };
    const match = (candidate: Piece): Row | undefined => {
      const rows = ROWS.filter(({ when }) => when(candidate, before));
      assert.ok(rows.length <= 1, `${where}: one difference at most: ${rows.map(({ name }) => name).join(', ')}`);
      if (rows[0] !== undefined) seen.push(rows[0].name);
      return rows[0];
    };

    let piece = original;
    let row = match(piece);
    if (row?.afterwards === 'shorten') {
      ours.receive(piece.bytes);
      assert.equal(ours.outcome, row.ours, `${where}: ours, ${row.name}`);
      assertSame(ours.told, theirs.told, `${where}: nothing of the frame is told`);
      ours = new Ours(maxBytes);
      for (const bytes of given) ours.receive(bytes);
      piece = cutPiece(shorten(piece));
      row = match(piece);
    }
    ours.receive(piece.bytes);
    theirs.receive(original.bytes);
    given.push(piece.bytes);

    if (row !== undefined) {
      assert.equal(ours.outcome, row.ours, `${where}: ours, ${row.name}`);
      assert.equal(theirs.outcome, row.theirs, `${where}: theirs, ${row.name}`);
      const told = row.afterwards === 'ours tells' ? ours.told.slice(0, theirs.told.length) : ours.told;
      assertSame(told, theirs.told, `${where}: what is told before, ${row.name}`);
      if (row.afterwards === 'no message') noMessageFrom = ours.told.length;
      return false;
    }
    assertAlike(ours, theirs, where);
    if (ours.outcome !== 'open' || !piece.isWhole) return false;
    if (!isData(piece)) return true;
    message = piece.fin
      ? undefined
      : {
          opcode: message?.opcode ?? piece.opcode,
          bytes: Buffer.concat([message?.bytes ?? Buffer.alloc(0), piece.payload]),
          fragments: (message?.fragments ?? 0) + 1,
        };
    return true;
  };

  while (position < stream.length) {
    const piece = cutPiece(stream.subarray(position));
    const goOn = step(piece);
    position += piece.bytes.length;
    if (!goOn) break;
  }
  first.receive(stream.subarray(position));
  theirs.receive(stream.subarray(position));
  if (noMessageFrom !== undefined) {
    const late = theirs.told.slice(noMessageFrom);
    assert.ok(!late.some(({ type }) => type === 'text' || type === 'binary'), 'no message is told any more');
  }

  // However the bytes are cut, each of the two makes the same of them.
  for (const [subject, other] of [
    [first, new Ours(maxBytes)],
    [theirs, new Theirs(maxBytes)],
  ] as const) {
    for (const chunk of applyChunking(stream, sizes)) other.receive(chunk);
    assertAlike(other, subject, `cut by ${sizes}`);
  }
  return seen;
}

// --- streams ----------------------------------------------------------------------------------------------------------

const smallBytes = (max: number): fc.Arbitrary<Buffer> => payloads(fc.nat({ max }));

/** A message cut into fragments anywhere, characters included, with a Ping or Pong between two of them. */
const message = (): fc.Arbitrary<Frame[]> =>
  fc
    .tuple(
      fc.oneof(
        texts(12).map((text): [number, Buffer] => [1, Buffer.from(text)]),
        smallBytes(20).map((bytes): [number, Buffer] => [2, bytes]),
        fc.tuple(fc.constantFrom(1, 2), smallBytes(4)),
      ),
      fc.array(fc.tuple(fc.nat({ max: 5 }), fc.constantFrom(0, 0, 9, 10)), { maxLength: 4 }),
    )
    .map(([[opcode, bytes], cuts]) => {
      const list: Frame[] = [];
      let position = 0;
      for (const [size, between] of cuts) {
        const payload = bytes.subarray(position, position + size);
        list.push({ fin: false, rsv1: false, opcode: list.length === 0 ? opcode : 0, payload });
        position += payload.length;
        if (between !== 0) list.push({ fin: true, rsv1: false, opcode: between, payload });
      }
      const payload = bytes.subarray(position);
      list.push({ fin: true, rsv1: false, opcode: list.length === 0 ? opcode : 0, payload });
      return list;
    });

const close = (): fc.Arbitrary<Frame> =>
  fc
    .oneof(
      fc
        .tuple(fc.oneof(fc.integer({ min: 995, max: 1020 }), fc.constantFrom(2999, 3000, 4999, 5000)), texts(5))
        .map(([code, reason]) => closePayload(code, reason)),
      smallBytes(4),
    )
    .map((payload) => ({ fin: true, rsv1: false, opcode: 8, payload }));

/** A frame with a length in a form that need not fit it, and as much payload as is wanted. */
const longForm = (): fc.Arbitrary<Buffer> => {
  const length = fc.oneof(
    fc.bigInt({ min: 0n, max: 8n }),
    fc.constantFrom(125n, 126n, 65_535n, 65_536n, (1n << 53n) - 1n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n),
  );
  const bits = fc.constantFrom(0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89);
  return fc
    .tuple(bits, length, fc.constantFrom(126 as const, 127 as const), fc.integer())
    .map(([first, size, form, filling]) => {
      const fits = form === 127 || size < 65_536n ? size : 3n;
      return Buffer.concat([longHeader(first, fits, form), bytesOf(fits <= 126n ? Number(fits) : 5, filling)]);
    });
};

/** Mostly what a peer may send; perhaps with a byte that was changed, and perhaps cut short. */
const streams = (): fc.Arbitrary<Buffer> => {
  const fault = fc.record({
    fin: fc.boolean(),
    rsv1: fc.boolean(),
    opcode: fc.nat({ max: 15 }),
    payload: smallBytes(130),
  });
  const unit = fc.oneof(
    { arbitrary: message(), weight: 12 },
    { arbitrary: frames(true).map((frame) => [frame]), weight: 2 },
    { arbitrary: close().map((frame) => [frame]), weight: 1 },
    { arbitrary: fault.map((frame) => [frame]), weight: 1 },
  );
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 1 });
  return fc
    .tuple(
      fc.array(
        fc.oneof(
          {
            arbitrary: fc
              .tuple(unit, maskKeys())
              .map(([list, maskKey]) => Buffer.concat(list.map((frame) => referenceEncode({ ...frame, maskKey })))),
            weight: 8,
          },
          { arbitrary: longForm(), weight: 1 },
        ),
        { maxLength: 8, size: 'max' },
      ),
      edits,
      fc.nat({ max: 15 }),
    )
    .map(([parts, changes, cut]) => {
      const bytes = Buffer.concat(parts);
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes.subarray(0, Math.max(0, bytes.length - Math.max(0, cut - 5)));
    });
};

const limits = (): fc.Arbitrary<number> => fc.constantFrom(1, 10, 125, 126, 1000, 1 << 20, 1 << 20, 1 << 20);

describe(`the receiver of ws (FC_SEED=${seed})`, () => {
  it('makes the same of any frames, but for the differences that are known', () => {
    fc.assert(fc.property(streams(), limits(), chunking(), (stream, max, sizes) => void compare(stream, max, sizes)));
  });

  it('makes the same of any bytes, but for the differences that are known', () => {
    const any = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    fc.assert(fc.property(any, limits(), chunking(), (stream, max, sizes) => void compare(stream, max, sizes)));
  });

  it('takes the same close codes', () => {
    for (let code = 0; code < 65_536; code += code < 990 || (code >= 1030 && code < 2990) || code >= 5010 ? 97 : 1) {
      assert.deepEqual(compare(masked(0x88, closePayload(code, 'é')), 1000, [1 << 24]), []);
    }
  });

  for (const { name, example, maxBytes = 1 << 20 } of ROWS) {
    it(`differs over ${name}`, () => {
      assert.deepEqual(compare(example, maxBytes, [1 << 24]), [name]);
      assert.deepEqual(compare(example, maxBytes, [1, 2]), [name]);
    });
  }
});

describe('the chunks of a frame', () => {
  it(`make a difference: ${CHUNKS_ROW}`, () => {
    const frame = masked(0x82, Buffer.alloc(WS_MAX_CHUNKS + 1));
    const headerBytes = frame.length - WS_MAX_CHUNKS - 1;
    const [ours, theirs] = [new Ours(1 << 20), new Theirs(1 << 20)];
    for (const subject of [ours, theirs]) {
      subject.receive(frame.subarray(0, headerBytes));
      for (let at = headerBytes; at < frame.length - 1; at++) subject.receive(frame.subarray(at, at + 1));
      assert.equal(subject.outcome, 'open');
      subject.receive(frame.subarray(-1));
    }
    assert.equal(theirs.outcome, 'failed 1008');
    assert.equal(ours.outcome, 'open');
    assertSame(ours.told, [{ type: 'binary', bytes: Buffer.alloc(WS_MAX_CHUNKS + 1) }]);
  });
});

// --- what is sent -----------------------------------------------------------------------------------------------------

type Sent = readonly [opcode: number, payload: string];

/** What a WebSocket of ws answers to bytes that arrive at once. */
async function answersOfWs(bytes: Buffer): Promise<Sent[]> {
  const written: Buffer[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  const headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
  };
  const server = new ws.WebSocketServer({ noServer: true });
  const socketOfWs = await new Promise<WsSocket>((resolve) => {
    server.handleUpgrade({ method: 'GET', url: '/', headers }, socket, Buffer.alloc(0), resolve);
  });
  socketOfWs.on('error', () => {});
  written.length = 0;
  socket.push(bytes);
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  const closed = once(socketOfWs, 'close');
  socketOfWs.terminate();
  await closed;
  const rules = { expectMask: false, allowRsv1: false, maxFrameBytes: 1000 };
  return referenceParse(Buffer.concat(written), rules).frames.map(shown);
}

function answersOfOurs(bytes: Buffer): Sent[] {
  return new ProtocolRecorder('server').receive(bytes).sent().map(shown);
}

/** Shows the first two bytes of a Close frame as a number. */
function shown({ opcode, payload }: Frame): Sent {
  if (opcode !== 8 || payload.length < 2) return [opcode, payload.toString()];
  return [opcode, `${payload.readUInt16BE()} ${payload.toString('utf8', 2)}`];
}

const pongs = (from: number, to: number): Sent[] =>
  Array.from({ length: to - from }, (_, i): Sent => [10, String(from + i)]);

interface AnswerRow {
  readonly name: string;
  readonly example: Buffer;
  readonly ours: readonly Sent[];
  readonly theirs: readonly Sent[];
}

const ANSWER_ROWS: readonly AnswerRow[] = [
  {
    name: 'the answer to a Close frame with a reason',
    example: masked(0x88, closePayload(3000, 'enough')),
    ours: [[8, '3000 ']],
    theirs: [[8, '3000 enough']],
  },
  {
    name: 'the Close frame behind a fault',
    example: masked(0x83),
    ours: [[8, '1002 the opcode is reserved (§5.2)']],
    theirs: [[8, '1002 ']],
  },
  {
    name: 'more than 16 Pings at once',
    example: Buffer.concat(Array.from({ length: 40 }, (_, i) => masked(0x89, String(i)))),
    ours: [...pongs(0, 16), ...pongs(39, 40)],
    theirs: pongs(0, 40),
  },
];

describe('a WebSocket of ws', () => {
  it('answers the same where no difference is known', async () => {
    for (const bytes of [
      masked(0x89, 'ping'),
      masked(0x8a, 'pong'),
      masked(0x88),
      masked(0x88, closePayload(1000)),
      Buffer.concat([masked(0x89, 'a'), masked(0x88, closePayload(4999)), masked(0x89, 'b')]),
    ]) {
      assert.deepEqual(answersOfOurs(bytes), await answersOfWs(bytes));
    }
  });

  for (const { name, example, ours, theirs } of ANSWER_ROWS) {
    it(`differs over ${name}`, async () => {
      assert.deepEqual(answersOfOurs(example), ours);
      assert.deepEqual(await answersOfWs(example), theirs);
    });
  }
});

describe(DOCS, () => {
  it('has a row for each difference, and no other', () => {
    const rows = readPage(DOCS).lines.flatMap((line) => /^\| \*\*(.+?)\*\* \|/.exec(line)?.[1] ?? []);
    const namesOf = (list: readonly { name: string }[]): string[] => list.map(({ name }) => name);
    assert.deepEqual(rows, [...namesOf(ROWS), CHUNKS_ROW, ...namesOf(COMPRESSION_ROWS), ...namesOf(ANSWER_ROWS)]);
  });
});
