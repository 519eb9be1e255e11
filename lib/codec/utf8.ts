import { type Buffer, isAscii, isUtf8 } from 'node:buffer';

/** Up to this many bytes a string is made of its characters: a call of native code takes longer. */
const TINY_BYTES = 32;
/** Up to this many bytes a loop in JavaScript beats making a view and calling a native function. */
const SHORT_BYTES = 48;

/** The characters of a tiny text, by its length; filled anew for each. */
const characters: readonly number[][] = Array.from({ length: TINY_BYTES + 1 }, (_, length) =>
  new Array(length).fill(0),
);

/**
 * Decodes `bytes[start, end)` as UTF-8. RFC 3629, RFC 6455 §8.1.
 *
 * ASCII, the usual case, is looked for first: then nothing else has to be checked.
 *
 * @returns the text, or `undefined` when the bytes are not valid UTF-8
 */
export function decodeUtf8(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  if (length <= TINY_BYTES) {
    const text = decodeTinyAscii(bytes, start, characters[length]!);
    if (text !== undefined) return text;
  } else if (length <= SHORT_BYTES ? hasOnlyAscii(bytes, start, end) : isAscii(bytes.subarray(start, end))) {
    return bytes.toString('latin1', start, end);
  }
  return isUtf8(bytes.subarray(start, end)) ? bytes.toString('utf8', start, end) : undefined;
}

/** Decodes as many bytes as `codes` has room for, unless one of them is not ASCII. */
function decodeTinyAscii(bytes: Uint8Array, start: number, codes: number[]): string | undefined {
  let seen = 0;
  for (let i = 0; i < codes.length; i++) {
    const byte = bytes[start + i]!;
    seen |= byte;
    codes[i] = byte;
  }
  return seen < 0x80 ? String.fromCharCode.apply(null, codes) : undefined;
}

function hasOnlyAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let seen = 0;
  for (let i = start; i < end; i++) seen |= bytes[i]!;
  return seen < 0x80;
}

/**
 * Checks UTF-8 that arrives in pieces, and finds fault with the first byte that makes it invalid. RFC 3629 §4.
 *
 * Holds no bytes: only how many continuation bytes the last character still needs, and in what range the next must be.
 */
export class Utf8Validator {
  /** Continuation bytes that the unfinished character still needs. */
  #needed = 0;
  /** The range of the next continuation byte: narrower than 80..BF behind E0, ED, F0 and F4. */
  #low = 0x80;
  #high = 0xbf;

  /** Takes the next bytes; returns false once all bytes so far cannot begin a valid text. */
  push(bytes: Buffer, start: number, end: number): boolean {
    let position = start;
    while (position < end && this.#needed !== 0) {
      if (!this.#step(bytes[position++]!)) return false;
    }
    // What ends inside its last character is left to the state machine; the rest is checked natively at once.
    const tail = lastCharacterStart(bytes, position, end);
    if (tail > position && !isUtf8(bytes.subarray(position, tail))) return false;
    for (position = tail; position < end; position++) {
      if (!this.#step(bytes[position]!)) return false;
    }
    return true;
  }

  /** Whether all bytes so far are whole characters. */
  get complete(): boolean {
    return this.#needed === 0;
  }

  #step(byte: number): boolean {
    if (this.#needed !== 0) {
      if (byte < this.#low || byte > this.#high) return false;
      this.#low = 0x80;
      this.#high = 0xbf;
      this.#needed--;
      return true;
    }
    if (byte < 0x80) return true;
    // C0 and C1 would be overlong, F5 and above lie beyond U+10FFFF.
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte === 0xe0) this.#low = 0xa0;
    else if (byte === 0xed) this.#high = 0x9f;
    else if (byte === 0xf0) this.#low = 0x90;
    else if (byte === 0xf4) this.#high = 0x8f;
    return true;
  }
}

/** The offset of the last byte that begins a character, if an unfinished one can begin there; else the end. */
function lastCharacterStart(bytes: Uint8Array, start: number, end: number): number {
  for (let i = end - 1; i >= start && i >= end - 3; i--) {
    if ((bytes[i]! & 0xc0) !== 0x80) return i;
  }
  return end;
}
