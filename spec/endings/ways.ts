import * as z from 'zod';
import { ConnectionClosedError } from '../../lib/errors.ts';
import type { Context } from '../../lib/server/context.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import type { RouteOptions } from '../../lib/server/route-options.ts';
import { until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, type HeaderLines } from '../support/ws-client.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';
import type { Stage } from './stage.ts';

/** One way in which a WebSocket can end. */
export interface Way {
  /** As the table names it. */
  readonly name: string;
  readonly options?: ServerOptions;
  readonly route?: RouteOptions;
  /** Headers of the upgrade request. */
  readonly headers?: HeaderLines;
  readonly ownsStream?: boolean;
  /** Whether the client answers nothing, whether it reads nothing, and whether it goes by itself and sees no end. */
  readonly isMute?: boolean;
  readonly isDeaf?: boolean;
  readonly goesByItself?: boolean;
  /** Whether the server cuts it in the turn in which it sends a Close frame. */
  readonly isCutBehindClose?: boolean;
  /** Runs when it is open; and for each message. */
  connected?(stage: Stage): void | Promise<void>;
  handle?(ctx: Context, stage: Stage): void | Promise<void>;
  happen?(stage: Stage): void | Promise<void>;
  /** The client has seen a Close frame, and answered it if it answers. */
  onClose?(stage: Stage): void | Promise<void>;
}

const COMPRESSED: Pick<Way, 'options' | 'headers'> = {
  options: { perMessageDeflate: true },
  headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' },
};

/** A message of so many zeros, compressed. */
function zeros(bytes: number): Buffer {
  const zlib = new ZlibPeer('server', {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 15,
    clientMaxWindowBits: 15,
  });
  return clientFrame(0xc2, zlib.compress(Buffer.alloc(bytes)));
}

/** Sends more than the system holds for a client that does not read. */
function flood(ctx: Context): void {
  const bytes = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 32; i++) ctx.sendResponseBody(bytes).catch(() => {});
}

const wait = (_ctx: Context, stage: Stage): Promise<void> => stage.over.promise;

const sends = (bytes: Buffer) => (stage: Stage) => void stage.client.write(bytes);

const throws = (): never => {
  throw new Error('a mistake');
};

