import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientFrame, closeFrame, httpRequest } from '../support/ws-client.ts';
import type { ZlibPeer } from '../support/zlib-peer.ts';

const FIN = 0x80;
const RSV1 = 0x40;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A response to a plain request, or to one for an upgrade. */
export interface ReceivedResponse {
  readonly status: number;
  readonly head: string;
  /** Whether all of its body has come. */
  whole: boolean;
}

/** How the body of a response ends. */
type Body = { readonly kind: 'length'; left: number } | { readonly kind: 'chunked' } | { readonly kind: 'rest' };

/** What arrives in one read at most. */
const READ_BYTES = 64 * 1024;

const EMPTY = Buffer.alloc(0);

/**
 * The client of a cell of the matrix. It sends what it is told, legal or not, and takes down what comes. Of itself it does
 * what the RFC asks of it: answers Pings and a Close frame, and ends the connection when the server has; each of these
 * can be switched off.
 */
export class Peer {
  readonly socket: Duplex;
  readonly #below: Duplex;
  readonly responses: ReceivedResponse[] = [];
  /** The text of the messages that came; of a long one only what stands before the first space. */
  readonly messages: string[] = [];
  /** The payloads of the Pongs that came, as text. */
  readonly pongs: string[] = [];
  /** The code of the server's Close frame, and how many bytes came behind it. */
  closeCode: number | undefined;
  bytesBehindClose = 0;
  /** The code of this side's Close frame, and whether it was sent before the server's came. */
  sentCode: number | undefined;
  closedFirst = false;
  /** What was received and is no HTTP and no frame of a server. */
  fault: string | undefined;
  answersPings = true;
  answersClose = true;
  endsWhenServerEnds = true;
  /** Whether this side went first: by FIN or by RST. */
  left: 'FIN' | 'RST' | undefined;
  /** Whether the server's FIN has come, whether its RST has, and whether the socket is gone. */
  ended = false;
  wasReset = false;
  gone = false;
  zlib: ZlibPeer | undefined;
  /** How many requests were sent that are none for an upgrade, and the numbers of those that were answered. */
  sentRequests = 0;
  readonly numbers: number[] = [];
  /** What has to be sent before any other frame, and before any other message: the rest of what was begun. */
  restOfFrame: Buffer = EMPTY;
  restOfMessage: Buffer = EMPTY;
  #sentMessages = 0;
  #bytes: Buffer = EMPTY;
  #body: Body | undefined;
  #upgraded = false;
  #unansweredPings: Buffer[] = [];

