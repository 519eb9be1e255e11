import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { ConnectionClosedError } from '../../lib/errors.ts';
import { runInTurn } from '../../lib/extensions/task-queue.ts';
import { type Deferred, defer } from '../../lib/net/promises.ts';
import { TICK_MS, timerWheel } from '../../lib/net/timer-wheel.ts';
import type { CloseInfo } from '../../lib/protocol/events.ts';
import type { Context } from '../../lib/server/context.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import { type CloseResult, Server } from '../../lib/server/server.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { memoryPair } from '../support/connections.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/tls.ts';
import { settle } from '../support/watchdog.ts';
import { upgradeRequest } from '../support/ws-client.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';
import type { Event } from './events.ts';
import { filled, isFilled, MOVED_BYTES, Peer } from './peer.ts';
import type { State } from './states.ts';

/** What a handler does once it goes on working, in place of an answer alone. */
export type Task = 'throw' | 'bulk' | 'transfer';

/** What is given to whom does not read: more than the buffers of the system hold for a peer that never did. */
const BULK_PARTS = 80;
/**
 * How long anything may take that happens by itself, and in how many turns of the event loop: the process may be stopped for
 * long. What is wrong never comes.
 */
const PATIENCE_MS = 15_000;
const PATIENCE_TURNS = 3_000;
/** In how many turns of the event loop what the peer has sent is there, over any road. */
const ENOUGH_TURNS = 8;
/** What may wait by default: `maxQueuedBytes`, one message and one read. */
const MAX_HELD_BYTES = (1024 + 96 + 256) * 1024;
/** The default of `maxPipelinedRequests`. */
const MAX_PIPELINED = 16;

/** Nothing ends by a time limit, unless the event is one. */
const OPTIONS: ServerOptions = {
  host: '127.0.0.1',
  port: 0,
  heartbeatIntervalMs: 0,
  closeTimeoutMs: 60_000,
  handshakeTimeoutMs: 60_000,
};

/** What a cell may be played over. Only over TCP is the server the one that listens; over others ours is attached to it. */
export const ROADS = ['TCP', 'TLS', 'a Duplex'] as const;
export type Road = (typeof ROADS)[number];

/** One state and one event: a server, a peer, and what they have seen of each other. */
export class Cell {
  readonly state: State;
  readonly event: Event;
  readonly road: Road;
  readonly server: Server;
  /** The server of the application, where ours is attached to one. */
  #http: HttpServer | undefined;
  peer!: Peer;
  /** Stands for the work that the handlers have to do: they wait for it. */
  readonly gate: Deferred<void> = defer();
  /** Whether handlers wait for the gate. */
  holds = false;
  task: Task | undefined;
  /** The latest context of a handler, and the stream of the WebSocket. */
  ctx: Context | undefined;
  stream: WebSocketStream | undefined;
  closed: CloseInfo | undefined;
  /** What handlers were run for, in order; and the messages that they sent, and those of which the send has resolved. */
  readonly handled: string[] = [];
  readonly attempted: string[] = [];
  readonly resolved: string[] = [];
  readonly errors: unknown[] = [];
  /** Whether the response of a stream was not ended by the event. */
  isAnswerWanted = true;
  /** How many of the quick requests were begun. */
  #begun = 0;
  #unresolved = 0;
  #sent = 0;
  #running = 0;
  #mostRunning = 0;
  #broken: string | undefined;
  #probe: string | undefined;
  /** What `server.close` is to resolve with, once the event has called it; and whether a WebSocket was there then. */
  closing: Promise<CloseResult> | undefined;
  hadSession = false;
  /** How far the connection was when the event happened. */
  progressBefore = 0;
  #pool: Deferred<void> | undefined;

