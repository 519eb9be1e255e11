import { hex } from '../support/hex.ts';
import { closePayload } from '../support/protocol-recorder.ts';

/**
 * What a peer sends to an endpoint that echoes, and what must come back: in the groups of the best-known suite for
 * WebSockets, Autobahn|Testsuite, every case strict. The codes are exact, and nothing may come behind a Close frame.
 */
export interface Case {
  /** Group and number. */
  readonly id: string;
  readonly title: string;
  /** What the peer sends. */
  readonly send: readonly PeerFrame[];
  /** What comes back, in order, before a Close frame. */
  readonly expect: readonly Reply[];
  /** The code of the Close frame that comes back, 1005 for none in it. Left out: the connection stays open. */
  readonly closes?: number;
  /** Whether the peer began to close: then that is the end, and no fault. */
  readonly clean?: boolean;
  /** Into how many bytes each the stream is cut, each size in a run of its own; whole and byte by byte if left out. */
  readonly chops?: readonly number[];
}

export interface PeerFrame {
  /** First byte: FIN, RSV and opcode. */
  readonly bits: number;
  readonly payload: Buffer;
}

export type Reply = readonly [opcode: number, payload: Buffer];

const FIN = 0x80;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const WHOLE = Number.POSITIVE_INFINITY;
const KIB = 1024;
const MIB = 1024 * KIB;

function frame(bits: number, payload: Buffer | string = ''): PeerFrame {
  return { bits, payload: Buffer.from(payload) };
}

function reply(opcode: number, payload: Buffer | string = ''): Reply {
  return [opcode, Buffer.from(payload)];
}

/** A message in fragments. */
function fragments(opcode: number, ...payloads: readonly (Buffer | string)[]): PeerFrame[] {
  return payloads.map((payload, i) => frame((i === 0 ? opcode : 0) | (i === payloads.length - 1 ? FIN : 0), payload));
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

// --- 1. Framing -----------------------------------------------------------------------------------------------------

const LENGTHS = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537];
const CHOPS = [WHOLE, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 125, 997];

const framing: Case[] = [TEXT, BINARY].flatMap((opcode) =>
  LENGTHS.map((length, i) => ({
    id: `1.${opcode}.${i + 1}`,
    title: `${opcode === TEXT ? 'text' : 'binary'} of ${length} bytes`,
    send: [frame(FIN | opcode, Buffer.alloc(length, opcode === TEXT ? '*' : 0xfe))],
    expect: [reply(opcode, Buffer.alloc(length, opcode === TEXT ? '*' : 0xfe))],
    chops: CHOPS,
  })),
);

// --- 2. Pings and Pongs ---------------------------------------------------------------------------------------------

const many = Array.from({ length: 10 }, (_, i) => `payload-${i}`);

const pings: Case[] = [
  { id: '2.1', title: 'a Ping without payload', send: [frame(FIN | PING)], expect: [reply(PONG)] },
  { id: '2.2', title: 'a Ping with text', send: [frame(FIN | PING, 'Hello')], expect: [reply(PONG, 'Hello')] },
  {
    id: '2.3',
    title: 'a Ping with bytes that are no UTF-8',
    send: [frame(FIN | PING, hex('00 ff fe fd fc fb 00 ff'))],
    expect: [reply(PONG, hex('00 ff fe fd fc fb 00 ff'))],
  },
  {
    id: '2.4',
    title: 'a Ping with 125 bytes',
    send: [frame(FIN | PING, Buffer.alloc(125, 0xfe))],
    expect: [reply(PONG, Buffer.alloc(125, 0xfe))],
    chops: CHOPS,
  },
  {
    id: '2.5',
    title: 'a Ping with 126 bytes',
    send: [frame(FIN | PING, Buffer.alloc(126, 0xfe)), frame(FIN | TEXT, 'late')],
    expect: [],
    closes: 1002,
  },
  { id: '2.6', title: 'a Pong that nobody asked for', send: [frame(FIN | PONG)], expect: [] },
  { id: '2.7', title: 'such a Pong with payload', send: [frame(FIN | PONG, 'unasked-for')], expect: [] },
  {
    id: '2.8',
    title: 'such a Pong, and a Ping',
    send: [frame(FIN | PONG, 'unasked-for'), frame(FIN | PING, 'ping')],
    expect: [reply(PONG, 'ping')],
  },
  {
    id: '2.9',
    title: 'ten Pings, all answered in order',
    send: many.map((payload) => frame(FIN | PING, payload)),
    expect: many.map((payload) => reply(PONG, payload)),
    chops: [WHOLE, 1, 7, 40],
  },
  {
    id: '2.10',
    title: 'a Ping in a message of two fragments',
    send: [frame(TEXT, 'frag'), frame(FIN | PING, 'ping'), frame(FIN, 'ments')],
    expect: [reply(PONG, 'ping'), reply(TEXT, 'fragments')],
  },
  {
    id: '2.11',
    title: 'ten Pings in a message of eleven fragments',
    send: [frame(BINARY, 'x'), ...many.flatMap((payload) => [frame(FIN | PING, payload), frame(0, 'y')]), frame(FIN)],
    expect: [...many.map((payload) => reply(PONG, payload)), reply(BINARY, `x${'y'.repeat(10)}`)],
  },
  { id: '2.12', title: 'a Ping in fragments', send: [frame(PING, 'a'), frame(FIN, 'b')], expect: [], closes: 1002 },
];

