import '../support/seed.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameEncoder } from '../../lib/codec/frame-encoder.ts';
import type { FrameRules } from '../../lib/codec/frame-header.ts';
import { FrameParser } from '../../lib/codec/frame-parser.ts';
import { applyMask, readMaskKey, rotateMaskKey } from '../../lib/codec/mask.ts';
import { MessageAssembler } from '../../lib/codec/message-assembler.ts';
import { decodeUtf8, Utf8Validator } from '../../lib/codec/utf8.ts';
import { ERROR_CODES, type ErrorCode } from '../../lib/errors.ts';
import {
  applyChunking,
  bytesOf,
  type Chunking,
  chunking,
  frames,
  lengths,
  maskKeys,
  payloads,
  texts,
} from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { feed } from '../support/chunking.ts';
import { FrameRecorder } from '../support/frame-recorder.ts';
import {
  type Frame,
  referenceDecodeUtf8,
  referenceEncode,
  referenceIsUtf8Prefix,
  referenceMask,
  referenceParse,
  type WireFrame,
} from '../support/reference-codec.ts';
import { seed } from '../support/seed.ts';

const NO_LIMIT = Number.POSITIVE_INFINITY;
/** What a parser may hold back: all but the last byte of a control frame's payload. */
const MAX_HELD_BYTES = 124;

interface Outcome {
  readonly frames: Frame[];
  readonly errors: ErrorCode[];
  readonly partial: Frame | undefined;
}

/** Reads bytes cut in some way, with a fresh parser. */
function read(bytes: Buffer, sizes: Chunking, rules: FrameRules): Outcome {
  const recorder = new FrameRecorder();
  const parser = new FrameParser(recorder, rules);
  for (const chunk of applyChunking(bytes, sizes)) {
    feed((buffer, start, end) => parser.push(buffer, start, end), chunk);
    assert.ok(parser.bufferedBytes <= MAX_HELD_BYTES, `${parser.bufferedBytes} bytes are held back`);
  }
  return { frames: recorder.frames, errors: recorder.errors, partial: recorder.partial };
}

/** What the reference makes of the bytes. */
function expected(bytes: Buffer, rules: FrameRules): Outcome {
  const { frames: whole, error, partial } = referenceParse(bytes, rules);
  const isPiece = partial !== undefined && partial.frame.opcode < 8;
  return { frames: whole, errors: error === undefined ? [] : [error], partial: isPiece ? partial.frame : undefined };
}

function withoutKey({ fin, rsv1, opcode, payload }: WireFrame): Frame {
  return { fin, rsv1, opcode, payload };
}

const rules = (): fc.Arbitrary<FrameRules> =>
  fc.record({
    expectMask: fc.boolean(),
    allowRsv1: fc.boolean(),
    maxFrameBytes: fc.constantFrom(0, 125, 126, 1000, 65_536, NO_LIMIT),
  });

