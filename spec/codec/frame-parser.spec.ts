import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FrameRules } from '../../lib/codec/frame-header.ts';
import { FrameParser } from '../../lib/codec/frame-parser.ts';
import type { ErrorCode } from '../../lib/errors.ts';
import { BOUNDARY_LENGTHS, bytesOf } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { cutAt, eachChunking, feed, feedAll } from '../support/chunking.ts';
import { FrameRecorder } from '../support/frame-recorder.ts';
import { hex } from '../support/hex.ts';
import { type Frame, referenceEncode } from '../support/reference-codec.ts';

const SERVER: FrameRules = { expectMask: true, allowRsv1: false, maxFrameBytes: 1 << 20 };
const CLIENT: FrameRules = { ...SERVER, expectMask: false };
/** A scratch of at most 13 bytes of header, or a control payload of at most 124 bytes. */
const MAX_BUFFERED_BYTES = 124;
const KEY = hex('37fa213d');

interface Reading {
  readonly recorder: FrameRecorder;
  readonly parser: FrameParser;
}

function open(rules: FrameRules): Reading {
  const recorder = new FrameRecorder();
  return { recorder, parser: new FrameParser(recorder, rules) };
}

function pushTo(parser: FrameParser): (bytes: Buffer, start: number, end: number) => number {
  return (bytes, start, end) => {
    const read = parser.push(bytes, start, end);
    assert.ok(parser.bufferedBytes <= MAX_BUFFERED_BYTES, `${parser.bufferedBytes} bytes are buffered`);
    return read;
  };
}

function frame(opcode: number, payload: Buffer | string, fin: boolean = true): Frame {
  return { fin, rsv1: false, opcode, payload: Buffer.from(payload) };
}

/** Runs an example whole, byte by byte and cut everywhere. */
function assertFrames(bytes: Buffer, rules: FrameRules, frames: Frame[], error?: ErrorCode): void {
  eachChunking(bytes, (chunks) => {
    const { recorder, parser } = open(rules);
    feedAll(pushTo(parser), chunks);
    assertSame(recorder.frames, frames);
    assert.deepEqual(recorder.errors, error === undefined ? [] : [error]);
    assert.equal(parser.bufferedBytes, 0);
  });
}

