import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { TICK_MS, timerWheel } from '../../lib/net/timer-wheel.ts';
import type { Conversation } from './application.ts';
import { difference, Finding, ORACLE } from './finding.ts';
import type { Peer } from './peer.ts';
import { waitingTasks } from './thread-pool.ts';
import { HANDSHAKE_TIMEOUT_MS } from './timeouts.ts';
import type { Closing, World } from './world.ts';

/** What a response's head, and what frames its pieces, may take. */
const HEAD_BYTES = 600;
/** What is reserved for a message that is not whole, at least. */
const LEAST_BYTES = 4096;
/** Pings that are answered one by one, each of 125 bytes at most with its header. */
const PONG_BYTES = 16 * 140;
/** How much later something comes by TCP than it went. */
const TCP_DELAY_MS = 250;

/** What must hold in a world: at any time, when all that is under way has come to its end, and when nobody is left. */
export class Oracles {
  readonly #world: World;
  readonly #reservedBytes = reservedContextBytes();
  readonly #wheelEntries = timerWheel.waiting;
  readonly #processListeners = countProcessListeners();

  constructor(world: World) {
    this.#world = world;
  }

  /** All that must hold at any time. @throws {Finding} */
  check(): void {
    const [escaped] = this.#world.escaped;
    if (escaped !== undefined) throw new Finding(ORACLE.escaped, describe(escaped));
    const [finding] = this.#world.application.findings;
    if (finding !== undefined)
      throw finding instanceof Finding ? finding : new Finding(ORACLE.escaped, describe(finding));
    for (const peer of this.#world.peers.values()) {
      if (peer.link.isGone && peer.link.isRead) peer.finish();
      if (peer.finding !== undefined) throw peer.finding;
      this.#world.times.get(peer)!.note(peer, this.#world.time.now);
      this.#checkResponses(peer);
      this.#checkHandshake(peer);
      if (peer.link.hasThrown) peer.excuse('a stream that throws');
    }
    for (const conversation of this.#world.application.conversations.values()) {
      this.#compare(conversation);
      this.#checkRetained(conversation);
    }
    for (const closing of this.#world.closings) this.#checkClosing(closing);
  }

  /** Compares what a peer received with what was sent. */
  #compare(conversation: Conversation): void {
    const { peer, sends } = conversation;
    while (conversation.compared < peer.received.length) {
      const message = peer.received[conversation.compared++]!;
      for (;;) {
        const send = sends[conversation.arrived++];
        if (send === undefined) {
          throw new Finding(ORACLE.content, `peer ${peer.id} got ${show(message)}, which was not sent, or before`);
        }
        const isSame = typeof send.body === typeof message && String(send.body) === String(message);
        if (isSame && !send.isDropped) {
          send.hasArrived = true;
          break;
        }
        if (!send.isDropped && send.state !== 'rejected') {
          throw new Finding(ORACLE.content, `peer ${peer.id} got ${show(message)} instead of ${show(send.body)}`);
        }
      }
    }
  }

  /** The bounds of one WebSocket: docs/explanation/hostile-peers.md. */
  #checkRetained({ peer, stream, largestSend }: Conversation): void {
    if (peer.link.isGone) return;
    const { link } = peer;
    const largest = peer.messages.reduce((most, { body }) => Math.max(most, body.length), 0);
    const read = link.largestPiece + link.behaviour.highWaterMark;
    // A message that waits, one that is not whole, and the rest of the read that brought them.
    const inbound = this.#world.options.maxQueuedBytes + 2 * largest + read + link.unaskedBytes + LEAST_BYTES;
    if (stream.receivedBytes > inbound) {
      throw new Finding(ORACLE.retained, `${stream.receivedBytes} received bytes are kept, and ${inbound} may be`);
    }
    const { readableLength = 0 } = link.socket ?? {};
    if (readableLength > read + link.unaskedBytes) {
      throw new Finding(ORACLE.retained, `${readableLength} bytes wait in the stream, and ${read} may`);
    }
    if (this.#world.options.backpressurePolicy === 'wait') return;
    const outbound = this.#world.options.maxBackpressureBytes + 2 * largestSend + PONG_BYTES;
    if (stream.bufferedBytes > outbound) {
      throw new Finding(ORACLE.retained, `${stream.bufferedBytes} bytes wait for the peer, and ${outbound} may`);
    }
  }

