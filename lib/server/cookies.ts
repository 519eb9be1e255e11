import { isToken } from '../handshake/header-list.ts';

/** How a cookie is set. RFC 6265 §4.1.2. */
export interface CookieOptions {
  /** Seconds that the browser keeps it; 0 or less removes it. Without this and `expires`: until the browser is closed. */
  readonly maxAge?: number | undefined;
  /** Until when the browser keeps it. `maxAge` goes before. */
  readonly expires?: Date | undefined;
  /** The paths it is sent for: this one and those below. Default `'/'`, all of them. */
  readonly path?: string | undefined;
  /** The host it is sent to, and those below. Default: the one that set it, alone. */
  readonly domain?: string | undefined;
  /** Whether it is sent over TLS only. */
  readonly secure?: boolean | undefined;
  /** Whether it is kept from scripts of the page. */
  readonly httpOnly?: boolean | undefined;
  /** Whether it is sent with requests that other sites cause. What browsers do without it differs. */
  readonly sameSite?: 'strict' | 'lax' | 'none' | undefined;
  /** Whether each site that frames this one has a cookie of its own. */
  readonly partitioned?: boolean | undefined;
}

/** The longest name and value that browsers take, together. */
const MAX_COOKIE_BYTES = 4096;
/** The longest value of an attribute that browsers take. */
const MAX_ATTRIBUTE_BYTES = 1024;

const SAME_SITE = { strict: 'Strict', lax: 'Lax', none: 'None' } as const;
const OPTION_NAMES: readonly string[] = [
  'maxAge',
  'expires',
  'path',
  'domain',
  'secure',
  'httpOnly',
  'sameSite',
  'partitioned',
] satisfies (keyof CookieOptions)[];

/** The value of a cookie in the header `Cookie`, `undefined` if it is not there; of one that is there twice the first. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const [key, value] of cookiesIn(header)) if (key === name) return decode(value);
  return undefined;
}

/** All cookies in the header `Cookie`; of one that is there twice the first, which is that of the longer path (§5.4). */
export function readCookies(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const [name, value] of cookiesIn(header)) if (!cookies.has(name)) cookies.set(name, decode(value));
  return cookies;
}

/** The names and values of a header, as they stand there. What is no pair is left out. */
function* cookiesIn(header: string | undefined): Generator<readonly [name: string, value: string]> {
  if (header === undefined) return;
  for (let start = 0; start <= header.length; ) {
    const semicolon = header.indexOf(';', start);
    const end = semicolon === -1 ? header.length : semicolon;
    const pair = header.slice(start, end);
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals).trim();
    if (equals !== -1 && name !== '') yield [name, pair.slice(equals + 1).trim()];
    start = end + 1;
  }
}

