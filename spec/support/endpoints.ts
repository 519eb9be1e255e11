import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { it } from 'node:test';
import { ConnectionEndError, closeCodeOf, type WebSocketError } from '../../lib/errors.ts';
import { Connection } from '../../lib/net/connection.ts';
import type { MessageCompression } from '../../lib/protocol/compression.ts';
import type { CloseInfo, ProtocolLimits, Role } from '../../lib/protocol/events.ts';
import { assertSame } from './assert-same.ts';
import { chunkings } from './chunking.ts';
import { cleanUp, onCleanUp } from './clean-up.ts';
import { CONNECTION_LIMITS, type Pair, TestOwner, TRANSPORTS, infoOf } from './connections.ts';
import { DEFAULT_LIMITS, ProtocolRecorder, peerFrame } from './protocol-recorder.ts';
import { type Frame, referenceParse } from './reference-codec.ts';
import { until } from './watchdog.ts';

/**
 * An endpoint that a suite talks to, whatever it runs over: the protocol by itself, or a connection over TCP, TLS or a
 * Duplex. A suite that is written for it is the same for all of them.
 */
export interface Endpoint {
  readonly role: Role;
  /** Gives bytes to the endpoint, and resolves when it has made of them what it will. They end with a whole frame. */
  receive(...chunks: Buffer[]): Promise<this>;
  /** The messages that were delivered. */
  messages(): (string | Buffer)[];
  /** The frames that were sent; they must break no rule. */
  sent(): Frame[];
  /** What the peer did wrong. */
  error(): WebSocketError | undefined;
  /** How the connection ended, once it has. */
  end(): CloseInfo | undefined;
  /** Rejects once the connection is closing. */
  send(data: string | Buffer, compress?: boolean): Promise<void>;
  /** Sends a Ping; rejects once the connection is closing. */
  ping(payload?: Buffer): Promise<void>;
  close(code?: number, reason?: string): void;
  fail(error: unknown): void;
  /** Resolves when all that was sent has arrived at the peer. */
  flush(): Promise<void>;
  /** The peer ends without a Close frame. */
  leave(): Promise<void>;
}

export interface EndpointOptions extends Partial<ProtocolLimits> {
  readonly compression?: MessageCompression | undefined;
}

/** What an endpoint can run over. */
export interface Setting {
  /** Behind a title: `over TCP`. */
  readonly name: string;
  open(role: Role, options?: EndpointOptions): Promise<Endpoint>;
  /** Runs an example with every way to cut it that is worth it here, and says which one failed. */
  eachChunking(bytes: Buffer, run: (chunks: Buffer[]) => Promise<void>): Promise<void>;
}

// --- the protocol by itself ---------------------------------------------------------------------------------------------

class RecorderEndpoint implements Endpoint {
  readonly role: Role;
  readonly #recorder: ProtocolRecorder;

  constructor(role: Role, { compression, ...limits }: EndpointOptions) {
    this.role = role;
    this.#recorder = new ProtocolRecorder(role, limits, compression);
  }

  async receive(...chunks: Buffer[]): Promise<this> {
    this.#recorder.receive(...chunks);
    await this.#recorder.settle();
    return this;
  }

  messages(): (string | Buffer)[] {
    return this.#recorder.messages();
  }

  sent(): Frame[] {
    return this.#recorder.sent();
  }

  error(): WebSocketError | undefined {
    assert.ok(this.#recorder.errors.length <= 1, 'one error is told at most');
    return this.#recorder.errors[0];
  }

  end(): CloseInfo | undefined {
    return this.#recorder.protocol.close;
  }

  async send(data: string | Buffer, compress?: boolean): Promise<void> {
    this.#recorder.protocol.sendMessage(data, compress);
  }

  async ping(payload?: Buffer): Promise<void> {
    this.#recorder.protocol.sendPing(payload);
  }

  close(code?: number, reason?: string): void {
    this.#recorder.protocol.sendClose(code, reason);
  }

  fail(error: unknown): void {
    this.#recorder.protocol.fail(error);
  }

  async flush(): Promise<void> {
    await this.#recorder.settle();
  }

  async leave(): Promise<void> {
    this.#recorder.protocol.receiveEnd();
  }
}

// --- a connection -------------------------------------------------------------------------------------------------------

const PROBE = 'are you done with it?';

class ConnectionEndpoint implements Endpoint {
  readonly role: Role;
  readonly #connection: Connection;
  readonly #there: Duplex;
  readonly #allowRsv1: boolean;
  readonly #messages: (string | Buffer)[] = [];
  readonly #bytes: Buffer[] = [];
  #ended = false;
  #probes = 0;
  #error: WebSocketError | undefined;
  #end: CloseInfo | undefined;

