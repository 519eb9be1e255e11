import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MessageAssembler } from '../../lib/codec/message-assembler.ts';
import { Utf8Validator } from '../../lib/codec/utf8.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { listHasToken, parseTokenList } from '../../lib/handshake/header-list.ts';
import { parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { Protocol } from '../../lib/protocol/protocol.ts';
import { closePayload, peerFrame } from '../support/protocol-recorder.ts';
import { upgradeRequest } from '../support/ws-client.ts';

/**
 * What a peer can make this side do grows with the bytes it sends, and not with their square. Work is counted where it
 * can be (bytes that are copied), and else it is CPU time; the exponent of work against size must stay below 1.6.
 * That a quadratic algorithm would be found is checked first.
 */

const MAX_EXPONENT = 1.6;
const GROWTH = 16;
const KIB = 1024;

/** Does something of a size, after getting ready what is not to be counted. */
type Task = (size: number) => () => void;

/** How work grows with size: 1 is linear, 2 quadratic. */
function exponent(small: number, large: number): number {
  return Math.log(Math.max(large, 1) / Math.max(small, 1)) / Math.log(GROWTH);
}

/** Counts the bytes that are copied, by whatever means. */
function copiedBytes(run: () => void): number {
  const { copy } = Buffer.prototype;
  const { set } = Uint8Array.prototype;
  const { concat } = Buffer;
  let copied = 0;
  Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<typeof copy>) {
    const count = copy.apply(this, args);
    copied += count;
    return count;
  };
  Uint8Array.prototype.set = function (this: Uint8Array, source: ArrayLike<number>, offset?: number) {
    copied += source.length;
    set.call(this, source, offset);
  };
  Buffer.concat = (list, length) => {
    const joined = concat.call(Buffer, list, length);
    copied += joined.length;
    return joined;
  };
  try {
    run();
  } finally {
    Buffer.prototype.copy = copy;
    Uint8Array.prototype.set = set;
    Buffer.concat = concat;
  }
  return copied;
}

/** CPU time in microseconds: the least of some runs, since others use this machine too. */
function cpuTime(task: Task, size: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const run = task(size);
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    least = Math.min(least, user + system);
  }
  return least;
}

/** The exponent by CPU time. `size` is the larger of the sizes; below `floor` microseconds all is taken for as fast. */
function timeExponent(task: Task, size: number, floor: number): number {
  // Both sizes once, so that all is compiled.
  for (const some of [size / GROWTH, size]) task(some)();
  return exponent(Math.max(floor, cpuTime(task, size / GROWTH)), cpuTime(task, size));
}

/** The same, measured again where it is too large: what is quadratic is so each time, a busy machine is not. */
function leastExponent(task: Task, size: number, floor: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5 && least >= MAX_EXPONENT; i++) least = Math.min(least, timeExponent(task, size, floor));
  return least;
}

function copyExponent(task: Task, size: number): number {
  return exponent(copiedBytes(task(size / GROWTH)), copiedBytes(task(size)));
}

function assertLinear(task: Task, size: number): void {
  const copies = copyExponent(task, size);
  assert.ok(copies < 1.2, `copies grow with the power ${copies.toFixed(2)}`);
  // What takes less than a millisecond for a sixteenth of the size is no danger, and hard to measure.
  const time = leastExponent(task, size, 1000);
  assert.ok(time < MAX_EXPONENT, `time grows with the power ${time.toFixed(2)}`);
}

/** An endpoint that is fed chunks, each a buffer of its own. */
function feed(role: Role, chunks: readonly Buffer[]): () => void {
  let messages = 0;
  const ignore = (): void => {};
  const events = {
    onMessage: () => {
      messages++;
    },
    onPing: ignore,
    onPong: ignore,
    onOutput: ignore,
    onProtocolError: (error: Error) => assert.fail(error),
    onFinished: ignore,
  };
  const limits = { maxMessageBytes: Number.POSITIVE_INFINITY, maxFrameBytes: Number.POSITIVE_INFINITY };
  const protocol = new Protocol(role, events, limits);
  return () => {
    for (const chunk of chunks) {
      protocol.receiveData(chunk);
      protocol.takeOutput();
      protocol.outputReleased();
    }
    assert.equal(messages, 1);
  };
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(Buffer.from(bytes.subarray(at, at + size)));
  return chunks;
}

describe('the measure', () => {
  it('tells a linear algorithm from a quadratic one, by copies', () => {
    const joinAtOnce: Task = (size) => () => void Buffer.concat(Array(size).fill(Buffer.alloc(1)));
    const joinEach: Task = (size) => () => {
      let all: Buffer = Buffer.alloc(0);
      for (let i = 0; i < size; i++) all = Buffer.concat([all, Buffer.alloc(1)]);
    };
    assert.ok(copyExponent(joinAtOnce, 4096) < 1.1);
    assert.ok(copyExponent(joinEach, 4096) > 1.8);
  });

  it('tells a linear algorithm from a quadratic one, by time', () => {
    const loop = (count: number): void => {
      let state = 1;
      for (let i = 0; i < count; i++) state = (state * 31 + i) | 0;
      assert.equal(typeof state, 'number');
    };
    const linear = leastExponent((size) => () => loop(size * 1000), 20_000, 100);
    const quadratic = leastExponent((size) => () => loop(size * size * 40), 1280, 100);
    assert.ok(linear < MAX_EXPONENT, `${linear}`);
    assert.ok(quadratic > MAX_EXPONENT, `${quadratic}`);
  });
});

