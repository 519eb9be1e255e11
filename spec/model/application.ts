import type { IncomingMessage, ServerResponse } from 'node:http';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import { select } from '../../lib/channel/select.ts';
import { WebSocketError } from '../../lib/errors.ts';
import type { ConnectionEnd } from '../../lib/net/connection-end.ts';
import type { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import type { Server } from '../../lib/server/server.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { difference, Finding, ORACLE } from './finding.ts';
import type { Peer } from './peer.ts';

/** What a handler does with a message. The message says it itself, so that one connection can ask for all of them. */
export const MESSAGE_KINDS = [
  'echo',
  'later',
  'many',
  'awaits',
  'flush',
  'flushed',
  'silent',
  'take',
  'throw',
  'throwLater',
  'close',
  'closed',
  'destroy',
  'ping',
  'transfer',
] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

/** What a handler does with a plain request, which says it in its path. */
export const REQUEST_KINDS = [
  'plain',
  'later',
  'stream',
  'pieces',
  'events',
  'body',
  'encoded',
  'throw',
  'once',
] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** What a message or a request asks for: so many answers of such a size. */
export interface Wish {
  readonly count: number;
  readonly bytes: number;
}

/** A message that a handler has sent. */
interface Send {
  readonly body: string | Buffer;
  hasArrived?: boolean;
  state: 'pending' | 'sent' | 'rejected';
  /** Whether a message has asked for it. */
  readonly isAnswer: boolean;
  /** Whether the policy was to throw it away. */
  readonly isDropped: boolean;
}

/** The WebSocket of one peer, as handlers see it. */
export interface Conversation {
  readonly peer: Peer;
  readonly stream: WebSocketStream;
  /** Whether it has ended for its server, too. */
  isOver: boolean;
  /** How many of the peer's messages were handled. */
  handled: number;
  /** Handlers that are running, of messages and of the opening. */
  running: number;
  readonly sends: Send[];
  /** How many of them have arrived, or never will. */
  arrived: number;
  /** How many of what the peer received was compared. */
  compared: number;
  largestSend: number;
}

/** The plain requests of one peer, as handlers see them. */
export interface Responses {
  running: number;
  most: number;
  /** What is to come for each request. */
  readonly bodies: Map<number, { body: string; isWhole: boolean }>;
  largestPiece: number;
}

/** A body that tells its number and its place, so that no two are alike. */
export function makeBody(head: string, bytes: number): string {
  return head.length >= bytes ? head : head + head.repeat(Math.ceil(bytes / head.length)).slice(0, bytes - head.length);
}

const ERROR = new Error('thrown by the application');

/** The handlers of the server, and what they saw. */
export class Application {
  readonly conversations: Map<number, Conversation> = new Map();
  readonly responses: Map<number, Responses> = new Map();
  /** How each WebSocket ended, by its peer. */
  readonly ends: Map<number, ConnectionEnd> = new Map();
  readonly findings: unknown[] = [];
  /** Handlers wait here until they are told to go on. */
  readonly gates: (() => void)[] = [];
  readonly broadcast: Broadcast<string> = new Broadcast<string>();
  readonly #peers: ReadonlyMap<number, Peer>;
  readonly #maxBackpressureBytes: number;
  readonly #policy: 'wait' | 'drop' | 'close';
  /** Whether no handler waits any more. */
  isHasty = false;

  constructor(peers: ReadonlyMap<number, Peer>, maxBackpressureBytes: number, policy: 'wait' | 'drop' | 'close') {
    this.#peers = peers;
    this.#maxBackpressureBytes = maxBackpressureBytes;
    this.#policy = policy;
  }

  /** @param hasHook - whether handlers run when a WebSocket opens */
  register(server: Server, hasHook: boolean): void {
    server.errorHandle((error, ctx) => {
      // It is documented that whole responses count, too.
      const isOver = error instanceof WebSocketError && error.code === 'WS_ERR_BACKPRESSURE';
      if (isOver && this.#policy !== 'wait') this.#peerOf(ctx).excuse('backpressure');
      if (error !== ERROR && !(error instanceof WebSocketError)) this.findings.push(error);
    });
    server.onUpgradeRefused(() => {});
    server.onWebsocketClosed((ctx, end) => this.noteEnd(this.#peerOf(ctx), end));
    server.upgradeMiddleware((ctx) => this.#decide(ctx));
    if (hasHook) server.onWebsocketConnected((ctx) => this.#open(ctx));
    server.route('/ws', (ctx) => this.#handleMessage(ctx));
    server.route('/own', (ctx) => this.#own(ctx));
    server.enableInnerWebsocketHandle('/own');
    server.route('/select', (ctx) => this.#select(ctx));
    server.enableInnerWebsocketHandle('/select');
    for (const kind of REQUEST_KINDS) server.route(`/${kind}`, (ctx) => this.#handleRequest(ctx, kind));
  }

  /** Takes down how the WebSocket of a peer ended. */
  noteEnd(peer: Peer, end: ConnectionEnd): void {
    const running = this.conversations.get(peer.id)?.running ?? 0;
    if (this.ends.has(peer.id))
      this.findings.push(new Finding(ORACLE.told, `the end of peer ${peer.id} is told twice`));
    if (running > 0) this.findings.push(new Finding(ORACLE.told, `${running} handlers of peer ${peer.id} are running`));
    this.ends.set(peer.id, end);
  }

  openGate(index: number): void {
    const [gate] = this.gates.splice(index, 1);
    gate?.();
  }

  #wait(): Promise<void> {
    return this.isHasty ? Promise.resolve() : new Promise((resolve) => void this.gates.push(resolve));
  }

  #peerOf(ctx: Context): Peer {
    const peer = this.#peers.get(Number(ctx.getRequestQuery('peer')));
    if (peer === undefined) throw new Finding(ORACLE.order, 'a request of nobody');
    return peer;
  }

  // --- WebSockets ---------------------------------------------------------------------------------------------------

  #decide(ctx: Context): void | Promise<void> {
    const how = ctx.getRequestQuery('decide') ?? 'at once';
    if (how === 'later') return this.#wait();
    if (how === 'tick') return Promise.resolve();
    if (how === 'throw') throw ERROR;
    if (how === 'abort') ctx.aborted();
    if (!how.startsWith('refuse')) return;
    ctx.setResponseStatusCode(Number(how.slice('refuse'.length, 9)));
    if (how.endsWith('body')) ctx.setResponseBody('refused');
  }

  #open(ctx: Context): void | Promise<void> {
    const peer = this.#peerOf(ctx);
    if (this.conversations.has(peer.id)) this.findings.push(new Finding(ORACLE.order, 'a WebSocket opened twice'));
    const conversation = this.#conversationOf(ctx);
    const how = ctx.getRequestQuery('open');
    if (how === undefined) return;
    void this.#send(conversation, ctx, 'welcome');
    if (how === 'later') return this.#during(conversation, () => this.#wait());
  }

  /** The WebSocket of a context: noted when it opens, or when its first handler runs. */
  #conversationOf(ctx: Context): Conversation {
    const peer = this.#peerOf(ctx);
    const known = this.conversations.get(peer.id);
    if (known !== undefined) return known;
    const stream = ctx.getStream();
    if (stream === undefined) throw new Finding(ORACLE.order, 'a WebSocket without a stream');
    const conversation: Conversation = {
      peer,
      stream,
      isOver: false,
      handled: 0,
      running: 0,
      sends: [],
      arrived: 0,
      compared: 0,
      largestSend: 0,
    };
    this.conversations.set(peer.id, conversation);
    void stream.closed.then(() => {
      conversation.isOver = true;
    });
    return conversation;
  }

  /** Runs a handler, and sees to it that no other runs meanwhile. */
  async #during(conversation: Conversation, run: () => Promise<void>): Promise<void> {
    this.#begin(conversation);
    try {
      await run();
    } finally {
      conversation.running--;
    }
  }

  #begin(conversation: Conversation): void {
    conversation.running++;
    if (conversation.running === 1) return;
    this.findings.push(new Finding(ORACLE.alone, `${conversation.running} handlers of peer ${conversation.peer.id}`));
  }

  #send(conversation: Conversation, ctx: Context, body: string | Buffer, isAnswer: boolean = true): Promise<void> {
    const { stream, sends, peer } = conversation;
    const isOver = stream.bufferedBytes > this.#maxBackpressureBytes;
    const isDropped = isOver && this.#policy === 'drop';
    if (isOver && this.#policy === 'close') peer.excuse('backpressure');
    // A copy: what it was when it was sent.
    const kept = typeof body === 'string' ? body : Buffer.from(body);
    const send: Send = { body: kept, state: 'pending', isDropped, isAnswer };
    conversation.largestSend = Math.max(conversation.largestSend, body.length);
    const promise = ctx.sendResponseBody(body);
    sends.push(send);
    promise.then(
      () => {
        if (send.state === 'pending') send.state = 'sent';
      },
      () => {
        send.state = 'rejected';
      },
    );
    return promise;
  }

  /** Compares a message with what its peer has sent next, and returns what it wishes. */
  #take(conversation: Conversation, body: string | Uint8Array): { kind: MessageKind; id: number; wish: Wish } {
    const { peer } = conversation;
    const text = typeof body === 'string' ? body : Buffer.from(body).toString('latin1');
    const expected = peer.messages[conversation.handled++];
    if (expected === undefined || typeof expected.body !== typeof body || text !== String(expected.body)) {
      const what = difference(text, String(expected?.body));
      this.findings.push(new Finding(ORACLE.order, `message ${conversation.handled} of peer ${peer.id} is ${what}`));
    }
    const [id, kind, count, bytes] = text.split('|');
    return { kind: kind as MessageKind, id: Number(id), wish: { count: Number(count), bytes: Number(bytes) } };
  }

  #handleMessage(ctx: Context): void | Promise<void> {
    const conversation = this.#conversationOf(ctx);
    this.#begin(conversation);
    let pending: Promise<void> | undefined;
    try {
      pending = this.#answer(conversation, ctx) ?? undefined;
    } finally {
      if (pending === undefined) conversation.running--;
    }
    return pending?.finally(() => conversation.running--);
  }

  #answer(conversation: Conversation, ctx: Context): void | Promise<void> {
    if (ctx.getRequestQuery('lend') === undefined) return this.#answerTo(conversation, ctx, ctx.getRequestBody());
    const isText = typeof conversation.peer.messages[conversation.handled]?.body === 'string';
    return ctx.readRequestBody((bytes) => this.#answerTo(conversation, ctx, isText ? bytes.toString('latin1') : bytes));
  }

  /** @param body - may be lent, for as long as this call takes */
  #answerTo(conversation: Conversation, ctx: Context, body: string | Uint8Array): void | Promise<void> {
    const { kind, id, wish } = this.#take(conversation, body);
    const { peer } = conversation;
    const kept = typeof body === 'string' ? body : Buffer.from(body);
    const answer = (index: number) => makeBody(`${id}:${index};`, wish.bytes);
    const send = (index: number) => this.#send(conversation, ctx, answer(index));
    switch (kind) {
      case 'echo':
        void this.#send(conversation, ctx, body as string | Buffer);
        return;
      case 'later':
        return this.#wait().then(() => this.#send(conversation, ctx, kept));
      case 'many':
        for (let i = 0; i < wish.count; i++) void send(i);
        return;
      case 'awaits':
        return (async () => {
          for (let i = 0; i < wish.count; i++) await send(i);
        })();
      case 'flush':
        void send(0);
        void ctx.flush();
        return;
      case 'flushed':
        void send(0);
        return ctx.flush().then(() => void send(1));
      case 'silent':
        return this.#wait();
      case 'take':
        return this.#takeOver(conversation, ctx, wish.count);
      case 'throw':
        peer.excuse('thrown');
        throw ERROR;
      case 'throwLater':
        return this.#wait().then(() => {
          peer.excuse('thrown');
          throw ERROR;
        });
      case 'close':
        peer.excuseIn ??= 'closed by the server';
        return ctx.close(4000 + (id % 100));
      case 'closed':
        peer.excuseIn ??= 'closed by the server';
        void send(0);
        ctx.closed();
        return;
      case 'destroy':
        peer.excuse('destroyed by the server');
        conversation.stream.destroy();
        return;
      case 'ping':
        void conversation.stream.ping(undefined, { timeout: wish.count * 100 }).catch(() => {});
        return;
      case 'transfer': {
        // What it has sent is no longer there: that is the end of this connection only.
        peer.excuse('transferred');
        const bytes = new Uint8Array(50_000);
        // It may arrive nevertheless, if it has left.
        conversation.sends.push({
          body: Buffer.alloc(bytes.length),
          state: 'rejected',
          isDropped: false,
          isAnswer: false,
        });
        conversation.largestSend = Math.max(conversation.largestSend, bytes.length);
        void ctx.sendResponseBody(bytes).catch(() => {});
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        // What is in a stream's own hands already is out of everybody else's.
        if ((peer.link.socket?.writableLength ?? 0) > 0) peer.link.isCorrupted = true;
        return;
      }
    }
  }

  /** Reads so many messages by itself, in the midst of a handler. */
  async #takeOver(conversation: Conversation, ctx: Context, count: number): Promise<void> {
    const stream = ctx.getStream();
    for (let i = 0; i < count && stream !== undefined; i++) {
      try {
        const request = await Request.websocketRequestFromStream(stream, 400);
        const { id } = this.#take(conversation, request.getBody());
        await this.#send(conversation, ctx, `taken ${id}`);
      } catch (error) {
        if (error instanceof WebSocketError) return;
        throw error;
      }
    }
  }

  /** A handler that owns its stream. */
  async #own(ctx: Context): Promise<void> {
    const conversation = this.#conversationOf(ctx);
    await this.#during(conversation, async () => {
      const { stream } = conversation;
      for (;;) {
        const request = await Request.websocketRequestFromStream(stream);
        const { kind, id } = this.#take(conversation, request.getBody());
        if (kind === 'later') await this.#wait();
        await this.#send(conversation, ctx, `owned ${id}`);
      }
    });
  }

  /** One that waits for two things at once. */
  async #select(ctx: Context): Promise<void> {
    const conversation = this.#conversationOf(ctx);
    await this.#during(conversation, async () => {
      const { stream } = conversation;
      const receiver = this.broadcast.subscribe();
      try {
        for (;;) {
          const { key, value } = await select({
            request: Request.websocketRequestFromStream(stream),
            message: receiver.recv(),
          });
          if (key === 'message') {
            await this.#send(conversation, ctx, value, false);
          } else {
            const { kind, id } = this.#take(conversation, value.getBody());
            if (kind === 'later') await this.#wait();
            await this.#send(conversation, ctx, `selected ${id}`);
          }
        }
      } finally {
        receiver.unsubscribe();
      }
    });
  }

  // --- plain HTTP ---------------------------------------------------------------------------------------------------

  responsesOf(peer: Peer): Responses {
    let responses = this.responses.get(peer.id);
    if (responses === undefined) {
      responses = { running: 0, most: 0, bodies: new Map(), largestPiece: 0 };
      this.responses.set(peer.id, responses);
    }
    return responses;
  }

  async #handleRequest(ctx: Context, kind: RequestKind): Promise<void> {
    const peer = this.#peerOf(ctx);
    const responses = this.responsesOf(peer);
    responses.running++;
    responses.most = Math.max(responses.most, responses.running);
    try {
      await this.#respond(ctx, kind, peer, responses);
    } finally {
      responses.running--;
    }
  }

  /** Answers as an application does that a server is attached to: at once, later, or in pieces. */
  async respondBehindAttach(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const peer = this.#peers.get(Number(searchParams.get('peer')));
    const id = Number(searchParams.get('id'));
    if (peer === undefined || !searchParams.has('id')) {
      response.writeHead(426).end();
      return;
    }
    const expected = { body: '', isWhole: false };
    this.responsesOf(peer).bodies.set(id, expected);
    response.setHeader('X-Id', String(id));
    if (pathname !== '/plain') await this.#wait();
    const count = pathname === '/stream' ? Number(searchParams.get('count')) : 1;
    for (let i = 0; i < count; i++) {
      const text = makeBody(`${id}:${i};`, Number(searchParams.get('bytes')));
      expected.body += text;
      response.write(text);
    }
    expected.isWhole = true;
    response.end();
  }

  async #respond(ctx: Context, kind: RequestKind, peer: Peer, responses: Responses): Promise<void> {
    const id = Number(ctx.getRequestQuery('id'));
    const count = Number(ctx.getRequestQuery('count'));
    const bytes = Number(ctx.getRequestQuery('bytes'));
    const expected = { body: '', isWhole: false };
    responses.bodies.set(id, expected);
    ctx.setResponseHeader('X-Id', String(id));
    const piece = (index: number) => {
      const text = makeBody(`${id}:${index};`, bytes);
      responses.largestPiece = Math.max(responses.largestPiece, text.length);
      return text;
    };
    const send = async (text: string) => {
      expected.body += text;
      try {
        await ctx.sendResponseBody(text);
      } catch (error) {
        peer.excuse('backpressure');
        throw error;
      }
    };
    const whole = (text: string) => {
      expected.body = text;
      responses.largestPiece = Math.max(responses.largestPiece, text.length);
      ctx.setResponseBody(text);
    };
    switch (kind) {
      case 'plain':
        whole(piece(0));
        break;
      case 'later':
        await this.#wait();
        whole(piece(0));
        break;
      case 'stream':
        for (let i = 0; i < count; i++) await send(piece(i));
        break;
      case 'pieces':
        for (let i = 0; i < count; i++) {
          send(piece(i)).catch(() => {});
        }
        await this.#wait();
        break;
      case 'events':
        ctx.setResponseHeader('Content-Type', 'text/event-stream');
        await ctx.sendResponse(200, '');
        for (let i = 0; i < count; i++) {
          await send(piece(i));
          await this.#wait();
        }
        break;
      case 'body':
        whole(ctx.getRequestBodyString());
        break;
      case 'encoded':
        ctx.setResponseHeader('Transfer-Encoding', 'chunked');
        whole(piece(0));
        break;
      case 'throw':
        // What says so may be one response too many.
        if (this.#policy !== 'wait') peer.excuse('backpressure');
        throw ERROR;
      case 'once':
        peer.excuseIn ??= 'ended by a response';
        whole(piece(0));
        await ctx.sendOnce();
        break;
    }
    expected.isWhole = true;
  }
}
