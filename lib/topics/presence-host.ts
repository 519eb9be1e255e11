import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerBackend } from './broker-backend.ts';
import { PresenceBook } from './presence-book.ts';

/** How often the book is told the time, in milliseconds. */
const TICK_MS = 250;

/** After how long it is tried again to hear of a topic, in milliseconds. */
const RETRY_MS = 1000;

/** Has signals to a topic come here, although nobody may be subscribed to it; resolves with what ends that. */
export type Listen = (topic: string) => Promise<() => void>;

/** One topic that is to be heard of. */
interface Listening {
  isOver: boolean;
  end: () => void;
}

/** The book of a process that is alone. */
export function makeLocalBook(): PresenceBook {
  return new PresenceBook({ process: 'local' });
}

/** Gives a book its timers, and the signals of a broker. */
export class PresenceHost {
  readonly book: PresenceBook;
  readonly #ticking: NodeJS.Timeout;
  readonly #listen: Listen;
  readonly #listenings = new Map<string, Listening>();
  /** Resolves when the signal that was sent last has left, or has failed. */
  #sent: Promise<void> = Promise.resolve();

  constructor(backend: BrokerBackend, listen: Listen) {
    this.#listen = listen;
    this.book = new PresenceBook({
      process: backend.process,
      send: (topic, bytes) => {
        this.#sent = backend.signal(topic, bytes);
      },
      wake: () => setImmediate(() => this.book.flush()),
      listen: (topic) => this.#beginListening(topic),
      unlisten: (topic) => this.#endListening(topic),
    });
    backend.onSignal = (topic, data) => this.book.receive(topic, data);
    backend.onUp = () => this.book.up();
    backend.onDown = () => this.book.down();
    // Until then nobody could be heard. Whoever uses it is told when that fails.
    backend.opened.then(backend.onUp, () => {});
    this.book.tick(performance.now());
    this.#ticking = setInterval(() => this.book.tick(performance.now()), TICK_MS);
    this.#ticking.unref();
  }

  /** Says that this process closes. Resolves when that has left. */
  async close(): Promise<void> {
    clearInterval(this.#ticking);
    for (const topic of [...this.#listenings.keys()]) this.#endListening(topic);
    this.book.close();
    await this.#sent;
  }

  /** Resolves when what is signalled to a topic comes here, or when it is no longer wanted. */
  async #beginListening(topic: string): Promise<void> {
    const listening: Listening = { isOver: false, end: () => {} };
    this.#listenings.set(topic, listening);
    while (!listening.isOver) {
      try {
        const end = await this.#listen(topic);
        if (listening.isOver) end();
        else listening.end = end;
        return;
      } catch {
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #endListening(topic: string): void {
    const listening = this.#listenings.get(topic)!;
    this.#listenings.delete(topic);
    listening.isOver = true;
    listening.end();
  }
}
