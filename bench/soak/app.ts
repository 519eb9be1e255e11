import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BackpressurePolicy,
  type Body,
  BroadcastMap,
  type Context,
  Request,
  Server,
  type ServerOptions,
  select,
  TimeoutError,
} from '../../lib/index.ts';
import { downloadPiece } from './content.ts';
import type { Times } from './messages.ts';
import type { Witness } from './witness.ts';

/** What a soaked server does: one route for each way in which handlers receive and send. */

const KIB = 1024;
export const MAX_MESSAGE_BYTES: number = 512 * KIB;
const MAX_QUEUED_BYTES = 256 * KIB;
const HIGH_WATER_MARK_BYTES = 64 * KIB;
const MAX_BACKPRESSURE_BYTES = 1024 * KIB;
/** The largest read, see docs/explanation/hostile-peers.md. */
const MAX_READ_BYTES = 256 * KIB;
/** 17 Pongs of 125 bytes, or what other control frames may come to. */
const CONTROL_BYTES = 4 * KIB;

/** The bounds of docs/explanation/hostile-peers.md, with these options. */
export const MAX_RECEIVED_BYTES: number = MAX_QUEUED_BYTES + MAX_MESSAGE_BYTES + MAX_READ_BYTES;
export const MAX_BUFFERED_BYTES: number = MAX_BACKPRESSURE_BYTES + MAX_MESSAGE_BYTES + CONTROL_BYTES;
/** Requests of one connection that are handled at a time. */
export const MAX_REQUESTS: number = 16;

/** The error of the route that throws; any other is a violation. */
export const THROWN = 'thrown on purpose';

const PIECE_BYTES = 32 * KIB;
/** Larger than what is compressed in place, and repetitive enough that it takes a while. */
const LARGE = Buffer.alloc(300 * KIB, downloadPiece(3, 0, 700).toString('base64'));

export function makeServer(policy: BackpressurePolicy, times: Times, witness: Witness): Server {
  const options: ServerOptions = {
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: {
      serverNoContextTakeover: false,
      clientNoContextTakeover: false,
      // Not for all: some are refused their contexts.
      maxContextBytes: 3 * KIB * KIB,
    },
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxQueuedMessages: 32,
    maxQueuedBytes: MAX_QUEUED_BYTES,
    highWaterMarkBytes: HIGH_WATER_MARK_BYTES,
    maxBackpressureBytes: MAX_BACKPRESSURE_BYTES,
    maxPipelinedRequests: MAX_REQUESTS,
    backpressurePolicy: policy,
    heartbeatIntervalMs: times.heartbeatMs,
    idleTimeoutMs: times.idleMs,
    handshakeTimeoutMs: times.handshakeMs,
    closeTimeoutMs: times.closeMs,
  };
  const server = new Server(options);
  server.errorHandle((error, ctx) => witness.onError(error, ctx));
  // Clients ask for what is refused, and a warning of it would be a violation.
  server.onUpgradeRefused(() => {});
  server.upgradeMiddleware(decideUpgrade);
  server.onWebsocketConnected((ctx) => witness.onConnected(ctx));
  server.requestMiddleware((ctx) => witness.onRequest(ctx));
  addWebSocketRoutes(server, policy);
  addHttpRoutes(server, witness);
  return server;
}

/** `?wait=` keeps the client waiting, `?refuse=` refuses it with that status. */
async function decideUpgrade(ctx: Context): Promise<void> {
  const query = ctx.getRequestQuerys();
  const wait = Number(query.get('wait') ?? 0);
  if (wait > 0) await sleep(wait);
  const refuse = query.get('refuse');
  if (refuse !== undefined) ctx.setResponseStatusCode(Number(refuse)).setResponseBody('refused');
}

