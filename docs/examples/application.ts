/**
 * A whole application: login by cookie, rooms, presence, direct messages, kick, checked JSON, a rate limit, metrics and an
 * orderly end. What is written here is the application; the rest is options.
 *
 *     node --import tsx docs/examples/application.ts
 *
 * POST `{"name":"Ada"}` to /login, then open ws://localhost:60000/rooms/lobby with the cookie that it sets.
 */
import { randomUUID } from 'node:crypto';
import { type Context, Server, type ServerConnection } from 'hyperlane-ws';
import * as z from 'zod';

interface User {
  readonly name: string;
  readonly isOperator: boolean;
}

interface Attributes {
  readonly user: User;
  readonly room: string;
}

const server = new Server<Attributes>({
  maxMessagesPerSecond: 10,
  messageBurst: 20,
  rateLimitPolicy: 'close',
  maxMessageBytes: 16 * 1024,
});

// --- login: a session by cookie ---------------------------------------------------------------------------------------

const sessions = new Map<string, User>();

server.route(
  '/login',
  async (ctx) => {
    const id = randomUUID();
    const { name } = ctx.getRequestBodyJson();
    sessions.set(id, { name, isOperator: name === 'Operator' }); // here a password would be checked
    ctx.setResponseCookie('session', id, { httpOnly: true, sameSite: 'strict', path: '/' });
    await ctx.sendResponseJson({ name });
  },
  { only: 'http', body: z.object({ name: z.string().trim().min(1).max(30) }) },
);

async function admit(ctx: Context<Attributes>): Promise<void> {
  const user = sessions.get(ctx.getRequestCookie('session') ?? '');
  if (user === undefined) return ctx.sendResponse(401, 'log in first');
  ctx.setAttribute('user', user).setAttribute('room', ctx.getRouteParam('room')!);
}

// --- rooms and presence ---------------------------------------------------------------------------------------------------

const rooms = new Map<string, Set<ServerConnection<Attributes>>>();

function tell(room: string, event: object): void {
  const text = JSON.stringify(event);
  for (const member of rooms.get(room) ?? []) void member.send(text);
}

function membersOf(name: string): ServerConnection<Attributes>[] {
  return [...server.connections].filter((connection) => connection.getAttribute('user')?.name === name);
}

function tellWhoIsHere(room: string): void {
  const names = [...(rooms.get(room) ?? [])].map((member) => member.getAttribute('user')!.name);
  tell(room, { type: 'presence', names: [...new Set(names)] });
}

function join(ctx: Context<Attributes>): void {
  const room = ctx.getAttribute('room')!;
  rooms.set(room, (rooms.get(room) ?? new Set()).add(ctx.getConnection()!));
  tellWhoIsHere(room);
}

function leave(ctx: Context<Attributes>): void {
  const room = ctx.getAttribute('room')!;
  rooms.get(room)?.delete(ctx.getConnection()!);
  if (rooms.get(room)?.size === 0) rooms.delete(room);
  tellWhoIsHere(room);
}

// --- what a client may send ----------------------------------------------------------------------------------------------

const Message = z.discriminatedUnion('type', [
  z.object({ type: z.literal('say'), text: z.string().min(1) }),
  z.object({ type: z.literal('whisper'), to: z.string(), text: z.string().min(1) }),
  z.object({ type: z.literal('kick'), name: z.string() }),
]);

server.route(
  '/rooms/:room',
  async (ctx) => {
    const message = ctx.getRequestBodyJson();
    const { name: from, isOperator } = ctx.getAttribute('user')!;
    if (message.type === 'say') return tell(ctx.getAttribute('room')!, { type: 'said', from, text: message.text });
    if (message.type === 'kick' && !isOperator) return ctx.sendResponseJson({ type: 'refused', what: 'kick' });
    const others = membersOf(message.type === 'kick' ? message.name : message.to);
    if (others.length === 0) return ctx.sendResponseJson({ type: 'nobody' });
    for (const other of others) {
      if (message.type === 'kick') other.close(4003, `kicked by ${from}`);
      else void other.sendJson({ type: 'whispered', from, text: message.text });
    }
  },
  { only: 'websocket', body: Message, upgrade: admit, connected: join, closed: leave },
);

// --- metrics, and the end ------------------------------------------------------------------------------------------------

server.route('/metrics', (ctx) => ctx.sendResponseJson(server.stats()), { only: 'http' });

process.once('SIGTERM', async () => {
  const { closed, cut } = await server.close({ reason: 'restarting' });
  console.log(`${closed} closed, ${cut} cut`);
});

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`application on port ${server.address()?.port}`);