// --- 3. Reserved bits -----------------------------------------------------------------------------------------------

const reserved: Case[] = [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
  ...[TEXT, BINARY, CLOSE, PING, PONG].map((opcode) => ({
    id: `3.${rsv}.${opcode}`,
    title: `RSV ${rsv} on opcode ${opcode}`,
    send: [frame(FIN | TEXT, 'before'), frame(FIN | (rsv << 4) | opcode), frame(FIN | PING), frame(FIN | TEXT, 'late')],
    expect: [reply(TEXT, 'before')],
    closes: 1002,
  })),
  {
    id: `3.${rsv}.0`,
    title: `RSV ${rsv} on a continuation`,
    send: [frame(TEXT, 'a'), frame(FIN | (rsv << 4), 'b'), frame(FIN | TEXT, 'late')],
    expect: [],
    closes: 1002,
  },
]);

// --- 4. Opcodes -----------------------------------------------------------------------------------------------------

const opcodes: Case[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) =>
  ['', 'payload'].flatMap((payload, i) => [
    {
      id: `4.${opcode}.${i + 1}`,
      title: `opcode ${opcode} ${payload === '' ? 'without' : 'with'} payload`,
      send: [frame(FIN | opcode, payload), frame(FIN | PING)],
      expect: [],
      closes: 1002,
    },
    {
      id: `4.${opcode}.${i + 3}`,
      title: `opcode ${opcode} ${payload === '' ? 'without' : 'with'} payload, behind a message`,
      send: [frame(FIN | TEXT, 'Hello'), frame(FIN | opcode, payload), frame(FIN | TEXT, 'late')],
      expect: [reply(TEXT, 'Hello')],
      closes: 1002,
    },
  ]),
);

// --- 5. Fragmentation -----------------------------------------------------------------------------------------------

