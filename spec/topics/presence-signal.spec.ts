import '../support/seed.ts';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeSignal, encodeSignal, type PresenceSignal, type Seat } from '../../lib/topics/presence-signal.ts';
import { hex } from '../support/hex.ts';

const PROCESS = '0102030405060708';

function seat(json: string, stamp: number): Seat {
  return { json, info: json === '' ? undefined : JSON.parse(json), stamp };
}

/** By the titles of the test vectors. */
const SIGNALS: Record<string, PresenceSignal> = {
  lease: {
    kind: 'lease',
    process: PROCESS,
    from: 2,
    version: 5,
    changed: new Map([
      ['a', 3],
      ['b', 5],
    ]),
  },
  change: {
    kind: 'change',
    process: PROCESS,
    since: 3,
    version: 4,
    seats: new Map([
      ['ann', seat('{"n":1}', 1000)],
      ['bob', undefined],
    ]),
  },
  'ask, to everybody': { kind: 'ask', process: PROCESS, target: undefined, topics: ['a'] },
  'ask, to 1112131415161718': { kind: 'ask', process: PROCESS, target: '1112131415161718', topics: ['a', 'b'] },
  state: {
    kind: 'state',
    process: PROCESS,
    version: 5,
    states: [
      { topic: 'a', part: 0, parts: 1, seats: new Map([['ann', seat('', 1000)]]) },
      { topic: 'b', part: 0, parts: 1, seats: new Map() },
    ],
  },
  bye: { kind: 'bye', process: PROCESS },
};

const text = fc.string({ maxLength: 20, unit: 'grapheme' });
const version = fc.nat({ max: 2 ** 31 - 1 }).map((n) => n * 2 ** 16 + 7);
const id = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((digits) => !/^0*$/.test(digits));
const seats = fc
  .tuple(fc.option(fc.jsonValue({ maxDepth: 1 }), { nil: undefined }), version)
  .map(([info, stamp]) => seat(info === undefined ? '' : JSON.stringify(info), stamp))
  .filter(({ json }) => Buffer.byteLength(json) <= 1024);
function entries<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Map<string, T>> {
  return fc.array(fc.tuple(text, value), { maxLength: 5 }).map((list) => new Map(list));
}
const signals: fc.Arbitrary<PresenceSignal> = fc.oneof(
  fc.record({ kind: fc.constant('lease' as const), process: id, from: version, version, changed: entries(version) }),
  fc.record({
    kind: fc.constant('change' as const),
    process: id,
    since: version,
    version,
    seats: entries(fc.option(seats, { nil: undefined })),
  }),
  fc.record({
    kind: fc.constant('ask' as const),
    process: id,
    target: fc.option(id, { nil: undefined }),
    topics: fc.array(text, { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant('state' as const),
    process: id,
    version,
    states: fc.array(fc.record({ topic: text, part: fc.constant(0), parts: fc.constant(1), seats: entries(seats) }), {
      maxLength: 3,
    }),
  }),
  fc.record({ kind: fc.constant('bye' as const), process: id }),
);

describe('signals of presence', () => {
  const page = readFileSync(new URL('../../docs/reference/presence-wire.md', import.meta.url), 'utf8');
  const vectors = /```text\n([\s\S]*?)```/.exec(page)![1]!.trim().split('\n\n');

  it('has a vector for each kind', () => assert.equal(vectors.length, Object.keys(SIGNALS).length));

  for (const vector of vectors) {
    const [title, literal] = vector.split('\n') as [string, string];
    it(`are as the page says: ${title}`, () => {
      const [, signal] = Object.entries(SIGNALS).find(([name]) => title.startsWith(name))!;
      assert.equal(Buffer.from(encodeSignal(signal)).toString('hex'), hex(literal).toString('hex'));
      assert.deepEqual(decodeSignal(hex(literal)), signal);
    });

    it(`are none when they are cut, or go on: ${title}`, () => {
      const bytes = hex(literal);
      for (let end = 0; end < bytes.length; end++) assert.equal(decodeSignal(bytes.subarray(0, end)), undefined);
      assert.equal(decodeSignal(Buffer.concat([bytes, Buffer.of(0)])), undefined);
    });
  }

  it('come out as they went in', () => {
    fc.assert(
      fc.property(signals, (signal) => {
        const bytes = encodeSignal(signal);
        const decoded = decodeSignal(bytes)!;
        assert.equal(decoded.kind, signal.kind);
        assert.deepEqual(encodeSignal(decoded), bytes);
      }),
    );
  });

  it('may be any bytes', () => {
    fc.assert(
      fc.property(signals, fc.nat(), fc.nat(255), (signal, at, byte) => {
        const bytes = encodeSignal(signal);
        bytes[at % bytes.length] = byte;
        decodeSignal(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(6), (bytes, kind) => {
        decodeSignal(bytes);
        decodeSignal(Uint8Array.of(1, kind, ...bytes));
      }),
    );
  });

  const refused: Record<string, string> = {
    'another version': '02 05 0102030405060708',
    'a kind that does not exist': '01 06 0102030405060708',
    'no kind': '01 00 0102030405060708',
    'a process that is nobody': '01 05 0000000000000000',
    'text that is not UTF-8': '01 03 0102030405060708 0000000000000000 0001 0001 ff',
    'info that is no JSON': '01 02 0102030405060708 000000000003 000000000004 0001 0001 61 01 0000000003e8 0001 7b',
    'a key that neither left nor is there': '01 02 0102030405060708 000000000003 000000000004 0001 0001 61 02',
    'a part behind the last': '01 04 0102030405060708 000000000005 0001 0001 61 0001 0001 0000',
    'an empty part of several': '01 04 0102030405060708 000000000005 0001 0001 61 0000 0002 0000',
    'a key of 257 bytes': `01 02 0102030405060708 000000000003 000000000004 0001 0101 ${'61'.repeat(257)} 00`,
  };
  for (const [what, literal] of Object.entries(refused)) {
    it(`are none with ${what}`, () => assert.equal(decodeSignal(hex(literal)), undefined));
  }

  it('are none when they are too large, however right', () => {
    const topics = Array.from({ length: 560 }, (_, i) => String(i).padStart(250, 'x'));
    assert.equal(decodeSignal(encodeSignal({ kind: 'ask', process: PROCESS, target: undefined, topics })), undefined);
    assert.ok(
      decodeSignal(encodeSignal({ kind: 'ask', process: PROCESS, target: undefined, topics: topics.slice(80) })),
    );
  });
});
