import { Buffer } from 'node:buffer';

/**
 * Blocks of memory that outgoing frames are written into. One is current at a time and serves all connections of
 * the thread: a connection that has nothing to send holds none of it.
 */
const BLOCK_BYTES = 64 * 1024;
/** How many blocks are kept to be used again: many connections that send within one turn fill some. 1 MiB. */
const MAX_SPARE = 16;

export class WriteBlock {
  readonly buffer: Buffer;
  /** First byte that belongs to nobody. */
  offset = 0;
  /** Counts how often the block was begun from its start: what lay in it then is gone. */
  generation = 0;
  /** Regions that were begun and not released. */
  #open = 0;

  /** @param size - less for a block that serves one connection alone */
  constructor(size: number = BLOCK_BYTES) {
    this.buffer = Buffer.alloc(size);
  }

  begin(): void {
    this.#open++;
  }

  /**
   * Says that the bytes of one region have left, and nobody will read them again. When that holds for all regions
   * the block is used again from its start, at once or when the next one is needed.
   */
  release(): void {
    this.#open--;
    if (this.#open > 0) return;
    this.offset = 0;
    this.generation++;
    const isFull = this !== current && this.buffer.byteLength === BLOCK_BYTES;
    if (isFull && spare.length < MAX_SPARE) spare.push(this);
  }
}

/** Blocks that were full, and whose bytes have left. */
const spare: WriteBlock[] = [];
let current = new WriteBlock();

/** The largest number of bytes that `reserveBlock` can serve. */
export const MAX_RESERVE_BYTES: number = BLOCK_BYTES;

/** The block that has room for `size` more bytes behind its `offset`. */
export function reserveBlock(size: number): WriteBlock {
  // A full block is dropped: whoever still has bytes in it keeps it alive as long as needed.
  if (current.offset + size > BLOCK_BYTES) current = spare.pop() ?? new WriteBlock();
  return current;
}
