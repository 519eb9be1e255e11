import { Buffer } from 'node:buffer';
import { isBorrowed } from './borrowed.ts';
import { headerBytes, MAX_HEADER_BYTES, writeFrameHeader } from './frame-header.ts';
import { applyMask } from './mask.ts';
import { randomMaskKey } from './mask-key.ts';
import { returnMemory, takeMemory } from './message-memory.ts';
import { FIN, OpCode } from './opcode.ts';
import { MAX_RESERVE_BYTES, reserveBlock, WriteBlock } from './write-block.ts';

/** From this size on a payload goes out by reference, in a `writev`, rather than being copied. */
export const REFERENCE_BYTES: number = 16 * 1024;
/** Up to this size what lies in pieces is put together before it is taken: a short copy costs less than a `writev`. */
const MERGE_BYTES = 16 * 1024;
/** The first block that an encoder has to itself; the next are twice as large each, up to the size of a shared one. */
const FIRST_OWN_BYTES = 1024;
/** Frames up to this size are not kept by reference where they have to wait. */
const TINY_BYTES = 128;
/** A longer text is not remembered: it would be kept alive for no more than a chance to send it again. */
const MAX_REPEATED_CHARACTERS = 256 * 1024;
/** A character of a JavaScript string takes at most this many bytes of UTF-8. */
const MAX_BYTES_PER_CHARACTER = 3;
const NOTHING: readonly Buffer[] = [];

/**
 * Up to so many characters a text that is sent again, to others, goes out from where its frame was first written: many
 * connections that send the same messages in a row read the same region of a block, and nothing is copied. A longer one
 * has a frame in memory of its own.
 */
const MAX_SHARED_CHARACTERS = 1024;

/**
 * The text that was sent last, and its frame: a server's are not masked, so that of a message to many receivers it is
 * the same for all.
 */
const repeated = {
  text: undefined as string | undefined,
  /** Where it was written, if it is short: `block[start, end)`, as long as the block is of that generation. */
  block: undefined as WriteBlock | undefined,
  generation: 0,
  start: 0,
  end: 0,
  /** Made when it is sent again, if it is long. Never written to again. */
  frame: undefined as Uint8Array | undefined,
};

/**
 * Encodes frames and collects their bytes until they are taken. RFC 6455 §5.2.
 *
 * Small frames that follow each other lie side by side in one block, so that many messages leave in one write.
 * A client's frames are masked with a fresh key each (§5.3).
 */
export class FrameEncoder {
  readonly masked: boolean;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** The region that is being written to. */
  #block: WriteBlock | undefined;
  #start = 0;
  #end = 0;
  /** The blocks of the regions before it: of none, usually. */
  #older: WriteBlock[] | undefined;
  /** The same of the bytes that were taken last, until they are released. */
  #takenBlock: WriteBlock | undefined;
  #takenOlder: WriteBlock[] | undefined;
  /** Memory that large payloads were copied to since they were only lent; and the same of what was taken last. */
  #copies: Buffer[] | undefined;
  #takenCopies: Buffer[] | undefined;
  /** The block that is written into instead of the shared one, between `hold` and `take`. */
  #own: WriteBlock | undefined;

  /** @param masked - whether frames are masked, as those of a client are */
  constructor(masked: boolean) {
    this.masked = masked;
  }

  /**
   * Whether payloads that were kept by reference are as long as their frames say. One that was transferred or resized is
   * not, and what there is must not be sent.
   */
  get isIntact(): boolean {
    return this.#chunks.length === 0 || totalBytes(this.#chunks) + this.#end - this.#start === this.#bytes;
  }