const sequence: Case[] = [
  { id: '5.1', title: 'a Ping in two fragments', send: fragments(PING, 'fr', 'ag'), expect: [], closes: 1002 },
  { id: '5.2', title: 'a Pong in two fragments', send: fragments(PONG, 'fr', 'ag'), expect: [], closes: 1002 },
  { id: '5.3', title: 'text in two fragments', send: fragments(TEXT, 'fr', 'ag'), expect: [reply(TEXT, 'frag')] },
  {
    id: '5.4',
    title: 'text in two fragments, chopped',
    send: fragments(TEXT, 'fragment1', 'fragment2'),
    expect: [reply(TEXT, 'fragment1fragment2')],
    chops: [1, 2, 3, 5, 11],
  },
  {
    id: '5.5',
    title: 'binary in many fragments, chopped',
    send: fragments(BINARY, ...cut(Buffer.alloc(2000, 0xfe), 7)),
    expect: [reply(BINARY, Buffer.alloc(2000, 0xfe))],
    chops: [WHOLE, 1, 3, 997],
  },
  {
    id: '5.6',
    title: 'a Ping between two fragments',
    send: [frame(TEXT, 'fr'), frame(FIN | PING, 'ping'), frame(FIN, 'ag')],
    expect: [reply(PONG, 'ping'), reply(TEXT, 'frag')],
  },
  {
    id: '5.7',
    title: 'a Pong between two fragments',
    send: [frame(TEXT, 'fr'), frame(FIN | PONG, 'pong'), frame(FIN, 'ag')],
    expect: [reply(TEXT, 'frag')],
  },
  {
    id: '5.8',
    title: 'a Close frame between two fragments',
    send: [frame(TEXT, 'fr'), frame(FIN | CLOSE, closePayload(1000)), frame(FIN, 'ag')],
    expect: [],
    closes: 1000,
    clean: true,
  },
  {
    id: '5.9',
    title: 'a continuation of nothing',
    send: [frame(FIN, 'a'), frame(FIN | TEXT, 'b')],
    expect: [],
    closes: 1002,
  },
  { id: '5.10', title: 'an unfinished continuation of nothing', send: [frame(0, 'a')], expect: [], closes: 1002 },
  { id: '5.11', title: 'an empty continuation of nothing', send: [frame(0)], expect: [], closes: 1002 },
  {
    id: '5.12',
    title: 'a continuation behind a message',
    send: [frame(FIN | TEXT, 'a'), frame(FIN, 'b'), frame(FIN | TEXT, 'late')],
    expect: [reply(TEXT, 'a')],
    closes: 1002,
  },
  {
    id: '5.13',
    title: 'an unfinished continuation behind a message in fragments',
    send: [...fragments(TEXT, 'a', 'b'), frame(0, 'c'), ...fragments(TEXT, 'd', 'e')],
    expect: [reply(TEXT, 'ab')],
    closes: 1002,
  },
  {
    id: '5.14',
    title: 'a message inside another',
    send: [frame(TEXT, 'a'), frame(FIN | TEXT, 'b'), frame(FIN, 'c')],
    expect: [],
    closes: 1002,
  },
  {
    id: '5.15',
    title: 'a binary message inside a text',
    send: [frame(TEXT, 'a'), frame(BINARY, 'b'), frame(FIN, 'c')],
    expect: [],
    closes: 1002,
  },
  {
    id: '5.16',
    title: 'an empty message inside another',
    send: [frame(BINARY), frame(FIN | BINARY), frame(FIN)],
    expect: [],
    closes: 1002,
  },
  {
    id: '5.17',
    title: 'empty fragments at each place',
    send: [...fragments(TEXT, '', 'a', '', 'b', ''), ...fragments(BINARY, '', '', '')],
    expect: [reply(TEXT, 'ab'), reply(BINARY)],
  },
  {
    id: '5.18',
    title: 'five fragments, with Pings between them',
    send: ['f1', 'f2', 'f3', 'f4', 'f5'].flatMap((text, i) => [
      frame((i === 0 ? TEXT : 0) | (i === 4 ? FIN : 0), text),
      frame(FIN | PING, `p${i}`),
    ]),
    expect: [
      ...['p0', 'p1', 'p2', 'p3'].map((text) => reply(PONG, text)),
      reply(TEXT, 'f1f2f3f4f5'),
      reply(PONG, 'p4'),
    ],
    chops: [WHOLE, 1, 2, 10],
  },
  {
    id: '5.19',
    title: 'two messages in fragments, one behind the other',
    send: [...fragments(TEXT, 'a', 'b'), ...fragments(BINARY, 'c', 'd')],
    expect: [reply(TEXT, 'ab'), reply(BINARY, 'cd')],
  },
  {
    id: '5.20',
    title: 'fragments of all lengths in one message',
    send: fragments(BINARY, ...LENGTHS.map((length) => Buffer.alloc(length, length))),
    expect: [reply(BINARY, Buffer.concat(LENGTHS.map((length) => Buffer.alloc(length, length))))],
    chops: [WHOLE, 1, 997],
  },
];

// --- 6. UTF-8 -------------------------------------------------------------------------------------------------------