  constructor(state: State, event: Event, road: Road = 'TCP') {
    this.state = state;
    this.event = event;
    this.road = road;
    this.server = new Server({ ...OPTIONS, ...state.options, ...event.options });
    this.server.errorHandle((error) => {
      this.errors.push(error);
    });
    this.server.onUpgradeRefused(() => {});
    this.server.route('/', (ctx) => this.#handleMessage(ctx));
    this.server.route('/owner', (ctx) => this.#own(ctx)).enableInnerWebsocketHandle('/owner');
    this.server.route('/plain', (ctx) => this.#answerPlain(ctx));
    this.server.route('/stream', (ctx) => this.#stream(ctx));
    this.server.route('/quick', (ctx) => {
      this.#begun++;
      ctx.setResponseHeader('X-Number', ctx.getRequestQuery('n') ?? '').setResponseBody('quick');
    });
    if (state.hooked !== false) this.server.onWebsocketConnected((ctx) => this.#meet(ctx));
    state.setUp?.(this);
  }

  // --- from the start to the end --------------------------------------------------------------------------------------

  /** Plays the cell, and returns how it ended. */
  async play(): Promise<string> {
    const { state, event } = this;
    const leavePool = state.holdsPool === true ? await takePool() : undefined;
    try {
      this.peer = await this.#connect();
      await state.enter(this);
      this.progressBefore = this.progress;
      await event.happen(this);
      if (event.isNoticed !== undefined) await this.#notice(() => event.isNoticed!(this));
      const isWaiting = state.isDeaf === true || (state.kind === 'plain' && state.isWorking === true);
      if (event.goesOn === 'afterwards') {
        if (isWaiting) {
          await this.#letTimePass();
          this.release();
        }
      } else {
        this.release();
        // The server first: what handlers do then comes before what the peer does.
        await settle();
        if (event.goesOn === 'whole') state.goOn?.(this);
      }
      if (event.isFarewellDue === true || (state.kind === 'plain' && state.isWorking === true && !event.isBlind))
        await this.#sayFarewell();
      await this.#end();
      this.release();
      await this.until('the handlers are done', () => this.#running === 0);
      await this.#leaveNothing();
      this.#check();
      return this.#ending();
    } catch (error) {
      if (error instanceof Error) error.message += `\n${this.#report()}`;
      throw error;
    } finally {
      this.release();
      this.peer?.socket.destroy();
      this.#http?.close();
      this.#http?.closeAllConnections();
      await this.server.close({ timeout: 0 }).catch(() => {});
      leavePool?.();
    }
  }

  /** Lets the server be reached, and connects the peer to it. */
  async #connect(): Promise<Peer> {
    const { state, road } = this;
    if (road === 'TCP' && state.application === undefined) {
      await this.server.run();
      return connectPeer(this.server.address()!.port, road);
    }
    const answer: RequestListener = (request, response) => {
      if (state.application !== undefined) state.application(this, request, response);
      else response.writeHead(404).end();
    };
    const http =
      road === 'TLS' ? createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE }, answer) : createServer(answer);
    this.#http = http;
    this.server.attach(http);
    if (road === 'a Duplex') {
      const [here, there] = await memoryPair();
      http.emit('connection', here);
      return new Peer(there);
    }
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return connectPeer((http.address() as AddressInfo).port, road);
  }

  /** Waits until the server has seen what happened; if it does not listen, until there was time for it. */
  async #notice(isNoticed: () => boolean): Promise<void> {
    if (this.state.isDeaf !== true) {
      await this.until('the server notices it', isNoticed);
      return;
    }
    await settle(ENOUGH_TURNS);
  }

  /**
   * Waits for longer than the time limit of the event takes, if that should not be the end. Counted in ticks, by the wheel
   * where it turns: a process that was stopped for a while is to find that no time has passed.
   */
  async #letTimePass(): Promise<void> {
    const ticks = this.event.ticks!;
    const start = timerWheel.now;
    for (let i = 0; i <= ticks; i++) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    await this.until('time passes', () => timerWheel.now - start > ticks || timerWheel.waiting === 0);
  }

  /** The server side goes on working. */
  release(): void {
    this.gate.resolve();
    this.#pool?.resolve();
    this.#pool = undefined;
  }

  /** Sees whether the connection still works, and closes it. */
  async #sayFarewell(): Promise<void> {
    const { peer, state } = this;
    if (state.kind === 'plain') {
      await this.until('all responses are there', () => peer.ended || peer.gone || peer.isAnswered);
      peer.end();
      return;
    }
    if (peer.sentCode === undefined && peer.closeCode === undefined) {
      // Behind the rest of what was begun.
      const rest = peer.someMessages(0);
      const probe = peer.nextLabel();
      this.#probe = probe;
      peer.write(rest, peer.message(probe));
      await this.until(
        'the probe is answered',
        () => peer.messages.at(-1) === `re:${probe}` || peer.closeCode !== undefined || peer.ended || peer.gone,
      );
    }
    if (peer.sentCode === undefined) peer.write(peer.close());
  }

