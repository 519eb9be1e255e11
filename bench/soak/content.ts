import { Random } from './random.ts';

/**
 * What good clients send and expect: a function of who sends it and of its number, so that an answer that was lost,
 * doubled, overtaken, damaged, or meant for somebody else is seen to be.
 */

const BLOCK_BYTES = 64 * 1024;
/** Twice the same, so that each part of the endless repetition that is not longer than a block is one piece. */
const block = new Random(1).bytes(BLOCK_BYTES);
const BYTES: Buffer = Buffer.concat([block, block]);

const WORDS = ['socket', 'frame', 'Grüße', 'message', '通信', 'byte', 'close', '🙂', 'ping', 'echo'];
const words = new Random(2);
const TEXT: string = Array.from({ length: 30_000 }, () => words.pick(WORDS)).join(' ');

export type Message = string | Buffer;

/** Bytes `offset` to `offset + length` of the endless download number `seed`. */
export function downloadPiece(seed: number, offset: number, length: number): Buffer {
  const start = (seed * 7919 + offset) % BLOCK_BYTES;
  return BYTES.subarray(start, start + Math.min(length, BLOCK_BYTES));
}

/** A message that nobody else sends, of text or of bytes, of which some compress well. */
export function makeMessage(sender: string, index: number, random: Random, maxBytes: number): Message {
  const name = `${sender}#${index};`;
  const length = Math.min(maxBytes, pickLength(random));
  // Three bytes a character at most, so that it is no longer than that.
  const start = random.whole(0, 50_000);
  if (random.chance(0.6)) {
    // A pair of surrogates that is cut cannot be sent.
    return name + TEXT.slice(start, start + Math.floor(length / 3)).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
  }
  return Buffer.concat([Buffer.from(name), downloadPiece(random.whole(0, 1000), 0, Math.min(length, BLOCK_BYTES))]);
}

/** Most messages are small; what lies at the boundaries of a length, of a read and of a thread's work is among them. */
function pickLength(random: Random): number {
  const kind = random.next();
  if (kind < 0.5) return random.whole(0, 130);
  if (kind < 0.85) return random.whole(100, 4000);
  if (kind < 0.97) return random.whole(4000, 66_000);
  return random.whole(66_000, 200_000);
}

/** What is expected to come back, in order. */
export class Expected {
  readonly #messages: Message[] = [];
  #bytes = 0;
  count = 0;

  get waiting(): number {
    return this.#messages.length;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  sent(message: Message): void {
    this.#messages.push(message);
    this.#bytes += message.length;
  }

  /** @throws {Error} when this is not what was to come next */
  received(message: Message): void {
    const expected = this.#messages.shift();
    if (expected === undefined) throw new Error(`came without having been sent, or again: ${show(message)}`);
    if (!isSame(expected, message)) throw new Error(`${show(expected)} was to come, and came ${show(message)}`);
    this.#bytes -= expected.length;
    this.count++;
  }
}

function isSame(a: Message, b: Message): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.equals(b);
}

/** A message in short, for the one who reads why it failed. */
export function show(message: Message): string {
  const kind = typeof message === 'string' ? 'text' : 'bytes';
  const start = typeof message === 'string' ? message.slice(0, 40) : message.toString('latin1', 0, 40);
  return `${kind} of ${message.length}, ${JSON.stringify(start)}`;
}
