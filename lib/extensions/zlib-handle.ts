import { Buffer } from 'node:buffer';
import { constants, createInflateRaw, type ZlibOptions } from 'node:zlib';
import {
  type Binding,
  CHUNK_BYTES,
  DEFAULT_LEVEL,
  DEFAULT_MEM_LEVEL,
  DEFAULT_WINDOW_BITS,
  HELLO,
  HELLO_BYTES,
  watchBinding,
  type ZlibHandle,
} from './zlib-binding.ts';

/**
 * A raw deflate or inflate that lives on between calls, each of which is made in place or in the thread pool. Node has no
 * public way to do that: its streams work in the thread pool only, at 50 to 60 µs a call, and its `*Sync` functions make
 * and destroy a stream a call. Both are made of a handle with a synchronous `writeSync`, which takes a few microseconds
 * for a small message, and a `write` that is done in the thread pool. Only here and in `zlib-binding.ts` is it touched;
 * `canUseHandles` tells whether it works as expected, and nothing of it is used if it does not.
 */

/** A call in the thread pool: its memory, which nothing else may keep alive, and who waits for it. */
interface Running {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly resolve: (succeeded: boolean) => void;
}

/** A raw deflate or inflate. Must be closed. */
export class LiveZlib {
  readonly #handle: ZlibHandle;
  /** How many bytes of output are free, and how many of the input were not read. */
  readonly #state = new Uint32Array(2);
  #failed = false;
  #closed = false;
  #running: Running | undefined;

  private constructor(mode: number, { windowBits, level, memLevel, strategy }: ZlibOptions, binding: Binding) {
    const { Handle, moreArguments } = binding;
    this.#handle = new Handle(mode);
    this.#handle.onerror = () => {
      this.#failed = true;
      this.#finish();
    };
    this.#handle.init(
      windowBits ?? DEFAULT_WINDOW_BITS,
      level ?? DEFAULT_LEVEL,
      memLevel ?? DEFAULT_MEM_LEVEL,
      strategy ?? constants.Z_DEFAULT_STRATEGY,
      this.#state,
      () => this.#finish(),
      ...moreArguments,
    );
  }

  /** Only where `canUseHandles`. */
  static deflate(options: ZlibOptions, binding: Binding | undefined = findBinding()): LiveZlib {
    return new LiveZlib(constants.DEFLATERAW, options, binding!);
  }

  /** Only where `canUseHandles`. */
  static inflate(options: ZlibOptions, binding: Binding | undefined = findBinding()): LiveZlib {
    return new LiveZlib(constants.INFLATERAW, options, binding!);
  }

  /** Bytes of the input that the last call did not read. */
  get unreadBytes(): number {
    return this.#state[1]!;
  }

  /** Bytes of the output that the last call did not write. */
  get freeBytes(): number {
    return this.#state[0]!;
  }

  /**
   * Reads `input[start, end)` and writes to `output[outputStart, outputEnd)`, until either is at its end or the deflate
   * stream is; flushes what there is (Z_SYNC_FLUSH).
   *
   * @returns false when the input is no deflate data; `reset` makes the next call possible
   */
  run(
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    outputStart: number,
    outputEnd: number,
  ): boolean {
    return this.#runSync(constants.Z_SYNC_FLUSH, input, start, end, output, outputStart, outputEnd);
  }

  /** Inflates as `run` does, but reads no further than to the end of the block that it is in, or begins. */
  runBlock(input: Uint8Array, output: Uint8Array): boolean {
    return this.#runSync(constants.Z_BLOCK, input, 0, input.length, output, 0, output.length);
  }

  /**
   * Does what `run` does in the thread pool. Nothing else may be called until it is done, except `close`; input and output
   * are not to be touched.
   */
  runLater(
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    outputStart: number,
    outputEnd: number,
  ): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    this.#failed = false;
    return new Promise((resolve) => {
      this.#running = { input, output, resolve };
      const { Z_SYNC_FLUSH } = constants;
      this.#handle.write(Z_SYNC_FLUSH, input, start, end - start, output, outputStart, outputEnd - outputStart);
    });
  }

  /** Forgets all that was read and written. */
  reset(): void {
    if (!this.#closed) this.#handle.reset();
  }

  /** Frees the memory of zlib: at once, or when `runLater` is done. Safe to call again; all calls fail from now on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running === undefined) this.#handle.close();
  }

  #runSync(
    flush: number,
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
    this.#handle.writeSync(flush, input, start, end - start, output, outputStart, outputEnd - outputStart);
    return !this.#failed;
  }

  /** The thread pool is done; or, of a call in place, there was an error. */
  #finish(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    if (this.#closed) this.#handle.close();
    running.resolve(!this.#failed && !this.#closed);
  }
}

let found: { readonly binding: Binding | undefined } | undefined;

/** Looked for once, on first use. */
function findBinding(): Binding | undefined {
  found ??= { binding: probeHandles(createInflateRaw) };
  return found.binding;
}

/** Tells whether this Node can do what `LiveZlib` needs. */
export function canUseHandles(): boolean {
  return findBinding() !== undefined;
}

/** The length of the block that `HELLO` ends with, and the first byte of another. */
const TAIL_AND_MORE: Buffer = Buffer.from('0000ffff00', 'hex');
const TAIL_BYTES = 4;

/**
 * Finds out whether handles work.
 *
 * @param makeStream - zlib's `createInflateRaw`, or what a spec puts in its place
 * @returns `undefined` if they do not
 */
export function probeHandles(makeStream: typeof createInflateRaw): Binding | undefined {
  try {
    const binding = watchBinding(makeStream);
    return binding !== undefined && worksAsExpected(binding) ? binding : undefined;
  } catch {
    return undefined;
  }
}

/** A round trip, output that does not fit, the end of a block, bad data, and that a reset forgets all of it. */
function worksAsExpected(binding: Binding): boolean {
  const deflate = LiveZlib.deflate({}, binding);
  const inflate = LiveZlib.inflate({}, binding);
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
  const stopsAtBlocks = (): boolean =>
    inflate.run(HELLO, 0, HELLO.length - TAIL_BYTES, output, 0, CHUNK_BYTES) &&
    inflate.runBlock(TAIL_AND_MORE, output) &&
    inflate.freeBytes === CHUNK_BYTES &&
    inflate.unreadBytes === TAIL_AND_MORE.length - TAIL_BYTES;
  const resets = (): boolean => {
    deflate.reset();
    inflate.reset();
    return true;
  };
  try {
    return (
      deflatesHello() &&
      inflatesHello() &&
      stopsAtBlocks() &&
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
