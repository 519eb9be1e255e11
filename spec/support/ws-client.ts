import assert from 'node:assert/strict';
import { connect as connectTcp, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { onCleanUp } from './clean-up.ts';
import type { Frame } from './reference-codec.ts';
import { soon } from './watchdog.ts';

/** The key of RFC 6455 §1.3, and what answers it. */
export const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const SAMPLE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const MASK_KEY = Buffer.from('37fa213d', 'hex');
const FIN = 0x80;
const MASKED = 0x80;

export type HeaderLines = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The head of an HTTP response. Headers that came twice are joined by a comma. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: ReadonlyMap<string, string>;
  /** The lines as they came. */
  readonly text: string;
}

export interface ReceivedClose {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectOptions {
  readonly host?: string;
  readonly tls?: boolean;
  /** Default true: as most clients, ends its side when the server has ended. */
  readonly allowHalfOpen?: boolean;
}

/**
 * A client that speaks bytes: sends anything, legal or not, and reads what comes, in order. What it reads it also checks:
 * a server's frame that breaks a rule of RFC 6455 is an error.
 */
export class WsClient {
  readonly socket: Duplex;
  #chunks: Buffer[] = [];
  #length = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake?.();
    });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.on('error', (error) => {
      this.#error = error;
    });
    onCleanUp(() => socket.destroy());
  }

  /** Opens a TCP or TLS connection. */
  static async connect(port: number, options: ConnectOptions = {}): Promise<WsClient> {
    const { host = '127.0.0.1', tls = false, allowHalfOpen = false } = options;
    const socket = tls
      ? connectTls({ port, host, rejectUnauthorized: false, allowHalfOpen } as object)
      : connectTcp({ port, host, allowHalfOpen });
    const client = new WsClient(socket);
    await soon('a connection', new Promise((resolve) => socket.once(tls ? 'secureConnect' : 'connect', resolve)));
    return client;
  }

  /** Opens a WebSocket, by hand. */
  static async open(port: number, path: string = '/', options: ConnectOptions = {}): Promise<WsClient> {
    const client = await WsClient.connect(port, options);
    await client.upgrade(path);
    return client;
  }

  /** Why the socket failed, if it did. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Whether the server has ended the connection. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes that arrived and were not read. */
  get available(): number {
    return this.#length;
  }

  // --- the handshake ----------------------------------------------------------------------------------------------

  /** Sends an upgrade request, and checks that it is accepted. @param behind - bytes to send in the same write */
  async upgrade(
    path: string = '/',
    headers: HeaderLines = {},
    behind: Buffer = Buffer.alloc(0),
  ): Promise<ResponseHead> {
    this.write(Buffer.concat([Buffer.from(upgradeRequest(path, headers)), behind]));
    const head = await this.readHead();
    assert.equal(head.status, 101, head.text);
    return head;
  }

  /** Reads the head of an HTTP response. */
  async readHead(): Promise<ResponseHead> {
    const text = (await this.readUntil('\r\n\r\n')).toString('latin1');
    const [statusLine, ...lines] = text.slice(0, -4).split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(statusLine!) ?? assert.fail(`no status line: ${text}`);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name, value] = /^([^\s:]+): (.*)$/.exec(line) ?? assert.fail(`no header line: ${line}`);
      const key = name!.toLowerCase();
      headers.set(key, headers.has(key) ? `${headers.get(key)}, ${value}` : value!);
    }
    return { status: Number(status), reason: reason!, headers, text };
  }

  /** Reads a whole HTTP response, by Content-Length, in chunks, or to the end of the connection. */
  async readResponse(options: { readonly head?: boolean } = {}): Promise<ResponseHead & { readonly body: string }> {
    const head = await this.readHead();
    const length = head.headers.get('content-length');
    if (options.head === true || head.status === 204 || head.status === 304) return { ...head, body: '' };
    if (head.headers.get('transfer-encoding') === 'chunked') return { ...head, body: await this.#readChunks() };
    const body = length === undefined ? await this.readToEnd() : await this.readBytes(Number(length));
    return { ...head, body: body.toString() };
  }

  /** Reads one chunk of a chunked body; empty for the last. */
  async readChunk(): Promise<string> {
    const size = Number.parseInt((await this.readUntil('\r\n')).toString('latin1'), 16);
    const chunk = await this.readBytes(size);
    assert.equal((await this.readBytes(2)).toString('latin1'), '\r\n');
    return chunk.toString();
  }

  // --- bytes and frames out ---------------------------------------------------------------------------------------

  write(bytes: Buffer | string): this {
    this.socket.write(bytes);
    return this;
  }

  send(data: string | Buffer): this {
    return this.write(clientFrame(FIN | (typeof data === 'string' ? 1 : 2), data));
  }

  ping(payload: string | Buffer = ''): this {
    return this.write(clientFrame(FIN | 9, payload));
  }

  close(code?: number, reason: string = ''): this {
    return this.write(closeFrame(code, reason));
  }

  /** Ends this side of the connection. */
  end(): this {
    this.socket.end();
    return this;
  }

  /** Has the connection cut with a reset. */
  reset(): this {
    assert.ok(this.socket instanceof Socket);
    this.socket.resetAndDestroy();
    return this;
  }

  // --- bytes and frames in ----------------------------------------------------------------------------------------

  /** Reads the next frame, `undefined` if the connection ended in front of it. */
  async readFrame(): Promise<Frame | undefined> {
    await this.#waitFor(1);
    if (this.#length === 0) return undefined;
    const [first, second] = await this.readBytes(2);
    assert.equal(second! & 0x80, 0, 'a server does not mask');
    assert.equal(first! & 0x30, 0, 'no extension uses RSV2 or RSV3');
    let length = second!;
    if (length === 126) length = (await this.readBytes(2)).readUInt16BE();
    else if (length === 127) length = Number((await this.readBytes(8)).readBigUInt64BE());
    const payload = await this.readBytes(length);
    return { fin: first! >= FIN, rsv1: (first! & 0x40) !== 0, opcode: first! & 0x0f, payload };
  }

  /** Reads the next message, which must be one frame. */
  async receive(): Promise<string | Buffer> {
    const frame =
      (await this.readFrame()) ?? assert.fail(`the connection ended (${this.#error?.message ?? 'no error'})`);
    assert.ok(frame.fin);
    assert.ok(frame.opcode === 1 || frame.opcode === 2, `a message was expected, and got ${describe(frame)}`);
    return frame.opcode === 1 ? frame.payload.toString() : frame.payload;
  }

  /** Reads so many messages. */
  async receiveAll(count: number): Promise<(string | Buffer)[]> {
    const messages: (string | Buffer)[] = [];
    while (messages.length < count) messages.push(await this.receive());
    return messages;
  }

  /** Reads a Close frame, and that nothing comes behind it; answers it if it was not sent before. */
  async receiveClose(answer: boolean = true): Promise<ReceivedClose> {
    const frame =
      (await this.readFrame()) ?? assert.fail(`ended without a Close frame (${this.#error?.message ?? ''})`);
    assert.equal(frame.opcode, 8, `a Close frame was expected, and got ${describe(frame)}`);
    const code = frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE();
    if (answer && this.socket.writable) this.close(code === 1005 ? undefined : code);
    assert.equal((await this.readToEnd()).toString('hex'), '', 'nothing comes behind a Close frame');
    return { code, reason: frame.payload.toString('utf8', 2) };
  }

  /** Reads everything up to the end of the connection. */
  async readToEnd(): Promise<Buffer> {
    await this.#waitFor(Number.POSITIVE_INFINITY);
    return this.#take(this.#length);
  }

  /** Waits for the end of the connection and reads nothing. */
  async waitForEnd(): Promise<void> {
    await this.#waitFor(Number.POSITIVE_INFINITY);
  }

  async readBytes(count: number): Promise<Buffer> {
    await this.#waitFor(count);
    assert.ok(this.#length >= count, `the connection ended ${count - this.#length} bytes early`);
    return this.#take(count);
  }

  /** Reads up to and including a text. */
  async readUntil(text: string): Promise<Buffer> {
    for (let seen = 0; ; seen = this.#length) {
      const bytes = this.#take(this.#length);
      this.#chunks = bytes.length === 0 ? [] : [bytes];
      this.#length = bytes.length;
      const index = bytes.indexOf(text);
      if (index !== -1) return this.#take(index + text.length);
      assert.ok(!this.#ended, `the connection ended before ${JSON.stringify(text)}: ${bytes.toString('latin1')}`);
      await this.#waitFor(Math.max(seen, this.#length) + 1);
    }
  }

  async #readChunks(): Promise<string> {
    let body = '';
    for (;;) {
      const chunk = await this.readChunk();
      if (chunk === '') return body;
      body += chunk;
    }
  }

  async #waitFor(count: number): Promise<void> {
    while (this.#length < count && !this.#ended) {
      const arrival = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await soon(`bytes ${this.#length} to ${count}, or the end of the connection`, arrival);
    }
  }

  #take(count: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = count < all.length ? [all.subarray(count)] : [];
    this.#length = all.length - count;
    return all.subarray(0, count);
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

/** The bytes of an upgrade request. A header that is `undefined` is left out, and a list stands on a line each. */
export function upgradeRequest(path: string = '/', headers: HeaderLines = {}): string {
  return httpRequest('GET', path, {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': SAMPLE_KEY,
    ...headers,
  });
}

/** The bytes of a request's head. */
export function httpRequest(method: string, target: string, headers: HeaderLines = {}): string {
  const lines = [`${method} ${target} HTTP/1.1`];
  for (const [name, value] of Object.entries({ Host: 'localhost', ...headers })) {
    if (value === undefined) continue;
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** The bytes of a client's frame, masked. */
export function clientFrame(bits: number, payload: string | Buffer = ''): Buffer {
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i]! ^= MASK_KEY[i & 3]!;
  const { length } = masked;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
  header[0] = bits;
  header[1] = MASKED | (length < 126 ? length : length < 65536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, MASK_KEY, masked]);
}

/** The bytes of a client's Close frame; without a code its payload is empty. */
export function closeFrame(code?: number, reason: string = ''): Buffer {
  const payload =
    code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
  return clientFrame(FIN | 8, payload);
}

function describe({ opcode, payload }: Frame): string {
  return `opcode ${opcode} with ${payload.length} bytes (${payload.toString('hex', 0, 40)})`;
}