/** Texts by class; those that are cut off are wrong when the message ends. RFC 3629 §3, §4. */
const VALID: Readonly<Record<string, readonly string[]>> = {
  'a text': ['48 65 6c 6c 6f 2d c2b5 40 c39f c3b6 c3a4 2d 55 54 46 2d 38 21 21', 'ceba e1bdb9 cf83 cebc ceb5'],
  'the first character of each length': ['00', 'c280', 'e0a080', 'f0908080'],
  'the last character of each length': ['7f', 'dfbf', 'efbfbf', 'f48fbfbf'],
  'what lies next to a boundary': [
    'ed9fbf',
    'ee8080',
    'efbfbd',
    'f3bfbfbf',
    'f4808080',
    'e18080',
    'efbebf',
    'f1808080',
  ],
  'what is no character but may be sent': [
    ...['efbfbe', 'efbfbf', 'f09fbfbe', 'f09fbfbf', 'f0afbfbe', 'f0afbfbf', 'f0bfbfbe', 'f0bfbfbf', 'f18fbfbe'],
    ...['f2bfbfbf', 'f3afbfbe', 'f3bfbfbe', 'f48fbfbe', 'efb790', 'efb7af'],
  ],
  'special characters': ['efbfb9', 'efbfba', 'efbfbb', 'efbfbc', 'efbfbd', 'efbbbf', 'e280a8', 'e2808b'],
};

const INVALID: Readonly<Record<string, readonly string[]>> = {
  'a text with a fault': ['ceba e1bdb9 cf83 cebc ceb5 eda080 656469746564', 'ceba e1bdb9 cf83 f4908080 656469746564'],
  'more than four bytes': ['f888808080', 'fc8480808080', 'fbbfbfbfbf', 'fdbfbfbfbfbf'],
  'beyond the last character': ['f4908080', 'f7bfbfbf', 'f5808080', 'f4bfbfbf'],
  'a continuation of nothing': ['80', 'bf', '80bf', '80bf80', '80bf80bf', '80bf80bf80', '80bf80bf80bf', '41 80 41'],
  'a first byte alone': [
    ...Array.from({ length: 0x3e }, (_, i) => `${(0xc0 + i).toString(16)} 20`),
    Array.from({ length: 32 }, (_, i) => `${(0xc0 + i).toString(16)} 20`).join(' '),
  ],
  'a last byte that is missing': [
    'c3 20',
    'e0a0 20',
    'f09080 20',
    'efbf 20',
    'f48fbf 20',
    'df',
    'efbf',
    'f48fbf',
    'c2',
    'e1bd',
  ],
  'several such': ['c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf', 'df efbf f48fbf'],
  'bytes that never stand in UTF-8': ['fe', 'ff', 'fefeffff', 'c0', 'c1', 'f5', 'f6', 'f7', 'f8'],
  'overlong forms of the slash': ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af'],
  'the largest overlong forms': ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf'],
  'overlong forms of zero': ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080'],
  surrogates: ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf'],
  'pairs of surrogates': [
    'eda080edb080',
    'eda080edbfbf',
    'edadbfedb080',
    'edadbfedbfbf',
    'edae80edb080',
    'edafbfedbfbf',
  ],
};

/** A text that is valid or not, in one frame, in a fragment a byte, and behind another character. */
function text(id: string, title: string, bytes: Buffer, valid: boolean): Case[] {
  const padded = Buffer.concat([Buffer.from('é'), bytes]);
  const variants: (readonly [how: string, send: PeerFrame[], whole: Buffer])[] = [
    ['whole', [frame(FIN | TEXT, bytes)], bytes],
    ['a fragment a byte', fragments(TEXT, ...cut(bytes, 1), ''), bytes],
    ['behind another', [frame(FIN | TEXT, padded)], padded],
  ];
  return variants.map(([how, send, whole], i) => {
    const base = { id: `${id}.${i + 1}`, title: `${title}, ${bytes.toString('hex', 0, 12)}, ${how}` };
    if (valid) return { ...base, send, expect: [reply(TEXT, whole)] };
    return { ...base, send: [...send, frame(FIN | TEXT, 'late'), frame(FIN | PING)], expect: [], closes: 1007 };
  });
}

function texts(group: number, classes: Readonly<Record<string, readonly string[]>>, valid: boolean): Case[] {
  return Object.entries(classes).flatMap(([title, list], i) =>
    list.flatMap((literal, n) => text(`6.${group + i}.${n + 1}`, title, hex(literal), valid)),
  );
}