function addWebSocketRoutes(server: Server, policy: BackpressurePolicy): void {
  // With the policy `wait`, handlers that await their sends are what bounds them.
  const isPatient = policy === 'wait';
  server.route('/echo', (ctx) => {
    const sent = ctx.sendResponseBody(ctx.getRequestBody());
    return isPatient ? sent : undefined;
  });
  server.route('/async', async (ctx) => {
    if (ctx.getAttribute('busy') === true) throw new Error('two handlers of one connection run at once');
    ctx.setAttribute('busy', true);
    await sleep(1);
    try {
      await ctx.sendResponseBody(ctx.getRequestBody());
    } finally {
      ctx.setAttribute('busy', false);
    }
  });
  server.route('/slow', async (ctx) => {
    await sleep(3);
    await ctx.sendResponseBody(ctx.getRequestBody());
  });
  server.route('/close', (ctx) => {
    const [code, reason] = ctx.getRequestBodyString().split(' ');
    return ctx.close(Number(code), reason ?? '');
  });
  server.route('/throw', () => {
    throw new Error(THROWN);
  });
  // As much as asked for, as fast as it can: messages of so many bytes.
  server.route('/feed', async (ctx) => {
    const [count = 0, bytes = 0] = ctx.getRequestBodyString().split(' ').map(Number);
    for (let i = 0; i < count && ctx.getStream()?.state === 'open'; i++) {
      const sent = ctx.sendResponseBody(downloadPiece(i, 0, bytes));
      if (isPatient) await sent;
      else sent.catch(() => {});
      if (i % 8 === 7) await sleep(1);
    }
  });
  // Large messages that are compressed in the thread pool.
  server.route('/large', async (ctx) => {
    for (let i = 0; i < 4; i++) {
      const sent = ctx.sendResponseBody(LARGE);
      if (isPatient) await sent;
      else sent.catch(() => {});
    }
  });
  server.route('/inner', readByHand).enableInnerWebsocketHandle('/inner');
  server.route('/chat/:room', chat).enableInnerWebsocketHandle('/chat/:room');
}

/** An echo that owns its stream, and is often too impatient. */
async function readByHand(ctx: Context): Promise<void> {
  const stream = ctx.getStream();
  while (stream !== undefined) {
    try {
      const request = await Request.websocketRequestFromStream(stream, 20);
      await stream.send(request.getBody());
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
  }
}

/** A room is made by the first who joins it, and goes with the last. */
export const rooms: BroadcastMap<Body> = new BroadcastMap();

async function chat(ctx: Context): Promise<void> {
  const stream = ctx.getStream();
  const room = ctx.getRouteParam('room')!;
  if (stream === undefined) return;
  const receiver = rooms.subscribeOrInsert(room, 1024);
  try {
    await stream.send('joined');
    for (;;) {
      const ready = await select({
        request: Request.websocketRequestFromStream(stream),
        message: receiver.recv(),
      });
      if (ready.key === 'request') rooms.send(room, ready.value.getBody());
      else await stream.send(ready.value);
    }
  } finally {
    receiver.unsubscribe();
  }
}

function addHttpRoutes(server: Server, witness: Witness): void {
  const route = (pattern: string, handle: (ctx: Context) => Promise<void>): void => {
    server.route(pattern, async (ctx) => {
      const done = witness.onHttpRequest(ctx);
      try {
        await handle(ctx);
      } finally {
        done();
      }
    });
  };
  route('/http/echo', async (ctx) => {
    await sleep(Number(ctx.getRequestQuery('wait') ?? 0));
    ctx.setResponseBody(ctx.getRequestBody());
  });
  route('/http/hello', async (ctx) => {
    ctx.setResponseBody(`hello ${ctx.getRequestQuery('name')}`);
  });
  route('/http/download', async (ctx) => {
    const seed = Number(ctx.getRequestQuery('seed'));
    const bytes = Number(ctx.getRequestQuery('bytes'));
    for (let offset = 0; offset < bytes; offset += PIECE_BYTES) {
      await ctx.sendResponseBody(downloadPiece(seed, offset, Math.min(PIECE_BYTES, bytes - offset)));
    }
  });
  // As `/feed`: the policy is all that bounds it.
  route('/http/burst', async (ctx) => {
    for (let i = 0; i < 200; i++) {
      ctx.sendResponseBody(downloadPiece(i, 0, PIECE_BYTES)).catch(() => {});
      if (i % 8 === 7) await sleep(1);
    }
  });
  route('/http/events', async (ctx) => {
    ctx.setResponseHeader('Content-Type', 'text/event-stream');
    await ctx.sendResponse(200, '');
    const count = Number(ctx.getRequestQuery('count'));
    for (let i = 0; i < count; i++) {
      await ctx.sendResponseBody(`data: ${ctx.getRequestQuery('name')}#${i}\n\n`);
      await sleep(5);
    }
    await ctx.close();
  });
}