  /** Bytes that are encoded and not taken. */
  get bufferedBytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a frame.
   *
   * @param bits - first byte: FIN, RSV1 and opcode
   * @param payload - a large one (16 KiB and up, not masked) is kept by reference and must not change until its bytes
   * have left; a small one is copied, and so is one that is only lent
   */
  addFrame(bits: number, payload: Uint8Array): void {
    const length = payload.byteLength;
    const isLent = length >= REFERENCE_BYTES && isBorrowed(payload);
    if (length < REFERENCE_BYTES || (isLent && length + MAX_HEADER_BYTES <= MAX_RESERVE_BYTES)) {
      const block = this.#reserve(length + MAX_HEADER_BYTES);
      const maskKey = this.masked ? randomMaskKey() : undefined;
      const start = writeFrameHeader(block.buffer, this.#end, bits, length, maskKey);
      block.buffer.set(payload, start);
      if (maskKey !== undefined) applyMask(block.buffer, start, start + length, maskKey);
      this.#commit(start + length);
    } else if (this.masked) {
      this.#addLargeFrame(bits, Buffer.from(payload));
    } else if (isLent) {
      this.#addLargeFrame(bits, this.#copy(payload));
    } else {
      this.#addLargeFrame(bits, payload);
    }
  }

  /** Adds a frame whose payload is `text` as UTF-8; a lone surrogate becomes U+FFFD. */
  addTextFrame(bits: number, text: string): void {
    const isRepeatable = !this.masked && bits === (FIN | OpCode.Text);
    if (isRepeatable && text === repeated.text && this.#addRepeated(text)) return;
    const before = this.#bytes;
    this.#addNewText(bits, text);
    // Nobody else reads what is in a block of its own.
    const isShared = this.#own === undefined || text.length > MAX_SHARED_CHARACTERS;
    if (isRepeatable && isShared) this.#remember(text, this.#bytes - before);
  }

  /** Adds the frame of the text that was sent last, unless that is no longer where it was. */
  #addRepeated(text: string): boolean {
    if (text.length > MAX_SHARED_CHARACTERS) {
      repeated.frame ??= makeTextFrame(text);
      this.addEncoded(repeated.frame);
      return true;
    }
    const { block, start, end } = repeated;
    if (block?.generation !== repeated.generation || this.#own !== undefined) return false;
    if (block !== this.#block || start !== this.#end) {
      // A region for every few bytes would take more than to write them again.
      if (this.#bytes > 0) return false;
      this.#beginRegion(block, start);
    }
    this.#bytes += end - start;
    this.#end = end;
    return true;
  }

  /** Remembers the text whose frame was just added, and where that is if it is short. */
  #remember(text: string, frameBytes: number): void {
    repeated.text = text.length <= MAX_REPEATED_CHARACTERS ? text : undefined;
    repeated.frame = undefined;
    repeated.block = this.#block;
    repeated.generation = this.#block!.generation;
    repeated.start = this.#end - frameBytes;
    repeated.end = this.#end;
  }

  #addNewText(bits: number, text: string): void {
    const maxBytes = text.length * MAX_BYTES_PER_CHARACTER;
    if (maxBytes + MAX_HEADER_BYTES > MAX_RESERVE_BYTES) {
      this.#addLargeFrame(bits, Buffer.from(text));
      return;
    }
    const block = this.#reserve(maxBytes + MAX_HEADER_BYTES);
    const { buffer } = block;
    const maskKey = this.masked ? randomMaskKey() : undefined;
    // The header's length depends on the payload's, which is known after writing it. ASCII, the usual case, is
    // as long in bytes as in characters; other text may have to move up a few bytes.
    const guess = this.#end + headerBytes(text.length, this.masked);
    const length = buffer.write(text, guess, 'utf8');
    const start = this.#end + headerBytes(length, this.masked);
    if (start !== guess) buffer.copyWithin(start, guess, guess + length);
    writeFrameHeader(buffer, this.#end, bits, length, maskKey);
    if (maskKey !== undefined) applyMask(buffer, start, start + length, maskKey);
    this.#commit(start + length);
  }

  /** Adds the bytes of whole frames as they are; kept by reference, must not change until they have left. */
  addEncoded(frames: Uint8Array): void {
    if (this.#own !== undefined && frames.byteLength <= TINY_BYTES) {
      // Where many wait, a reference to each would take more than the bytes.
      const { buffer } = this.#reserve(frames.byteLength);
      buffer.set(frames, this.#end);
      this.#commit(this.#end + frames.byteLength);
      return;
    }
    this.#closeRegion();
    this.#chunks.push(frames);
    this.#bytes += frames.byteLength;
  }

  /**
   * Gets ready for a long wait: moves what lies in shared blocks to memory of its own, and writes there until the next
   * `take`. A few bytes that wait for a slow peer would keep a whole block alive, and the next few another.
   */
  hold(): void {
    if (this.#own !== undefined || this.#bytes === 0) return;
    this.#closeRegion();
    const shared = new Set<unknown>([this.#block, ...(this.#older ?? [])].map((block) => block?.buffer.buffer));
    const isShared = ({ buffer }: Uint8Array): boolean => shared.has(buffer);
    const own = new WriteBlock(this.#chunks.reduce((sum, chunk) => sum + (isShared(chunk) ? chunk.byteLength : 0), 0));
    this.#chunks = this.#chunks.map((chunk) => {
      if (!isShared(chunk)) return chunk;
      const start = own.offset;
      own.buffer.set(chunk, start);
      own.offset += chunk.byteLength;
      return own.buffer.subarray(start, own.offset);
    });
    this.#releaseBlocks();
    this.#own = own;
    this.#start = 0;
    this.#end = 0;
  }

  /**
   * Hands over all bytes that were added since the last call, in order. They are the caller's until it says
   * `released`, which it may do late or never.
   */
  take(): Uint8Array[] {
    this.#closeRegion();
    if (this.#chunks.length > 1 && this.#bytes <= MERGE_BYTES && this.#own === undefined) this.#merge();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    this.#takenBlock = this.#block;
    this.#takenOlder = this.#older;
    this.#takenCopies = this.#copies;
    this.#copies = undefined;
    this.#block = undefined;
    this.#older = undefined;
    this.#own = undefined;
    return chunks;
  }

  /** Says that nobody will read the chunks of the last `take` again, so that their memory may be used for others. */
  released(): void {
    this.#takenBlock?.release();
    if (this.#takenOlder !== undefined) for (const block of this.#takenOlder) block.release();
    for (const copy of this.retained()) returnMemory(copy);
  }

  /**
   * Says that the chunks of the last `take` are still being read, and that nobody will say when they are not.
   *
   * @returns the large ones among them that may be given to `returnMemory`, if somebody does know
   */
  retained(): readonly Buffer[] {
    const copies = this.#takenCopies ?? NOTHING;
    this.#takenBlock = undefined;
    this.#takenOlder = undefined;
    this.#takenCopies = undefined;
    return copies;
  }

  /** Copies a payload that is only lent, and too large for a block. */
  #copy(payload: Uint8Array): Buffer {
    const copy = takeMemory(payload.byteLength);
    copy.set(payload);
    this.#copies ??= [];
    this.#copies.push(copy);
    return copy;
  }

  /** Adds a frame whose payload stays where it is; when it is to be masked it is this encoder's own. */
  #addLargeFrame(bits: number, payload: Uint8Array): void {
    const block = this.#reserve(MAX_HEADER_BYTES);
    const maskKey = this.masked ? randomMaskKey() : undefined;
    if (maskKey !== undefined) applyMask(payload, 0, payload.byteLength, maskKey);
    this.#commit(writeFrameHeader(block.buffer, this.#end, bits, payload.byteLength, maskKey));
    this.addEncoded(payload);
  }

  /** Makes room for `size` bytes at `#end`, next to what was written last if that is possible. */
  #reserve(size: number): WriteBlock {
    const block = this.#own === undefined ? reserveBlock(size) : this.#reserveOwn(this.#own, size);
    if (block !== this.#block || block.offset !== this.#end) this.#beginRegion(block, block.offset);
    return block;
  }

  #beginRegion(block: WriteBlock, offset: number): void {
    this.#closeRegion();
    if (this.#block !== undefined) {
      this.#older ??= [];
      this.#older.push(this.#block);
    }
    block.begin();
    this.#block = block;
    this.#start = offset;
    this.#end = offset;
  }

  /** The block of its own that has room for `size` more bytes. */
  #reserveOwn(own: WriteBlock, size: number): WriteBlock {
    const { length } = own.buffer;
    if (own.offset + size <= length) return own;
    const next = new WriteBlock(Math.max(size, Math.min(Math.max(2 * length, FIRST_OWN_BYTES), MAX_RESERVE_BYTES)));
    this.#own = next;
    return next;
  }

  #commit(end: number): void {
    this.#bytes += end - this.#end;
    this.#end = end;
    this.#block!.offset = end;
  }

  /** Puts all chunks together in a region of their own, and gives back those they were in. */
  #merge(): void {
    const block = reserveBlock(this.#bytes);
    const start = block.offset;
    block.begin();
    let end = start;
    for (const chunk of this.#chunks) {
      block.buffer.set(chunk, end);
      end += chunk.byteLength;
    }
    block.offset = end;
    this.#chunks = [block.buffer.subarray(start, end)];
    // After the new region was begun: the block may be the same, and must not start over.
    this.#releaseBlocks();
    this.#block = block;
  }

  /** Gives back the blocks of what has not been taken. */
  #releaseBlocks(): void {
    this.#block?.release();
    if (this.#older !== undefined) for (const older of this.#older) older.release();
    this.#block = undefined;
    this.#older = undefined;
  }

  #closeRegion(): void {
    if (this.#start === this.#end) return;
    this.#chunks.push(this.#block!.buffer.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}

function totalBytes(chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.byteLength;
  return bytes;
}

/** Makes the frame of a text message that is not masked, in memory of its own. */
function makeTextFrame(text: string): Uint8Array {
  const length = Buffer.byteLength(text);
  const frame = Buffer.alloc(headerBytes(length, false) + length);
  frame.write(text, writeFrameHeader(frame, 0, FIN | OpCode.Text, length, undefined));
  return frame;
}