/** The prefixes of a text: those that end inside a character are wrong. */
function prefixes(): Case[] {
  const whole = Buffer.from('κόσμε');
  return Array.from({ length: whole.length }, (_, i) => whole.subarray(0, i + 1)).flatMap((bytes, i) =>
    text(`6.2.${i + 1}`, 'a beginning of a text', bytes, !bytes.toString().includes('\ufffd')),
  );
}

const utf8: Case[] = [
  { id: '6.1.1', title: 'an empty text', send: [frame(FIN | TEXT)], expect: [reply(TEXT)] },
  { id: '6.1.2', title: 'an empty text in fragments', send: fragments(TEXT, '', '', ''), expect: [reply(TEXT)] },
  {
    id: '6.1.3',
    title: 'one empty fragment, and not',
    send: fragments(TEXT, '', 'middle', ''),
    expect: [reply(TEXT, 'middle')],
  },
  ...prefixes(),
  ...texts(5, VALID, true),
  ...texts(11, INVALID, false),
  {
    id: '6.24.1',
    title: 'binary that is no UTF-8',
    send: [frame(FIN | BINARY, hex('eda080 ff')), ...fragments(BINARY, hex('f0'), hex('80'))],
    expect: [reply(BINARY, hex('eda080 ff')), reply(BINARY, hex('f080'))],
  },
];

/** Texts that can be seen to be wrong before they end. */
export const WRONG_TEXTS: readonly Buffer[] = Object.values(INVALID)
  .flat()
  .map((literal) => hex(literal));

// --- 7. Closing -----------------------------------------------------------------------------------------------------

const WIRE_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const OTHER_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65_535];

const closing: Case[] = [
  {
    id: '7.1.1',
    title: 'a message, and a Close frame',
    send: [frame(FIN | TEXT, 'Hello'), frame(FIN | CLOSE, closePayload(1000))],
    expect: [reply(TEXT, 'Hello')],
    closes: 1000,
    clean: true,
  },
  {
    id: '7.1.2',
    title: 'two Close frames',
    send: [frame(FIN | CLOSE, closePayload(1000)), frame(FIN | CLOSE, closePayload(1001))],
    expect: [],
    closes: 1000,
    clean: true,
  },
  ...[
    frame(FIN | PING, 'late'),
    frame(FIN | TEXT, 'late'),
    frame(0x7f, 'late'),
    frame(FIN | TEXT, hex('ff')),
    frame(FIN | CLOSE, Buffer.alloc(1)),
  ].map((late, i) => ({
    id: `7.1.${i + 3}`,
    title: `anything behind a Close frame (first byte ${late.bits.toString(16)})`,
    send: [frame(FIN | CLOSE, closePayload(1000)), late],
    expect: [],
    closes: 1000,
    clean: true,
  })),
  {
    id: '7.1.8',
    title: 'a Close frame in an unfinished message',
    send: [frame(TEXT, 'a'), frame(FIN | CLOSE, closePayload(1000)), frame(FIN, 'b')],
    expect: [],
    closes: 1000,
    clean: true,
  },
  {
    id: '7.1.9',
    title: '256 KiB, a Close frame, and a Ping',
    send: [frame(FIN | TEXT, 'x'.repeat(256 * KIB)), frame(FIN | CLOSE, closePayload(1000)), frame(FIN | PING)],
    expect: [reply(TEXT, 'x'.repeat(256 * KIB))],
    closes: 1000,
    clean: true,
    chops: [WHOLE, 997],
  },
  {
    id: '7.3.1',
    title: 'a Close frame without payload',
    send: [frame(FIN | CLOSE)],
    expect: [],
    closes: 1005,
    clean: true,
  },
  { id: '7.3.2', title: 'a payload of one byte', send: [frame(FIN | CLOSE, 'a')], expect: [], closes: 1002 },
  ...['', 'Hello World!', 'x'.repeat(123), 'é', '€'.repeat(41)].map((reason, i) => ({
    id: `7.3.${i + 3}`,
    title: `a reason of ${Buffer.byteLength(reason)} bytes`,
    send: [frame(FIN | CLOSE, closePayload(1000, reason))],
    expect: [],
    closes: 1000,
    clean: true,
  })),
  {
    id: '7.3.8',
    title: 'a reason of 124 bytes',
    send: [frame(FIN | CLOSE, closePayload(1000, 'x'.repeat(124)))],
    expect: [],
    closes: 1002,
  },
  {
    id: '7.3.9',
    title: 'a Close frame in fragments',
    send: fragments(CLOSE, closePayload(1000), 'a'),
    expect: [],
    closes: 1002,
  },
  ...['ceba e1bdb9 cf83 eda080', 'ff', 'c3', 'f4908080', 'c080'].map((reason, i) => ({
    id: `7.5.${i + 1}`,
    title: `a reason that is no UTF-8 (${reason})`,
    send: [frame(FIN | CLOSE, closePayload(1000, hex(reason)))],
    expect: [],
    closes: 1007,
  })),
  ...WIRE_CODES.map((code, i) => ({
    id: `7.7.${i + 1}`,
    title: `the code ${code}`,
    send: [frame(FIN | CLOSE, closePayload(code))],
    expect: [],
    closes: code,
    clean: true,
  })),
  ...OTHER_CODES.flatMap((code, i) =>
    ['', 'reason'].map((reason, n) => ({
      id: `7.9.${2 * i + n + 1}`,
      title: `the code ${code}${reason === '' ? '' : ' with a reason'}`,
      send: [frame(FIN | CLOSE, closePayload(code, reason)), frame(FIN | TEXT, 'late')],
      expect: [],
      closes: 1002,
    })),
  ),
];

