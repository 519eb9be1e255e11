import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib';
import fc from 'fast-check';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import type { DeflateParams } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate } from '../../lib/extensions/permessage-deflate.ts';
import { applyChunking, chunking, payloads, texts } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { hex } from '../support/hex.ts';
import { peerFrame } from '../support/protocol-recorder.ts';
import { seed } from '../support/seed.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';
import { COMPRESSION_ROWS } from './compression-differences.ts';
import { assertAlike, Ours, type Subject, Theirs, type Told } from './receivers.ts';

/**
 * The same compressed messages to our server and to the receiver of ws, with context takeover and without: both must tell
 * the same messages and the same end, but for the differences in compression-differences.ts.
 */

const [FIN, RSV1, RSV2] = [0x80, 0x40, 0x20];
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0x0, 0x1, 0x2, 0x8, 0x9, 0xa];
const MIB = 1 << 20;
const TAIL = hex('0000ffff');
const OPTIONS = resolveDeflateOptions({ clientNoContextTakeover: false })!;

const paramsOf = (takeover: boolean): DeflateParams => ({
  serverNoContextTakeover: true,
  clientNoContextTakeover: !takeover,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
});

/** Gives the same to both, waits until they are done, and returns what they made of it. */
async function giveBoth(chunks: readonly Buffer[], maxBytes: number, takeover: boolean): Promise<[Subject, Subject]> {
  const offer = takeover ? 'permessage-deflate' : 'permessage-deflate; client_no_context_takeover';
  const ours = new Ours(maxBytes, acceptDeflate(parseExtensions(offer)!, OPTIONS)!.compression);
  const theirs = new Theirs(maxBytes, takeover);
  for (const chunk of chunks) {
    ours.receive(chunk);
    await theirs.receiveLater(chunk);
  }
  await ours.settle();
  const seen = [ours, theirs].map(({ told, outcome }) => ({ told, outcome })) as unknown as [Subject, Subject];
  ours.close();
  theirs.close();
  return seen;
}

// --- streams ----------------------------------------------------------------------------------------------------------

interface Plan {
  readonly opcode: number;
  readonly data: Buffer;
  readonly compressed: boolean;
  readonly how: ZlibOptions;
  /** Where it is cut into fragments, and the control frame behind each. */
  readonly cuts: readonly (readonly [length: number, between: number])[];
}

const cuts = (): fc.Arbitrary<Plan['cuts']> =>
  fc.array(fc.tuple(fc.nat({ max: 30 }), fc.constantFrom(0, 0, PING, PONG)), { maxLength: 4 });

const plans = (): fc.Arbitrary<Plan> =>
  fc
    .record({
      message: fc.oneof(
        texts(40).map((text) => ({ opcode: TEXT, data: Buffer.from(text) })),
        fc
          .tuple(texts(8), fc.nat({ max: 400 }))
          .map(([text, count]) => ({ opcode: TEXT, data: Buffer.from(text.repeat(count)) })),
        payloads(fc.nat({ max: 300 })).map((data) => ({ opcode: BINARY, data })),
        fc.constant({ opcode: BINARY, data: Buffer.alloc(70_000, 'large: in the thread pool. ') }),
      ),
      compressed: fc.boolean(),
      how: fc.constantFrom<ZlibOptions>({}, { level: 0 }, { strategy: constants.Z_FIXED }, { level: 1 }),
      cuts: cuts(),
    })
    .map(({ message, ...rest }) => ({ ...message, ...rest }));

/** The frames of a message whose payload is given. */
function framesOf({ opcode, compressed, cuts }: Omit<Plan, 'data' | 'how'>, payload: Buffer): Buffer {
  const frames: Buffer[] = [];
  let bits = opcode | (compressed ? RSV1 : 0);
  let position = 0;
  for (const [length, between] of cuts) {
    const piece = payload.subarray(position, position + length);
    position += piece.length;
    frames.push(peerFrame('server', bits, piece));
    bits = CONTINUATION;
    if (between !== 0) frames.push(peerFrame('server', FIN | between, piece));
  }
  frames.push(peerFrame('server', FIN | bits, payload.subarray(position)));
  return Buffer.concat(frames);
}

const streamOf = (list: readonly Plan[], peer: ZlibPeer): Buffer =>
  Buffer.concat(list.map((plan) => framesOf(plan, plan.compressed ? peer.compress(plan.data, plan.how) : plan.data)));

const BEHIND = peerFrame('server', FIN | TEXT, 'behind it all');

