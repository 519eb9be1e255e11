import { once } from 'node:events';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';
import { parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Server } from '../../lib/server/server.ts';
import { Application } from './application.ts';
import { Finding, ORACLE } from './finding.ts';
import { HttpChecks } from './http-checks.ts';
import { type Behaviour, MemoryLink } from './link.ts';
import { Oracles } from './oracles.ts';
import { Peer } from './peer.ts';
import { PeerTimes } from './peer-times.ts';
import { Acceptor, TcpLink } from './tcp-link.ts';
import { holdTasks, letTasksRun, releaseTask, waitingTasks } from './thread-pool.ts';
import {
  CHECK_MS,
  CLOSE_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  HEARTBEAT_MS,
  KEEP_ALIVE_MS,
  LINGER_MS,
} from './timeouts.ts';
import { realDelay, ticks, VirtualTime } from './virtual-time.ts';

/** How a peer comes to the server. */
export type Road = 'run' | 'attach' | 'handleUpgrade';

export interface WorldOptions {
  readonly perMessageDeflate: NonNullable<ServerOptions['perMessageDeflate']>;
  readonly backpressurePolicy: 'wait' | 'drop' | 'close';
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
  readonly maxBackpressureBytes: number;
  readonly highWaterMarkBytes: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxPipelinedRequests: number;
  /** Whether handlers run when a WebSocket opens. */
  readonly hasHook: boolean;
}

export const MAX_MESSAGE_BYTES = 150_000;
/** For how many milliseconds nothing comes from the kernel when nothing is under way. */
const QUIET_ROUNDS_OF_TCP = 3;
/** So many steps of time pass before bytes of TCP are waited for. */
const STEPS_OF_TCP = 5;
/** Rounds of a settling that does not end. */
const MAX_ROUNDS = 4000;

/** A close of the server that was begun. */
export interface Closing {
  readonly open: number;
  readonly timeout: number;
  readonly startedAt: number;
  result: { closed: number; cut: number } | undefined;
  error: unknown;
}

/** Everything there is: a server with handlers, peers, time, and what is checked all the time. */
export class World {
  readonly options: WorldOptions;
  readonly time: VirtualTime = new VirtualTime();
  readonly server: Server;
  readonly application: Application;
  readonly peers: Map<number, Peer> = new Map();
  /** What was thrown where nobody could catch it. */
  readonly escaped: unknown[];
  readonly closings: Closing[] = [];
  readonly httpChecks: HttpChecks[] = [];
  readonly times: Map<Peer, PeerTimes> = new Map();
  readonly isTcp: boolean;
  /** Whether it was attached again while it was being closed, or behind that. */
  isAttachedLate = false;
  readonly oracles: Oracles;
  #listener: http.Server | undefined;
  #attached: http.Server | undefined;
  readonly #wheel = timerWheel.waiting;
  readonly #acceptors = new Map<http.Server, Acceptor>();
  /** Whether the thread pool does its work by itself. */
  #isEnding = false;
  #nextPeer = 1;
  #nextId = 1;

  /**
   * @param isTcp - whether peers come by TCP, and not in memory
   * @param escaped - what was thrown where nobody could catch it is put there
   */
  constructor(options: WorldOptions, isTcp: boolean = false, escaped: unknown[] = []) {
    this.options = options;
    this.escaped = escaped;
    this.isTcp = isTcp;
    this.time.onError = (error) => this.escaped.push(error);
    const { hasHook, maxConnections, ...others } = options;
    this.server = new Server({
      ...others,
      origins: '*',
      host: '127.0.0.1',
      port: 0,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      maxConnections,
      heartbeatIntervalMs: HEARTBEAT_MS,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    });
    this.application = new Application(this.peers, options.maxBackpressureBytes, options.backpressurePolicy);
    this.application.register(this.server, hasHook);
    this.oracles = new Oracles(this);
  }

  get nextId(): number {
    return this.#nextId++;
  }

  get isClosing(): boolean {
    return this.closings.some(({ result }) => result === undefined);
  }

