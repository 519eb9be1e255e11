import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createInflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import { canUseHandles, LiveZlib, probeHandles } from '../../lib/extensions/zlib-handle.ts';
import { bytesOf } from '../support/arbitraries.ts';

const output = Buffer.alloc(4096);

describe('LiveZlib', () => {
  it('compresses what zlib can read, and goes on where it stopped', () => {
    const zlib = LiveZlib.deflate({ level: 9 });
    const text = Buffer.from('hello hello hello');
    assert.ok(zlib.run(text, 0, text.length, output, 10, output.length));
    assert.equal(zlib.unreadBytes, 0);
    const first = output.length - zlib.freeBytes;
    assert.ok(zlib.run(text, 6, 11, output, first, output.length));
    const second = output.length - zlib.freeBytes;
    const options = { finishFlush: 2 };
    assert.equal(inflateRawSync(output.subarray(10, second), options).toString(), 'hello hello hellohello');
    zlib.close();
  });

  it('stops when the output is full', () => {
    const zlib = LiveZlib.inflate({});
    const bytes = bytesOf(1000, 1);
    const input = deflateRawSync(bytes);
    assert.ok(zlib.run(input, 0, input.length, output, 0, 300));
    assert.equal(zlib.freeBytes, 0);
    assert.ok(zlib.unreadBytes > 0);
    assert.ok(zlib.run(input, input.length - zlib.unreadBytes, input.length, output, 300, output.length));
    assert.ok(output.subarray(0, 1000).equals(bytes));
    assert.equal(output.length - zlib.freeBytes, 1000);
    zlib.close();
  });

  it('says so when the input is bad, and works again after a reset', () => {
    const zlib = LiveZlib.inflate({});
    const good = deflateRawSync('good');
    for (let i = 0; i < 3; i++) {
      assert.equal(zlib.run(Buffer.of(0xff, 1, 2), 0, 3, output, 0, output.length), false);
      zlib.reset();
      assert.equal(zlib.run(good, 0, good.length, output, 0, output.length), true);
      assert.equal(output.toString('latin1', 0, output.length - zlib.freeBytes), 'good');
      zlib.reset();
    }
    zlib.close();
  });

  it('does nothing once it is closed', () => {
    const zlib = LiveZlib.deflate({});
    zlib.close();
    zlib.close();
    zlib.reset();
    assert.equal(zlib.run(Buffer.of(1), 0, 1, output, 0, output.length), false);
  });
});

describe('LiveZlib in the thread pool', () => {
  const bytes = bytesOf(1000, 1);
  const input = deflateRawSync(bytes);

  it('goes on where a call in place has stopped, and lets one go on where it has stopped', async () => {
    const zlib = LiveZlib.inflate({});
    assert.ok(zlib.run(input, 0, input.length, output, 0, 300));
    assert.ok(await zlib.runLater(input, input.length - zlib.unreadBytes, input.length, output, 300, 600));
    assert.equal(zlib.freeBytes, 0);
    assert.ok(zlib.run(input, input.length - zlib.unreadBytes, input.length, output, 600, output.length));
    assert.ok(output.subarray(0, 1000).equals(bytes));
    zlib.close();
  });

  it('says so when the input is bad, and works again after a reset', async () => {
    const zlib = LiveZlib.inflate({});
    assert.equal(await zlib.runLater(Buffer.of(0xff, 1, 2), 0, 3, output, 0, output.length), false);
    zlib.reset();
    assert.equal(await zlib.runLater(input, 0, input.length, output, 0, output.length), true);
    assert.ok(output.subarray(0, 1000).equals(bytes));
    zlib.close();
  });

  it('fails when it is closed meanwhile, and frees its handle once it is done', async (t) => {
    const prototype = Object.getPrototypeOf((createInflateRaw() as unknown as { _handle: object })._handle);
    const close = t.mock.method(prototype as { close(): void }, 'close');
    for (const data of [input, Buffer.of(0xff)]) {
      const before = close.mock.callCount();
      const zlib = LiveZlib.inflate({});
      const pending = zlib.runLater(data, 0, data.length, output, 0, output.length);
      zlib.close();
      zlib.close();
      zlib.reset();
      assert.equal(close.mock.callCount(), before, 'not while it is at work');
      assert.equal(zlib.run(input, 0, input.length, output, 0, output.length), false);
      assert.equal(await pending, false);
      assert.equal(close.mock.callCount(), before + 1);
      assert.equal(await zlib.runLater(data, 0, data.length, output, 0, output.length), false);
    }
  });
});

describe('canUseHandles', () => {
  it('finds that handles work on the versions of Node that are supported', () => {
    assert.equal(canUseHandles(), true);
    assert.equal(canUseHandles(), true);
  });
});

/** A stream with something in it replaced. */
function spoilt(
  spoil: (stream: Record<string, unknown>, handle: Record<string, unknown>) => void,
): typeof createInflateRaw {
  return (options) => {
    const stream = createInflateRaw(options);
    const internals = stream as unknown as Record<string, unknown>;
    spoil(internals, internals._handle as Record<string, unknown>);
    return stream;
  };
}

describe('probeHandles', () => {
  it('takes zlib as it is', () => {
    assert.notEqual(probeHandles(createInflateRaw), undefined);
  });

  it('refuses handles that are not as expected, and never calls what it does not know', () => {
    const reasons: Record<string, typeof createInflateRaw> = {
      'no streams at all': () => {
        throw new Error('not here');
      },
      'no handle': spoilt((stream) => {
        stream._handle = undefined;
      }),
      'no call of the handle': spoilt((stream) => {
        stream._processChunk = () => Buffer.from('Hello');
      }),
      'two calls of the handle': spoilt((stream, handle) => {
        stream._processChunk = (chunk: Buffer, flush: number) => {
          const write = handle.writeSync as (...args: unknown[]) => void;
          const out = Buffer.alloc(64);
          write(flush, chunk, 0, chunk.length, out, 0, 64);
          write(flush, chunk, 0, chunk.length, out, 0, 64);
          return Buffer.from('Hello');
        };
      }),
      'another order of arguments': spoilt((stream, handle) => {
        stream._processChunk = (chunk: Buffer, flush: number) => {
          handle.writeSync = handle.writeSync as () => void;
          (handle.writeSync as (...args: unknown[]) => void)(chunk, flush);
          return Buffer.from('Hello');
        };
        handle.writeSync = () => {};
      }),
      'another place for the results': spoilt((stream) => {
        const place = stream._writeState;
        let reads = 0;
        // Node itself goes on with the right one; without it, it would write where it must not.
        Object.defineProperty(stream, '_writeState', { get: () => (reads++ === 0 ? new Uint32Array(2) : place) });
      }),
      'another result': spoilt((stream, handle) => {
        const process = stream._processChunk as (chunk: Buffer, flush: number) => Buffer;
        stream._processChunk = (chunk: Buffer, flush: number) => {
          handle.reset = () => {};
          return process.call(stream, chunk, flush).subarray(1);
        };
      }),
      'another way to set it up': spoilt((stream) => {
        stream._writeState = new Uint32Array(2);
      }),
      'no call in the thread pool': spoilt((_stream, handle) => {
        Object.defineProperty(handle, 'write', { get: () => () => {}, set: () => {} });
      }),
      'no reset': spoilt((_stream, handle) => {
        handle.reset = undefined;
      }),
    };
    for (const [reason, makeStream] of Object.entries(reasons))
      assert.equal(probeHandles(makeStream), undefined, reason);
  });
});