/** What a peer that keeps to the RFC cannot send; each is given behind messages that are in order. */
const FAULTS: Record<string, Buffer> = {
  'RSV1 on a continuation': Buffer.concat([
    peerFrame('server', RSV1 | TEXT, hex('f248')),
    peerFrame('server', FIN | RSV1 | CONTINUATION, hex('cdc9c90700')),
  ]),
  'RSV1 on the continuation of a message without it': Buffer.concat([
    peerFrame('server', TEXT, 'plain'),
    peerFrame('server', FIN | RSV1 | CONTINUATION, hex('f248cdc9c90700')),
  ]),
  'RSV1 on a Ping': peerFrame('server', FIN | RSV1 | PING),
  'RSV1 on a Pong': peerFrame('server', FIN | RSV1 | PONG, 'x'),
  'RSV1 on a Close frame': peerFrame('server', FIN | RSV1 | CLOSE, hex('03e8')),
  'a compressed message inside another': Buffer.concat([
    peerFrame('server', RSV1 | TEXT, hex('f248')),
    peerFrame('server', FIN | RSV1 | TEXT, hex('f248cdc9c90700')),
  ]),
  'a continuation behind a compressed message': Buffer.concat([
    peerFrame('server', FIN | RSV1 | TEXT, hex('f248cdc9c90700')),
    peerFrame('server', FIN | CONTINUATION, hex('00')),
  ]),
  'a block type that does not exist': peerFrame('server', FIN | RSV1 | BINARY, hex('ff')),
  'a stored block whose length does not fit': peerFrame('server', FIN | RSV1 | BINARY, hex('000500000048656c6c6f00')),
  'text that is not UTF-8': peerFrame('server', FIN | RSV1 | TEXT, hex('000100feffff00')),
  'text that is not UTF-8, in fragments': Buffer.concat([
    peerFrame('server', RSV1 | TEXT, hex('000100feff')),
    peerFrame('server', FIN | PING, 'told before the end'),
    peerFrame('server', FIN | CONTINUATION, hex('ff00')),
  ]),
  'a character that is cut by the end': peerFrame('server', FIN | RSV1 | TEXT, hex('000200fdffe28200')),
  'a bomb': peerFrame('server', FIN | RSV1 | BINARY, deflated(Buffer.alloc(4 * MIB))),
  'one byte more than the limit': peerFrame('server', FIN | RSV1 | BINARY, deflated(Buffer.alloc(MIB + 1, 'ab'))),
  'a compressed frame that is longer than the limit': peerFrame('server', FIN | RSV1 | BINARY, Buffer.alloc(MIB + 1)),
};
/** Those bits have no meaning with compression either. */
for (const bits of [RSV2, RSV2 >> 1, RSV1 | RSV2, RSV1 | (RSV2 >> 1)]) {
  const bytes = peerFrame('server', FIN | TEXT, hex('f248cdc9c90700'));
  bytes[0] = FIN | TEXT | bits;
  FAULTS[`reserved bits ${bits.toString(2)}`] = bytes;
}

function deflated(data: Buffer): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL.length);
}

// --- what a damaged payload is, to zlib alone ---------------------------------------------------------------------------

type Kind = 'empty' | 'whole' | 'bad' | 'cut short' | 'ended early' | 'tail taken for data';

/**
 * Final blocks, and one byte more: when only that is left over behind each, there was a block before, and it was whole.
 * One alone may be taken for the rest of a block that was cut short.
 */
const FINAL_BLOCKS = [hex('0300 00'), hex('010000ffff 00')];

/** What the payload of a message is that was damaged, given all that the sender has compressed before. */
function kindOf(payload: Buffer, before: Buffer): Kind {
  if (payload.length === 0) return 'empty';
  /** How many bytes zlib reads, up to the end of the stream, and how many it makes of them. */
  const inflate = (input: Buffer): { read: number; made: number } | undefined => {
    try {
      const context = before.length > 0 ? { dictionary: before } : {};
      const options = { ...context, finishFlush: constants.Z_SYNC_FLUSH, info: true };
      const result = inflateRawSync(input, options) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      return { read: result.engine.bytesWritten, made: result.buffer.length };
    } catch {
      return undefined;
    }
  };
  const alone = inflate(payload);
  if (alone === undefined) return 'bad';
  if (alone.made !== inflate(Buffer.concat([payload, TAIL]))?.made) return 'tail taken for data';
  const left = FINAL_BLOCKS.map((block) => {
    const input = Buffer.concat([payload, TAIL, block]);
    return input.length - (inflate(input)?.read ?? input.length);
  });
  if (left.every((bytes) => bytes === 1)) return 'whole';
  return left.every((bytes) => bytes > 1) ? 'ended early' : 'cut short';
}