  /** Takes the places of timers, of the thread pool and of the port. */
  async start(): Promise<void> {
    this.time.install();
    holdTasks();
    await this.run();
    if (this.isTcp) await once(this.#attachedServer().listen(0, '127.0.0.1'), 'listening');
  }

  /** Listens, on no port. */
  async run(): Promise<void> {
    const made = await this.#capture(() => this.server.run());
    this.#listener = made;
  }

  #watch(server: http.Server): void {
    this.httpChecks.push(new HttpChecks(server, this.time));
    if (this.isTcp) this.#acceptors.set(server, new Acceptor(server, (socket) => this.#giveTimeouts(socket)));
  }

  async #capture(run: () => Promise<void>): Promise<http.Server | undefined> {
    const { createServer } = http;
    let made: http.Server | undefined;
    const replaced = (...args: unknown[]) => {
      made = (createServer as (...args: unknown[]) => http.Server)(...args);
      this.#watch(made);
      if (this.isTcp) return made;
      made.listen = ((_options: unknown, listening: () => void) => {
        process.nextTick(listening);
        return made;
      }) as never;
      return made;
    };
    http.createServer = replaced as never;
    syncBuiltinESMExports();
    try {
      await run();
    } finally {
      http.createServer = createServer;
      syncBuiltinESMExports();
    }
    return made;
  }

  // --- peers --------------------------------------------------------------------------------------------------------

  addPeer(behaviour: Behaviour, room: number, isPolite: boolean): Peer {
    const peer = new Peer(
      this.#nextPeer++,
      (events) => (this.isTcp ? new TcpLink(events) : new MemoryLink(behaviour, room, events)),
      isPolite,
    );
    this.peers.set(peer.id, peer);
    this.times.set(peer, new PeerTimes(this.time.now));
    return peer;
  }

  /** Whether a peer can come on this road. */
  hasRoad(road: Road): boolean {
    if (road === 'handleUpgrade') return !this.isTcp;
    return road === 'attach' || this.#listener !== undefined;
  }

  /** Brings a peer to the server of node:http that listens, or that is attached. */
  connect(peer: Peer, road: 'run' | 'attach'): void {
    const server = road === 'run' ? this.#listener : this.#attachedServer();
    if (server === undefined) return;
    this.times.get(peer)!.isAtDoor = road === 'run';
    if (peer.link instanceof TcpLink) {
      peer.link.connect(this.#acceptors.get(server)!);
      return;
    }
    const socket = peer.link.socket as Socket & { _server?: unknown; server?: unknown };
    const counting = server as http.Server & { _connections: number; _emitCloseIfDrained(): void };
    this.#giveTimeouts(socket);
    counting._connections++;
    socket.server = server;
    if (peer.link.behaviour.isSocket) {
      socket._server = server;
    } else {
      socket.once('close', () => {
        counting._connections--;
        counting._emitCloseIfDrained();
      });
    }
    server.emit('connection', socket);
  }

  /** Gives a peer to `handleUpgrade`, which its request was read for. */
  handUpgrade(peer: Peer, head: string, behind: Buffer): void {
    const request = parseUpgradeHead(Buffer.from(head, 'latin1'), 16_384)!;
    const link = peer.link as MemoryLink;
    link.count(behind);
    this.server.handleUpgrade(request, link.socket, Buffer.from(behind));
  }

  #attachedServer(): http.Server {
    if (this.#attached === undefined) {
      const limits = { headersTimeout: HANDSHAKE_TIMEOUT_MS, connectionsCheckingInterval: CHECK_MS };
      this.#attached = http.createServer(limits, (request, response) => {
        void this.application.respondBehindAttach(request, response);
      });
      this.#watch(this.#attached);
      this.attach();
    }
    return this.#attached;
  }

  /** How many listen for upgrades on the server that it is attached to, though it is closed. */
  get upgradeListeners(): number {
    return this.isAttachedLate ? 0 : (this.#attached?.listenerCount('upgrade') ?? 0);
  }

  /** Attaches the server to the other again, if it is not. */
  attach(): void {
    if (this.#attached === undefined || this.#attached.listenerCount('upgrade') > 0) return;
    this.server.attach(this.#attached);
    this.isAttachedLate = this.closings.length > 0;
  }

  /** The timeouts of a socket in virtual time. */
  #giveTimeouts(socket: Socket): void {
    let timer: unknown;
    const { time } = this;
    socket.setTimeout = (timeoutMs: number, callback?: () => void) => {
      time.clear(timer);
      timer = undefined;
      if (callback !== undefined) {
        if (timeoutMs === 0) socket.off('timeout', callback);
        else socket.once('timeout', callback);
      }
      if (timeoutMs > 0) timer = setTimeout(() => socket.emit('timeout'), timeoutMs);
      return socket;
    };
    socket.once('close', () => time.clear(timer));
  }

  // --- time ---------------------------------------------------------------------------------------------------------

  /** Lets all happen that happens by itself, but for the passing of time; then checks. */
  async settle(): Promise<void> {
    let before = -1;
    let quietRounds = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await ticks();
      if (this.isTcp) await realDelay(1);
      const activity = this.#activity();
      quietRounds = activity === before ? quietRounds + 1 : 0;
      let isQuiet = quietRounds >= (this.isTcp ? QUIET_ROUNDS_OF_TCP : 1);
      if (this.#isEnding && waitingTasks() > 0) {
        releaseTask(0);
        isQuiet = false;
      }
      before = activity;
      if (this.time.hasImmediates) {
        isQuiet = false;
        this.time.runImmediates();
      }
      for (const peer of this.peers.values()) if (peer.answer()) isQuiet = false;
      if (isQuiet) {
        for (const checks of this.httpChecks) checks.notice();
        this.oracles.check();
        return;
      }
    }
    throw new Finding(ORACLE.ends, 'the event loop never comes to rest');
  }

  #activity(): number {
    let activity = 0;
    for (const { link } of this.peers.values()) activity += link.activity;
    return activity;
  }

  /** Lets so much time pass. */
  async advance(ms: number): Promise<void> {
    const end = this.time.now + ms;
    for (let step = 1; this.time.now < end; step++) {
      const next = Math.min(end, this.time.nextDue);
      this.#excuseUntil(next);
      this.time.step(end);
      if (this.isTcp && step % STEPS_OF_TCP > 0 && this.time.now < end) {
        await ticks();
        continue;
      }
      await this.settle();
      this.oracles.checkClosingTimes();
    }
  }

  /** Sees for whom some timeout may be over when it is so late. */
  #excuseUntil(now: number): void {
    for (const [peer, times] of this.times) {
      const reason = times.mayEnd(peer, now, this.options.idleTimeoutMs);
      if (reason !== undefined) peer.excuse(reason);
    }
  }

  /** Says how many bytes the head of a peer's first request has. */
  expectHead(peer: Peer, bytes: number): void {
    const times = this.times.get(peer)!;
    times.headBytes = Math.min(times.headBytes, bytes);
  }

  // --- closing ------------------------------------------------------------------------------------------------------

  /** Begins to close the server. */
  close(timeout: number): void {
    const open = [...this.application.conversations.values()].filter(({ isOver }) => !isOver).length;
    const closing: Closing = { open, timeout, startedAt: this.time.now, result: undefined, error: undefined };
    this.closings.push(closing);
    for (const peer of this.peers.values()) {
      peer.excuseIn ??= 'the server is closed';
      this.times.get(peer)!.cutAt = this.time.now + timeout;
      // What is not answered yet may be refused, and idle connections end.
      if (!peer.isUpgraded) peer.excuse('the server is closed');
    }
    this.#listener = undefined;
    this.isAttachedLate = false;
    this.server.close({ timeout }).then(
      (result) => {
        closing.result = result;
      },
      (error) => {
        closing.error = error;
      },
    );
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  /** Has no handler wait any more. @returns whether any did */
  openGates(): boolean {
    const { application } = this;
    application.isHasty = true;
    const hadAny = application.gates.length > 0;
    while (application.gates.length > 0) application.openGate(0);
    return hadAny;
  }

  /** Lets everything go its way, without time passing: handlers, the thread pool, and bytes. */
  async drain(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let isQuiet = !this.openGates();
      await this.settle();
      while (waitingTasks() > 0) {
        releaseTask(0);
        await this.settle();
        isQuiet = false;
      }
      for (const { link } of this.peers.values()) {
        if (!link.isReading || !link.isRead) {
          link.read(Number.POSITIVE_INFINITY);
          isQuiet = false;
        }
        if (link.bytesOnTheirWay > 0 || (link.hasEnded && !link.isDelivered && !link.isGone)) {
          const before = link.bytesOnTheirWay;
          link.deliver(Number.POSITIVE_INFINITY, 60_000);
          if (before > 0) isQuiet = false;
        }
      }
      await this.settle();
      if (isQuiet) return;
    }
    throw new Finding(ORACLE.ends, 'what is under way never comes to an end');
  }

  /** Has all peers do nothing any more: they neither send, answer nor read. */
  silence(): void {
    for (const peer of this.peers.values()) {
      peer.excuse('silent for ever');
      peer.isSilent = true;
      peer.link.stopReading();
    }
  }

  /** Waits, with all peers silent, for all that is bound to end; then nothing may be left. @throws {Finding} */
  async end(): Promise<void> {
    const patience =
      3 * HEARTBEAT_MS + CLOSE_TIMEOUT_MS + HANDSHAKE_TIMEOUT_MS + KEEP_ALIVE_MS + 2 * LINGER_MS + 2 * CHECK_MS;
    this.#isEnding = true;
    // A server that closes cuts handlers that hang; but nobody else does.
    if (this.isClosing) await this.advance(3500);
    this.openGates();
    await this.settle();
    await this.advance(patience);
    for (const peer of this.peers.values()) if (!peer.isUpgraded && !this.#isOurs(peer)) peer.link.reset();
    await this.settle();
    for (const peer of this.peers.values()) {
      if (!peer.link.isGone) throw new Finding(ORACLE.ends, `peer ${peer.id} is there after ${this.time.now} ms`);
    }
    if (!this.isClosing) this.close(1000);
    await this.drain();
    await this.advance(1500);
    const closing = this.closings.at(-1)!;
    if (closing.result === undefined) throw new Finding(ORACLE.ends, 'close() never ends');
    this.oracles.checkNothingLeft();
  }

  /**
   * Whether the server answers for it that a peer without a WebSocket leaves: not if it waits for a response of the
   * application that the server is attached to, nor in the midst of a body, for which node:http gives it 5 minutes.
   */
  #isOurs(peer: Peer): boolean {
    const isAtAttached = !this.times.get(peer)!.isAtDoor && peer.requests[0]?.kind !== 'upgrade';
    const isInBody = !peer.link.isDelivered && peer.requests.some(({ method }) => method === 'POST');
    return !isAtAttached && !isInBody;
  }

  /** Puts everything back, whatever has happened: the next world starts with nothing of this one. */
  async stop(): Promise<void> {
    const forgive = async () => {
      await ticks();
      this.time.runImmediates();
      while (this.application.gates.length > 0) this.application.openGate(0);
      while (waitingTasks() > 0) releaseTask(0);
      await ticks();
    };
    try {
      this.application.isHasty = true;
      for (const { link } of this.peers.values()) link.reset();
      await forgive();
      void this.server.close({ timeout: 1 }).catch(() => {});
      for (let i = 0; i < 60 && (timerWheel.waiting > this.#wheel || i < 2 || this.time.hasImmediates); i++) {
        this.time.step(this.time.now + 1000);
        await forgive();
      }
      for (const checks of this.httpChecks) checks.stop();
      this.#attached?.close();
    } finally {
      letTasksRun();
      this.time.uninstall();
    }
  }
}
