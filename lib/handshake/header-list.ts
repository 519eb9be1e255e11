/**
 * The comma-separated lists of HTTP headers. RFC 9110 §5.6. Read in one pass, character by character: a regular
 * expression over what a peer sent is a way to make it slow.
 */

const CHAR_TAB = 0x09;
const CHAR_SPACE = 0x20;
const CHAR_COMMA = 0x2c;

/** Tells whether a character may stand in a token. RFC 9110 §5.6.2. */
export function isTokenChar(char: number): boolean {
  if ((char >= 0x61 && char <= 0x7a) || (char >= 0x41 && char <= 0x5a) || (char >= 0x30 && char <= 0x39)) return true;
  switch (char) {
    case 0x21: // !
    case 0x23: // #
    case 0x24: // $
    case 0x25: // %
    case 0x26: // &
    case 0x27: // '
    case 0x2a: // *
    case 0x2b: // +
    case 0x2d: // -
    case 0x2e: // .
    case 0x5e: // ^
    case 0x5f: // _
    case 0x60: // `
    case 0x7c: // |
    case 0x7e: // ~
      return true;
    default:
      return false;
  }
}

/** Tells whether a text is one token. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenChar(text.charCodeAt(i))) return false;
  }
  return text.length > 0;
}

/**
 * Reads a list of tokens such as `chat, superchat`; empty elements are skipped, as RFC 9110 §5.6.1 asks of a reader.
 *
 * @returns the tokens in order, or `undefined` when the text is no list of tokens
 */
export function parseTokenList(text: string): string[] | undefined {
  const tokens: string[] = [];
  let start = -1;
  let end = -1;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === CHAR_COMMA) {
      if (start !== -1) tokens.push(text.slice(start, end));
      start = -1;
    } else if (char !== CHAR_SPACE && char !== CHAR_TAB) {
      if (!isTokenChar(char)) return undefined;
      if (start === -1) start = i;
      else if (end !== i) return undefined; // a space inside a token
      end = i + 1;
    }
  }
  if (start !== -1) tokens.push(text.slice(start, end));
  return tokens;
}

/** Tells whether a list of tokens, such as the header Connection, has a given one, in any case of letters. */
export function listHasToken(text: string, token: string): boolean {
  const wanted = token.toLowerCase();
  if (text.toLowerCase() === wanted) return true;
  // Connection may hold what is no token list to the letter; an element of its own is looked for anyway.
  return text.split(',').some((element) => element.trim().toLowerCase() === wanted);
}
