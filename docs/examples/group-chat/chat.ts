import { type Context, LaggedError, Request, Server, select, WebSocketError } from 'hyperlane-ws';
import { Guest } from './guest.ts';
import { type ChatLimits, DEFAULT_LIMITS } from './limits.ts';
import { serveFile, serveIndex, setPageHeaders } from './pages.ts';
import { Rooms } from './rooms.ts';
import { cleanName } from './wire.ts';

/** An endpoint may close with a code of its own from 4000 on. RFC 6455 §7.4.2 */
const TOO_MANY_ROOMS = 4002;

/** Makes the chat, ready for `port` and `run`. */
export function createChatServer(options: Partial<ChatLimits> = {}): Server {
  const limits: ChatLimits = { ...DEFAULT_LIMITS, ...options };
  const rooms = new Rooms(limits);

  const server = new Server({
    // Well above what is taken: a text that is somewhat too long is answered with a sentence, not with the end. In JSON
    // a character may take six bytes.
    maxMessageBytes: 2 * Math.max(limits.pieceBytes, 6 * limits.maxTextLength),
    // One whose network is gone is out of the room within two of these.
    heartbeatIntervalMs: 15_000,
  });

  server.requestMiddleware(setPageHeaders);
  server.route('/', serveIndex);
  server.route('/page/:file', serveFile);

  // One address for both: opened in a browser it is the page, and the page opens it as a WebSocket.
  server.route('/chat/:room', (ctx) => (ctx.isWebSocket() ? takePart(ctx, rooms, limits) : serveIndex(ctx)));
  server.enableInnerWebsocketHandle('/chat/:room');
  server.upgradeMiddleware((ctx) => {
    if (ctx.getRouteParam('room') === undefined) ctx.setResponseStatusCode(404);
  });
  return server;
}

/** Brings one WebSocket into a room, and stands between the two until it leaves. */
async function takePart(ctx: Context, rooms: Rooms, limits: ChatLimits): Promise<void> {
  const stream = ctx.getStream();
  if (stream === undefined) return;

  const room = rooms.open(cleanName(ctx.getRouteParam('room'), limits.maxRoomLength) || 'lobby');
  if (room === undefined) return ctx.close(TOO_MANY_ROOMS, 'there are too many rooms');

  const name = cleanName(ctx.getRequestQuery('name'), limits.maxNameLength) || 'Guest';
  const member = room.join(name, ctx.getRequestQuery('session') ?? '', stream);
  const guest = new Guest(ctx, room, member, limits);
  try {
    await guest.welcome(ctx.getRequestQuery('after'));
    for (;;) {
      const next = await select({
        request: Request.websocketRequestFromStream(stream),
        event: member.events.recv(),
      }).catch(asLag);
      if (next.key === 'request') await guest.receive(next.value.getBody());
      else if (next.key === 'event') await guest.send(next.value);
      else await guest.tellLagged(next.value);
    }
  } catch (error) {
    // It left, was cut off, broke the protocol, or joined again elsewhere.
    if (!(error instanceof WebSocketError)) throw error;
  } finally {
    room.leave(member);
  }
}

/** One who reads slower than the others write has missed events, and gets them from the history once it asks. */
function asLag(error: unknown): { readonly key: 'lag'; readonly value: number } {
  if (error instanceof LaggedError) return { key: 'lag', value: error.missed };
  throw error;
}
