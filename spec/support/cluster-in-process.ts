import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { deserialize, serialize } from 'node:v8';
import { onCleanUp } from './clean-up.ts';

/** Something that went over a channel. */
export interface Sent {
  readonly message: unknown;
  /** Says that it has left. */
  readonly sent: () => void;
}

const clone = {
  json: (message: unknown): unknown => JSON.parse(JSON.stringify(message)),
  advanced: (message: unknown): unknown => deserialize(serialize(message)),
};

/**
 * Gives this process a channel, as a worker has one, whose other end is in this process too: `child` stands for what the
 * primary has of it. Each end holds what it is to send while its `isHeld` is set. Until the end of the test.
 */
export class InProcessChannel {
  readonly child: ChildProcess;
  readonly toPrimary: Sent[] = [];
  readonly toWorker: Sent[] = [];
  /** The message that the primary sent last. */
  lastOfPrimary: unknown;
  isWorkerHeld = false;
  isPrimaryHeld = false;
  readonly #serialization: 'json' | 'advanced';
  readonly #child = Object.assign(new EventEmitter(), { connected: true });

  constructor(serialization: 'json' | 'advanced' = 'json') {
    this.#serialization = serialization;
    this.child = this.#child as unknown as ChildProcess;
    const send = (message: unknown, _handle: unknown, _options: unknown, sent: () => void): boolean => {
      this.toWorker.push({ message, sent });
      this.lastOfPrimary = message;
      if (!this.isPrimaryHeld) setImmediate(() => this.deliver());
      return true;
    };
    Object.assign(this.#child, { send });
    const { send: original, connected } = process;
    process.send = ((message: unknown, _handle: unknown, _options: unknown, sent: () => void) => {
      this.toPrimary.push({ message, sent });
      if (!this.isWorkerHeld) setImmediate(() => this.deliver());
      return true;
    }) as NonNullable<typeof process.send>;
    process.connected = true;
    onCleanUp(() => {
      this.disconnect();
      process.send = original!;
      if (original === undefined) delete process.send;
      process.connected = connected;
    });
  }

  /** Has what is not held arrive at its other end. */
  deliver(): void {
    if (!this.isWorkerHeld) for (const one of this.toPrimary.splice(0)) this.#arrive(this.#child, one);
    if (!this.isPrimaryHeld) for (const one of this.toWorker.splice(0)) this.#arrive(process, one);
  }

  /** Closes the channel, of which both ends are told. */
  disconnect(): void {
    if (!this.#child.connected) return;
    this.#child.connected = false;
    process.connected = false;
    this.#child.emit('disconnect');
    process.emit('disconnect');
  }

  #arrive(to: { emit(event: string, ...args: unknown[]): unknown }, { message, sent }: Sent): void {
    to.emit('message', clone[this.#serialization](message));
    sent();
  }
}
