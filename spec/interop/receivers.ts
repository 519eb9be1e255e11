import assert from 'node:assert/strict';
import type { Duplex, Writable } from 'node:stream';
import { closeCodeOf } from '../../lib/errors.ts';
import type { MessageCompression } from '../../lib/protocol/compression.ts';
import { assertSame } from '../support/assert-same.ts';
import { ProtocolRecorder } from '../support/protocol-recorder.ts';

/** The two that are given the same bytes: our server, and the receiver of ws. */

type Receiver = Writable;

interface WsCompression {
  accept(offers: readonly object[]): object;
  cleanup(): void;
}

export interface WsSocket extends NodeJS.EventEmitter {
  terminate(): void;
}

// It ships no types.
export const ws = (await import('ws' as string)) as {
  PerMessageDeflate: new (options: { isServer: boolean; maxPayload: number }) => WsCompression;
  Receiver: new (options: {
    isServer: boolean;
    extensions: object;
    maxPayload: number;
    maxFragments: number;
    maxBufferedChunks: number;
  }) => Receiver;
  WebSocketServer: new (options: {
    noServer: true;
  }) => {
    handleUpgrade(request: object, socket: Duplex, head: Buffer, done: (socket: WsSocket) => void): void;
  };
};

/** The defaults of ws's WebSocketServer. */
export const WS_MAX_FRAGMENTS = 16_384;
export const WS_MAX_CHUNKS = 262_144;

export interface Told {
  readonly type: 'text' | 'binary' | 'ping' | 'pong';
  readonly bytes: Buffer;
}

/** Something that received bytes: what it told of them, and whether that was the end. */
export interface Subject {
  receive(chunk: Buffer): void;
  readonly told: readonly Told[];
  /** `open`, `closed <code> <reason>` or `failed <close code>`. */
  readonly outcome: string;
}

export class Ours implements Subject {
  readonly #recorder: ProtocolRecorder;

  constructor(maxBytes: number, compression?: MessageCompression) {
    const limits = { maxMessageBytes: maxBytes, maxFrameBytes: maxBytes };
    this.#recorder = new ProtocolRecorder('server', limits, compression);
  }

  async settle(): Promise<void> {
    await this.#recorder.settle();
  }

  close(): void {
    this.#recorder.protocol.receiveEnd();
  }

  receive(chunk: Buffer): void {
    this.#recorder.receive(chunk);
  }

  get told(): Told[] {
    return this.#recorder.events.flatMap((event): Told[] => {
      if (event.type === 'ping' || event.type === 'pong') return [{ type: event.type, bytes: event.payload }];
      if (event.type !== 'message') return [];
      return [{ type: typeof event.data === 'string' ? 'text' : 'binary', bytes: Buffer.from(event.data) }];
    });
  }

  get outcome(): string {
    const { errors, protocol } = this.#recorder;
    if (errors.length > 0) return `failed ${closeCodeOf(errors[0])}`;
    return protocol.close === undefined ? 'open' : `closed ${protocol.close.code} ${protocol.close.reason}`;
  }
}

export class Theirs implements Subject {
  readonly #receiver: Receiver;
  readonly #compression: WsCompression | undefined;
  readonly told: Told[] = [];
  #outcome = 'open';

  /** @param takeover - whether compression was agreed on, and of which kind */
  constructor(maxBytes: number, takeover?: boolean) {
    if (takeover !== undefined) {
      this.#compression = new ws.PerMessageDeflate({ isServer: true, maxPayload: maxBytes });
      this.#compression.accept([takeover ? {} : { client_no_context_takeover: [true] }]);
    }
    this.#receiver = new ws.Receiver({
      isServer: true,
      extensions: this.#compression === undefined ? {} : { 'permessage-deflate': this.#compression },
      maxPayload: maxBytes,
      maxFragments: WS_MAX_FRAGMENTS,
      maxBufferedChunks: WS_MAX_CHUNKS,
    });
    const tell = (type: Told['type'], bytes: Buffer): void => {
      this.told.push({ type, bytes: Buffer.from(bytes) });
    };
    this.#receiver.on('message', (data: Buffer, isBinary: boolean) => tell(isBinary ? 'binary' : 'text', data));
    this.#receiver.on('ping', (data: Buffer) => tell('ping', data));
    this.#receiver.on('pong', (data: Buffer) => tell('pong', data));
    this.#receiver.on('conclude', (code: number, reason: Buffer) => {
      this.#outcome = `closed ${code} ${reason}`;
    });
    this.#receiver.on('error', () => {});
  }

  receive(chunk: Buffer): void {
    // A WebSocket gives its receiver nothing behind the end.
    if (this.#outcome !== 'open') return;
    this.#receiver.write(Buffer.from(chunk));
    if (this.#receiver.errored !== null) this.#outcome = `failed ${statusOf(this.#receiver.errored)}`;
  }

  /** The same, for what takes time. */
  async receiveLater(chunk: Buffer): Promise<void> {
    if (this.#outcome !== 'open') return;
    await new Promise<void>((resolve) => this.#receiver.write(Buffer.from(chunk), () => resolve()));
    if (this.#receiver.errored !== null) this.#outcome = `failed ${statusOf(this.#receiver.errored)}`;
  }

  close(): void {
    this.#compression?.cleanup();
  }

  get outcome(): string {
    return this.#outcome;
  }
}

/** The close code that ws sends because of an error. */
function statusOf(error: Error): number {
  const key = Object.getOwnPropertySymbols(error).find(({ description }) => description === 'status-code');
  assert.ok(key, `an error of ws has a close code: ${error.stack}`);
  return (error as unknown as Record<symbol, number>)[key]!;
}

export function assertAlike(ours: Subject, theirs: Subject, where: string): void {
  assert.equal(ours.outcome, theirs.outcome, `${where}: ours against theirs`);
  assertSame(ours.told, theirs.told, `${where}: ours against theirs`);
}
