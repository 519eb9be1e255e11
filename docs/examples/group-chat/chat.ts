import { createHash, randomUUID } from 'node:crypto';
import { type Broker, CloseCode, type Context, Request, Server, WebSocketError } from 'hyperlane-ws';
import { Guest } from './guest.ts';
import { type ChatLimits, DEFAULT_LIMITS } from './limits.ts';
import { serveFile, serveIndex, setPageHeaders } from './pages.ts';
import { Rooms } from './rooms.ts';
import { cleanName } from './wire.ts';

/** An endpoint may close with a code of its own from 4000 on. RFC 6455 §7.4.2 */
const TOO_MANY_ROOMS = 4002;

/** With it each message comes with its position, and a page that was cut off gets what it has missed. */
const SUBPROTOCOL = 'positions.hyperlane';

/**
 * Makes the chat, ready for `port` and `run`.
 *
 * @param broker - what joins many processes to one chat; without one it is in this process alone
 */
export function createChatServer(options: Partial<ChatLimits> = {}, broker?: Broker): Server {
  const limits: ChatLimits = { ...DEFAULT_LIMITS, ...options };
  const server = new Server({
    // Well above what is taken: a text that is somewhat too long is answered with a sentence, not with the end. In JSON
    // a character may take six bytes.
    maxMessageBytes: 2 * Math.max(limits.pieceBytes, 6 * limits.maxTextLength),
    // One whose network is gone is out of the room within two of these.
    heartbeatIntervalMs: 15_000,
    subprotocols: [SUBPROTOCOL],
    topics: {
      broker,
      historyMessages: limits.maxHistoryMessages,
      historyMs: limits.historyMs,
      capacity: limits.maxWaitingMessages,
    },
  });
  const rooms = new Rooms(server, limits);

  server.requestMiddleware(setPageHeaders);
  server.route('/', serveIndex);
  server.route('/page/:file', serveFile);

  // One address for both: opened in a browser it is the page, and the page opens it as a WebSocket.
  server.route('/chat/:room', (ctx) => (ctx.isWebSocket() ? takePart(ctx, rooms, limits) : serveIndex(ctx)));
  server.enableInnerWebsocketHandle('/chat/:room');
  server.upgradeMiddleware((ctx) => {
    if (ctx.getRouteParam('room') === undefined) ctx.setResponseStatusCode(404);
    else if (!ctx.getRequestHeader('sec-websocket-protocol')?.includes(SUBPROTOCOL)) ctx.setResponseStatusCode(400);
  });
  return server;
}

/** Brings one WebSocket into a room, and takes what it sends until it leaves. */
async function takePart(ctx: Context, rooms: Rooms, limits: ChatLimits): Promise<void> {
  const stream = ctx.getStream();
  if (stream === undefined) return;

  const room = rooms.open(cleanName(ctx.getRouteParam('room'), limits.maxRoomLength) || 'lobby');
  if (room === undefined) return ctx.close(TOO_MANY_ROOMS, 'there are too many rooms');

  const name = cleanName(ctx.getRequestQuery('name'), limits.maxNameLength) || 'Guest';
  const guest = new Guest(ctx, stream, room, keyOf(ctx.getRequestQuery('session')), name, limits);
  room.add(guest);
  try {
    await guest.welcome(ctx.getRequestQuery('after'));
    for (;;) await guest.receive((await Request.websocketRequestFromStream(stream)).getBody());
  } catch (error) {
    // It left, was cut off, or broke the protocol; or the room is full.
    if (!(error instanceof WebSocketError)) throw error;
    stream.close(CloseCode.TryAgainLater);
  } finally {
    guest.end();
    rooms.leave(room, guest);
  }
}

/** By what a page is known to all processes, also when it comes back. Others are told it, and not the secret. */
function keyOf(session: string | undefined): string {
  if (session === undefined || session === '') return randomUUID();
  return createHash('sha256').update(session).digest('base64url').slice(0, 22);
}
