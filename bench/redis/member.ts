/** Somebody in a room, who speaks as much of what the server speaks as it takes to join it, to publish, and to count. */
import { Client } from '../e2e/client.ts';
import { FrameCounter, maskedFrame, payloadsOf, TEXT } from '../e2e/frames.ts';
import type { Work } from './messages.ts';

/** What engine.io and socket.io put before what they send: "message, connect" and "message, event". */
const CONNECT = '40';
const EVENT = '42';

export class Member {
  readonly room: number;
  /** Which of the two processes it is connected to. */
  readonly process: number;
  readonly #work: Work;
  readonly #client: Client;

  constructor(work: Work, room: number, process: number, port: number) {
    this.room = room;
    this.process = process;
    this.#work = work;
    const path = work.wire === 'plain' ? `/room/${room}` : `/socket.io/?EIO=4&transport=websocket&room=${room}`;
    this.#client = new Client({ port, path, handshake: true, secure: false, compressed: false });
  }

  /** Resolves when it is in its room. */
  async join(): Promise<void> {
    // Before it is open: what is sent first may come with the answer to the handshake.
    const first = this.receive(1);
    await this.#client.open();
    await first;
    if (this.#work.wire === 'plain') return;
    const answer = this.receive(1);
    this.#client.socket.write(maskedFrame(TEXT, Buffer.from(CONNECT)));
    const [text] = await answer;
    if (!text!.startsWith(CONNECT)) throw new Error(`socket.io answered ${text}`);
  }

  /** The frame that publishes a text. */
  frameOf(text: string): Buffer {
    const isPlain = this.#work.wire === 'plain';
    return maskedFrame(TEXT, Buffer.from(isPlain ? text : EVENT + JSON.stringify(['message', text])));
  }

  /** What was published, of what comes. */
  textOf(received: string): string {
    return this.#work.wire === 'plain' ? received : JSON.parse(received.slice(EVENT.length))[1];
  }

  write(frame: Buffer): void {
    this.#client.socket.write(frame);
  }

  /** Resolves with the next messages. */
  receive(count: number): Promise<string[]> {
    const counter = new FrameCounter({ bits: TEXT, payloadBytes: -1 });
    const chunks: Buffer[] = [];
    let frames = 0;
    return new Promise((resolve) => {
      this.#client.onBytes = (bytes, end) => {
        chunks.push(Buffer.from(bytes.subarray(0, end)));
        frames += counter.push(bytes, end);
        if (frames >= count) resolve(payloadsOf(Buffer.concat(chunks)).map(({ payload }) => payload.toString()));
      };
    });
  }

  /** Calls back with the number of messages that came, from now on. */
  count(callback: (messages: number) => void): void {
    const counter = new FrameCounter({ bits: TEXT, payloadBytes: -1 });
    this.#client.onBytes = (bytes, end) => {
      const frames = counter.push(bytes, end);
      if (frames > 0) callback(frames);
    };
  }
}
