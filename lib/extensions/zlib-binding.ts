import { Buffer } from 'node:buffer';
import { constants, type createInflateRaw } from 'node:zlib';

/** The insides of a zlib stream of Node 20 to 26: the handle that it is made of. */

type Write = (
  flush: number,
  input: Uint8Array,
  inputOffset: number,
  inputBytes: number,
  output: Uint8Array,
  outputOffset: number,
  outputBytes: number,
) => void;

/** The binding of a stream, as Node 20 to 26 have it. */
export interface ZlibHandle {
  onerror: (message: string, errno: number, code: string) => void;
  init(...args: unknown[]): void;
  writeSync: Write;
  write: Write;
  reset(): void;
  close(): void;
}

/** How to make a handle. */
export interface Binding {
  readonly Handle: new (mode: number) => ZlibHandle;
  /** What Node gives to `init` behind the arguments that are known here: a dictionary, and in Node 24 one more. */
  readonly moreArguments: readonly unknown[];
}

interface ZlibInternals {
  readonly _handle: ZlibHandle;
  /** Where the handle leaves how many bytes of output are free, and how many of the input were not read. */
  readonly _writeState: Uint32Array;
  _processChunk(chunk: Buffer, flush: number): Buffer;
}

/** The defaults of zlib, as Node gives them to `init`. */
export const DEFAULT_LEVEL = -1;
export const DEFAULT_MEM_LEVEL = 8;
export const DEFAULT_WINDOW_BITS = 15;

/** "Hello" as RFC 7692 §7.2.3.1 has it, with the tail that a message leaves out. */
export const HELLO: Buffer = Buffer.from('f248cdc9c907000000ffff', 'hex');
export const HELLO_BYTES = 5;

/** The buffer for the output of a stream that is only looked at. */
export const CHUNK_BYTES = 64;
/** How many arguments of `init` are known here. */
const KNOWN_ARGUMENTS = 6;

/**
 * Finds out how handles are made and called, by watching calls that Node makes itself: one that is not as expected could
 * end the process.
 *
 * @param makeStream - zlib's `createInflateRaw`, or what a spec puts in its place
 * @returns `undefined` where it is not as expected
 */
export function watchBinding(makeStream: typeof createInflateRaw): Binding | undefined {
  const binding = watchInit(makeStream);
  return binding !== undefined && hasExpectedCalls(makeStream) ? binding : undefined;
}

/** Sees how Node sets up a handle. */
function watchInit(makeStream: typeof createInflateRaw): Binding | undefined {
  const stream = makeStream({ chunkSize: CHUNK_BYTES });
  const { _handle } = stream as unknown as ZlibInternals;
  stream.destroy();
  const prototype = Object.getPrototypeOf(_handle) as ZlibHandle;
  const { init } = prototype;
  const calls: unknown[][] = [];
  prototype.init = function (...args) {
    calls.push(args);
    init.apply(this, args);
  };
  let state: Uint32Array;
  try {
    const watched = makeStream({ chunkSize: CHUNK_BYTES });
    state = (watched as unknown as ZlibInternals)._writeState;
    watched.destroy();
  } finally {
    prototype.init = init;
  }
  const [windowBits, level, memLevel, strategy, writeState, callback] = calls[0]!;
  const asExpected =
    windowBits === DEFAULT_WINDOW_BITS &&
    level === DEFAULT_LEVEL &&
    memLevel === DEFAULT_MEM_LEVEL &&
    strategy === constants.Z_DEFAULT_STRATEGY &&
    writeState === state &&
    state.length === 2 &&
    typeof callback === 'function';
  if (!asExpected) return undefined;
  return {
    Handle: prototype.constructor as Binding['Handle'],
    moreArguments: calls[0]!.slice(KNOWN_ARGUMENTS),
  };
}

/** Sees how Node calls a handle: in place, in the thread pool, and at the end. */
function hasExpectedCalls(makeStream: typeof createInflateRaw): boolean {
  const stream = makeStream({ chunkSize: CHUNK_BYTES });
  const { _handle, _writeState, _processChunk } = stream as unknown as ZlibInternals;
  const { writeSync, close } = _handle;
  let asExpected = typeof _handle.reset === 'function' && typeof _handle.onerror === 'function';
  const watch = (flushes: readonly number[], args: unknown[]): void => {
    const [flush, input, inputOffset, inputBytes, output, outputOffset, outputBytes, ...more] = args;
    asExpected &&= flushes.includes(flush as number) && input === HELLO && inputOffset === 0;
    asExpected &&= inputBytes === HELLO.length && output instanceof Uint8Array && outputOffset === 0;
    asExpected &&= outputBytes === CHUNK_BYTES && more.length === 0;
  };
  let calls = '';
  _handle.writeSync = (...args) => {
    calls += 'sync ';
    watch([constants.Z_SYNC_FLUSH], args);
    writeSync.apply(_handle, args);
    asExpected &&= _writeState[0] === CHUNK_BYTES - HELLO_BYTES && _writeState[1] === 0;
  };
  const hello = _processChunk.call(stream, HELLO, constants.Z_SYNC_FLUSH);
  stream.destroy();

  const other = makeStream({ chunkSize: CHUNK_BYTES });
  const { _handle: handle } = other as unknown as ZlibInternals;
  handle.write = (...args) => {
    calls += 'later ';
    watch([constants.Z_NO_FLUSH], args);
  };
  handle.close = (...args: unknown[]) => {
    calls += 'close';
    asExpected &&= args.length === 0;
    close.call(handle);
  };
  other.write(HELLO);
  other.destroy();
  return asExpected && calls === 'sync later close' && hello.toString() === 'Hello';
}