describe('work grows as the bytes received do', () => {
  for (const role of ['server', 'client'] as const) {
    for (const chop of [1, 7, 125, 1448]) {
      it(`for a message in one frame, in chops of ${chop} bytes (${role})`, () => {
        const size = chop === 1 ? 128 * KIB : 1024 * KIB;
        assertLinear((bytes) => feed(role, cut(peerFrame(role, 0x82, Buffer.alloc(bytes)), chop)), size);
      });
    }

    it(`for a text in fragments of one byte, with Pings between them (${role})`, () => {
      const fragment = Buffer.concat([peerFrame(role, 0x00, 'x'), peerFrame(role, 0x89, 'ping')]);
      const task: Task = (count) => {
        const chunks = Array.from({ length: count }, () => Buffer.from(fragment));
        return feed(role, [peerFrame(role, 0x01, ''), ...chunks, peerFrame(role, 0x80, '')]);
      };
      assertLinear(task, 32 * KIB);
    });

    it(`for empty fragments whose headers are cut everywhere (${role})`, () => {
      const fragment = peerFrame(role, 0x00, '');
      const task: Task = (count) => {
        const chunks = Array.from({ length: count }, () => cut(fragment, 1)).flat();
        return feed(role, [peerFrame(role, 0x02, ''), ...chunks, peerFrame(role, 0x80, '')]);
      };
      assertLinear(task, 16 * KIB);
    });
  }

  it('for a text of long characters that is checked byte by byte', () => {
    const task: Task = (size) => {
      const bytes = Buffer.from('😀'.repeat(size / 4));
      return () => {
        const validator = new Utf8Validator();
        for (let i = 0; i < bytes.length; i++) assert.ok(validator.push(bytes, i, i + 1));
      };
    };
    assertLinear(task, 512 * KIB);
  });

  it('for a message that is begun again and again, each longer than the last', () => {
    const task: Task = (count) => {
      const piece = Buffer.alloc(16);
      return () => {
        const assembler = new MessageAssembler(Number.POSITIVE_INFINITY);
        for (let message = 0; message < count; message++) {
          assembler.begin(false);
          for (let i = 0; i < 4; i++) assembler.append(piece, 0, piece.length, 0);
          assembler.finish();
        }
      };
    };
    assertLinear(task, 32 * KIB);
  });

  it('for Pings and a Close frame in one chunk', () => {
    const task: Task = (count) => {
      const chunk = Buffer.concat([
        peerFrame('server', 0x81, 'one'),
        ...Array(count).fill(peerFrame('server', 0x89, '12345678')),
        peerFrame('server', 0x88, closePayload(1000)),
      ]);
      return feed('server', [chunk]);
    };
    assertLinear(task, 64 * KIB);
  });
});

describe('work grows as the headers do', () => {
  const inputs: readonly (readonly [title: string, make: (size: number) => string])[] = [
    ['spaces', (size) => `a${' '.repeat(size)}b`],
    ['tabs and commas', (size) => '\t,'.repeat(size / 2)],
    ['one long token', (size) => 'a'.repeat(size)],
    ['many tokens', (size) => 'a, '.repeat(size / 3)],
    ['a quote that is never closed', (size) => `a; b="${'c'.repeat(size)}`],
    ['escapes in such a quote', (size) => `a; b="${'\\c'.repeat(size / 2)}`],
    ['semicolons', (size) => `a${';'.repeat(size)}`],
    ['parameters', (size) => `a${'; b=c'.repeat(size / 5)}`],
    ['equals signs', (size) => `a; b${'='.repeat(size)}`],
  ];
  for (const [title, make] of inputs) {
    it(`for ${title}`, () => {
      const task: Task = (size) => {
        const text = make(size);
        return () => {
          parseTokenList(text);
          parseExtensions(text);
          listHasToken(text, 'upgrade');
        };
      };
      assertLinear(task, 512 * KIB);
    });
  }

  it('for the head of a request', () => {
    for (const headers of [{ 'X-A': 'a' }, { Cookie: '='.repeat(100) }, { 'X-A': ['a', 'b'] }]) {
      const task: Task = (size) => {
        const request = upgradeRequest(`/${'a'.repeat(size)}`, { ...headers, 'X-B': ' \t'.repeat(size) });
        return () => void parseUpgradeHead(Buffer.from(request), Number.POSITIVE_INFINITY);
      };
      assertLinear(task, 256 * KIB);
    }
  });
});
