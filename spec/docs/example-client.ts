import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { type Frame, referenceEncode, referenceParse } from '../support/reference-codec.ts';

/** What a server answered to an upgrade that it refused. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const RULES = { expectMask: false, allowRsv1: false, maxFrameBytes: Number.POSITIVE_INFINITY };
const TEXT = 1;
const CLOSE = 8;

/** A WebSocket client that shares no code with the library: it says what was sent, byte for byte. */
export class ExampleClient {
  readonly #socket: Duplex;
  #received: Buffer;
  #frames: Frame[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  private constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#received = head;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#parse();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
    socket.on('error', () => {});
    this.#parse();
  }

  /** Opens a WebSocket, or returns how that was refused. */
  static async ask(url: string, headers: Record<string, string> = {}): Promise<ExampleClient | Refusal> {
    const ask = url.startsWith('wss:') ? httpsRequest : httpRequest;
    const request = ask(url.replace(/^ws/, 'http'), {
      agent: false,
      rejectUnauthorized: false,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        ...headers,
      },
    } as object);
    request.end();
    return new Promise((resolve, reject) => {
      request.on('error', reject);
      request.on('upgrade', (_response, socket, head) => resolve(new ExampleClient(socket, head)));
      request.on('response', async (response) => {
        const chunks: Buffer[] = await response.toArray();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        });
      });
    });
  }

  /** Opens a WebSocket; an error if it is refused. */
  static async open(url: string, headers?: Record<string, string>): Promise<ExampleClient> {
    const client = await ExampleClient.ask(url, headers);
    if (client instanceof ExampleClient) return client;
    throw new Error(`${url} was refused with ${client.status}: ${client.body}`);
  }

  /** Sends one message. */
  send(data: string | Buffer): void {
    this.#write(typeof data === 'string' ? TEXT : 2, Buffer.from(data));
  }

  /** The next message; an error if the connection ends first. */
  async receive(): Promise<string | Buffer> {
    const frame = await this.#next();
    if (frame === undefined || frame.opcode === CLOSE) throw new Error('the connection ended before a message came');
    return frame.opcode === TEXT ? frame.payload.toString() : frame.payload;
  }

  /** The code and reason of the server's Close frame, which must come next; 1006 if there was none. Answers it. */
  async receiveClose(): Promise<{ code: number; reason: string }> {
    const frame = await this.#next();
    if (frame === undefined) return { code: 1006, reason: '' };
    if (frame.opcode !== CLOSE) throw new Error(`a message came before the Close frame: ${frame.payload}`);
    if (!this.#ended) this.#write(CLOSE, frame.payload.subarray(0, 2));
    return { code: frame.payload.readUInt16BE(), reason: frame.payload.toString('utf8', 2) };
  }

  /** Closes with a code, and waits for the answer and the end of the connection. */
  async close(code: number = 1000): Promise<void> {
    this.#write(CLOSE, Buffer.from([code >> 8, code & 0xff]));
    this.#socket.resume();
    if (!this.#ended) await once(this.#socket, 'close');
  }

  /** Stops reading, as a client that is too slow. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #write(opcode: number, payload: Buffer): void {
    this.#socket.write(referenceEncode({ fin: true, rsv1: false, opcode, payload, maskKey: randomBytes(4) }));
  }

  #parse(): void {
    const { frames, error } = referenceParse(this.#received, RULES);
    if (error !== undefined) throw new Error(`the server sent ${error}`);
    if (frames.length === 0) return;
    for (const frame of frames) this.#received = this.#received.subarray(referenceEncode(frame).length);
    this.#frames.push(...frames);
    this.#wake?.();
  }

  async #next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#frames.shift();
  }
}
