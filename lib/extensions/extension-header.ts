/**
 * The grammar of Sec-WebSocket-Extensions, RFC 6455 §9.1. Read in one pass, character by character: a regular
 * expression over what a peer sent is a way to make it slow, and an unclosed quote was once enough (CVE-2020-7662).
 */

/** One parameter of an extension: `name` or `name=value`. */
export interface ExtensionParameter {
  readonly name: string;
  /** The value without its quotes, `undefined` where there is none. */
  readonly value: string | undefined;
}

/** One element of the header: an extension that is offered or accepted. */
export interface Extension {
  readonly name: string;
  /** In the order they came, with those that came twice. A list: no name that a peer chose is ever a key. */
  readonly parameters: readonly ExtensionParameter[];
}

const CHAR_TAB = 0x09;
const CHAR_SPACE = 0x20;
const CHAR_QUOTE = 0x22;
const CHAR_COMMA = 0x2c;
const CHAR_SEMICOLON = 0x3b;
const CHAR_EQUALS = 0x3d;
const CHAR_BACKSLASH = 0x5c;
/** What `charCodeAt` is replaced by behind the end of the text. */
const END = -1;

/** Which characters may stand in a token, by their code. RFC 9110 §5.6.2. */
const TOKEN_CHARS: Uint8Array = new Uint8Array(128);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN_CHARS[char.charCodeAt(0)] = 1;
}

/**
 * Reads the header: extensions separated by commas, each a name with parameters behind semicolons. Empty elements are
 * skipped, as RFC 9110 §5.6.1 asks of a reader.
 *
 * @returns the extensions in the order they came, or `undefined` when the text breaks the grammar or holds none
 */
export function parseExtensions(text: string): Extension[] | undefined {
  const extensions = new ExtensionReader(text).readList();
  return extensions === undefined || extensions.length === 0 ? undefined : extensions;
}

/** Writes one element of the header. Values are written as they are: they must be tokens. */
export function formatExtension({ name, parameters }: Extension): string {
  let text = name;
  for (const parameter of parameters) {
    text += parameter.value === undefined ? `; ${parameter.name}` : `; ${parameter.name}=${parameter.value}`;
  }
  return text;
}

/** A cursor over the text. Every method moves it forward or gives up, so reading is linear. */
class ExtensionReader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readList(): Extension[] | undefined {
    const extensions: Extension[] = [];
    for (;;) {
      let char = this.#skipSpace();
      if (char === END) return extensions;
      if (char === CHAR_COMMA) {
        this.#position++;
        continue;
      }
      const extension = this.#readExtension();
      if (extension === undefined) return undefined;
      extensions.push(extension);
      char = this.#skipSpace();
      if (char !== CHAR_COMMA && char !== END) return undefined;
    }
  }

  #readExtension(): Extension | undefined {
    const name = this.#readToken();
    if (name === '') return undefined;
    const parameters: ExtensionParameter[] = [];
    while (this.#skipSpace() === CHAR_SEMICOLON) {
      this.#position++;
      const parameter = this.#readParameter();
      if (parameter === undefined) return undefined;
      parameters.push(parameter);
    }
    return { name, parameters };
  }

  #readParameter(): ExtensionParameter | undefined {
    this.#skipSpace();
    const name = this.#readToken();
    if (name === '') return undefined;
    if (this.#skipSpace() !== CHAR_EQUALS) return { name, value: undefined };
    this.#position++;
    const value = this.#skipSpace() === CHAR_QUOTE ? this.#readQuoted() : this.#readToken();
    return value === '' ? undefined : { name, value };
  }

  #readToken(): string {
    const start = this.#position;
    while (TOKEN_CHARS[this.#peek()] === 1) this.#position++;
    return this.#text.slice(start, this.#position);
  }

  /** §9.1: what a quoted string says must be a token too. Returns '' for one that is not, or is not closed. */
  #readQuoted(): string {
    let value = '';
    this.#position++;
    let start = this.#position;
    for (let char = this.#peek(); char !== CHAR_QUOTE; char = this.#peek()) {
      if (char === CHAR_BACKSLASH) {
        value += this.#text.slice(start, this.#position);
        this.#position++;
        start = this.#position;
        char = this.#peek();
      }
      if (TOKEN_CHARS[char] !== 1) return '';
      this.#position++;
    }
    value += this.#text.slice(start, this.#position);
    this.#position++;
    return value;
  }

  /** Moves to the next character that is no space, and returns it. */
  #skipSpace(): number {
    let char = this.#peek();
    while (char === CHAR_SPACE || char === CHAR_TAB) {
      this.#position++;
      char = this.#peek();
    }
    return char;
  }

  #peek(): number {
    return this.#position < this.#text.length ? this.#text.charCodeAt(this.#position) : END;
  }
}