/** Bytes that begin well: some whole frames, of which a few bytes are then changed, or noise. */
const wireBytes = (): fc.Arbitrary<Buffer> => {
  const whole = fc.boolean().chain((masked) => fc.array(frames(masked, fc.nat({ max: 130 })), { maxLength: 6 }));
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 2 });
  const faulty = fc.tuple(whole, changes).map(([list, edits]) => {
    const bytes = Buffer.concat(list.map((frame) => referenceEncode(frame)));
    for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
  const noise = fc.uint8Array({ maxLength: 40, size: 'max' }).map((bytes) => Buffer.from(bytes));
  // Headers of long lengths, which noise seldom hits.
  const long = fc
    .tuple(
      fc.constantFrom(0x82, 0x02, 0x81),
      fc.constantFrom(126, 127, 254, 255),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat({ max: 63 }),
    )
    .map(([first, second, length, shift]) => {
      const bytes = Buffer.alloc(14);
      bytes.writeUInt8(first);
      bytes.writeUInt8(second, 1);
      bytes.writeBigUInt64BE(length >> BigInt(shift), 2);
      return bytes;
    });
  return fc.oneof({ arbitrary: faulty, weight: 4 }, { arbitrary: noise, weight: 2 }, { arbitrary: long, weight: 1 });
};

describe(`codec properties (FC_SEED=${seed})`, () => {
  it('(a) what the encoder writes, the parser reads', () => {
    const frame = fc.record({ opcode: fc.constantFrom(0, 1, 2, 9, 10), fin: fc.boolean(), payload: payloads() });
    fc.assert(
      fc.property(fc.boolean(), fc.array(frame, { maxLength: 6 }), chunking(), (masked, list, sizes) => {
        const encoder = new FrameEncoder(masked);
        const legal = list.map(({ opcode, fin, payload }): Frame => {
          const control = opcode >= 8;
          return { fin: fin || control, rsv1: false, opcode, payload: control ? payload.subarray(0, 125) : payload };
        });
        for (const { fin, opcode, payload } of legal) encoder.addFrame((fin ? 0x80 : 0) | opcode, payload);
        const bytes = Buffer.concat(encoder.take());
        encoder.released();
        const outcome = read(bytes, sizes, { expectMask: masked, allowRsv1: false, maxFrameBytes: NO_LIMIT });
        assertSame(outcome, { frames: legal, errors: [], partial: undefined });
      }),
    );
  });

  it('(a) text that the encoder writes is read as it was, but for lone surrogates', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.tuple(texts(), fc.constantFrom(1, 1, 1, 5, 60)), { maxLength: 6 }),
        (masked, list) => {
          const encoder = new FrameEncoder(masked);
          const all = list.map(([text, times]) => text.repeat(times));
          for (const text of all) encoder.addTextFrame(0x81, text);
          const counted = encoder.bufferedBytes;
          const bytes = Buffer.concat(encoder.take());
          encoder.released();
          assert.equal(bytes.length, counted);
          const outcome = referenceParse(bytes, { expectMask: masked, allowRsv1: false, maxFrameBytes: NO_LIMIT });
          assertSame([outcome.error, outcome.partial], [undefined, undefined]);
          assertSame(
            outcome.frames.map(({ payload }) => decodeUtf8(payload, 0, payload.length)),
            all.map((text) => Buffer.from(text).toString()),
          );
        },
      ),
    );
  });

  it('(b) any chunking of whole frames gives the same frames', () => {
    fc.assert(
      fc.property(
        fc.boolean().chain((masked) => fc.tuple(fc.constant(masked), fc.array(frames(masked), { maxLength: 6 }))),
        chunking(),
        ([masked, list], sizes) => {
          const bytes = Buffer.concat(list.map((frame) => referenceEncode(frame)));
          const outcome = read(bytes, sizes, { expectMask: masked, allowRsv1: false, maxFrameBytes: NO_LIMIT });
          assertSame(outcome, { frames: list.map(withoutKey), errors: [], partial: undefined });
        },
      ),
    );
  });

  it('(c) (e) (f) the parser makes of any bytes what the reference makes of them, errors included', () => {
    fc.assert(
      fc.property(wireBytes(), rules(), chunking(), (bytes, given, sizes) => {
        const outcome = read(bytes, sizes, given);
        assertSame(outcome, expected(bytes, given));
        assert.ok(outcome.errors.every((error) => ERROR_CODES.includes(error)));
        // Nothing is shared between parsers that a fault could spoil.
        const hello = { fin: true, rsv1: false, opcode: 1, payload: Buffer.from('Hello') };
        const client = { expectMask: false, allowRsv1: false, maxFrameBytes: 5 };
        assert.deepEqual(read(referenceEncode(hello), sizes, client).frames, [hello]);
      }),
      { numRuns: 5 * (fc.readConfigureGlobal().numRuns ?? 100) },
    );
  });

  it('(d) masking twice is the identity, and equals the naive loop', () => {
    fc.assert(
      fc.property(payloads(), maskKeys(), fc.nat({ max: 9 }), (payload, key, offset) => {
        const bytes = Buffer.concat([Buffer.alloc(offset), payload]);
        applyMask(bytes, offset, bytes.length, readMaskKey(key, 0));
        assert.ok(bytes.subarray(offset).equals(referenceMask(payload, key)));
        applyMask(bytes, offset, bytes.length, readMaskKey(key, 0));
        assert.ok(bytes.subarray(offset).equals(payload));
      }),
    );
  });

  it('(d) the mask of a split is the split of the mask', () => {
    fc.assert(
      fc.property(payloads(fc.nat({ max: 200 })), maskKeys(), chunking(), (payload, key, sizes) => {
        const whole = referenceMask(payload, key);
        let position = 0;
        for (const chunk of applyChunking(Buffer.from(payload), sizes)) {
          applyMask(chunk, 0, chunk.length, rotateMaskKey(readMaskKey(key, 0), position));
          assert.ok(chunk.equals(whole.subarray(position, position + chunk.length)));
          position += chunk.length;
        }
      }),
    );
  });

  it('(c) UTF-8 is judged as TextDecoder judges it, however it is cut', () => {
    const almostText = fc
      .tuple(
        texts(),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 2 }),
        fc.nat({ max: 3 }),
      )
      .map(([text, edits, cut]) => {
        const bytes = Buffer.from(text);
        for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        return bytes.subarray(0, Math.max(0, bytes.length - cut));
      });
    fc.assert(
      fc.property(almostText, chunking(), (bytes, sizes) => {
        assert.equal(decodeUtf8(bytes, 0, bytes.length), referenceDecodeUtf8(bytes));
        const validator = new Utf8Validator();
        let position = 0;
        for (const chunk of applyChunking(bytes, sizes)) {
          position += chunk.length;
          const valid = validator.push(chunk, 0, chunk.length);
          assert.equal(valid, referenceIsUtf8Prefix(bytes.subarray(0, position)));
          if (!valid) return;
        }
        assert.equal(validator.complete, referenceDecodeUtf8(bytes) !== undefined);
      }),
      { numRuns: 2 * (fc.readConfigureGlobal().numRuns ?? 100) },
    );
  });

  it('(f) a message in pieces is whole in the end, and never reserves more than its bound', () => {
    const fragment = fc.tuple(lengths(), chunking());
    fc.assert(
      fc.property(
        fc.array(fragment, { minLength: 1, maxLength: 8, size: 'max' }),
        fc.nat({ max: 300_000 }),
        (fragments, limit) => {
          const assembler = new MessageAssembler(limit);
          assembler.begin(false);
          const parts: Buffer[] = [];
          let received = 0;
          for (const [i, [length, sizes]] of fragments.entries()) {
            const payload = bytesOf(length, i);
            const chunks = applyChunking(payload, sizes);
            let remaining = length;
            for (const chunk of chunks.length === 0 ? [payload] : chunks) {
              remaining -= chunk.length;
              const error = assembler.append(chunk, 0, chunk.length, remaining);
              assert.equal(
                error,
                received + chunk.length + remaining > limit ? 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' : undefined,
              );
              if (error !== undefined) return;
              received += chunk.length;
              // What a frame announces may be reserved ahead of its bytes, up to 16 times what has come.
              const ahead = Math.min(received + remaining, 16 * received);
              assert.ok(assembler.bufferedBytes <= Math.min(limit, Math.max(4096, 2 * received, ahead)));
            }
            parts.push(payload);
          }
          assertSame(assembler.finish(), Buffer.concat(parts));
        },
      ),
    );
  });
});

