/**
 * The header Host: `host [ ":" port ]`, RFC 9110 §7.2 and RFC 3986 §3.2.2. Read in one pass, and to the letter: what a
 * URL parser would mend, or cut off, is no host.
 */

/** Which hosts a server answers to: `'*'` (all), or a list of names, each with a port or for all ports. */
export type HostRule = '*' | readonly string[];

/** In a name, besides letters and digits. */
const NAME_MARKS = "-._~!$&'()*+,;=%";
/** In the brackets of an address, too. */
const ADDRESS_MARKS = `${NAME_MARKS}:`;
const CHAR_0 = 0x30;
const CHAR_9 = 0x39;

/**
 * Tells whether a server answers to what stands in the header Host.
 *
 * A page whose name is made to point to this machine (DNS rebinding) is of the same origin as the host it asks for, which
 * is its own: nothing but the name tells that it means another server.
 */
export function isHostAllowed(rule: HostRule, host: string | undefined): boolean {
  if (rule === '*') return true;
  if (host === undefined || !isHost(host)) return false;
  const asked = host.toLowerCase();
  const name = asked.slice(0, asked.startsWith('[') ? endOfAddress(asked) : endOf(asked, 0, NAME_MARKS));
  return rule.some((allowed) => [asked, name].includes(allowed.toLowerCase()));
}

/** Tells whether a text is a host, which is not empty, and a port at most. */
export function isHost(text: string): boolean {
  const hostEnd = text.startsWith('[') ? endOfAddress(text) : endOf(text, 0, NAME_MARKS);
  if (hostEnd <= 0) return false;
  if (hostEnd === text.length) return true;
  if (text[hostEnd] !== ':') return false;
  for (let i = hostEnd + 1; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return false;
  }
  return true;
}

/** The offset behind an IP literal in brackets; 0 if there is none. */
function endOfAddress(text: string): number {
  const end = endOf(text, 1, ADDRESS_MARKS);
  return end > 1 && text[end] === ']' ? end + 1 : 0;
}

/** The offset of the first character that is no letter, no digit and none of `marks`. */
function endOf(text: string, start: number, marks: string): number {
  let i = start;
  while (i < text.length && (isAlphanumeric(text.charCodeAt(i)) || marks.includes(text[i]!))) i++;
  return i;
}

function isAlphanumeric(char: number): boolean {
  return isDigit(char) || (char >= 0x61 && char <= 0x7a) || (char >= 0x41 && char <= 0x5a);
}

function isDigit(char: number): boolean {
  return char >= CHAR_0 && char <= CHAR_9;
}