  /** Order, wholeness and bounds of plain responses. */
  #checkResponses(peer: Peer): void {
    const times = this.#world.times.get(peer)!;
    const responses = this.#world.application.responses.get(peer.id);
    for (; times.responses < peer.responses.length; times.responses++) {
      const response = peer.responses[times.responses]!;
      const request = peer.requests[times.responses];
      if (request === undefined) {
        // What is no request at all is answered, too.
        if (response.status >= 400) continue;
        throw new Finding(ORACLE.http, `a response ${response.status} to no request`);
      }
      if (response.status === 101) continue;
      const id = response.headers.get('x-id');
      if (id === undefined) {
        if (response.status >= 400) peer.excuseIn ??= 'refused';
        if (request.kind === 'upgrade') peer.excuseIn ??= 'refused';
        continue;
      }
      const expected = responses?.bodies.get(request.id);
      const body = response.body.toString('latin1');
      if (Number(id) !== request.id || expected === undefined) {
        throw new Finding(ORACLE.http, `the response to ${id} comes as the answer to ${request.id}`);
      }
      const isWhole = response.isWhole && request.method !== 'HEAD';
      const isRight = isWhole ? body === expected.body : expected.body.startsWith(body);
      if (!isRight || (isWhole && !expected.isWhole)) {
        throw new Finding(ORACLE.http, `response ${id} is ${difference(body, expected.body)}`);
      }
    }
    if (responses === undefined) return;
    const { backpressurePolicy, maxBackpressureBytes, maxPipelinedRequests } = this.#world.options;
    if (responses.running > maxPipelinedRequests) {
      throw new Finding(ORACLE.retained, `${responses.running} requests of one connection are handled at once`);
    }
    const isBounded = backpressurePolicy !== 'wait' && times.isAtDoor;
    if (peer.link.isGone || peer.link.socket === undefined || !isBounded) return;
    const held = this.#world.httpChecks.reduce((sum, checks) => sum + checks.heldBytes(peer.link.socket!), 0);
    const bound = maxBackpressureBytes + 2 * responses.largestPiece + maxPipelinedRequests * HEAD_BYTES;
    if (held > bound)
      throw new Finding(ORACLE.retained, `responses hold ${held} bytes for one connection, of ${bound}`);
  }

  /** A head has its time, and no more. */
  #checkHandshake(peer: Peer): void {
    const { isAtDoor, openedAt, hasHead } = this.#world.times.get(peer)!;
    if (!isAtDoor || hasHead || peer.link.isGone) return;
    const tookMs = this.#world.time.now - openedAt;
    // By TCP it comes a little later than it went.
    const slackMs = 2 * TICK_MS + (this.#world.isTcp ? TCP_DELAY_MS : 0);
    if (tookMs > HANDSHAKE_TIMEOUT_MS + slackMs) {
      throw new Finding(ORACLE.ends, `a connection without a request is there after ${tookMs} ms`);
    }
  }

  /** What is closed has ended, but for what is being compressed: that takes no time of any peer. @throws {Finding} */
  checkClosingTimes(): void {
    if (waitingTasks() > 0) return;
    for (const { result, startedAt, timeout } of this.#world.closings) {
      const tookMs = this.#world.time.now - startedAt;
      if (result !== undefined || tookMs < timeout + 200) continue;
      throw new Finding(ORACLE.ends, `close(${timeout}) has not ended after ${tookMs} ms`);
    }
  }

  #checkClosing({ open, result, error }: Closing): void {
    if (error !== undefined) throw new Finding(ORACLE.counts, `close rejected: ${describe(error)}`);
    if (result === undefined) return;
    const { closed, cut } = result;
    // Without hooks nobody is told of a WebSocket before its first message.
    if (closed < 0 || cut < 0 || (this.#world.options.hasHook && closed + cut !== open)) {
      throw new Finding(ORACLE.counts, `closed ${closed} and cut ${cut} of ${open}`);
    }
  }

  /** What must have come to those with whom nothing went wrong, now that all is drained. @throws {Finding} */
  checkArrival(): void {
    for (const peer of this.#world.peers.values()) {
      if (peer.excuseIn === undefined && peer.excuseOut === undefined) {
        this.#checkAllResponses(peer);
        this.#checkCut(peer);
      }
      const conversation = this.#world.application.conversations.get(peer.id);
      if (conversation !== undefined) this.#checkAllMessages(conversation);
      else if (peer.isUpgraded) this.#checkHandled(peer, 0);
    }
  }

  #checkAllResponses({ id, requests, responses, link }: Peer): void {
    if (responses.length >= requests.length) return;
    const state = link.isGone ? 'is cut' : 'is there';
    throw new Finding(
      ORACLE.arrival,
      `peer ${id} got ${responses.length} of ${requests.length} responses, and ${state}`,
    );
  }

  /** Whose connection is gone without a Close was to blame for it. */
  #checkCut({ id, isUpgraded, closeReceived, link }: Peer): void {
    if (!isUpgraded || closeReceived !== undefined || !link.isGone) return;
    throw new Finding(ORACLE.arrival, `peer ${id} is cut, and nothing was wrong with it`);
  }

  #checkHandled({ id, excuseIn, messages }: Peer, handled: number): void {
    if (excuseIn !== undefined || handled >= messages.length) return;
    throw new Finding(ORACLE.order, `${handled} of ${messages.length} messages of peer ${id} were handled`);
  }

  #checkAllMessages({ peer, handled, sends, arrived }: Conversation): void {
    this.#checkHandled(peer, handled);
    const { excuseIn, excuseOut } = peer;
    if (excuseOut !== undefined) return;
    if (peer.link.hasEnded && peer.closeSent === undefined) return;
    const lost = sends.slice(arrived).filter(({ isDropped, state }) => !isDropped && state !== 'rejected');
    if (lost.length > 0) {
      throw new Finding(
        ORACLE.arrival,
        `${lost.length} messages to peer ${peer.id} are lost, first ${show(lost[0]!.body)}`,
      );
    }
    if (excuseIn !== undefined) return;
    const refused = sends.filter(({ state, isAnswer, hasArrived }) => isAnswer && state === 'rejected' && !hasArrived);
    if (refused.length > 0) {
      throw new Finding(
        ORACLE.close,
        `the answer ${show(refused[0]!.body)} of a handler of peer ${peer.id} was refused`,
      );
    }
    if (peer.closeSent !== undefined && peer.closeReceived === undefined) {
      throw new Finding(ORACLE.close, `the Close of peer ${peer.id} was not answered`);
    }
  }

  /** Each WebSocket has ended once, for a cause that there was. */
  #checkEnds(): void {
    const { application, server, peers, options, closings } = this.#world;
    const { open, opened, closed } = server.stats();
    const counted = Object.values(closed).reduce((sum, count) => sum + count, 0);
    if (open !== 0 || opened !== counted || opened !== application.ends.size) {
      throw new Finding(
        ORACLE.told,
        `${opened} were opened, ${counted} counted, ${application.ends.size} told, ${open} open`,
      );
    }
    for (const [id, { cause, received, error, wasClean, sent }] of application.ends) {
      const { closeSent, excuseIn } = peers.get(id)!;
      const isPossible: Partial<Record<typeof cause, boolean>> = {
        peer: received !== undefined,
        idle: options.idleTimeoutMs > 0,
        backpressure: options.backpressurePolicy === 'close',
        shutdown: closings.length > 0,
        handler: error?.code === 'WS_ERR_HANDLER',
        misuse: error?.code === 'WS_ERR_MESSAGE_CHANGED',
      };
      if (isPossible[cause] === false) throw new Finding(ORACLE.told, `the end of peer ${id} has the cause ${cause}`);
      const hasClosed = closeSent !== undefined || excuseIn !== undefined;
      if (received !== undefined && !hasClosed) throw new Finding(ORACLE.told, `peer ${id} is said to have closed`);
      if (wasClean !== (sent !== undefined && received !== undefined)) {
        throw new Finding(ORACLE.told, `the end of peer ${id} is ${wasClean ? '' : 'not '}clean`);
      }
    }
  }

  /** Nothing may be left of it when all peers are gone, and the server is closed. @throws {Finding} */
  checkNothingLeft(): void {
    for (const { running, peer } of this.#world.application.conversations.values()) {
      if (running > 0) throw new Finding(ORACLE.ends, `a handler of peer ${peer.id} never ends`);
    }
    for (const [id, { running }] of this.#world.application.responses) {
      if (running > 0) throw new Finding(ORACLE.ends, `a handler of a request of peer ${id} never ends`);
    }
    for (const { peer, sends } of this.#world.application.conversations.values()) {
      if (sends.some(({ state }) => state === 'pending')) {
        throw new Finding(ORACLE.ends, `a send to peer ${peer.id} is neither resolved nor rejected`);
      }
    }
    this.#checkEnds();
    for (const checks of this.#world.httpChecks) checks.stop();
    const left: Record<string, number> = {
      'entries of the wheel': timerWheel.waiting - this.#wheelEntries,
      'bytes of contexts': reservedContextBytes() - this.#reservedBytes,
      'tasks of the thread pool': waitingTasks(),
      'listeners of the process': countProcessListeners() - this.#processListeners,
      'listeners for upgrades': this.#world.upgradeListeners,
    };
    for (const [what, count] of Object.entries(left)) {
      if (count !== 0) throw new Finding(ORACLE.left, `${count} ${what}`);
    }
    const timers = [...this.#world.time.timers].map(({ origin, delayMs }) => `${origin || 'a timer'} of ${delayMs} ms`);
    if (timers.length > 0) throw new Finding(ORACLE.left, timers.join(', '));
  }
}

function countProcessListeners(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.stack}` : String(error);
}

function show(body: string | Buffer): string {
  return `${JSON.stringify(String(body).slice(0, 40))} (${typeof body === 'string' ? 'text' : 'binary'}, ${body.length})`;
}