  /** @param below - the socket that carries `socket` */
  constructor(socket: Duplex, below: Duplex = socket) {
    this.socket = socket;
    this.#below = below;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => {
      this.ended = true;
      this.#endBody();
      if (this.endsWhenServerEnds) socket.end();
    });
    socket.on('error', () => {
      this.wasReset = true;
    });
    socket.on('close', () => {
      this.gone = true;
    });
  }

  // --- what it sends ----------------------------------------------------------------------------------------------

  write(...parts: readonly (Buffer | string)[]): void {
    if (!this.socket.writable) return;
    const bytes = Buffer.concat([this.restOfFrame, ...parts.map((part) => Buffer.from(part))]);
    this.restOfFrame = EMPTY;
    // A Duplex hands on whatever is written in one piece.
    for (let i = 0; i < bytes.length; i += READ_BYTES) this.socket.write(bytes.subarray(i, i + READ_BYTES));
  }

  /** The name of the next message: `m1`, `m2` and so on. */
  nextLabel(): string {
    this.#sentMessages++;
    return `m${this.#sentMessages}`;
  }

  /** The bytes of so many messages, and first of the rest of one that was begun. */
  someMessages(count: number): Buffer {
    const messages = [this.restOfMessage, ...Array.from({ length: count }, () => this.message(this.nextLabel()))];
    this.restOfMessage = EMPTY;
    return Buffer.concat(messages);
  }

  /** The bytes of so many messages of 96 KiB, which are not compressed. */
  longMessages(count: number): Buffer {
    return Buffer.concat(Array.from({ length: count }, () => clientFrame(FIN | TEXT, filled(this.nextLabel()))));
  }

  /** The bytes of a message, compressed if that was agreed on. */
  message(text: string): Buffer {
    if (this.zlib === undefined) return clientFrame(FIN | TEXT, text);
    return clientFrame(FIN | RSV1 | TEXT, this.zlib.compress(Buffer.from(text)));
  }

  /** Sends so many plain requests, with a number each. */
  sendRequests(path: string, count: number): void {
    this.sentRequests += count;
    this.write(...Array.from({ length: count }, (_, i) => httpRequest('GET', `${path}?n=${i + 1}`)));
  }

  /** The bytes of a Close frame; of an answer, if the server's has come. */
  close(code: number = 1000): Buffer {
    if (this.sentCode === undefined) this.closedFirst = this.closeCode === undefined;
    this.sentCode ??= this.closeCode ?? code;
    return closeFrame(this.sentCode);
  }

  end(): void {
    if (!this.ended && !this.gone) this.left ??= 'FIN';
    this.socket.end();
  }

  /** Goes without a word: of TCP, below all there may be above it, with a reset. */
  reset(): void {
    this.left = 'RST';
    if (this.#below instanceof Socket) this.#below.resetAndDestroy();
    else this.#below.destroy();
  }

  stopReading(): void {
    this.socket.pause();
  }

  readOn(): void {
    this.socket.resume();
  }

  /** Answers nothing from now on. */
  beMute(): void {
    this.answersPings = false;
    this.answersClose = false;
    this.endsWhenServerEnds = false;
  }

  /** Answers from now on, and also what it has not answered. */
  beGood(): void {
    this.answersPings = true;
    this.answersClose = true;
    for (const payload of this.#unansweredPings.splice(0)) this.write(clientFrame(FIN | PONG, payload));
    if (this.closeCode !== undefined && this.sentCode === undefined) this.write(this.close());
  }

  // --- what it receives ---------------------------------------------------------------------------------------------

  /** Whether all plain requests were answered. */
  get isAnswered(): boolean {
    return this.responses.length >= this.sentRequests && this.responses.every(({ whole }) => whole);
  }

  get unansweredPings(): number {
    return this.#unansweredPings.length;
  }

  /** The WebSocket is open. */
  get isOpen(): boolean {
    return this.#upgraded;
  }

  #receive(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.fault === undefined && (this.#upgraded ? this.#readFrame() : this.#readHttp())) {}
  }

  #take(count: number): Buffer {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  /** Reads what is next of a response. @returns whether there may be more */
  #readHttp(): boolean {
    if (this.#body === undefined) return this.#readHead();
    if (this.#body.kind === 'rest') {
      this.#take(this.#bytes.length);
      return false;
    }
    if (this.#body.kind === 'chunked') return this.#readChunk();
    this.#body.left -= this.#take(Math.min(this.#body.left, this.#bytes.length)).length;
    if (this.#body.left > 0) return false;
    this.#endResponse();
    return true;
  }

  #readHead(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const head = this.#take(end + 4).toString('latin1');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (Number.isNaN(status)) {
      this.fault = `no response: ${JSON.stringify(head.slice(0, 100))}`;
      return false;
    }
    if (status === 101) {
      this.#upgraded = true;
      this.responses.push({ status, head, whole: true });
      return true;
    }
    this.responses.push({ status, head, whole: false });
    const number = /^x-number: (\d+)\r$/im.exec(head)?.[1];
    if (number !== undefined) this.numbers.push(Number(number));
    const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
    if (/^transfer-encoding: chunked\r$/im.test(head)) this.#body = { kind: 'chunked' };
    else if (length !== undefined) this.#body = { kind: 'length', left: Number(length) };
    else this.#body = { kind: 'rest' };
    return true;
  }

  #readChunk(): boolean {
    const end = this.#bytes.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#bytes.toString('latin1', 0, end);
    const length = /^[0-9a-f]+$/i.test(line) ? Number.parseInt(line, 16) : undefined;
    if (length === undefined) {
      this.fault = `no chunk of a body: ${JSON.stringify(line.slice(0, 100))}`;
      return false;
    }
    if (this.#bytes.length < end + 2 + length + 2) return false;
    this.#take(end + 2 + length + 2);
    if (length === 0) this.#endResponse();
    return true;
  }

  #endResponse(): void {
    this.#body = undefined;
    this.responses.at(-1)!.whole = true;
  }

  /** The end of the connection is the end of a body that has no other, if it is no error. */
  #endBody(): void {
    if (this.#body?.kind === 'rest') this.#endResponse();
  }

  /** Reads the next frame. @returns whether there may be more */
  #readFrame(): boolean {
    const bytes = this.#bytes;
    if (this.closeCode !== undefined) {
      this.bytesBehindClose += this.#take(bytes.length).length;
      return false;
    }
    if (bytes.length < 2) return false;
    let header = 2;
    let length = bytes[1]!;
    if (length === 126) {
      header = 4;
      if (bytes.length < header) return false;
      length = bytes.readUInt16BE(2);
    } else if (length === 127) {
      header = 10;
      if (bytes.length < header) return false;
      length = Number(bytes.readBigUInt64BE(2));
    }
    if ((bytes[0]! & 0x30) !== 0 || bytes[1]! > 127) {
      this.fault = `no frame of a server: ${bytes.toString('hex', 0, 20)}`;
      return false;
    }
    if (bytes.length < header + length) return false;
    const bits = bytes[0]!;
    this.#onFrame(bits, this.#take(header + length).subarray(header));
    return true;
  }

  #onFrame(bits: number, payload: Buffer): void {
    const opcode = bits & 0x0f;
    if (opcode === PING) {
      if (this.answersPings) this.write(clientFrame(FIN | PONG, payload));
      else this.#unansweredPings.push(payload);
    } else if (opcode === PONG) {
      this.pongs.push(payload.toString());
    } else if (opcode === CLOSE) {
      this.closeCode = payload.length === 0 ? 1005 : payload.readUInt16BE();
      if (this.answersClose && this.sentCode === undefined) this.write(this.close());
    } else {
      this.#onMessage((bits & RSV1) !== 0 ? this.zlib!.decompress(payload, false) : payload);
    }
  }

  #onMessage(payload: Buffer): void {
    const text = payload.toString('latin1');
    const label = text.split(' ', 1)[0]!;
    // What is long is filled up with one text, which came whole or did not.
    if (text !== label && !isFilled(label, text)) this.fault ??= `${label} came with other bytes`;
    this.messages.push(label);
  }
}

let filling: string | undefined;

/** How long the messages are that are to block the output, or to be compressed in the thread pool: more than 64 KiB. */
const LARGE_BYTES = 96 * 1024;

/** A large text that begins with `label`: it compresses to a half. */
export function filled(label: string): string {
  filling ??= makeFilling();
  return `${label} ${filling}`;
}

/** How many bytes a message has that is sent by reference, and neither compressed in the thread pool nor written at once. */
export const MOVED_BYTES = 30_000;

/** Whether a text is all of what `filled` made of its label. */
export function isFilled(label: string, text: string): boolean {
  const whole = filled(label);
  return text === (label === 'moved' ? whole.slice(0, MOVED_BYTES) : whole);
}

function makeFilling(): string {
  let text = '';
  let state = 1;
  while (text.length < LARGE_BYTES) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    text += state.toString(16);
  }
  return text;
}