  constructor(role: Role, [here, there]: Pair, { compression, ...limits }: EndpointOptions) {
    this.role = role;
    this.#there = there;
    this.#allowRsv1 = compression !== undefined;
    const connectionLimits = { ...CONNECTION_LIMITS, ...DEFAULT_LIMITS, ...limits };
    this.#connection = new Connection(here, role, connectionLimits, '', compression);
    for (const socket of [here, there]) if (socket instanceof Socket) socket.setNoDelay(true);
    there.on('data', (chunk: Buffer) => this.#bytes.push(Buffer.from(chunk)));
    there.on('end', () => {
      this.#ended = true;
      there.end();
    });
    there.on('close', () => {
      this.#ended = true;
    });
    there.on('error', () => {});
    const owner = new TestOwner();
    owner.take = (data) => {
      this.#messages.push(data);
      return true;
    };
    this.#connection.start(owner);
    this.#connection
      .receive(undefined, (data) => data)
      .then(
        () => assert.fail('the owner takes every message'),
        (error: WebSocketError) => {
          this.#error = error;
        },
      );
    void this.#connection.closed.then((end) => {
      this.#end = infoOf(end);
    });
    onCleanUp(() => {
      there.destroy();
      this.#connection.destroy();
    });
  }

  async receive(...chunks: Buffer[]): Promise<this> {
    for (const chunk of chunks) {
      // The bytes may be unmasked where they lie.
      if (this.#there.writable) this.#there.write(Buffer.from(chunk));
      if (chunks.length > 1) await new Promise(setImmediate);
    }
    await this.#probe();
    return this;
  }

  /**
   * Bytes are handled in order: when a Ping behind them is answered, or the connection has ended, they are handled.
   *
   * @param toClose - whether a Close frame that was sent will do, for the end is not to come yet
   */
  async #probe(toClose: boolean = false): Promise<void> {
    const probe = `${PROBE} ${this.#probes++}`;
    if (this.#there.writable) this.#there.write(peerFrame(this.role, 0x89, probe));
    await until('all is handled', () => {
      if (this.#ended) return this.#end !== undefined;
      const frames = this.#frames();
      // A client waits for its server to end the connection.
      if (frames.some(({ opcode }) => opcode === 8)) {
        if (this.#connection.isFinished && !this.#there.writableEnded) this.#there.end();
        return toClose;
      }
      return frames.some(({ opcode, payload }) => opcode === 10 && payload.toString() === probe);
    });
  }

  messages(): (string | Buffer)[] {
    return this.#messages;
  }

  sent(): Frame[] {
    return this.#frames().filter(({ opcode, payload }) => opcode !== 10 || !payload.toString().startsWith(PROBE));
  }

  #frames(): Frame[] {
    const { frames, error, partial } = referenceParse(Buffer.concat(this.#bytes), {
      expectMask: this.role === 'client',
      allowRsv1: this.#allowRsv1,
      maxFrameBytes: Number.POSITIVE_INFINITY,
    });
    assert.equal(error, undefined, 'what is sent breaks no rule');
    if (this.#ended) assert.equal(partial, undefined, 'what is sent are whole frames');
    return frames;
  }

  error(): WebSocketError | undefined {
    // That it is over is no fault of the peer.
    return this.#error?.code === 'WS_ERR_CONNECTION_CLOSED' ? undefined : this.#error;
  }

  end(): CloseInfo | undefined {
    return this.#end;
  }

  send(data: string | Buffer, compress?: boolean): Promise<void> {
    return this.#connection.send(data, compress);
  }

  async ping(payload?: Buffer): Promise<void> {
    // Its Pong may never come.
    if (this.#connection.state === 'open') this.#connection.ping(payload).catch(() => {});
    else await this.#connection.ping(payload);
  }

  close(code?: number, reason?: string): void {
    this.#connection.close(code, reason);
  }

  fail(error: Error): void {
    this.#connection.fail('handler', new ConnectionEndError('WS_ERR_HANDLER', error.message, { cause: error }));
  }

  async flush(): Promise<void> {
    await this.#probe(true);
  }

  async leave(): Promise<void> {
    this.#there.end();
    await this.#connection.closed;
  }
}

// --- the settings -------------------------------------------------------------------------------------------------------

/** Over a transport no example is sent byte by byte that is longer. */
const MAX_BYTE_BY_BYTE = 64;

const byItself: Setting = {
  name: 'by itself',
  open: async (role, options = {}) => new RecorderEndpoint(role, options),
  eachChunking: (bytes, run) => eachOf(chunkings(bytes), run),
};

const overTransports: readonly Setting[] = TRANSPORTS.map(([name, makePair]) => ({
  name: `over ${name}`,
  open: async (role, options = {}) => new ConnectionEndpoint(role, await makePair(), options),
  async eachChunking(bytes, run) {
    const whole = { how: 'whole', chunks: [bytes] };
    // The kernel cuts as it likes: one by one is as small as it gets.
    const byteByByte = { how: 'byte by byte', chunks: Array.from(bytes, (byte) => Buffer.of(byte)) };
    const ways = bytes.length > MAX_BYTE_BY_BYTE ? [whole] : [byteByByte];
    // A handshake of TLS takes longer than all the rest.
    if (name !== 'TLS' && bytes.length <= MAX_BYTE_BY_BYTE) ways.push(whole);
    await eachOf(ways, async (chunks) => {
      await run(chunks);
      await cleanUp();
    });
  },
}));

/** All that an endpoint can run over. */
export const SETTINGS: readonly Setting[] = [byItself, ...overTransports];

async function eachOf(
  ways: Iterable<{ how: string; chunks: Buffer[] }>,
  run: (chunks: Buffer[]) => Promise<void>,
): Promise<void> {
  for (const { how, chunks } of ways) {
    try {
      await run(chunks);
    } catch (error) {
      if (error instanceof Error) error.message = `${how}: ${error.message}`;
      throw error;
    }
  }
}

/** Makes a test that is the same whatever the endpoint runs over: one for each. */
export function itOverAll(title: string, run: (setting: Setting) => Promise<void>): void {
  for (const setting of SETTINGS) {
    it(`${title}, ${setting.name}`, async () => {
      try {
        await run(setting);
      } finally {
        await cleanUp();
      }
    });
  }
}

// --- assertions ---------------------------------------------------------------------------------------------------------

/** Asserts what was sent in all: opcode and payload of each frame, none of them fragmented. */
export function assertSent(endpoint: Endpoint, frames: readonly [opcode: number, payload: Buffer | string][]): void {
  assertSame(
    endpoint.sent(),
    frames.map(([opcode, payload]) => ({ fin: true, rsv1: false, opcode, payload: Buffer.from(payload) })),
  );
}

/** Asserts that one Close frame was sent, as the last frame, and returns its reason. */
export function assertSentClose(endpoint: Endpoint, code: number): string {
  const sent = endpoint.sent();
  assert.equal(sent.filter(({ opcode }) => opcode === 8).length, 1, 'exactly one Close frame is sent');
  const close = sent.at(-1)!;
  assert.equal(close.opcode, 8, 'nothing is sent behind the Close frame');
  assert.equal(close.payload.length >= 2 ? close.payload.readUInt16BE() : 1005, code);
  return close.payload.toString('utf8', 2);
}

/** Asserts that the endpoint failed the connection with this close code. §7.1.7 */
export function assertCloses(endpoint: Endpoint, code: number): void {
  assert.equal(closeCodeOf(endpoint.error()), code);
  assert.deepEqual(endpoint.end(), { code: 1006, reason: '', wasClean: false });
  assertSentClose(endpoint, code);
}
