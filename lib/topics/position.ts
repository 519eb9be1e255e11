declare const position: unique symbol;

/**
 * A place in the order of a topic: behind one message, and before the next. A string to keep and to give back, of letters, digits,
 * `-`, `_` and one `.`, so that it can stand in a URL. What is in it is no concern of anybody else.
 */
export type Position = string & { readonly [position]: true };

/** The parts of a position: one life of the order of a topic, and the offset of a message in it. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** A longer text is no position: no broker has such epochs. */
const MAX_EPOCH_CHARACTERS = 128;

export function formatPosition(epoch: string, offset: number): Position {
  return `${epoch}.${offset}` as Position;
}

/** Reads what `formatPosition` has written. Of anything else, which may come from a peer, it makes `undefined`. */
export function parsePosition(text: string): Place | undefined {
  const dot = text.lastIndexOf('.');
  if (dot < 1 || dot > MAX_EPOCH_CHARACTERS) return undefined;
  for (let i = 0; i < dot; i++) if (!isEpochCharacter(text.charCodeAt(i))) return undefined;
  const offset = readOffset(text, dot + 1);
  return offset === undefined ? undefined : { epoch: text.slice(0, dot), offset };
}

function readOffset(text: string, start: number): number | undefined {
  const length = text.length - start;
  if (length === 0 || length > 16 || (length > 1 && text.charCodeAt(start) === ZERO)) return undefined;
  let offset = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    offset = offset * 10 + digit;
  }
  return Number.isSafeInteger(offset) ? offset : undefined;
}

const ZERO = 0x30;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

function isEpochCharacter(code: number): boolean {
  const letter = code | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (code >= ZERO && code <= 0x39) || code === HYPHEN || code === UNDERSCORE;
}
