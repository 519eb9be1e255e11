import { Buffer } from 'node:buffer';
import { copyAlone } from '../codec/copy-alone.ts';
import { peerError } from '../errors.ts';
import {
  type Inflated,
  type InflateLimit,
  type Inflater,
  MAX_FINAL_BLOCKS,
  readMessage,
  readScratch,
  type Status,
  scratchEnd,
} from './inflate.ts';
import { MAX_IN_PLACE_BYTES, outputScratch } from './scratch.ts';
import { runInTurn } from './task-queue.ts';
import { LiveZlib } from './zlib-handle.ts';

/**
 * Decompression with context takeover. Section numbers are RFC 7692.
 */

/** §7.2.2: what a sender leaves out of the end of a message, the length of an empty block; and one byte more. */
const TAIL_AND_MORE: Buffer = Buffer.from('0000ffff00', 'hex');
const TAIL_BYTES = 4;
/** Where the tail would write what it must not come to. */
const NO_OUTPUT: Buffer = Buffer.alloc(1);

/** Decompresses messages that continue each other's window, §7.1.1: holds up to 50 KiB from the first one on. */
export class ContextInflater implements Inflater {
  readonly #windowBits: number;
  #zlib: LiveZlib | undefined;
  #closed = false;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  inflate(
    isText: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
    limit: InflateLimit,
  ): Inflated | Promise<Inflated> {
    const length = end - start;
    if (length === 0 || this.#closed) return peerError('WS_ERR_INFLATE_FAILED');
    this.#zlib ??= LiveZlib.inflate({ windowBits: this.#windowBits });
    if (length > MAX_IN_PLACE_BYTES) {
      return inflateLater(isText, new ContextRun(this.#zlib, copyAlone(bytes.subarray(start, end))), [], limit);
    }
    const run = new ContextRun(this.#zlib, bytes, start, end);
    const status = run.advance(outputScratch, scratchEnd(limit.maxBytes));
    const { written } = run;
    if (status === 'done') return readScratch(isText, written);
    if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
    if (written > limit.maxBytes) return peerError(limit.error);
    return inflateLater(isText, run.detach(), [Buffer.from(outputScratch.subarray(0, written))], limit);
  }

  close(): void {
    this.#closed = true;
    this.#zlib?.close();
  }
}

/** One message on its way through the zlib of its connection. */
class ContextRun {
  readonly #zlib: LiveZlib;
  readonly #input: Uint8Array;
  readonly #inputEnd: number;
  #position: number;
  #finalBlocks = 0;
  /** Bytes that the last `advance` has written. */
  written = 0;

  constructor(zlib: LiveZlib, input: Uint8Array, start: number = 0, end: number = input.length) {
    this.#zlib = zlib;
    this.#input = input;
    this.#inputEnd = end;
    this.#position = start;
  }

  /** Writes to the first `outputEnd` bytes of `output`, until they are full or the message is done. */
  advance(output: Uint8Array, outputEnd: number): Status {
    this.written = 0;
    let status: Status | undefined;
    while (status === undefined) {
      const isGood = this.#zlib.run(this.#input, this.#position, this.#inputEnd, output, this.written, outputEnd);
      status = this.#judge(isGood, outputEnd);
    }
    return status;
  }

  /** The same in the thread pool. */
  async advanceLater(output: Uint8Array): Promise<Status> {
    this.written = 0;
    let status: Status | undefined;
    while (status === undefined) {
      const { length } = output;
      const isGood = await this.#zlib.runLater(
        this.#input,
        this.#position,
        this.#inputEnd,
        output,
        this.written,
        length,
      );
      status = this.#judge(isGood, length);
    }
    return status;
  }

  /** The same for what is left of the input, in memory of its own. */
  detach(): ContextRun {
    return new ContextRun(this.#zlib, copyAlone(this.#input.subarray(this.#position, this.#inputEnd)));
  }

  /** What zlib has done; `undefined` if it has to go on. */
  #judge(isGood: boolean, outputEnd: number): Status | undefined {
    if (!isGood) return 'bad';
    const { unreadBytes, freeBytes } = this.#zlib;
    this.#position = this.#inputEnd - unreadBytes;
    this.written = outputEnd - freeBytes;
    if (freeBytes === 0) return 'full';
    if (unreadBytes === 0) return this.#end();
    // There was room, and input left: a block with BFINAL has ended the stream, §7.2.3.4. What follows it, if only the
    // padding that makes room for the tail, is a stream of its own.
    this.#zlib.reset();
    this.#finalBlocks++;
    return this.#finalBlocks > MAX_FINAL_BLOCKS ? 'bad' : undefined;
  }

  /**
   * Puts the tail behind the payload. It ends an empty block just where it ends itself, if the message is whole: one that
   * was cut short takes it for something else, and reads more or less of it, and what comes behind.
   */
  #end(): Status {
    const zlib = this.#zlib;
    if (!zlib.runBlock(TAIL_AND_MORE, NO_OUTPUT) || zlib.freeBytes === 0) return 'bad';
    if (zlib.unreadBytes === TAIL_AND_MORE.length - TAIL_BYTES) return 'done';
    if (zlib.unreadBytes < TAIL_AND_MORE.length) return 'bad';
    // The payload ended with the stream: a sender that left out the padding. The message is whole all the same.
    zlib.reset();
    return 'done';
  }
}

/**
 * Decompresses what is left of a large message in the thread pool, in the window of its connection. Each piece is as
 * large as all before it, so that the limit is not passed by more than what is thrown away, and calls are few.
 *
 * @param pieces - what was decompressed of it before
 */
async function inflateLater(
  isText: boolean,
  run: ContextRun,
  pieces: Buffer[],
  limit: InflateLimit,
): Promise<Inflated> {
  let total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const advance = async (): Promise<Status> => {
    for (;;) {
      const piece = Buffer.alloc(Math.min(Math.max(total, MAX_IN_PLACE_BYTES), Math.floor(limit.maxBytes - total) + 1));
      const status = await run.advanceLater(piece);
      pieces.push(piece.subarray(0, run.written));
      total += run.written;
      if (status !== 'full' || total > limit.maxBytes) return status;
    }
  };
  const status = await runInTurn(advance);
  if (status === 'bad') return peerError('WS_ERR_INFLATE_FAILED');
  if (total > limit.maxBytes) return peerError(limit.error);
  return readMessage(isText, Buffer.concat(pieces, total));
}
