import { inspect } from 'node:util';

/** Words that errors about arguments share: what a value is, and which name was meant. For the road of errors only. */

/** A value as it would be written in code, cut to what one reads: `'60000'`, `{ port: 1 }`. */
export function show(value: unknown): string {
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: 60,
    maxArrayLength: 3,
  });
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** What a value is, in words: `an object`, `a promise`, `the number 5`, `undefined`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'object':
      return kindOfObject(value);
    case 'function':
      return /^class\b/.test(Function.prototype.toString.call(value)) ? 'a class' : 'a function';
    case 'symbol':
      return 'a symbol';
    default:
      return `the ${typeof value} ${show(value)}`;
  }
}

function kindOfObject(value: object): string {
  if (isPromise(value)) return 'a promise';
  const name: unknown = (Object.getPrototypeOf(value) as object | null)?.constructor?.name;
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object';
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

function isPromise(value: object): boolean {
  return typeof (value as { then?: unknown }).then === 'function';
}

/**
 * The error for what was given in place of a string or bytes. It says what it is, and how to make of it what can be sent.
 *
 * @param what - `a message`
 */
export function notABody(what: string, value: unknown): TypeError {
  return new TypeError(
    `${what} is a string or bytes (a Uint8Array), and this one is ${kindOf(value)}: ${toBytes(value)}`,
  );
}

function toBytes(value: unknown): string {
  if (value === undefined || value === null) return "give '' if it is meant to be empty";
  if (ArrayBuffer.isView(value)) return 'send new Uint8Array(value.buffer, value.byteOffset, value.byteLength)';
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return 'send new Uint8Array(value)';
  if (typeof value !== 'object') return 'send String(value), if its text is what is meant';
  if (isPromise(value)) return 'await it first';
  if ('arrayBuffer' in value) return 'send new Uint8Array(await value.arrayBuffer())';
  return 'send JSON.stringify(value)';
}

/**
 * Refuses options that do not exist: they would do nothing, and nobody would know why.
 *
 * @param what - whose options they are: `close`
 * @throws {TypeError} with the names that there are, and the one that was probably meant
 */
export function checkNames(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `${what} takes its options as an object with ${names.join(', ')}, and this is ${kindOf(options)}`,
    );
  }
  for (const name of Object.keys(options)) if (!names.includes(name)) throw unknownName(what, name, names);
}

/** The error for an option that does not exist. @param elsewhere - what options of others are here, by their names */
export function unknownName(
  what: string,
  name: string,
  names: readonly string[],
  elsewhere: Readonly<Record<string, string>> = {},
): TypeError {
  const here = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
  const meant = closestName(name, names);
  const question = here !== undefined ? `here it is ${here}; ` : meant !== undefined ? `did you mean "${meant}"? ` : '';
  return new TypeError(`"${name}" is no option of ${what}: ${question}there are ${names.join(', ')}`);
}

/** Of how many letters the two fifths may be wrong: `maxMesageSize` is still `maxMessageBytes`. */
const MAX_WRONG = 0.4;

/** The name that was probably meant by one that does not exist. Its unit may be missing. */
export function closestName(name: string, names: readonly string[]): string | undefined {
  let closest: string | undefined;
  let best = Math.floor(Math.min(name.length, 40) * MAX_WRONG);
  for (const candidate of names) {
    const written = name.toLowerCase().slice(0, 40);
    const [whole, bare] = [candidate, candidate.replace(/(?:Bytes|Ms)$/, '')].map((one) => one.toLowerCase());
    const distance = Math.min(editDistance(written, whole!), editDistance(written, bare!));
    if (distance > best || (distance === best && closest !== undefined)) continue;
    closest = candidate;
    best = distance;
  }
  return closest;
}

/** How many letters to add, to leave out, to change, or to swap with the next, to make one of the other. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
