import {
  constants,
  createDeflateRaw,
  createInflateRaw,
  type DeflateRaw,
  type InflateRaw,
  type ZlibOptions,
} from 'node:zlib';

/**
 * Synchronous calls of a zlib stream that lives on between them. Node has no public way to do that: its streams work in
 * the thread pool, at 50 to 60 µs a call, and its `*Sync` functions make and destroy a stream a call. Both are made of
 * a handle with a synchronous `writeSync`, which takes a few microseconds for a small message. This file is the only one
 * that touches it; `canUseHandles` tells whether it works as expected, and nothing here is used if it does not.
 */

/** The binding of a stream, as Node 20 to 26 have it. */
interface ZlibHandle {
  onerror: (message: string, errno: number, code: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputBytes: number,
    output: Uint8Array,
    outputOffset: number,
    outputBytes: number,
  ): void;
  reset(): void;
}

interface ZlibInternals {
  readonly _handle: ZlibHandle;
  /** Where the handle leaves how many bytes of output are free, and how many of the input were not read. */
  readonly _writeState: Uint32Array;
  _processChunk(chunk: Buffer, flush: number): Buffer;
}

/** The stream's own buffer for its output is not used: the smallest that Node allows. */
const CHUNK_BYTES = 64;

/** A raw deflate or inflate that runs in place. Must be closed. */
export class LiveZlib {
  readonly #stream: DeflateRaw | InflateRaw;
  readonly #handle: ZlibHandle;
  readonly #state: Uint32Array;
  #failed = false;
  #closed = false;

  private constructor(stream: DeflateRaw | InflateRaw) {
    this.#stream = stream;
    const { _handle, _writeState } = stream as unknown as ZlibInternals;
    this.#handle = _handle;
    this.#state = _writeState;
    // The stream's own listener would destroy the stream.
    _handle.onerror = () => {
      this.#failed = true;
    };
  }

  static deflate(options: ZlibOptions): LiveZlib {
    return new LiveZlib(createDeflateRaw({ ...options, chunkSize: CHUNK_BYTES }));
  }

  static inflate(options: ZlibOptions): LiveZlib {
    return new LiveZlib(createInflateRaw({ ...options, chunkSize: CHUNK_BYTES }));
  }

  /** Bytes of the input that the last `run` did not read. */
  get unreadBytes(): number {
    return this.#state[1]!;
  }

  /** Bytes of the output that the last `run` did not write. */
  get freeBytes(): number {
    return this.#state[0]!;
  }

  /**
   * Reads `input[start, end)` and writes to `output[outputStart, outputEnd)`, until either is at its end or the deflate
   * stream is; flushes what there is (Z_SYNC_FLUSH).
   *
   * @returns false when the input is no deflate data; `reset` makes the next run possible
   */
  run(
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    outputStart: number,
    outputEnd: number,
  ): boolean {
    // A handle that is closed would end the process.
    if (this.#closed) return false;
    this.#failed = false;
    const { Z_SYNC_FLUSH } = constants;
    this.#handle.writeSync(Z_SYNC_FLUSH, input, start, end - start, output, outputStart, outputEnd - outputStart);
    return !this.#failed;
  }

  /** Forgets all that was read and written. */
  reset(): void {
    if (!this.#closed) this.#handle.reset();
  }

  /** Frees the memory of zlib. Safe to call again; `run` fails from now on. */
  close(): void {
    this.#closed = true;
    this.#stream.destroy();
  }
}

let usable: boolean | undefined;

/** Tells whether this Node can do what `LiveZlib` needs. Tried once, on first use. */
export function canUseHandles(): boolean {
  usable ??= probeHandles(createInflateRaw);
  return usable;
}

/** "Hello" as RFC 7692 §7.2.3.1 has it, with the tail that a message leaves out. */
const HELLO: Buffer = Buffer.from('f248cdc9c907000000ffff', 'hex');
const HELLO_BYTES = 5;

/**
 * Finds out whether handles work, without calling one in a way that could end the process: the shape of a call is first
 * watched in one that Node makes itself.
 *
 * @param makeStream - zlib's `createInflateRaw`, or what a spec puts in its place
 */
export function probeHandles(makeStream: typeof createInflateRaw): boolean {
  try {
    return hasExpectedCalls(makeStream) && worksAsExpected();
  } catch {
    return false;
  }
}

function hasExpectedCalls(makeStream: typeof createInflateRaw): boolean {
  const stream = makeStream({ chunkSize: CHUNK_BYTES });
  const { _handle, _writeState, _processChunk } = stream as unknown as ZlibInternals;
  const { writeSync } = _handle;
  let calls = 0;
  let asExpected = typeof _handle.reset === 'function' && typeof _handle.onerror === 'function';
  _handle.writeSync = (...args) => {
    calls++;
    const [flush, input, inputOffset, inputBytes, output, outputOffset, outputBytes, ...more] = args as unknown[];
    asExpected &&=
      flush === constants.Z_SYNC_FLUSH && input === HELLO && inputOffset === 0 && inputBytes === HELLO.length;
    asExpected &&=
      output instanceof Uint8Array && outputOffset === 0 && outputBytes === CHUNK_BYTES && more.length === 0;
    writeSync.apply(_handle, args);
    asExpected &&= _writeState[0] === CHUNK_BYTES - HELLO_BYTES && _writeState[1] === 0;
  };
  const hello = _processChunk.call(stream, HELLO, constants.Z_SYNC_FLUSH);
  stream.destroy();
  return asExpected && calls === 1 && hello.toString() === 'Hello';
}

/** A round trip, output that does not fit, bad data, and that a reset forgets all of it. */
function worksAsExpected(): boolean {
  const deflate = LiveZlib.deflate({});
  const inflate = LiveZlib.inflate({});
  const output = Buffer.alloc(CHUNK_BYTES);
  const hello = Buffer.from('Hello');
  const deflatesHello = (): boolean =>
    deflate.run(hello, 0, HELLO_BYTES, output, 1, CHUNK_BYTES) &&
    deflate.freeBytes === CHUNK_BYTES - 1 - HELLO.length &&
    output.subarray(1, 1 + HELLO.length).equals(HELLO);
  const inflatesHello = (): boolean =>
    inflate.run(HELLO, 0, HELLO.length, output, 0, HELLO_BYTES - 1) &&
    inflate.freeBytes === 0 &&
    inflate.run(HELLO, HELLO.length - inflate.unreadBytes, HELLO.length, output, HELLO_BYTES - 1, CHUNK_BYTES) &&
    inflate.freeBytes === CHUNK_BYTES - HELLO_BYTES &&
    output.toString('latin1', 0, HELLO_BYTES) === 'Hello';
  const resets = (): boolean => {
    deflate.reset();
    inflate.reset();
    return true;
  };
  try {
    return (
      deflatesHello() &&
      inflatesHello() &&
      // Block type 3 does not exist.
      !inflate.run(Buffer.of(0xff), 0, 1, output, 0, CHUNK_BYTES) &&
      resets() &&
      deflatesHello() &&
      inflatesHello()
    );
  } finally {
    deflate.close();
    inflate.close();
  }
}