/** All ways, in the order of the table. */
export const WAYS: readonly Way[] = [
  {
    name: "The client closes with a code and a reason: `socket.close(4000, 'bye')`",
    happen: sends(closeFrame(4000, 'bye')),
  },
  { name: 'The client closes without a code: `socket.close()`', happen: sends(closeFrame()) },
  {
    name: 'The client closes while the handler of its message is busy, and waits',
    async handle(ctx) {
      while (ctx.getStream()!.state === 'open') await new Promise(setImmediate);
    },
    async happen(stage) {
      await stage.begin();
      stage.client.close(1001);
    },
  },
  {
    name: 'The same, and the connection is reset before it is answered',
    goesByItself: true,
    handle: wait,
    async happen(stage) {
      await stage.begin();
      stage.client.close(1001);
      await until('the Close frame', () => stage.ctx!.getStream()!.state === 'closing');
      stage.reset();
    },
  },
  {
    name: 'The client ends the connection without a Close frame: its process ended',
    happen: (stage) => void stage.client.end(),
  },
  {
    name: 'The connection is reset: the client, or what is in between, was cut',
    goesByItself: true,
    happen(stage) {
      stage.reset();
    },
  },
  {
    name: 'The socket is destroyed by somebody else in this process',
    happen: (stage) => void stage.socket!.destroy(),
  },
  {
    name: "A handler closes: `ctx.close(4001, 'kicked')`",
    handle: (ctx) => ctx.close(4001, 'kicked'),
    happen: (stage) => stage.begin(),
  },
  {
    name: 'A handler has it closed behind itself: `ctx.closed()`',
    handle: (ctx) => void ctx.closed(),
    happen: (stage) => stage.begin(),
  },
  { name: 'A handler that owns its stream returns', ownsStream: true, handle() {} },
  {
    name: 'A handler closes, and the client does not answer',
    options: { closeTimeoutMs: 50 },
    isMute: true,
    handle: (ctx) => ctx.close(4001),
    happen: (stage) => stage.begin(),
  },
  {
    name: 'A handler closes, and the client ends the connection without an answer',
    isMute: true,
    handle: (ctx) => ctx.close(4001),
    happen: (stage) => stage.begin(),
    onClose: (stage) => void stage.client.end(),
  },
  {
    name: 'A handler cuts it: `stream.destroy()`',
    handle: (ctx) => ctx.getStream()!.destroy(),
    happen: (stage) => stage.begin(),
  },
  { name: 'A handler throws', handle: throws, happen: (stage) => stage.begin() },
  { name: 'The promise of a handler is rejected', handle: async () => throws(), happen: (stage) => stage.begin() },
  { name: 'A handler of `onWebsocketConnected` throws', connected: throws },
  {
    name: 'A handler that owns its stream throws',
    ownsStream: true,
    async handle(ctx) {
      await Request.websocketRequestFromStream(ctx.getStream()!);
      throws();
    },
    happen: (stage) => void stage.client.send('hello'),
  },
  {
    name: 'A handler transfers bytes that have not left',
    handle(ctx) {
      const bytes = new Uint8Array(50_000);
      ctx.sendResponseBody(bytes).catch(() => {});
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    },
    happen: (stage) => stage.begin(),
  },
  { name: 'The client sends a frame that is not masked', happen: sends(Buffer.from('810161', 'hex')) },
  { name: 'The client sends a frame of a kind that is reserved', happen: sends(clientFrame(0x83, 'x')) },
  { name: 'The client sets a bit that no extension uses', happen: sends(clientFrame(0xa1, 'x')) },
  { name: 'The client continues a message that was not begun', happen: sends(clientFrame(0x80, 'x')) },
  { name: 'The client sends a text that is not UTF-8', happen: sends(clientFrame(0x81, Buffer.from([0xff]))) },
  { name: 'The client closes with a code that may not be sent', happen: sends(closeFrame(1006)) },
  {
    name: 'The client sends what cannot be decompressed',
    ...COMPRESSED,
    happen: sends(clientFrame(0xc1, Buffer.from('ffffffff', 'hex'))),
  },
  {
    name: 'The same, to a handler that owns its stream and is told',
    ...COMPRESSED,
    ownsStream: true,
    async handle(ctx) {
      await Request.websocketRequestFromStream(ctx.getStream()!);
    },
    happen: sends(clientFrame(0xc1, Buffer.from('ffffffff', 'hex'))),
  },
  {
    name: 'The client sends more than `maxMessageBytes`',
    options: { maxMessageBytes: 100 },
    happen: (stage) => void stage.client.send('x'.repeat(101)),
  },
  {
    name: 'The client sends a frame of more than `maxFrameBytes`',
    options: { maxFrameBytes: 100 },
    happen: (stage) => void stage.client.send('x'.repeat(101)),
  },
  {
    name: 'The client sends more than `maxMessageBytes`, compressed',
    headers: COMPRESSED.headers!,
    options: { ...COMPRESSED.options, maxMessageBytes: 1000 },
    happen: sends(zeros(100_000)),
  },
  {
    name: 'The client compresses more than `maxRatio` allows',
    headers: COMPRESSED.headers!,
    options: { perMessageDeflate: { maxRatio: 10 } },
    happen: sends(zeros(100_000)),
  },
  {
    name: 'The client sends a body that the schema of its route does not take',
    route: { body: z.object({ id: z.number() }) },
    happen: (stage) => void stage.client.send('{"id":"x"}'),
  },
  {
    name: "The client sends more than `maxMessagesPerSecond`, and `rateLimitPolicy` is `'close'`",
    options: { maxMessagesPerSecond: 0.001, rateLimitPolicy: 'close' },
    happen: (stage) => void stage.client.send('a').send('b'),
  },
  {
    name: "The client does not read, and `backpressurePolicy` is `'close'`",
    options: { maxBackpressureBytes: 1024 * 1024 },
    isDeaf: true,
    handle: flood,
    happen: (stage) => stage.begin(),
  },
  {
    name: 'The client does not read, and `heartbeatIntervalMs` passes twice',
    options: { heartbeatIntervalMs: 100, maxBackpressureBytes: Number.POSITIVE_INFINITY },
    isDeaf: true,
    handle: flood,
    happen: (stage) => stage.begin(),
  },
  { name: 'The client has vanished: it answers no Ping', options: { heartbeatIntervalMs: 50 }, isMute: true },
  { name: 'No message comes or goes for `idleTimeoutMs`', options: { idleTimeoutMs: 50 } },
  { name: '`server.close()`', happen: (stage) => void stage.server.close() },
  {
    name: "`server.close({ code: 1012, reason: 'restart' })`, while a handler waits for a message",
    async handle(ctx) {
      await Request.websocketRequestFromStream(ctx.getStream()!).then(
        () => {},
        (error) => {
          if (!(error instanceof ConnectionClosedError)) throw error;
        },
      );
    },
    async happen(stage) {
      await stage.begin();
      void stage.server.close({ code: 1012, reason: 'restart' });
    },
  },
  {
    name: '`server.close()`, and the client does not answer in time',
    isMute: true,
    happen: (stage) => void stage.server.close({ timeout: 50 }),
  },
  {
    name: '`server.close()`, and the handler is not done in time',
    isCutBehindClose: true,
    isMute: true,
    handle: wait,
    async happen(stage) {
      await stage.begin();
      void stage.server.close({ timeout: 50 });
    },
  },
];
