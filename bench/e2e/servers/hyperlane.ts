/**
 * This library as its users run it: `Server`, `Context`, a route, and one request and one response middleware.
 *
 * Variants: `sync`, handlers that are plain functions; `view`, such that read the bytes where they lie; `async`, the same as `async` functions, as the tutorial writes
 * them; `observed`, as `sync`, with somebody who counts all messages by `node:diagnostics_channel`; `select`, a chat that is one loop over `select` and a `Broadcast`, as the seed writes it;
 * `publish`, a chat by a topic. A fan-out is by a topic, or, `loop`, by sending to each.
 */
import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Context, Server as HyperlaneServer, WebSocketStream } from '../../../lib/index.ts';
import { MAX_BACKPRESSURE_BYTES, MAX_MESSAGE_BYTES, readTask, serveQuestions } from '../server-process.ts';
import { SERVER_TLS } from '../tls.ts';

const { work, variant, lib } = readTask();
const { Server, Broadcast, Request, select } = (await import(
  `${lib}index.js`
)) as typeof import('../../../lib/index.ts');

let observed = 0;
let requests = 0;
let responses = 0;

function count(server: HyperlaneServer): void {
  if (variant === 'async') {
    server.requestMiddleware(async () => {
      requests++;
    });
    server.responseMiddleware(async () => {
      responses++;
    });
  } else {
    server.requestMiddleware(() => {
      requests++;
    });
    server.responseMiddleware(() => {
      responses++;
    });
  }
}

function addEcho(server: HyperlaneServer): void {
  if (variant === 'async') {
    server.route('/', async (ctx) => {
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
  } else if (variant === 'view') {
    server.route('/', (ctx) => ctx.readRequestBody((bytes) => ctx.sendResponseBody(bytes)));
  } else {
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
  }
}

/** To everyone by `ctx.publish`, and, in a chat, to the one who sent it as well. */
function addTopic(server: HyperlaneServer): void {
  const isEchoed = work.kind === 'chat';
  server.onWebsocketConnected((ctx) => {
    ctx.subscribe('room');
  });
  server.route('/', (ctx) => {
    const body = ctx.getRequestBody();
    ctx.publish('room', body);
    if (isEchoed) ctx.sendResponseBody(body);
  });
}

/** By sending to each: to everyone in a chat, and to everyone else in a fan-out. */
function addLoop(server: HyperlaneServer): void {
  const isToSelf = work.kind === 'chat';
  const room = new Set<WebSocketStream>();
  server.onWebsocketConnected((ctx) => {
    const stream = ctx.getStream()!;
    room.add(stream);
    stream.closed.then(() => room.delete(stream));
  });
  const sendToAll = (ctx: Context): void => {
    const body = ctx.getRequestBody();
    const own = isToSelf ? undefined : ctx.getStream();
    for (const stream of room) if (stream !== own) stream.send(body);
  };
  server.route('/', variant === 'async' ? async (ctx) => sendToAll(ctx) : sendToAll);
}

function addSelectChat(server: HyperlaneServer): void {
  const broadcast = new Broadcast<string | Uint8Array>();
  server.enableInnerWebsocketHandle('/');
  server.route('/', async (ctx) => {
    const stream = ctx.getStream()!;
    const receiver = broadcast.subscribe();
    try {
      for (;;) {
        const { key, value } = await select({
          request: Request.websocketRequestFromStream(stream),
          message: receiver.recv(),
        });
        if (key === 'request') broadcast.send(value.getBody());
        else await ctx.sendResponseBody(value);
      }
    } catch {
      receiver.unsubscribe();
    }
  });
}

if (variant === 'observed') {
  for (const name of ['hyperlane-ws:message.in', 'hyperlane-ws:message.out']) {
    subscribe(name, (message) => {
      observed += (message as { readonly data: string | Uint8Array }).data.length;
    });
  }
}

const options = {
  host: '127.0.0.1',
  port: 0,
  origins: '*',
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxBackpressureBytes: MAX_BACKPRESSURE_BYTES,
  perMessageDeflate: work.compressed ? { thresholdBytes: 1 } : false,
} as const;
const server = new Server(options);
count(server);
if (work.kind !== 'chat' && work.kind !== 'fan-out') addEcho(server);
else if (variant === 'select') addSelectChat(server);
else if (variant === 'publish' || (work.kind === 'fan-out' && variant !== 'loop')) addTopic(server);
else addLoop(server);

if (work.secure) {
  const https = createServer(SERVER_TLS);
  server.attach(https);
  https.listen(0, '127.0.0.1', () => serveQuestions((https.address() as AddressInfo).port));
} else {
  await server.run();
  serveQuestions(server.address()!.port);
}
process.on('exit', () => {
  // Reading the counters keeps them from being optimised away.
  if (requests + responses + observed < 0) process.exitCode = 1;
});
