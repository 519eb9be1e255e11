import type { Message } from './content.ts';
import { Ended, frame, messageFrame, Peer, upgradeRequest, within } from './peer.ts';
import type { Random } from './random.ts';

const FIN = 0x80;

/** A WebSocket as good clients use it, whoever made it. */
export interface Link {
  send(message: Message): Promise<void>;
  /** Resolves with the next message. Rejects when the connection ends first. */
  receive(): Promise<Message>;
  /** Closes, and resolves when the server has answered and ended the connection. Rejects if it does not as it must. */
  close(code: number): Promise<void>;
}

/** A client that cuts what it sends: into fragments with control frames between them, and into writes anywhere. */
export class RawLink implements Link {
  readonly peer: Peer;
  readonly #random: Random;

  constructor(peer: Peer, random: Random) {
    this.peer = peer;
    this.#random = random;
  }

  static async open(port: number, path: string, random: Random): Promise<RawLink> {
    return new RawLink(await Peer.open(port, path), random);
  }

  /** Opens one, and sends these in the same write as the request. */
  static async openWith(port: number, path: string, random: Random, messages: readonly Message[]): Promise<RawLink> {
    const peer = await Peer.connect(port);
    await peer.write(Buffer.concat([Buffer.from(upgradeRequest(path)), ...messages.map(messageFrame)]));
    await peer.readUpgrade();
    return new RawLink(peer, random);
  }

  async send(message: Message): Promise<void> {
    const bytes = this.#random.chance(0.3) ? this.#fragments(message) : messageFrame(message);
    if (!this.#random.chance(0.2)) {
      await this.peer.write(bytes);
      return;
    }
    await this.peer.writeCut(bytes, this.#random.whole(0, Math.min(bytes.length, 20)));
  }

  receive(): Promise<Message> {
    return this.peer.readMessage();
  }

  close(code: number): Promise<void> {
    return this.peer.close(code);
  }

  #fragments(message: Message): Buffer {
    const payload = Buffer.from(message);
    const parts: Buffer[] = [];
    let start = 0;
    for (let left = this.#random.whole(1, 4); left >= 0; left--) {
      const end = left === 0 ? payload.length : this.#random.whole(start, payload.length);
      const opcode = parts.length === 0 ? (typeof message === 'string' ? 1 : 2) : 0;
      parts.push(frame((left === 0 ? FIN : 0) | opcode, payload.subarray(start, end)));
      if (left > 0 && this.#random.chance(0.3)) parts.push(frame(FIN | 10, 'unasked'));
      start = end;
    }
    return Buffer.concat(parts);
  }
}

/** The parts of the class of ws that are used here; it comes without types. */
interface WsClient {
  on(event: 'open', listener: () => void): void;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): void;
  on(event: 'close', listener: (code: number, reason: Buffer) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  send(data: Message): void;
  close(code: number): void;
  terminate(): void;
}

interface WsDeflateOptions {
  readonly threshold?: number;
  readonly clientNoContextTakeover?: boolean;
  readonly serverNoContextTakeover?: boolean;
  readonly clientMaxWindowBits?: number;
  readonly serverMaxWindowBits?: number;
}

const { WebSocket } = (await import('ws' as string)) as {
  WebSocket: new (url: string, options: { perMessageDeflate: boolean | WsDeflateOptions }) => WsClient;
};

/** A client of ws, which knows nothing of this library. */
export class WsLink implements Link {
  readonly #socket: WsClient;
  readonly #arrived: Message[] = [];
  #wake: (() => void) | undefined;
  #end: { readonly code: number; readonly error: Error | undefined } | undefined;

  private constructor(socket: WsClient) {
    this.#socket = socket;
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('message', (data, isBinary) => {
      this.#arrived.push(isBinary ? data : data.toString());
      this.#wake?.();
    });
    socket.on('close', (code) => {
      this.#end = { code, error: failure };
      this.#wake?.();
    });
  }

  static async open(port: number, path: string, perMessageDeflate: boolean | WsDeflateOptions): Promise<WsLink> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate });
    const link = new WsLink(socket);
    const opened = new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    });
    await within('an open connection', opened);
    return link;
  }

  async send(message: Message): Promise<void> {
    this.#socket.send(message);
  }

  async receive(): Promise<Message> {
    while (this.#arrived.length === 0) {
      if (this.#end !== undefined) throw this.#ended('a message');
      await this.#wait('a message');
    }
    return this.#arrived.shift()!;
  }

  async close(code: number): Promise<void> {
    this.#socket.close(code);
    while (this.#end === undefined) await this.#wait('the answer to a Close frame');
    if (this.#arrived.length > 0) throw new Error(`${this.#arrived.length} messages came that nobody waits for`);
    if (this.#end.code !== code || this.#end.error !== undefined) throw this.#ended('the end');
  }

  #ended(what: string): Ended {
    const { code, error } = this.#end!;
    return new Ended(`closed with ${code}${error === undefined ? '' : ` (${error.message})`} instead of ${what}`);
  }

  #wait(what: string): Promise<void> {
    const arrival = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return within(what, arrival);
  }
}
