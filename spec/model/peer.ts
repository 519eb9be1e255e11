import { clientFrame, closeFrame } from '../support/ws-client.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';
import { Finding, ORACLE } from './finding.ts';
import type { Link, LinkEvents } from './link.ts';

/** A message that a peer has sent whole. */
export interface SentMessage {
  readonly body: string | Buffer;
}

/** What a peer has asked for by HTTP. */
export interface SentRequest {
  readonly id: number;
  readonly kind: 'plain' | 'upgrade';
  /** Whether the response is the application's behind `attach`, which has its own rules. */
  readonly method: string;
}

/** A response, as it came. */
export interface ReceivedResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly isWhole: boolean;
}

/** The bits of a frame's first byte. */
const FIN = 0x80;
const RSV1 = 0x40;
const MAX_FRAGMENTS = 200;

/** How a message goes over the wire. */
export interface Framing {
  readonly isBinary: boolean;
  readonly isCompressed: boolean;
  /** Bytes of each fragment; 0 for one frame. */
  readonly fragmentBytes: number;
  /** Whether a Ping comes between the fragments. */
  readonly hasPing: boolean;
}

/** A client, of bytes: sends anything, and checks all that it reads. */
export class Peer {
  readonly id: number;
  readonly link: Link;
  /** Whether it answers Ping and Close, and ends when the server has. */
  readonly isPolite: boolean;
  /** Whether it does nothing any more. */
  isSilent = false;
  readonly messages: SentMessage[] = [];
  readonly requests: SentRequest[] = [];
  readonly responses: ReceivedResponse[] = [];
  /** Messages that came, in order. */
  readonly received: (string | Buffer)[] = [];
  /** Why what it sends need not be handled, or what it is sent need not arrive; once set, it stays. */
  excuseIn: string | undefined;
  excuseOut: string | undefined;
  closeSent: number | undefined;
  closeReceived: number | undefined;
  /** What was wrong with what came. */
  finding: unknown;
  isUpgraded = false;
  #compression: ZlibPeer | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #firstBits = 0;
  #toAnswer: Buffer[] = [];

  constructor(id: number, makeLink: (events: LinkEvents) => Link, isPolite: boolean) {
    this.id = id;
    this.isPolite = isPolite;
    this.link = makeLink(this);
  }

  excuse(reason: string): void {
    this.excuseIn ??= reason;
    this.excuseOut ??= reason;
  }

  get hasAskedToUpgrade(): boolean {
    return this.requests.some(({ kind }) => kind === 'upgrade');
  }

  // --- out ----------------------------------------------------------------------------------------------------------

  /** Whether what it sends still means anything. */
  get maySend(): boolean {
    return this.closeSent === undefined && !this.link.hasEnded && !this.link.isReset;
  }

  sendMessage(message: SentMessage, framing: Framing): void {
    if (!this.maySend) return;
    this.messages.push(message);
    const { isBinary, isCompressed } = framing;
    let bytes: Buffer = Buffer.from(message.body as string);
    let bits = isBinary ? 2 : 1;
    if (isCompressed && this.#compression !== undefined) {
      bytes = this.#compression.compress(bytes);
      bits |= RSV1;
    }
    // Of very many fragments nothing new comes, and they take their time.
    const fragmentBytes = Math.max(framing.fragmentBytes, Math.ceil(bytes.length / MAX_FRAGMENTS));
    if (framing.fragmentBytes === 0 || bytes.length <= fragmentBytes) {
      this.link.send(clientFrame(FIN | bits, bytes));
      return;
    }
    for (let at = 0; at < bytes.length; at += fragmentBytes) {
      const isLast = at + fragmentBytes >= bytes.length;
      const part = bytes.subarray(at, at + fragmentBytes);
      this.link.send(clientFrame((isLast ? FIN : 0) | (at === 0 ? bits : 0), part));
      if (framing.hasPing && at === 0) this.link.send(clientFrame(FIN | 9, 'in between'));
    }
  }

  sendClose(code: number | undefined): void {
    if (!this.maySend) return;
    this.closeSent = code ?? 1005;
    this.link.send(closeFrame(code, ''));
  }

