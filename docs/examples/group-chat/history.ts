import type { Body } from 'hyperlane-ws';

interface Entry {
  readonly id: string;
  readonly body: Body;
  readonly bytes: number;
}

/** The last messages of a room, just as they were sent, bounded in number and in bytes. */
export class History {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #entries: Entry[] = [];
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  add(id: string, body: Body): void {
    const bytes = Buffer.byteLength(body);
    this.#entries.push({ id, body, bytes });
    this.#bytes += bytes;
    while (this.#entries.length > this.#maxMessages || this.#bytes > this.#maxBytes) {
      this.#bytes -= this.#entries.shift()!.bytes;
    }
  }

  /** What came after the message with this id; all that is kept, if it is unknown here. */
  after(id: string | undefined): Body[] {
    const start = this.#entries.findIndex((entry) => entry.id === id) + 1;
    return this.#entries.slice(start).map((entry) => entry.body);
  }
}
