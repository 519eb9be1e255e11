import { connect, type Socket } from 'node:net';

/** How long something may take that has to come. A machine that is busy is no defect; what never comes is. */
const PATIENCE_MS = 90_000;

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const FIN = 0x80;

export interface Frame {
  readonly bits: number;
  readonly payload: Buffer;
}

export interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** The server has ended the connection, or refused it, where more was to come. */
export class Ended extends Error {}

/** Waits for what has to come. @throws {Error} which says what did not */
export async function within<T>(what: string, promise: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`never came: ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** A client that writes and reads bytes as it likes. */
export class Peer {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  #ended = false;
  readonly #since = performance.now();
  #wake: (() => void) | undefined;
  /** The frames that came, once a WebSocket is open. */
  #frames: Frame[] | undefined;
  /** Pongs that have to wait for the rest of a frame; `undefined` where there is none. */
  #owed: Buffer[] | undefined;

  private constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#frames !== undefined) this.#readFrames(this.#frames);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    this.socket.on('end', end).on('close', end);
  }

  static async connect(port: number): Promise<Peer> {
    const peer = new Peer(port);
    await within('a connection', new Promise((resolve) => peer.socket.once('connect', resolve).once('close', resolve)));
    return peer;
  }

  /** Opens a WebSocket. */
  static async open(port: number, path: string, extensions?: string): Promise<Peer> {
    const peer = await Peer.connect(port);
    await peer.write(upgradeRequest(path, extensions));
    await peer.readUpgrade();
    return peer;
  }

  get isEnded(): boolean {
    return this.#ended || this.socket.destroyed;
  }

  /** Writes, and waits until there is room for more; returns whether there is still somebody to write to. */
  async write(bytes: Buffer | string): Promise<boolean> {
    if (!this.socket.writable) return false;
    if (!this.socket.write(bytes)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.socket.off('drain', done).off('close', done);
          resolve();
        };
        this.socket.on('drain', done).on('close', done);
      });
    }
    return this.socket.writable;
  }

  /** Writes a frame in two pieces, in turns of the event loop that follow each other. */
  async writeCut(bytes: Buffer, cut: number): Promise<void> {
    this.#owed = [];
    await this.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    const behind = this.#owed;
    this.#owed = undefined;
    await this.write(Buffer.concat([bytes.subarray(cut), ...behind]));
  }

  /** Reads the answer to an upgrade request. */
  async readUpgrade(): Promise<Head> {
    const head = await this.readHead();
    if (head.status !== 101) {
      const headers = [...head.headers].map((header) => header.join(': ')).join(', ');
      const ports = `port ${this.socket.remotePort}, after ${Math.round(performance.now() - this.#since)} ms`;
      throw new Ended(`the upgrade was answered with ${head.status} (${headers}) at ${ports}`);
    }
    this.#frames = [];
    this.#readFrames(this.#frames);
    return head;
  }

  async readHead(): Promise<Head> {
    const text = (await this.readUntil('\r\n\r\n')).toString('latin1').slice(0, -4);
    const [statusLine = '', ...lines] = text.split('\r\n');
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1];
    if (status === undefined) throw new Error(`no status line: ${JSON.stringify(statusLine.slice(0, 80))}`);
    const headers = new Map(lines.map((line) => [line.split(':', 1)[0]!.toLowerCase(), line.replace(/^[^:]*: */, '')]));
    return { status: Number(status), headers };
  }

  /** Reads the body of a response piece by piece: in chunks, or as long as it is said to be. */
  async *readBody({ headers }: Head): AsyncGenerator<Buffer> {
    const length = headers.get('content-length');
    if (length !== undefined) {
      yield await this.readBytes(Number(length));
      return;
    }
    for (;;) {
      const size = Number.parseInt((await this.readUntil('\r\n')).toString('latin1'), 16);
      if (Number.isNaN(size)) throw new Error('no size of a chunk');
      const chunk = await this.readBytes(size + 2);
      if (chunk.toString('latin1', size) !== '\r\n') throw new Error('a chunk does not end where it was to');
      if (size === 0) return;
      yield chunk.subarray(0, size);
    }
  }

  /** Reads the next frame that is no Ping. @throws {Ended} */
  async readFrame(): Promise<Frame> {
    for (;;) {
      const next = this.#frames!.shift();
      if (next !== undefined) return next;
      if (this.#ended) throw new Ended('the connection ended where a frame was to come');
      await this.#arrival('a frame');
    }
  }

  /** Reads the next message. @throws {Ended} */
  async readMessage(): Promise<string | Buffer> {
    const { bits, payload } = await this.readFrame();
    if (bits === (FIN | 1)) return payload.toString();
    if (bits === (FIN | 2)) return payload;
    if (bits === (FIN | 8)) throw new Ended(`closed with ${describeClose(payload)}`);
    throw new Error(`a frame that starts with ${bits}`);
  }

  /** Closes, and reads to the end: nothing may come before the Close frame. @param other - the server may be first with it */
  async close(code: number = 1000, other: number = code): Promise<void> {
    await this.write(frame(FIN | 8, Buffer.of(code >> 8, code & 0xff)));
    const { bits, payload } = await this.readFrame();
    if (bits !== (FIN | 8)) throw new Error(`a frame with ${bits} came before the Close frame`);
    const received = payload.readUInt16BE();
    if (received !== code && received !== other) throw new Error(`closed with ${received} and not ${code}`);
    await this.readEnd();
    this.socket.end();
  }

  /** Waits for the end of the connection. @throws {Error} when there is more before it */
  async readEnd(): Promise<void> {
    await this.#waitFor(1, 'the end of the connection');
    if (this.#length > 0) throw new Error(`${this.#length} bytes came where the connection was to end`);
  }

  async readBytes(count: number): Promise<Buffer> {
    await this.#waitFor(count, `${count} bytes`);
    if (this.#length < count) throw new Ended(`the connection ended ${count - this.#length} bytes early`);
    return this.#take(count);
  }

  async readUntil(mark: string): Promise<Buffer> {
    for (;;) {
      const index = this.#length === 0 ? -1 : this.#join().indexOf(mark);
      if (index !== -1) return this.#take(index + mark.length);
      if (this.#ended) throw new Ended(`the connection ended before ${JSON.stringify(mark)}`);
      await this.#waitFor(this.#length + 1, JSON.stringify(mark));
    }
  }

  async #waitFor(count: number, what: string): Promise<void> {
    while (this.#length < count && !this.#ended) await this.#arrival(what);
  }

  #arrival(what: string): Promise<void> {
    const arrival = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return within(what, arrival);
  }

  /** Takes the frames that are whole, and answers Pings at once: whoever waits for something else is still there. */
  #readFrames(frames: Frame[]): void {
    while (this.#length >= 2) {
      const all = this.#join();
      if ((all[1]! & 0x80) !== 0) throw new Error('a server does not mask');
      let [start, length] = [2, all[1]!];
      if (length >= 126) start += length === 126 ? 2 : 8;
      if (all.length < start) return;
      if (length === 126) length = all.readUInt16BE(2);
      else if (length === 127) length = Number(all.readBigUInt64BE(2));
      if (all.length < start + length) return;
      const payload = this.#take(start + length).subarray(start);
      if (all[0] === (FIN | 9)) this.#pong(frame(FIN | 10, payload));
      else frames.push({ bits: all[0]!, payload });
    }
  }

  #pong(bytes: Buffer): void {
    if (this.#owed === undefined) this.socket.write(bytes);
    else this.#owed.push(bytes);
  }

  #join(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  #take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0);
    const all = this.#join();
    this.#chunks = count < all.length ? [all.subarray(count)] : [];
    this.#length = all.length - count;
    return all.subarray(0, count);
  }
}

function describeClose(payload: Buffer): string {
  return payload.length < 2 ? '1005' : `${payload.readUInt16BE()} ${payload.toString('utf8', 2)}`;
}

export function upgradeRequest(path: string, extensions?: string): string {
  const more = extensions === undefined ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${more}\r\n`
  );
}

export function getRequest(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
}

/** A client's frame. */
export function frame(bits: number, payload: string | Buffer = ''): Buffer {
  const data = Buffer.from(payload);
  const { length } = data;
  const header = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  header[0] = bits;
  header[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 8) header.writeUInt16BE(length, 2);
  else if (header.length === 14) header.writeBigUInt64BE(BigInt(length), 2);
  const key = header.length - 4;
  header.writeUInt32BE(0x37fa213d, key);
  for (let i = 0; i < length; i++) data[i]! ^= header[key + (i & 3)]!;
  return Buffer.concat([header, data]);
}

export function messageFrame(message: string | Buffer): Buffer {
  return frame(FIN | (typeof message === 'string' ? 1 : 2), message);
}
