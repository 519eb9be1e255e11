import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FrameParser } from '../../lib/codec/frame-parser.ts';
import { MessageAssembler } from '../../lib/codec/message-assembler.ts';
import { describeError } from '../../lib/errors.ts';
import { frames } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { FrameRecorder } from '../support/frame-recorder.ts';
import { cutByChance, type FuzzTarget, type Random } from '../support/fuzzing.ts';
import { hex } from '../support/hex.ts';
import { referenceEncode, referenceParse } from '../support/reference-codec.ts';

/** What a parser may hold of a frame that has not arrived: a header, and the payload of a control frame. */
const MAX_BUFFERED_BYTES = 14 + 125;

const HELLO = { masked: hex('81 85 37fa213d 7f9f4d5158'), plain: hex('81 05 48656c6c6f') };

/** Bytes to frames, and frames to messages: only documented codes, bounded memory, and what the naive parser finds. */
export const target: FuzzTarget = {
  name: 'frame-parser',
  inputs: fc
    .boolean()
    .chain((masked) => fc.array(frames(masked, fc.nat({ max: 300 })), { maxLength: 6 }))
    .map((list) => Buffer.concat(list.map(referenceEncode))),
  run(input, random) {
    const rules = {
      expectMask: input.length > 1 ? input[1]! >= 0x80 !== random.oneIn(50) : true,
      allowRsv1: random.oneIn(4),
      maxFrameBytes: random.pick([0, 1, 125, 126, 1000, 65_536, Number.MAX_SAFE_INTEGER]),
    };
    const recorder = new FrameRecorder();
    const parser = new FrameParser(recorder, rules);
    for (const chunk of cutByChance(input, random)) {
      assert.equal(parser.push(chunk), chunk.length);
      assert.ok(parser.bufferedBytes <= MAX_BUFFERED_BYTES, `${parser.bufferedBytes} bytes are held`);
    }
    const expected = referenceParse(input, rules);
    assertSame(recorder.frames, expected.frames);
    assert.deepEqual(recorder.errors, expected.error === undefined ? [] : [expected.error]);
    for (const code of recorder.errors) assert.ok([1002, 1009].includes(describeError(code).closeCode ?? 0), code);

    const fresh = new FrameRecorder();
    new FrameParser(fresh, rules).push(Buffer.from(rules.expectMask ? HELLO.masked : HELLO.plain));
    assert.equal(fresh.frames.length + fresh.errors.length, 1);
    if (rules.maxFrameBytes >= 5) assert.equal(fresh.frames[0]!.payload.toString(), 'Hello');

    return `${recorder.errors[0] ?? 'none'} ${Math.min(recorder.frames.length, 8)} ${assemble(input, random)}`;
  },
};

/** Puts the bytes together as the payload of one message, in pieces of any size. */
function assemble(input: Buffer, random: Random): string {
  const maxMessageBytes = random.pick([1, 64, 1024, 4096, 1 << 20]);
  const assembler = new MessageAssembler(maxMessageBytes);
  const text = random.oneIn(2);
  assembler.begin(text);
  let fed = 0;
  for (const chunk of cutByChance(input, random)) {
    const remaining = random.oneIn(4) ? random.below(2000) : 0;
    const error = assembler.append(chunk, 0, chunk.length, remaining);
    fed += error === undefined ? chunk.length : 0;
    const bound = Math.min(maxMessageBytes, Math.max(4096, 2 * fed));
    assert.ok(assembler.bufferedBytes <= bound, `${assembler.bufferedBytes} bytes are reserved for ${fed}`);
    if (error === undefined) continue;
    assert.ok(error === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || (text && error === 'WS_ERR_INVALID_UTF8'), error);
    return error;
  }
  const message = assembler.finish();
  if (text && message !== undefined) assert.equal(Buffer.from(message as string).compare(input), 0);
  if (!text) assert.equal((message as Buffer).compare(input), 0);
  assert.equal(assembler.bufferedBytes, 0);
  return message === undefined ? 'cut character' : typeof message;
}
