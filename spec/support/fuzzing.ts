import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type fc from 'fast-check';
import { hex } from './hex.ts';

/**
 * What fuzz targets are made of. A target is a file `spec/fuzz/<name>.fuzz.ts` with a seed corpus
 * `spec/fuzz/corpus/<name>.txt`; fuzz.ts runs them all for some seconds, and spec/props/fuzz-corpus.spec.ts replays the
 * corpus as part of `npm test`.
 */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs with structure, besides those that are made from the corpus by mutation. */
  readonly inputs: fc.Arbitrary<Buffer>;
  /**
   * Runs one input and throws for a finding. All that is left to chance comes from `random`.
   *
   * @returns what happened, in short: an input with an outcome that was not seen before is kept, and mutated further
   */
  run(input: Buffer, random: Random): string | Promise<string>;
}

/** Chance that can be repeated: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number of 32 bits, not negative. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `end - 1`. */
  below(end: number): number {
    return this.next() % end;
  }

  /** Whether one of `times` has come. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** So many bytes. */
  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/** Cuts bytes into chunks, some of one byte, some large, some empty. Each is a copy: what is fed may be written to. */
export function cutByChance(bytes: Buffer, random: Random): Buffer[] {
  const sizes = random.pick([[1], [1 << 24], [1, 2, 3, 7], [0, 1, 5, 40], [14, 125, 126, 300]]);
  const chunks: Buffer[] = [];
  for (let position = 0; position < bytes.length; ) {
    const size = random.pick(sizes);
    chunks.push(Buffer.from(bytes.subarray(position, position + size)));
    position += size;
    // An empty chunk may follow another, but not for ever.
    if (chunks.length > 4 * bytes.length + 8) break;
  }
  return chunks;
}

/** What a length, a code or a delimiter is replaced by. */
const INTERESTING: readonly Buffer[] = [
  ...[
    '00',
    '01',
    '7d',
    '7e',
    '7f',
    '80',
    'fd',
    'fe',
    'ff',
    '0d0a',
    '0d',
    '0a',
    '22',
    '2c',
    '3b',
    '3d',
    '5c',
    '20',
    '09',
  ],
  ...[
    '007d',
    '007e',
    '7fff',
    '8000',
    'ffff',
    '03e8',
    '03ed',
    '03ee',
    '03f7',
    '0bb7',
    '1387',
    '1388',
    'eda080',
    'f4908080',
  ],
  ...['000000000000ffff', '0000000000010000', '001fffffffffffff', '0020000000000000', '7fffffffffffffff'],
  ...['8000000000000000', 'ffffffffffffffff', 'c080', 'efbfbf', '5f5f70726f746f5f5f'],
].map((digits) => hex(digits));

/** Longer inputs are cut off: what they would find, shorter ones find sooner. */
const MAX_INPUT_BYTES = 1024;

/** Makes a new input of an old one: one change in most cases, up to five. `other` is what it may be spliced with. */
export function mutate(input: Buffer, other: Buffer, random: Random): Buffer {
  let bytes = input;
  for (let changes = random.oneIn(3) ? 1 + random.below(5) : 1; changes > 0; changes--)
    bytes = change(bytes, other, random);
  return bytes.subarray(0, MAX_INPUT_BYTES);
}

function change(input: Buffer, other: Buffer, random: Random): Buffer {
  const at = random.below(input.length + 1);
  const length = random.below(Math.min(32, input.length - at) + 1);
  const [before, region, behind] = [
    input.subarray(0, at),
    input.subarray(at, at + length),
    input.subarray(at + length),
  ];
  switch (random.below(9)) {
    case 0: {
      // Flips a bit.
      const flipped = Buffer.from(input);
      if (at < input.length) flipped[at]! ^= 1 << random.below(8);
      return flipped;
    }
    case 1: {
      // Sets a byte, or edits a number such as a length: by one, or to anything.
      const edited = Buffer.from(input);
      if (at < input.length) edited[at] = random.pick([edited[at]! + 1, edited[at]! - 1, random.below(256)]);
      return edited;
    }
    case 2:
      return before;
    case 3:
      return Buffer.concat([before, behind]);
    case 4:
      return Buffer.concat([before, region, region, behind]);
    case 5: {
      const value = random.pick(INTERESTING);
      return Buffer.concat([before, value, input.subarray(at + value.length)]);
    }
    case 6:
      return Buffer.concat([before, random.pick(INTERESTING), input.subarray(at)]);
    case 7:
      return Buffer.concat([before, other.subarray(random.below(other.length + 1))]);
    default:
      return Buffer.concat([before, other, input.subarray(at)]);
  }
}

/** Makes a finding as short as it gets with the same effect, by leaving out ever smaller pieces. */
export async function shrink(input: Buffer, fails: (bytes: Buffer) => Promise<boolean>): Promise<Buffer> {
  let smallest = input;
  for (let size = smallest.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= smallest.length; ) {
      const candidate = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (await fails(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}

/**
 * The seeds of a target: one a line, in hex and in texts with the escapes of JSON, in any order; behind `#` is a comment.
 */
export function readCorpus(name: string): Buffer[] {
  const path = join('spec', 'fuzz', 'corpus', `${name}.txt`);
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseSeed);
}

/** Parses one line of a corpus. @throws {Error} when it is neither hex nor text */
export function parseSeed(line: string): Buffer {
  const parts: Buffer[] = [];
  for (const [token] of line.matchAll(/"(?:[^"\\]|\\.)*"|#.*|[^"#\s]+/g)) {
    if (token.startsWith('#')) break;
    parts.push(token.startsWith('"') ? Buffer.from(JSON.parse(token) as string, 'latin1') : hex(token));
  }
  return Buffer.concat(parts);
}
