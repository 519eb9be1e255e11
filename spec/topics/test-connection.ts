import assert from 'node:assert/strict';
import { ConnectionClosedError, type LimitError } from '../../lib/errors.ts';
import type { TopicConnection } from '../../lib/topics/connection-subscription.ts';
import { type Deferred, defer, settle } from '../support/watchdog.ts';

/** A connection whose client reads as much as it is told to. */
export class TestConnection implements TopicConnection {
  readonly sent: string[] = [];
  failed: LimitError | undefined;
  /** How many more messages there is room for. */
  room = Number.POSITIVE_INFINITY;
  canSend = true;
  #drain: Deferred | undefined;

  hasRoom(): boolean {
    return this.canSend && this.room > 0;
  }

  offer(data: string | Uint8Array): boolean {
    if (!this.hasRoom()) return false;
    this.room--;
    this.sent.push(String(data));
    return true;
  }

  drained(): Promise<void> {
    assert.ok(this.canSend);
    this.#drain ??= defer();
    return this.#drain.promise;
  }

  /** The client reads so many messages more. */
  async read(room: number): Promise<void> {
    this.room = room;
    this.#drain?.resolve();
    this.#drain = undefined;
    await settle();
  }

  end(): void {
    this.canSend = false;
    this.#drain?.reject(this.closedError());
    this.#drain = undefined;
  }

  closedError(): Error {
    return new ConnectionClosedError(1006, '');
  }

  fail(_cause: 'backpressure', error: LimitError): void {
    this.failed = error;
  }
}