/** One step of one of several encoders that share the blocks they write to. */
interface Step {
  readonly do: 'frame' | 'text' | 'encoded' | 'flush' | 'take' | 'released' | 'retained';
  readonly encoder: number;
  /** Length of what is added, in bytes. */
  readonly length: number;
}

const steps = (): fc.Arbitrary<Step[]> => {
  const length = fc.oneof(
    { arbitrary: fc.nat({ max: 200 }), weight: 4 },
    { arbitrary: fc.constantFrom(125, 126, 5000, 16_383, 16_384, 20_000, 21_841), weight: 2 },
  );
  // A block with bytes that never leave is not used again, and then cannot be used wrongly: seldom, therefore.
  const name = fc.oneof(
    { arbitrary: fc.constantFrom<Step['do'][]>('frame', 'text', 'flush'), weight: 20 },
    { arbitrary: fc.constantFrom<Step['do'][]>('encoded', 'take', 'released'), weight: 6 },
    { arbitrary: fc.constant<Step['do']>('retained'), weight: 1 },
  );
  return fc.array(fc.record({ do: name, encoder: fc.nat({ max: 2 }), length }), { maxLength: 80, size: 'max' });
};

/** Chunks that were taken, and what they said then. */
interface Taken {
  readonly chunks: Uint8Array[];
  readonly copy: Buffer;
}