for (const takeover of [true, false]) {
  describe(`the receiver of ws, with compression, ${takeover ? 'with' : 'without'} context takeover (FC_SEED=${seed})`, () => {
    it('makes the same of messages that are in order', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(plans(), { maxLength: 6 }), chunking(), async (list, sizes) => {
          const stream = streamOf(list, new ZlibPeer('server', paramsOf(takeover)));
          const [ours, theirs] = await giveBoth(applyChunking(stream, sizes), MIB, takeover);
          assertAlike(ours, theirs, `cut by ${sizes}`);
          assert.equal(ours.outcome, 'open');
          assert.equal(ours.told.filter(({ type }) => type === 'text' || type === 'binary').length, list.length);
        }),
      );
    });

    for (const [title, fault] of Object.entries(FAULTS)) {
      it(`makes the same of ${title}`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(plans(), { maxLength: 2 }), chunking(), async (list, sizes) => {
            const before = streamOf(list, new ZlibPeer('server', paramsOf(takeover)));
            // Cut in front of the fault; that itself in two, and what is behind it as it comes.
            const chunks = [...applyChunking(before, sizes), fault.subarray(0, 2), fault.subarray(2), BEHIND];
            const [ours, theirs] = await giveBoth(chunks, MIB, takeover);
            assertAlike(ours, theirs, title);
            assert.match(ours.outcome, /^failed/);
          }),
          { numRuns: 8 },
        );
      });
    }

    it('makes the same of damaged messages, but for the differences that are known', async () => {
      const damage = fc.record({
        at: fc.nat(),
        byte: fc.nat({ max: 255 }),
        length: fc.option(fc.nat({ max: 300 }), { freq: 3 }),
      });
      const seen = new Map<Kind, number>();
      await fc.assert(
        fc.asyncProperty(fc.array(plans(), { maxLength: 3 }), plans(), damage, async (list, last, how) => {
          const peer = new ZlibPeer('server', paramsOf(takeover));
          const before = streamOf(list, peer);
          const payload = Buffer.from(peer.compress(last.data, last.how));
          payload[how.at % payload.length] = how.byte;
          const damaged = payload.subarray(0, how.length ?? payload.length);
          const window = list.filter(({ compressed }) => compressed).map(({ data }) => data);
          const kind = kindOf(damaged, takeover ? Buffer.concat(window) : Buffer.alloc(0));
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          const frame = peerFrame('server', FIN | RSV1 | last.opcode, damaged);
          const [ours, theirs] = await giveBoth([before, frame, BEHIND], MIB, takeover);
          const isKnown = kind === 'empty' || kind === 'ended early' || kind === 'cut short';
          if (kind === 'tail taken for data') {
            // The tail that is appended may end the block that was cut short: then nobody can tell but by what it should be.
            if (ours.outcome !== 'failed 1007') assertAlike(ours, theirs, kind);
          } else if (isKnown) {
            const told = ours.told.slice(0, theirs.told.length);
            if (kind !== 'ended early') assert.equal(ours.outcome, 'failed 1007', kind);
            if (ours.outcome !== 'open') assertSame(told, theirs.told.slice(0, told.length), kind);
          } else {
            assertAlike(ours, theirs, kind);
          }
        }),
        { numRuns: 400 },
      );
      for (const kind of ['whole', 'bad', 'cut short', 'ended early'] as const) {
        assert.ok((seen.get(kind) ?? 0) > 0, `none is ${kind}`);
      }
    });

    for (const { name, frames, ours: wanted, theirs: given, maxBytes = MIB } of COMPRESSION_ROWS) {
      it(`differs over ${name}`, async () => {
        const bytes = Buffer.concat(frames.map(([bits, payload]) => peerFrame('server', bits, payload)));
        for (const chunks of [[bytes], Array.from(bytes, (byte) => Buffer.of(byte))]) {
          const [ours, theirs] = await giveBoth(chunks, maxBytes, takeover);
          assert.deepEqual([...ours.told.map(shown), ours.outcome], wanted);
          assert.deepEqual([...theirs.told.map(shown), theirs.outcome], given);
        }
      });
    }
  });
}

function shown({ type, bytes }: Told): string {
  return `${type} ${bytes.length > 40 ? `of ${bytes.length}` : bytes.toString()}`;
}