  /** Sends what a polite peer owes. @returns whether it did anything */
  answer(): boolean {
    const answers = this.#toAnswer;
    this.#toAnswer = [];
    if (this.link.isGone || this.link.isReset || this.isSilent) return false;
    let didAnything = answers.length > 0;
    for (const bytes of answers) this.link.send(bytes);
    if (this.isPolite && this.link.isEnded && this.link.isRead && !this.link.hasEnded) {
      this.link.sendEnd();
      didAnything = true;
    }
    if (didAnything) this.link.deliver(this.link.bytesOnTheirWay);
    return didAnything;
  }

  // --- in -----------------------------------------------------------------------------------------------------------

  /** Reads what has come as far as it is whole. Throws nothing into the stream that brought it. */
  onBytes(bytes: Buffer): void {
    if (this.finding !== undefined || this.link.isCorrupted) return;
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#bytes, bytes]);
    try {
      while (this.isUpgraded ? this.#readFrame() : this.#readResponse());
    } catch (error) {
      this.finding = error;
    }
  }

  /** Bytes that came and are not whole yet. */
  get unfinishedBytes(): number {
    return this.#bytes.length;
  }

  /** Says that nothing more comes: a response without a length is whole now. */
  finish(): void {
    if (this.isUpgraded || this.#bytes.length === 0) return;
    this.#readResponse(true);
  }

  #readResponse(isEnd: boolean = false): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const text = this.#bytes.toString('latin1', 0, end);
    const [statusLine = '', ...lines] = text.split('\r\n');
    const match = /^HTTP\/1\.1 (\d{3}) [^\r\n]*$/.exec(statusLine);
    if (match === null) throw new Finding(ORACLE.bytes, `no status line: ${JSON.stringify(text.slice(0, 200))}`);
    const status = Number(match[1]);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(': ');
      if (colon < 1) throw new Finding(ORACLE.bytes, `no header line: ${JSON.stringify(line.slice(0, 200))}`);
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 2));
    }
    if (status === 101) {
      this.#bytes = this.#bytes.subarray(end + 4);
      this.#open(headers);
      return true;
    }
    const start = end + 4;
    const length = headers.get('content-length');
    const chunked = headers.get('transfer-encoding');
    if (length !== undefined && chunked !== undefined) {
      throw new Finding(ORACLE.http, `a response with Content-Length and Transfer-Encoding: ${JSON.stringify(text)}`);
    }
    // RFC 9110 §8.6 and §15.3.6, RFC 9112 §6.3.
    const hasNoBody = status === 204 || status === 304;
    if (hasNoBody && status === 204 && (length ?? chunked) !== undefined) {
      throw new Finding(ORACLE.http, `a 204 that announces content: ${JSON.stringify(text)}`);
    }
    if (status === 205 && length !== '0' && length !== undefined) {
      throw new Finding(ORACLE.http, `a 205 with content: ${JSON.stringify(text)}`);
    }
    let body: { bytes: Buffer; end: number; isWhole: boolean } | undefined;
    if (hasNoBody || this.requests[this.responses.length]?.method === 'HEAD') {
      body = { bytes: Buffer.alloc(0), end: start, isWhole: true };
    } else if (chunked !== undefined) {
      body = readChunks(this.#bytes, start);
    } else if (length !== undefined) {
      const bodyEnd = start + Number(length);
      if (this.#bytes.length >= bodyEnd) {
        body = { bytes: this.#bytes.subarray(start, bodyEnd), end: bodyEnd, isWhole: true };
      }
    }
    if (body === undefined) {
      if (!isEnd) return false;
      const isWhole = length === undefined && chunked === undefined;
      const rest = chunked === undefined ? this.#bytes.subarray(start) : readChunks(this.#bytes, start, true)!.bytes;
      body = { bytes: rest, end: this.#bytes.length, isWhole };
    }
    this.responses.push({ status, headers, body: body.bytes, isWhole: body.isWhole });
    this.#bytes = this.#bytes.subarray(body.end);
    return this.#bytes.length > 0;
  }

  #open(headers: ReadonlyMap<string, string>): void {
    const request = this.requests[this.responses.length];
    if (request?.kind !== 'upgrade') {
      throw new Finding(ORACLE.http, `101 comes as the answer to ${request?.kind ?? 'no'} request`);
    }
    this.responses.push({ status: 101, headers, body: Buffer.alloc(0), isWhole: true });
    this.isUpgraded = true;
    const extension = headers.get('sec-websocket-extensions');
    if (extension === undefined) return;
    const bits = (name: string) => Number(new RegExp(`${name}_max_window_bits=(\\d+)`).exec(extension)?.[1] ?? 15);
    this.#compression = new ZlibPeer('server', {
      serverNoContextTakeover: extension.includes('server_no_context_takeover'),
      clientNoContextTakeover: extension.includes('client_no_context_takeover'),
      serverMaxWindowBits: bits('server'),
      clientMaxWindowBits: bits('client'),
    });
  }

  #readFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const first = bytes[0]!;
    const opcode = first & 0x0f;
    const isBad = (first & 0x30) !== 0 || bytes[1]! >= 0x80 || ![0, 1, 2, 8, 9, 10].includes(opcode);
    if (isBad || (opcode >= 8 && (bytes[1]! > 125 || first < FIN))) this.#fail('is no frame of a server', bytes);
    if (this.closeReceived !== undefined) this.#fail('comes behind a Close frame', bytes);
    let start = 2;
    let length = bytes[1]!;
    if (length === 126) {
      if (bytes.length < 4) return false;
      length = bytes.readUInt16BE(2);
      start = 4;
    } else if (length === 127) {
      if (bytes.length < 10) return false;
      length = Number(bytes.readBigUInt64BE(2));
      start = 10;
    }
    if (bytes.length < start + length) return false;
    const payload = bytes.subarray(start, start + length);
    this.#bytes = bytes.subarray(start + length);
    if (opcode >= 8) this.#receiveControl(opcode, payload);
    else this.#receiveData(first, payload);
    return this.#bytes.length > 0;
  }

  #receiveControl(opcode: number, payload: Buffer): void {
    if (opcode === 8) {
      this.closeReceived = payload.length === 0 ? 1005 : payload.readUInt16BE();
      if (this.isPolite && this.closeSent === undefined) {
        this.closeSent = this.closeReceived;
        this.#toAnswer.push(closeFrame(this.closeReceived === 1005 ? undefined : this.closeReceived));
      }
    } else if (opcode === 9 && this.isPolite && this.closeSent === undefined) {
      this.#toAnswer.push(clientFrame(FIN | 10, Buffer.from(payload)));
    }
  }

  #receiveData(first: number, payload: Buffer): void {
    if (this.#parts.length === 0) this.#firstBits = first;
    this.#parts.push(payload);
    if (first < FIN) return;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    this.#parts = [];
    let message: Buffer = Buffer.from(whole);
    if ((this.#firstBits & RSV1) !== 0) {
      if (this.#compression === undefined) this.#fail('is compressed, which was not agreed on', whole);
      try {
        message = this.#compression!.decompress(whole, false);
      } catch (error) {
        throw new Finding(ORACLE.content, `a message that cannot be decompressed: ${error}`);
      }
    }
    this.received.push((this.#firstBits & 0x0f) === 1 ? message.toString('latin1') : message);
  }

  #fail(what: string, bytes: Buffer): void {
    throw new Finding(ORACLE.bytes, `${JSON.stringify(bytes.toString('latin1', 0, 60))} ${what}`);
  }
}

/** @param isEnd - whether what there is counts, though it is not whole */
function readChunks(
  bytes: Buffer,
  start: number,
  isEnd: boolean = false,
): { bytes: Buffer; end: number; isWhole: boolean } | undefined {
  const chunks: Buffer[] = [];
  const rest = () => (isEnd ? { bytes: Buffer.concat(chunks), end: bytes.length, isWhole: false } : undefined);
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return rest();
    const line = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) {
      throw new Finding(ORACLE.bytes, `no size of a chunk: ${JSON.stringify(line.slice(0, 80))}`);
    }
    const length = Number.parseInt(line, 16);
    const end = lineEnd + 2 + length;
    chunks.push(bytes.subarray(lineEnd + 2, end));
    if (bytes.length < end + 2) return rest();
    at = end + 2;
    if (length === 0) return { bytes: Buffer.concat(chunks), end: at, isWhole: true };
  }
}