describe('FrameParser', () => {
  it('reads the examples of §5.7', () => {
    assertFrames(hex('8105 48656c6c6f'), CLIENT, [frame(1, 'Hello')]);
    assertFrames(hex('8185 37fa213d 7f9f4d5158'), SERVER, [frame(1, 'Hello')]);
    assertFrames(hex('0103 48656c  8002 6c6f'), CLIENT, [frame(1, 'Hel', false), frame(0, 'lo')]);
    assertFrames(hex('8905 48656c6c6f'), CLIENT, [frame(9, 'Hello')]);
    assertFrames(hex('8a85 37fa213d 7f9f4d5158'), SERVER, [frame(10, 'Hello')]);
    const large = bytesOf(65_536, 1);
    assertFrames(Buffer.concat([hex('827e 0100'), large.subarray(0, 256)]), CLIENT, [frame(2, large.subarray(0, 256))]);
    assertFrames(Buffer.concat([hex('827f 0000000000010000'), large]), CLIENT, [frame(2, large)]);
  });

  it('reads payloads of all boundary lengths, and what follows them', () => {
    for (const maskKey of [undefined, KEY, Buffer.alloc(4)]) {
      for (const length of BOUNDARY_LENGTHS) {
        const expected = [frame(2, bytesOf(length, 3)), frame(9, 'x'), frame(1, '')];
        const bytes = Buffer.concat(expected.map((one) => referenceEncode({ ...one, maskKey })));
        assertFrames(bytes, maskKey === undefined ? CLIENT : SERVER, expected);
      }
    }
  });

  it('reads empty frames of every kind', () => {
    assertFrames(hex('8100 8200 0100 0000 8000 8900 8a00 8800'), CLIENT, [
      frame(1, ''),
      frame(2, ''),
      frame(1, '', false),
      frame(0, '', false),
      frame(0, ''),
      frame(9, ''),
      frame(10, ''),
      frame(8, ''),
    ]);
    assertFrames(hex('8180 37fa213d 8980 37fa213d'), SERVER, [frame(1, ''), frame(9, '')]);
  });

  it('reads control frames between fragments', () => {
    const expected = [
      frame(1, 'Hel', false),
      frame(9, 'ping'),
      frame(10, ''),
      frame(0, 'l', false),
      frame(8, ''),
      frame(0, 'o'),
    ];
    assertFrames(Buffer.concat(expected.map((one) => referenceEncode({ ...one, maskKey: KEY }))), SERVER, expected);
  });

  it('reads a control frame of 125 bytes, however it is cut, as one', () => {
    const expected = frame(9, bytesOf(125, 5));
    const bytes = referenceEncode({ ...expected, maskKey: KEY });
    for (let first = 1; first < bytes.length; first++) {
      for (const second of [first, Math.min(first + 1, bytes.length), bytes.length - 1]) {
        if (second < first) continue;
        const { recorder, parser } = open(SERVER);
        feedAll(pushTo(parser), cutAt(bytes, first, second));
        assertSame(recorder.frames, [expected]);
        assert.equal(recorder.pieces, 0);
      }
    }
  });

  it('tells RSV1 where an extension uses it', () => {
    assertFrames(hex('c100'), { ...CLIENT, allowRsv1: true }, [{ ...frame(1, ''), rsv1: true }]);
  });

  it('tells the first error, and ignores all that follows', () => {
    const good = hex('8101 41');
    for (const [bad, error] of [
      ['91', 'WS_ERR_UNEXPECTED_RSV_2_3'],
      ['83', 'WS_ERR_INVALID_OPCODE'],
      ['c1', 'WS_ERR_UNEXPECTED_RSV_1'],
      ['09', 'WS_ERR_EXPECTED_FIN'],
      ['8180', 'WS_ERR_UNEXPECTED_MASK'],
      ['897e', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
      ['827e 0001', 'WS_ERR_NON_MINIMAL_LENGTH'],
      ['827f ffffffffffffffff', 'WS_ERR_INVALID_PAYLOAD_LENGTH'],
      ['827f 0000000000100001', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH'],
    ] as const) {
      assertFrames(Buffer.concat([good, hex(bad), good, hex('ffffffff')]), CLIENT, [frame(1, 'A')], error);
    }
    assertFrames(hex('8101 41'), SERVER, [], 'WS_ERR_EXPECTED_MASK');
  });

  it('finds a cut header with the bytes of its payload behind it', () => {
    // The scratch takes up to 14 bytes, of which a short header is only the first few.
    const expected = [frame(1, 'ab'), frame(1, 'cd'), frame(1, 'ef'), frame(1, 'gh')];
    const bytes = Buffer.concat(expected.map((one) => referenceEncode(one)));
    assertFrames(bytes, CLIENT, expected);
  });

  it('does nothing for an empty chunk', () => {
    const { recorder, parser } = open(CLIENT);
    for (const chunk of cutAt(hex('8105 48656c6c6f'), 0, 0, 1, 1, 2, 2, 4, 4, 7, 7)) feed(pushTo(parser), chunk);
    assert.deepEqual(recorder.frames, [frame(1, 'Hello')]);
    assert.equal(recorder.pieces, 3);
  });

  it('tells a cut frame as soon as its header is whole', () => {
    const { recorder, parser } = open(SERVER);
    feed(pushTo(parser), hex('8285 37fa21'));
    assert.deepEqual([recorder.partial, recorder.pieces], [undefined, 0]);
    feed(pushTo(parser), hex('3d'));
    assert.deepEqual([recorder.partial, recorder.pieces], [frame(2, ''), 1]);
    feed(pushTo(parser), hex('7f'));
    assert.deepEqual([recorder.partial, recorder.pieces], [frame(2, 'H'), 2]);
    feed(pushTo(parser), hex('9f4d5158'));
    assert.deepEqual([recorder.frames, recorder.pieces], [[frame(2, 'Hello')], 3]);
  });

  it('hands on the payload where it lies, without a copy', () => {
    const bytes = hex('0000 8185 37fa213d 7f9f4d5158 8103');
    const seen: [Buffer, number, number][] = [];
    const parser = new FrameParser(
      {
        onFrame: (_bits, buffer, start, end) => seen.push([buffer, start, end]),
        onFramePiece: () => assert.fail(),
        onFrameError: () => assert.fail(),
      },
      SERVER,
    );
    assert.equal(parser.push(bytes, 2, 13), 13);
    assert.equal(seen[0]![0], bytes);
    assert.deepEqual(seen[0]!.slice(1), [8, 13]);
  });

  it('counts the bytes it holds back', () => {
    const { parser } = open(SERVER);
    const lengths: number[] = [];
    for (const byte of hex('89fd 37fa213d 0102030405')) {
      parser.push(Buffer.of(byte));
      lengths.push(parser.bufferedBytes);
    }
    assert.deepEqual(lengths, [1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    parser.stop();
    assert.equal(parser.bufferedBytes, 0);
  });

  it('holds back nothing of a data frame but its header', () => {
    const { parser } = open(SERVER);
    feed(pushTo(parser), hex('82fe ffff 37fa213d'));
    feed(pushTo(parser), bytesOf(60_000, 2));
    assert.equal(parser.bufferedBytes, 0);
  });

  it('looks at no byte twice: a header in 14 chunks is not parsed again for the payload', () => {
    const { recorder, parser } = open(SERVER);
    const bytes = referenceEncode({ ...frame(2, bytesOf(70_000, 9)), maskKey: KEY });
    for (let i = 0; i < 14; i++) feed(pushTo(parser), bytes.subarray(i, i + 1));
    feed(pushTo(parser), bytes.subarray(14));
    assert.equal(recorder.pieces, 2);
    assertSame(recorder.frames, [frame(2, bytesOf(70_000, 9))]);
  });
});

describe('FrameParser.pause', () => {
  it('stops behind the frame that is being told, and reads on where it stopped', () => {
    const bytes = hex('8101 41  8101 42  8900  8101 43');
    const { recorder, parser } = open(CLIENT);
    recorder.after = () => parser.pause();
    const read: number[] = [];
    for (let position = 0; position < bytes.length; ) {
      position = parser.push(bytes, position);
      assert.equal(parser.push(bytes, position), position, 'nothing is read while paused');
      read.push(position);
      parser.resume();
    }
    assert.deepEqual(read, [3, 6, 8, 11]);
    assert.deepEqual(recorder.frames, [frame(1, 'A'), frame(1, 'B'), frame(9, ''), frame(1, 'C')]);
  });

  it('stops inside a frame whose piece is being told', () => {
    const { recorder, parser } = open(SERVER);
    recorder.after = () => parser.pause();
    assert.equal(parser.push(hex('8285 37fa213d 7f9f')), 8);
    parser.resume();
    const rest = hex('4d5158 8280 00000000');
    assert.equal(parser.push(rest), 3);
    parser.resume();
    assert.equal(parser.push(rest, 3), rest.length);
    assert.deepEqual(recorder.frames, [frame(2, 'Hello'), frame(2, '')]);
  });

  it('loses nothing when every event pauses, however the bytes are cut', () => {
    const expected = [frame(1, 'Hel', false), frame(9, 'ping'), frame(0, 'lo'), frame(2, bytesOf(126, 4))];
    const bytes = Buffer.concat(expected.map((one) => referenceEncode({ ...one, maskKey: KEY })));
    eachChunking(bytes, (chunks) => {
      const { recorder, parser } = open(SERVER);
      recorder.after = () => parser.pause();
      for (const chunk of chunks) {
        const copy = Buffer.from(chunk);
        for (let position = 0; position < copy.length; ) {
          parser.resume();
          position = parser.push(copy, position);
        }
      }
      assertSame(recorder.frames, expected);
    });
  });

  it('reads nothing when it was called before', () => {
    const { recorder, parser } = open(CLIENT);
    parser.pause();
    assert.equal(parser.push(hex('8100')), 0);
    parser.resume();
    assert.equal(parser.push(hex('8100')), 2);
    assert.equal(recorder.frames.length, 1);
  });
});

describe('FrameParser.stop', () => {
  it('ignores the rest of the chunk when it is called in a callback', () => {
    const expected = [frame(1, 'A'), frame(2, bytesOf(256, 1))];
    const bytes = Buffer.concat([...expected.map((one) => referenceEncode(one)), hex('8101 42  ff')]);
    eachChunking(bytes, (chunks) => {
      for (const stopAfter of [1, 2]) {
        const { recorder, parser } = open(CLIENT);
        let events = 0;
        recorder.after = () => {
          if (++events === stopAfter) parser.stop();
        };
        feedAll(pushTo(parser), chunks);
        assert.equal(events, stopAfter);
        assertSame(recorder.frames, expected.slice(0, recorder.frames.length));
        assert.deepEqual(recorder.errors, []);
        assert.equal(parser.bufferedBytes, 0);
      }
    });
  });

  it('ignores the rest of a frame that was cut', () => {
    for (const start of ['81', '8105 48', '8905 48', '827e 01']) {
      const { recorder, parser } = open(CLIENT);
      feed(pushTo(parser), hex(start));
      parser.stop();
      feed(pushTo(parser), hex('656c6c6f 8100 ff'));
      assert.deepEqual([recorder.frames, recorder.errors, parser.bufferedBytes], [[], [], 0]);
    }
  });

  it('reads everything away, also while paused', () => {
    const { parser } = open(CLIENT);
    parser.pause();
    parser.stop();
    assert.equal(parser.push(hex('8100 8100')), 4);
  });
});

describe('FrameParser, called back by its sink', () => {
  it('takes other bytes in the midst of a chunk', () => {
    // What is pushed inside a callback stands between the frames of the outer chunk.
    const { recorder, parser } = open(SERVER);
    const inner = [frame(2, 'inner'), frame(9, 'p')];
    let pushed = false;
    recorder.after = () => {
      if (pushed) return;
      pushed = true;
      for (const one of inner)
        feedAll(pushTo(parser), cutAt(referenceEncode({ ...one, maskKey: hex('01020304') }), 1, 7));
    };
    const outer = [frame(1, 'one'), frame(1, 'two')];
    feed(pushTo(parser), Buffer.concat(outer.map((one) => referenceEncode({ ...one, maskKey: KEY }))));
    assert.deepEqual(recorder.frames, [outer[0], ...inner, outer[1]]);
  });

  it('takes other bytes behind a frame that came in pieces', () => {
    for (const opcode of [2, 9]) {
      const { recorder, parser } = open(SERVER);
      recorder.after = () => {
        if (recorder.frames.length === 1) feed(pushTo(parser), hex('8281 01020304 00'));
      };
      const [head, tail] = cutAt(referenceEncode({ ...frame(opcode, 'pieces'), maskKey: KEY }), 8);
      feed(pushTo(parser), head!);
      feed(pushTo(parser), Buffer.concat([tail!, hex('8180 00000000')]));
      assert.deepEqual(recorder.frames, [frame(opcode, 'pieces'), frame(2, hex('01')), frame(1, '')]);
    }
  });

  it('may be stopped in the callback of an error', () => {
    const { recorder, parser } = open(SERVER);
    recorder.after = () => parser.stop();
    feed(pushTo(parser), hex('ff 8100'));
    assert.deepEqual(recorder.errors, ['WS_ERR_UNEXPECTED_RSV_2_3']);
  });
});