/** A value without the quotes around it, percent-decoded; one that is no valid encoding is taken as it is. */
function decode(text: string): string {
  const isQuoted = text.length >= 2 && text.startsWith('"') && text.endsWith('"');
  const value = isQuoted ? text.slice(1, -1) : text;
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * Writes the value of a header `Set-Cookie`. The value of the cookie is percent-encoded.
 *
 * @throws {TypeError | RangeError} for what a browser would not take, or take for something else
 */
export function formatCookie(name: string, value: string, options: CookieOptions): string {
  if (typeof name !== 'string' || !isToken(name)) {
    throw new TypeError(`the cookie name ${JSON.stringify(name)} is not valid: use letters, digits, "-" and "_"`);
  }
  if (typeof value !== 'string') {
    throw new TypeError(`the value of the cookie "${name}" is a string, and not of type ${typeof value}`);
  }
  for (const option of Object.keys(options)) {
    if (OPTION_NAMES.includes(option)) continue;
    throw new TypeError(`"${option}" is no option of a cookie: there are ${OPTION_NAMES.join(', ')}`);
  }
  const pair = `${name}=${encode(name, value)}`;
  if (pair.length - 1 > MAX_COOKIE_BYTES) {
    throw wrong(name, `its name and value take ${pair.length - 1} bytes, and browsers take ${MAX_COOKIE_BYTES}`);
  }
  checkTogether(name, options);
  return [pair, ...attributesOf(name, options)].join('; ');
}

function attributesOf(name: string, options: CookieOptions): string[] {
  const { maxAge, expires, path = '/', domain, secure, httpOnly, sameSite, partitioned } = options;
  const attributes: string[] = [];
  if (maxAge !== undefined) {
    if (!Number.isSafeInteger(maxAge)) throw wrong(name, `maxAge is ${maxAge}: give whole seconds`);
    attributes.push(`Max-Age=${maxAge}`);
  }
  if (expires !== undefined) {
    if (!(expires instanceof Date) || Number.isNaN(expires.getTime())) throw wrong(name, 'expires is no valid Date');
    attributes.push(`Expires=${expires.toUTCString()}`);
  }
  if (!path.startsWith('/') || !isAttributeValue(path)) {
    throw wrong(name, `path is ${JSON.stringify(path)}: begin it with "/", and leave out ";" and what is not ASCII`);
  }
  attributes.push(`Path=${path}`);
  if (domain !== undefined) {
    if (!/^\.?[a-z\d-]+(\.[a-z\d-]+)*$/i.test(domain) || !isAttributeValue(domain)) {
      throw wrong(name, `domain is ${JSON.stringify(domain)}: give the name of a host, such as "example.com"`);
    }
    attributes.push(`Domain=${domain}`);
  }
  if (secure === true) attributes.push('Secure');
  if (httpOnly === true) attributes.push('HttpOnly');
  if (sameSite !== undefined) {
    if (!Object.hasOwn(SAME_SITE, sameSite)) {
      throw wrong(name, `sameSite is ${JSON.stringify(sameSite)}: give 'strict', 'lax' or 'none'`);
    }
    attributes.push(`SameSite=${SAME_SITE[sameSite]}`);
  }
  if (partitioned === true) attributes.push('Partitioned');
  return attributes;
}

/** Refuses what browsers throw away without a word. RFC 6265bis §4.1.3. */
function checkTogether(name: string, { secure, sameSite, partitioned, path = '/', domain }: CookieOptions): void {
  const key = name.toLowerCase();
  const isHost = key.startsWith('__host-');
  const needsSecure = isHost || key.startsWith('__secure-') || sameSite === 'none' || partitioned === true;
  if (needsSecure && secure !== true) {
    const reason = key.startsWith('__') ? 'its name' : sameSite === 'none' ? "sameSite: 'none'" : 'partitioned: true';
    throw wrong(name, `browsers take it with secure: true only, because of ${reason}`);
  }
  if (isHost && (path !== '/' || domain !== undefined)) {
    throw wrong(name, 'browsers take it with the path "/" and without a domain only, because of its name');
  }
}

/** Whether a text may be the value of an attribute. RFC 6265 §4.1.1: any ASCII but control characters and ";". */
function isAttributeValue(text: string): boolean {
  return text.length <= MAX_ATTRIBUTE_BYTES && /^[ -:<-~]*$/.test(text);
}

function encode(name: string, value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    throw wrong(name, 'its value has half of a surrogate pair');
  }
}

function wrong(name: string, advice: string): RangeError {
  return new RangeError(`the cookie "${name}" cannot be set: ${advice}`);
}

/**
 * Whether two values of `Set-Cookie` set the same cookie: to a browser these are of one name, domain and path. A response
 * has each once (§4.1.1).
 */
export function isSameCookie(line: string, other: string): boolean {
  return identityOf(line) === identityOf(other);
}

function identityOf(line: string): string {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
  const attribute = (name: string) =>
    attributes.findLast((part) => part.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const domain = attribute('domain').toLowerCase().replace(/^\./, '');
  return `${pair.slice(0, pair.indexOf('='))};${domain};${attribute('path')}`;
}