  /** Waits for the end of the connection, as far as either side can see it. */
  async #end(): Promise<void> {
    const { peer, event } = this;
    const isOver = () => peer.ended || peer.gone || (event.isBlind === true && this.hasFailedToSend);
    await this.until('an end', () => this.closed !== undefined || (this.stream === undefined && isOver()));
    if (event.goesOn === 'afterwards' || event.isBlind === true) {
      // It has nothing to say any more, and would never hear.
      if (!peer.socket.isPaused() && !peer.wasReset)
        await this.until('the peer hears of it', () => peer.ended || peer.gone);
      return;
    }
    await this.until('the connection is gone', () => peer.gone);
  }

  /** Nothing of the cell is left: the server ends by itself. */
  async #leaveNothing(): Promise<void> {
    const { peer } = this;
    const result = this.closing === undefined ? undefined : await this.soon('close() resolves', this.closing);
    if (result !== undefined) {
      const total = this.hadSession ? 1 : 0;
      // Of a peer that answers nothing none ends by itself.
      const cut = this.event.goesOn === 'afterwards' ? total : 0;
      assert.deepEqual(result, { closed: total - cut, cut }, 'what close() tells');
    }
    const rest = await this.soon('the server is empty', this.server.close({ timeout: PATIENCE_MS * 2 }));
    assert.deepEqual(rest, { closed: 0, cut: 0 }, 'no WebSocket is left');
    peer.socket.destroy();
    const http = this.#http;
    if (http === undefined) return;
    await this.soon('the application has no connection left', new Promise((resolve) => http.close(resolve)));
  }

  // --- for states and events ------------------------------------------------------------------------------------------

  /** Gives the next handler something else to do; if none is to come, by a message. */
  give(task: Task): void {
    this.task = task;
    if (this.state.isWorking !== true) this.peer.write(this.peer.someMessages(1));
  }

  async upgrade(
    path: string = '/',
    headers: Record<string, string> = {},
    behind: Buffer = Buffer.alloc(0),
  ): Promise<void> {
    this.peer.write(upgradeRequest(path, headers), behind);
    await this.until('the WebSocket is open', () => this.peer.isOpen);
  }

  /** Opens a WebSocket with compression. */
  async upgradeCompressed(takeover: boolean): Promise<void> {
    await this.upgrade('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    this.peer.zlib = new ZlibPeer('server', {
      serverNoContextTakeover: !takeover,
      clientNoContextTakeover: !takeover,
      serverMaxWindowBits: 15,
      clientMaxWindowBits: 15,
    });
  }

  /** Has all work in the thread pool wait from now on, until `release`. */
  holdPool(): void {
    const pool = defer<void>();
    this.#pool = pool;
    for (let i = 0; i < MAX_RUNNING; i++) void runInTurn(() => pool.promise);
  }

  /** Waits until all that the peer has sent is there, where nothing tells that it is. */
  async untilQuiet(): Promise<void> {
    await this.until('all has left', () => this.peer.socket.writableLength === 0);
    await settle(ENOUGH_TURNS);
  }

  shutDown(timeout: number): void {
    this.hadSession = this.stream !== undefined && this.closed === undefined;
    this.closing = this.server.close({ timeout });
  }

  /** Whether handlers are done of which one could not send. */
  get hasFailedToSend(): boolean {
    return this.#running === 0 && this.#unresolved > 0;
  }

  /** How many handlers are running. */
  get running(): number {
    return this.#running;
  }

  /** 0 while it is open, 1 while it is closing, 2 once it is over. */
  get progress(): number {
    if (this.closed !== undefined) return 2;
    return this.stream === undefined || this.stream.state === 'open' ? 0 : this.stream.state === 'closing' ? 1 : 2;
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    for (let turn = 0; !condition(); turn++) {
      if (this.peer?.fault !== undefined) throw new Error(this.peer.fault);
      if (Date.now() > end && turn > PATIENCE_TURNS) throw new Error(`never came true: ${what}`);
      await new Promise((resolve) => (turn < 20 ? setImmediate(resolve) : setTimeout(resolve, 2)));
    }
  }

  async soon<T>(what: string, promise: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    promise.then(done, done);
    await this.until(what, () => isDone);
    return promise;
  }

  /** What one connection makes the server hold, and begin, is bounded while its handlers are busy. */
  checkHeld(): void {
    const held = this.stream?.receivedBytes ?? 0;
    assert.ok(held <= MAX_HELD_BYTES, `${held} bytes are held`);
    if (this.state.kind === 'plain' && this.state.isWorking === true) {
      assert.ok(this.#begun < MAX_PIPELINED, `${this.#begun} requests were begun behind one that was not answered`);
    }
  }

  /** Waits until a handler can send no more, since the peer does not read. */
  async untilBlocked(): Promise<void> {
    let seen = -1;
    let still = 0;
    await this.until('the output is blocked', () => {
      still = this.#sent === seen && this.#unresolved > 0 ? still + 1 : 0;
      seen = this.#sent;
      // Where a heartbeat is due it may have been cut for that by now.
      return still > 20 || this.hasFailedToSend;
    });
  }

  // --- handlers -------------------------------------------------------------------------------------------------------

  #meet(ctx: Context): void {
    this.ctx = ctx;
    if (this.stream !== undefined) return;
    this.stream = ctx.getStream();
    void this.stream?.closed.then((info) => {
      this.closed = info;
    });
  }

  async #handleMessage(ctx: Context): Promise<void> {
    this.#meet(ctx);
    this.#begin(ctx.getRequestBodyString());
    try {
      await this.#wait();
      if (this.state.handle !== undefined && this.handled.length === 1) await this.state.handle(this, ctx);
      await this.perform(ctx);
      const answer = `re:${this.handled.at(-1)}`;
      if (this.state.awaitsNothing === true) this.post(ctx, answer);
      else await this.send(ctx, answer);
    } finally {
      this.#running--;
    }
    if (this.state.takesOver === true && this.handled.length === 1) await this.#receive(ctx);
  }

  /** Is the upgrade middleware. */
  async decide(ctx: Context): Promise<void> {
    this.ctx = ctx;
    this.#running++;
    try {
      await this.gate.promise;
      if (this.task === 'throw') await this.perform(ctx);
    } finally {
      this.#running--;
    }
  }

  async #own(ctx: Context): Promise<void> {
    this.#meet(ctx);
    await this.#receive(ctx);
  }

  /** Reads messages until there are no more. */
  async #receive(ctx: Context): Promise<void> {
    const stream = this.stream!;
    try {
      for (;;) {
        const request = await Request.websocketRequestFromStream(stream, 0);
        this.#begin(request.getBodyString());
        try {
          await this.#wait();
          await this.perform(ctx);
          await this.send(ctx, `re:${this.handled.at(-1)}`);
        } finally {
          this.#running--;
        }
      }
    } catch (error) {
      if (!(error instanceof ConnectionClosedError)) throw error;
    }
  }

  async #answerPlain(ctx: Context): Promise<void> {
    this.ctx = ctx;
    this.#running++;
    try {
      await this.gate.promise;
      await this.perform(ctx);
      if (this.#sent === 0) ctx.setResponseBody('plain');
    } finally {
      this.#running--;
    }
  }

  async #stream(ctx: Context): Promise<void> {
    this.ctx = ctx;
    this.#running++;
    try {
      if (ctx.getRequestQuery('events') !== undefined) {
        ctx.setResponseHeader('Content-Type', 'text/event-stream');
        await ctx.sendResponse();
      }
      await ctx.sendResponseBody('data: part 1\n\n');
      await this.gate.promise;
      await this.perform(ctx);
      if (ctx.getClosed() || !this.isAnswerWanted) return;
      await ctx.sendResponseBody('data: part 2\n\n');
    } finally {
      this.#running--;
    }
  }

  #begin(body: string): void {
    const label = labelOf(body);
    if (body !== label && !isFilled(label, body)) this.#broken ??= `${label} came with other bytes`;
    this.handled.push(label);
    this.#running++;
    this.#mostRunning = Math.max(this.#mostRunning, this.#running);
  }

  async #wait(): Promise<void> {
    if (this.holds) await this.gate.promise;
    else await Promise.resolve();
  }

  /** Does what the event asks of a handler. */
  async perform(ctx: Context): Promise<void> {
    const { task } = this;
    this.task = undefined;
    if (task === 'throw') throw new Error('a handler has failed');
    if (task === 'bulk') await this.sendBulk(ctx);
    if (task === 'transfer') {
      const bytes = new TextEncoder().encode(filled('moved').slice(0, MOVED_BYTES));
      const sent = this.send(ctx, bytes, 'moved');
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      await sent;
    }
  }

  /** Sends more than the buffers of the system hold, as fast as the peer reads. */
  async sendBulk(ctx: Context): Promise<void> {
    for (let i = 1; i <= BULK_PARTS; i++) {
      await this.send(ctx, filled(`bulk${i}`));
      if (this.task === 'throw') await this.perform(ctx);
    }
  }

  /** Sends without waiting for it. */
  post(ctx: Context, text: string): void {
    this.send(ctx, text).catch(() => {});
  }

  async send(ctx: Context, data: string | Uint8Array, label: string = labelOf(data as string)): Promise<void> {
    // The pieces of a plain response are not taken down.
    if (ctx.isWebSocket()) this.attempted.push(label);
    this.#unresolved++;
    // Only what is said to be is compressed in the thread pool, which may be another cell's.
    await ctx.sendResponseBody(data, label.startsWith('bulk') ? { compress: false } : {});
    this.#unresolved--;
    if (ctx.isWebSocket()) this.resolved.push(label);
    this.#sent++;
  }

  // --- how it ended ---------------------------------------------------------------------------------------------------

  get #handledCount(): number {
    return this.handled.filter((label) => label !== this.#probe).length;
  }

  get #answeredCount(): number {
    return this.peer.messages.filter((label) => label.startsWith('re:') && label !== `re:${this.#probe}`).length;
  }

  /** What holds in every cell. */
  #check(): void {
    const { peer, handled, attempted, resolved, closed } = this;
    assert.equal(peer.fault, undefined);
    assert.equal(this.#broken, undefined);
    assert.ok(this.#mostRunning <= 1, `${this.#mostRunning} handlers at once`);
    assert.deepEqual(
      handled,
      handled.map((_, i) => `m${i + 1}`),
      'messages are handled in order',
    );
    assert.deepEqual(peer.messages, attempted.slice(0, peer.messages.length), 'what was sent arrives in order');
    assert.deepEqual(
      peer.numbers,
      peer.numbers.map((_, i) => i + 1),
      'responses come in order',
    );
    assert.equal(peer.bytesBehindClose, 0, 'nothing comes behind a Close frame');
    if (closed === undefined) return;
    const canSee = this.event.isBlind !== true && peer.left !== 'RST';
    if (closed.code === 1006) assert.ok(!closed.wasClean);
    else assert.equal(closed.code, peer.sentCode, 'the code of the peer');
    // Only of TCP it is known at once what has left: over others what is cut right behind a Close frame is not called clean.
    const canTell = canSee && (closed.wasClean || this.road === 'TCP' || this.closing === undefined);
    if (canTell) assert.equal(closed.wasClean, closed.code !== 1006 && peer.closeCode !== undefined, 'wasClean');
    if (closed.wasClean && canSee)
      assert.equal(peer.messages.length, resolved.length, 'all that was sent before a proper end');
  }

  /** The end as the table writes it. */
  #ending(): string {
    const words = [this.#statuses(), this.#last()];
    const [handled, answered] = [this.#handledCount, this.#answeredCount];
    if (handled > 0) words.push(`${handled}/${answered}`);
    if (this.errors.length > 0) words.push('!'.repeat(this.errors.length));
    return words.filter((word) => word !== '').join(' ');
  }

  #statuses(): string {
    const words: [string, number][] = [];
    for (const { status, whole } of this.peer.responses) {
      if (status === 101) continue;
      const word = whole ? `${status}` : `${status}…`;
      if (words.at(-1)?.[0] === word) words.at(-1)![1]++;
      else words.push([word, 1]);
    }
    return words.map(([word, count]) => (count === 1 ? word : `${word}×${count}`)).join(' ');
  }

  #last(): string {
    const { peer, closed } = this;
    if (!peer.isOpen && this.stream === undefined) {
      if (peer.responses.length > 0) return '';
      return peer.left === undefined ? 'cut' : 'lost';
    }
    const { closeCode, sentCode } = peer;
    const isReset = peer.wasReset && peer.left !== 'RST';
    if (closed !== undefined && closed.code !== 1006) {
      assert.ok(!isReset, 'a proper end is no reset');
      if (!peer.closedFirst) return `closes ${closeCode}`;
      if (closeCode !== sentCode) return `answers ${closeCode ?? 'nothing'}`;
      return this.#probe !== undefined && peer.messages.includes(`re:${this.#probe}`) ? 'stays' : 'answers';
    }
    if (closeCode === undefined) return peer.left === undefined ? 'cut' : 'lost';
    if (!FAULTS.has(closeCode)) return `closes ${closeCode}, unanswered`;
    assert.ok(!isReset, 'a Close frame that tells of an error can be read');
    return `fails ${closeCode}`;
  }

  #report(): string {
    const { peer, closed, handled, attempted, resolved, errors } = this;
    if (peer === undefined) return 'no peer';
    const seen = {
      statuses: this.#statuses(),
      isOpen: peer.isOpen,
      messages: `${peer.messages.length}: ${peer.messages.slice(-3)}`,
      closeCode: peer.closeCode,
      sentCode: peer.sentCode,
      left: peer.left,
      ended: peer.ended,
      wasReset: peer.wasReset,
      gone: peer.gone,
      fault: peer.fault,
      closed,
      state: this.stream?.state,
      handled: `${handled.length}: ${handled.slice(-3)}`,
      attempted: attempted.length,
      resolved: resolved.length,
      running: this.#running,
      errors: errors.map(String),
    };
    return JSON.stringify(seen);
  }
}

/** Connects over TCP, or TLS over TCP. */
async function connectPeer(port: number, road: Road): Promise<Peer> {
  const tcp = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(tcp, 'connect');
  if (road === 'TCP') return new Peer(tcp);
  const tls = connectTls({ socket: tcp, rejectUnauthorized: false, allowHalfOpen: true } as ConnectionOptions);
  const peer = new Peer(tls, tcp);
  await once(tls, 'secureConnect');
  return peer;
}

/** What a long text begins with. */
function labelOf(text: string): string {
  return text.split(' ', 1)[0]!;
}

/** Codes that a server closes with for an error. */
const FAULTS: ReadonlySet<number> = new Set([1002, 1007, 1008, 1009, 1011]);

/** As many as may run at a time: lib/extensions/task-queue.ts. */
const MAX_RUNNING = 4;
/** What the next cell that holds the pool has to wait for: there is one pool. */
let poolIsFree: Promise<void> = Promise.resolve();

/** Waits for the pool. @returns a function that lets others have it */
async function takePool(): Promise<() => void> {
  const before = poolIsFree;
  const done = defer<void>();
  poolIsFree = done.promise;
  await before;
  return done.resolve;
}