// --- 9. Limits ------------------------------------------------------------------------------------------------------

/** What the endpoint takes. */
export const MAX_MESSAGE_BYTES: number = 4 * MIB;

const pattern = (length: number): Buffer => Buffer.alloc(length, 'BAsd7&jh23 ');

const limits: Case[] = [
  ...[TEXT, BINARY].flatMap((opcode) => [
    ...[64 * KIB, 256 * KIB, MIB, 4 * MIB].map((length, i) => ({
      id: `9.${opcode}.${i + 1}`,
      title: `${length} bytes in one frame`,
      send: [frame(FIN | opcode, pattern(length))],
      expect: [reply(opcode, pattern(length))],
      chops: [64 * KIB],
    })),
    ...[64, 1448, 64 * KIB, MIB].map((size, i) => ({
      id: `9.${opcode + 2}.${i + 1}`,
      title: `4 MiB in fragments of ${size} bytes`,
      send: fragments(opcode, ...cut(pattern(4 * MIB), size)),
      expect: [reply(opcode, pattern(4 * MIB))],
      chops: [64 * KIB],
    })),
    ...[64, 128, 256, 512, 1024, 1448, 2048].map((size, i) => ({
      id: `9.${opcode + 4}.${i + 1}`,
      title: `1 MiB in one frame, in chops of ${size} bytes`,
      send: [frame(FIN | opcode, pattern(MIB))],
      expect: [reply(opcode, pattern(MIB))],
      chops: [size],
    })),
    {
      id: `9.${opcode + 6}.1`,
      title: 'one byte too many, in one frame',
      send: [frame(FIN | TEXT, 'before'), frame(FIN | opcode, pattern(4 * MIB + 1)), frame(FIN | PING)],
      expect: [reply(TEXT, 'before')],
      closes: 1009,
      chops: [64 * KIB],
    },
    {
      id: `9.${opcode + 6}.2`,
      title: 'one byte too many, in fragments',
      send: [...fragments(opcode, pattern(4 * MIB), 'x'), frame(FIN | PING)],
      expect: [],
      closes: 1009,
      chops: [64 * KIB],
    },
  ]),
  ...[0, 16, 125, 1024].map((length, i) => ({
    id: `9.9.${i + 1}`,
    title: `500 messages of ${length} bytes`,
    send: Array.from({ length: 500 }, () => frame(FIN | BINARY, pattern(length))),
    expect: Array.from({ length: 500 }, () => reply(BINARY, pattern(length))),
    chops: [WHOLE, 1448],
  })),
];

/** Groups by title. Cases of compression have a file of their own, since what they send depends on what was agreed on. */
export const GROUPS: readonly (readonly [title: string, cases: readonly Case[]])[] = [
  ['1. Framing', framing],
  ['2. Pings and Pongs', pings],
  ['3. Reserved bits', reserved],
  ['4. Opcodes', opcodes],
  ['5. Fragmentation', sequence],
  ['6. UTF-8', utf8],
  ['7. Closing', closing],
  ['9. Limits', limits],
];