describe(`codec, shared memory (FC_SEED=${seed})`, () => {
  it('never writes over bytes that have not left, whoever shares the block, and however late they are released', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), steps(), (masks, list) => {
        const ends = masks.map((masked) => ({
          masked,
          encoder: new FrameEncoder(masked),
          /** Payloads that were added and not taken. */
          waiting: [] as Buffer[],
          /** What the last `take` gave, until it is released. */
          taken: undefined as Taken | undefined,
        }));
        /** Bytes that nobody will ever say have left. */
        const kept: Taken[] = [];

        for (const [i, step] of list.entries()) {
          const end = ends[step.encoder]!;
          const { encoder, masked } = end;
          switch (step.do) {
            case 'frame': {
              const payload = bytesOf(step.length, i);
              encoder.addFrame(0x82, payload);
              end.waiting.push(payload);
              break;
            }
            case 'text': {
              const text = '€é'.repeat(step.length / 5);
              encoder.addTextFrame(0x81, text);
              end.waiting.push(Buffer.from(text));
              break;
            }
            case 'encoded': {
              const payload = bytesOf(step.length, i);
              encoder.addEncoded(encode(payload, masked));
              end.waiting.push(payload);
              break;
            }
            case 'flush':
            case 'take': {
              if (end.taken !== undefined) kept.push(end.taken);
              const chunks = encoder.take();
              end.taken = { chunks, copy: Buffer.concat(chunks) };
              assertSame(payloadsOf(end.taken.copy, masked), end.waiting);
              end.waiting = [];
              if (step.do === 'take') break;
              encoder.released();
              end.taken = undefined;
              break;
            }
            case 'released':
              encoder.released();
              end.taken = undefined;
              break;
            case 'retained':
              encoder.retained();
              if (end.taken !== undefined) kept.push(end.taken);
              end.taken = undefined;
              break;
          }
          for (const { chunks, copy } of kept) assert.ok(Buffer.concat(chunks).equals(copy));
          for (const { taken } of ends)
            if (taken !== undefined) assert.ok(Buffer.concat(taken.chunks).equals(taken.copy));
        }
        for (const { encoder, masked, waiting } of ends) {
          assertSame(payloadsOf(Buffer.concat(encoder.take()), masked), waiting);
          encoder.released();
        }
      }),
    );
  });
});

function encode(payload: Buffer, masked: boolean): Buffer {
  return referenceEncode({
    fin: true,
    rsv1: false,
    opcode: 2,
    payload,
    maskKey: masked ? Buffer.of(1, 2, 3, 4) : undefined,
  });
}

function payloadsOf(bytes: Buffer, masked: boolean): Buffer[] {
  const {
    frames: whole,
    error,
    partial,
  } = referenceParse(bytes, { expectMask: masked, allowRsv1: false, maxFrameBytes: NO_LIMIT });
  assertSame([error, partial], [undefined, undefined]);
  return whole.map(({ payload }) => payload);
}
