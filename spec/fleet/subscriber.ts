/** A client of a fleet: sends messages to its room, and takes down all that it is told, with positions. */
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogEntry, SubscriberLog } from './logs.ts';

interface WsSocket extends EventEmitter {
  readonly readyState: number;
  send(data: string): void;
  terminate(): void;
}

// It ships no types.
const { WebSocket } = (await import('ws' as string)) as {
  WebSocket: new (
    url: string,
    protocols: readonly string[],
    options: { readonly handshakeTimeout: number; readonly perMessageDeflate: false },
  ) => WsSocket;
};

const OPEN = 1;
const MAX_PAUSE_MS = 500;

/** What the pages of the how-to do: comes back, with a pause that chance decides, and says what it has seen last. */
export class Subscriber implements SubscriberLog {
  readonly name: string;
  readonly room: string;
  /** Who it is, where clients are members of their room. */
  readonly key: string;
  readonly entries: LogEntry[] = [];
  readonly #events = new EventEmitter();
  readonly #portOf: () => number;
  #socket: WsSocket | undefined;
  #position: string | undefined;
  #isEnding = false;
  connections = 0;
  /** How often it was not let in, or nobody was there. */
  refusals = 0;
  /** With what codes its connections were closed. */
  readonly closeCodes: number[] = [];

  /** @param portOf - where a server is, at this moment */
  constructor(name: string, room: string, key: string, portOf: () => number) {
    this.name = name;
    this.room = room;
    this.key = key;
    this.#portOf = portOf;
    this.#events.setMaxListeners(0);
  }

  /** Resolves when it is subscribed for the first time. */
  async start(): Promise<this> {
    void this.#run();
    if (this.#position === undefined) await once(this.#events, 'position');
    return this;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === OPEN && this.#position !== undefined;
  }

  /** Sends a message, if there is a connection. */
  send(body: string): boolean {
    if (!this.isOpen) return false;
    this.#socket!.send(body);
    return true;
  }

  /** Resolves when it has been told of so many messages and gaps. */
  async until(count: number): Promise<void> {
    while (this.entries.length < count) await once(this.#events, 'entry');
  }

  /** Cuts the connection; it comes back by itself. */
  cut(): void {
    this.#socket?.terminate();
  }

  /** Does not come back once its connection ends, for whatever reason. */
  retire(): void {
    this.#isEnding = true;
  }

  get isRetired(): boolean {
    return this.#isEnding;
  }

  end(): void {
    this.retire();
    this.#socket?.terminate();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#isEnding; attempt++) {
      const before = this.connections;
      await this.#connect();
      if (this.connections > before) attempt = 0;
      await sleep(Math.random() * Math.min(MAX_PAUSE_MS, 20 * 2 ** attempt));
    }
  }

  async #connect(): Promise<void> {
    const after = this.#position === undefined ? '' : `&after=${this.#position}`;
    const socket = new WebSocket(
      `ws://127.0.0.1:${this.#portOf()}/room/${this.room}?key=${this.key}${after}`,
      ['positions.hyperlane'],
      { handshakeTimeout: 5000, perMessageDeflate: false },
    );
    this.#socket = socket;
    const closed = new Promise<number>((resolve) => void socket.on('close', resolve));
    socket.on('error', () => {});
    let isOpen = false;
    socket.on('open', () => {
      isOpen = true;
      this.connections++;
    });
    socket.on('message', (data: Buffer) => this.#told(data.toString()));
    const code = await closed;
    if (isOpen) this.closeCodes.push(code);
    else this.refusals++;
  }

  #told(text: string): void {
    const line = text.indexOf('\n');
    const [head, body] = [text.slice(0, line), text.slice(line + 1)];
    const position = head.replace(/^[=!]/, '');
    if (head.startsWith('!')) this.entries.push({ gap: position });
    else if (!head.startsWith('=')) this.entries.push({ position, body });
    this.#position = position;
    this.#events.emit('position');
    this.#events.emit('entry');
  }
}
