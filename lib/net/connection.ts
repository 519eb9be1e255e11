import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { Receive, ReceiveOptions } from '../channel/receive.ts';
import { CloseCode } from '../codec/close-code.ts';
import {
  connectionClosed,
  connectionFailed,
  connectionOpened,
  messageReceived,
  messageSent,
  type ObservedConnection,
  pingAnswered,
} from '../diagnostics.ts';
import {
  ConnectionClosedError,
  ConnectionEndError,
  InvalidStateError,
  LimitError,
  type WebSocketError,
} from '../errors.ts';
import type { MessageCompression } from '../protocol/compression.ts';
import type { ProtocolState, Role } from '../protocol/events.ts';
import { Protocol } from '../protocol/protocol.ts';
import {
  type ConnectionEnd,
  type ConnectionStats,
  causeOf,
  type EndCause,
  endedBy,
  type Traffic,
} from './connection-end.ts';
import { Ending } from './ending.ts';
import { Inbox } from './inbox.ts';
import { Intake } from './intake.ts';
import type { ConnectionLimits } from './limits.ts';
import { Liveness } from './liveness.ts';
import { Outbox } from './outbox.ts';
import { RESOLVED, rejected, unwatched } from './promises.ts';
import { RateLimiter } from './rate-limiter.ts';
import { Transport } from './transport.ts';
import { beginShare, isShareOver } from './turn-share.ts';

/** Who looks after a connection. */
export interface ConnectionOwner {
  /** What those are shown of it who look on. Made when it is first asked for. */
  readonly shown: ObservedConnection;
  /** Whether handlers are running that may send more in this turn of the event loop. */
  readonly isBusy: boolean;
  /** Whether a message that came is still to be handled, or is being: the peer's Close frame is answered behind that. */
  readonly isHandling: boolean;
  /** Is offered each message first; returns whether it took it. What it does not take waits in the queue. */
  takeMessage(data: string | Buffer): boolean;
  /** Is offered a binary message before that, `bytes[start, end)`, which is lent for the time of the call. */
  takeLent?(bytes: Buffer, start: number, end: number): boolean;
  /** This side has cut the connection: no message is wanted any more. */
  onDestroyed(): void;
  /** The connection is over. Messages may still wait in its queue. */
  onConnectionClosed(end: ConnectionEnd): void;
}

/**
 * How many messages of one connection are read in a turn of the event loop at the most, before others have theirs; and
 * after how many it is looked whether it has had its share of time. One read may bring ten thousand.
 */
const MAX_MESSAGES_A_TURN = 512;
const MESSAGES_A_LOOK = 32;

/** The errors of a system that tell of a peer which has reset the connection. */
const RESETS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** How many were read of the bytes that are being received. */
let messagesRead = 0;

const EMPTY = Buffer.alloc(0);

/**
 * A WebSocket connection: protocol and transport together. This is the stream that `ctx.getStream()` returns.
 *
 * What is sent while bytes are being received leaves when all of them are handled, what is sent otherwise at the end
 * of the turn of the event loop: in one write.
 */
// It is ProtocolEvents, TransportEvents, IntakeHost, EndingHost and LivenessHost, and does not say so: that is left out
// of the declarations.
export class Connection {
  /** The subprotocol that was agreed on, empty for none. */
  readonly subprotocol: string;
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  #intake: Intake | undefined;
  readonly #outbox: Outbox;
  readonly #liveness: Liveness;
  readonly #limits: ConnectionLimits;
  readonly #role: Role;
  /** When it was opened, in whole milliseconds: a fraction would take memory of its own. */
  readonly #openedAt = Math.trunc(performance.now());
  #messagesReceived = 0;
  #messagesSent = 0;
  #bytesReceived = 0;
  #owner: ConnectionOwner | undefined;
  /** Messages that no handler has taken. Made with the first that has to wait. */
  #inbox: Inbox | undefined;
  #rateLimiter: RateLimiter | undefined;
  /** Whether bytes are being read, and their answers written: what else comes meanwhile has to wait. */
  #receiving = false;
  #ending: Ending | undefined;

  /** @param compression - what was agreed on in the opening handshake; closed with the connection */
  constructor(
    socket: Duplex,
    role: Role,
    limits: ConnectionLimits,
    subprotocol: string = '',
    compression?: MessageCompression,
  ) {
    this.subprotocol = subprotocol;
    this.#limits = limits;
    this.#role = role;
    this.#protocol = new Protocol(role, this, limits, compression);
    this.#transport = new Transport(socket, this);
    this.#outbox = new Outbox(this.#protocol, this.#transport, limits);
    this.#liveness = new Liveness(this, limits);
  }

  /** Starts reading. @internal */
  start(owner: ConnectionOwner | undefined, head: Buffer = EMPTY): void {
    this.#owner = owner;
    this.#liveness.start();
    if (connectionOpened.hasSubscribers) connectionOpened.publish({ connection: this.#shown });
    this.#transport.start(head);
  }

  get state(): ProtocolState {
    return this.#protocol.state;
  }

  /** Whether an error is how this connection tells that it has ended, and no fault of whoever was using it. @internal */
  isEndedBy(error: unknown): boolean {
    if (error instanceof ConnectionClosedError) return this.state !== 'open';
    return error !== undefined && error === this.#ending?.failure;
  }

  /** Whether nothing more will come from the peer: its Close frame was received, or the transport has ended. */
  get isFinished(): boolean {
    return this.#ending?.isFinished ?? false;
  }

  /** Whether messages can be sent: until a Close frame was sent, or the end of the transport was seen. @internal */
  get canSend(): boolean {
    return this.#protocol.canSend;
  }

  /** Bytes that were sent and have not left this process. */
  get bufferedBytes(): number {
    return this.#outbox.bufferedBytes;
  }

  /** Milliseconds from the latest answered Ping to its Pong, `undefined` before the first. */
  get latencyMs(): number | undefined {
    return this.#liveness.latencyMs;
  }

  /** Bytes that were received and have not been handed to anybody. */
  get receivedBytes(): number {
    return (
      this.#protocol.receivedBytes +
      (this.#inbox?.waitingBytes ?? 0) +
      (this.#intake?.unreadBytes ?? 0) +
      (this.#rateLimiter?.waitingBytes ?? 0)
    );
  }

  /** Messages that were thrown away, since the peer sent more than it may. */
  get droppedMessages(): number {
    return this.#rateLimiter?.dropped ?? 0;
  }

  /** For how long it has been open, in milliseconds. */
  get openMs(): number {
    return Math.trunc(performance.now()) - this.#openedAt;
  }

  /** All counters. */
  stats(): ConnectionStats {
    return {
      ...this.traffic,
      bufferedBytes: this.bufferedBytes,
      receivedBytes: this.receivedBytes,
      droppedMessages: this.droppedMessages,
      latencyMs: this.latencyMs,
      openMs: this.#ending?.end?.durationMs ?? this.openMs,
    };
  }

  /** What it has carried. */
  get traffic(): Traffic {
    return {
      messagesReceived: this.#messagesReceived,
      messagesSent: this.#messagesSent,
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#transport.writtenBytes,
    };
  }

  /** Resolves when the connection is over, with how and why it ended. Never rejects. */
  get closed(): Promise<ConnectionEnd> {
    return this.#openEnding().closed;
  }

  // --- sending ----------------------------------------------------------------------------------------------------

  /**
   * Sends a message: a string as text, bytes as binary. Bytes of 16 KiB and more must not change until they have left.
   *
   * @returns a promise that resolves at once, or, above the high-water mark, when the peer has caught up. It rejects
   * with ConnectionClosedError once the connection is closing (the peer's Close frame is answered behind the handlers of
   * the messages before it, which can still send), and with LimitError (WS_ERR_BACKPRESSURE) when the policy closed the
   * connection. Not awaiting it is safe.
   * @param compress - whether to compress it, if the peer agreed to that and it becomes smaller; unless given, from the
   * threshold on
   */
  send(data: string | Uint8Array, compress?: boolean): Promise<void> {
    if (!this.#protocol.canSend) return rejected(this.#protocol.closedError());
    const { maxBackpressureBytes, backpressurePolicy } = this.#limits;
    if (this.bufferedBytes > maxBackpressureBytes && backpressurePolicy !== 'wait') {
      return backpressurePolicy === 'drop' ? RESOLVED : this.#refuseBackpressure();
    }
    this.#liveness.active();
    const sent = this.#outbox.send(data, compress);
    this.#countSent(data);
    return sent;
  }

  /** Whether a message can be sent, and no more waits for the peer than may. @internal */
  hasRoom(): boolean {
    return this.#protocol.canSend && this.#outbox.makeRoom();
  }

  /**
   * Sends a message if there is room for it, for many receivers: there is no promise to be made, and none to wait for.
   *
   * @returns whether it was sent
   * @internal
   */
  offer(data: string | Uint8Array): boolean {
    if (!this.hasRoom()) return false;
    this.#liveness.active();
    this.#protocol.sendMessage(data);
    this.#countSent(data);
    return true;
  }

  /** Resolves in a later turn of the event loop, when there is room; rejects with ConnectionClosedError. @internal */
  drained(): Promise<void> {
    return this.#protocol.canSend ? this.#outbox.drained() : rejected(this.#protocol.closedError());
  }

  /**
   * Sends a Ping, and resolves with the milliseconds until its Pong.
   *
   * @param payload - at most 125 bytes; one of its own unless given
   * @param timeoutMs - 0 for none
   *
   * Rejects with RangeError for a longer payload, with TimeoutError, and with ConnectionClosedError.
   */
  ping(payload?: Uint8Array, timeoutMs: number = 0): Promise<number> {
    return unwatched(this.#liveness.ping(payload, timeoutMs));
  }

  /** Writes at once all that was sent, and resolves when it has left this process, or never will. */
  flush(): Promise<void> {
    return this.#outbox.flush();
  }

  /**
   * Starts the closing handshake, and cuts the connection if the peer does not answer in time. §7.1.2
   *
   * @param cause - why, and what went wrong, if anything did
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  close(
    code: number = CloseCode.Normal,
    reason: string = '',
    cause: EndCause = 'application',
    error?: WebSocketError,
  ): void {
    this.#protocol.sendClose(code, reason);
    this.#openEnding().begin(cause, error);
    this.#liveness.startClosing();
    const early = this.#rateLimiter?.release();
    if (early !== undefined) this.#tell(early);
    this.#intake?.resumeSoon();
  }

  /** Ends the connection for an error on this side: with the close code and message of the error, and no reason for 1011. */
  fail(cause: EndCause, error: WebSocketError): void {
    this.#openEnding().begin(cause, error);
    this.#protocol.fail(error);
  }

  /** Cuts the connection without a closing handshake. Nothing is sent or received any more. */
  destroy(cause: EndCause = 'application', error?: WebSocketError): void {
    this.#openEnding().begin(cause, error);
    this.#owner?.onDestroyed();
    this.#protocol.receiveEnd(this.#transport.pendingBytes > 0);
    // Its end may have to wait for a message that is being decompressed.
    this.#liveness.stop();
    this.#finish();
    this.#transport.destroy();
  }

  // --- receiving --------------------------------------------------------------------------------------------------

  /**
   * Receives the next message. Receives are served in the order of the calls.
   *
   * Rejects with TimeoutError (nothing is lost: what comes later is the next receive's), with ConnectionClosedError when
   * the peer is gone and all its messages are received, or with the error that ended the connection.
   */
  receive<T>(options: ReceiveOptions | undefined, map: (data: string | Buffer) => T): Receive<T> {
    const inbox = this.#openInbox();
    // Who asks for more when there is no more has handled what there was.
    if (this.#protocol.isAnswerDue && inbox.length === 0) this.#protocol.answerClose();
    return inbox.receive(options, map);
  }

  /** Says that handlers are done: a Close frame of the peer that waits for them is answered. @internal */
  onHandled(): void {
    if (this.#protocol.isAnswerDue && this.#owner?.isHandling !== true) this.#protocol.answerClose();
  }

  /** Whether this side has sent a Close frame, and the peer's has not come. @internal */
  get isClosing(): boolean {
    return this.#protocol.state === 'closing' && this.#protocol.close === undefined;
  }

  /** Messages that wait in the queue. @internal */
  get queuedMessages(): number {
    return this.#inbox?.length ?? 0;
  }

  /** Whether a message was taken out of the queue. @internal */
  get hasTaken(): boolean {
    return this.#inbox?.hasTaken ?? false;
  }

  /** Takes a message that waits in the queue and was not promised to a receive. @internal */
  tryTake(): string | Buffer | undefined {
    return this.#inbox?.tryTake();
  }

  /** Whether somebody is waiting in `receive`. @internal */
  get hasReceivers(): boolean {
    return this.#inbox?.hasReceivers ?? false;
  }

  // --- told by the transport --------------------------------------------------------------------------------------

  /** @internal */
  onData(bytes: Buffer, start: number, end: number): void {
    if (this.isFinished) return;
    this.#bytesReceived += end - start;
    this.#liveness.heard();
    // A stream that brings the next bytes while it is written to does so in the midst of a read.
    if (this.#receiving || this.hasUnread) {
      this.#openIntake().keep(bytes, start, end);
      return;
    }
    const read = this.receiveBytes(bytes, start, end);
    if (this.#intake !== undefined) this.#intake.leave(bytes, read, end);
    this.#ending?.tell();
  }

  /** @internal */
  onDrain(): void {
    this.#outbox.flushOutput();
  }

  /** @internal */
  onEnd(): void {
    this.#openEnding().halfEnd();
  }

  /** @internal */
  onClose(): void {
    this.#openEnding().cut();
  }

  // --- told by the protocol ---------------------------------------------------------------------------------------

  /** @internal */
  onMessage(data: string | Buffer): void {
    this.#liveness.active();
    this.#countMessage();
    if (messageReceived.hasSubscribers) messageReceived.publish({ connection: this.#shown, data });
    if (!this.#isRateLimited || this.#admit(data)) this.#tell(data);
  }

  /** Gives a message to the owner, or puts it in the queue. */
  #tell(data: string | Buffer): void {
    if (this.#owner?.takeMessage(data) === true) return;
    const inbox = this.#openInbox();
    if (this.#protocol.state !== 'open') {
      inbox.offer(data);
      return;
    }
    inbox.push(data);
    if (this.mustPause) this.#pause();
  }

  /** @internal */
  onLentMessage(bytes: Buffer, start: number, end: number): boolean {
    // Who looks on is shown it before it is handled, and has not to know when it is taken back.
    if (this.#isRateLimited || messageReceived.hasSubscribers) return false;
    if (this.#owner?.takeLent?.(bytes, start, end) !== true) return false;
    this.#liveness.active();
    this.#countMessage();
    return true;
  }

  /** @internal */
  onPong(payload: Buffer): void {
    const latencyMs = this.#liveness.pongReceived(payload);
    if (latencyMs === undefined || !pingAnswered.hasSubscribers) return;
    pingAnswered.publish({ connection: this.#shown, latencyMs });
  }

  /** @internal */
  onOutput(): void {
    this.#outbox.schedule();
  }

  /** @internal */
  onOutputChanged(error: WebSocketError): void {
    this.onProtocolError(error);
    this.#transport.destroy();
  }

  /** @internal */
  onHold(): void {
    this.#pause();
  }

  /** @internal */
  onContinue(): void {
    if (this.#ending?.isTransportOver !== true) {
      this.#intake?.resumeSoon();
      return;
    }
    // The transport will bring nothing more: what there is is read as far as it may, and the end is told behind it.
    this.#intake?.resume();
    this.#ending.tell();
  }

  /** @internal */
  onProtocolError(error: WebSocketError): void {
    this.#fault(causeOf(error), error);
    // A mistake of this side, which nobody is told of otherwise.
    if (error instanceof InvalidStateError) process.emitWarning(error.message, { code: error.code });
  }

  /** @internal */
  onPeerClose(): boolean {
    this.#openEnding().begin('peer', undefined);
    const isAnsweredLater = this.#owner?.isHandling ?? false;
    this.#endReceiving();
    return isAnsweredLater;
  }

  /** @internal */
  onFinished(): void {
    this.#endReceiving();
    // What it was waiting for may have taken time.
    this.#liveness.extendClosing();
    // §7.1.1: the server ends the TCP connection first; a client waits for it, unless the server broke the protocol.
    const isLeft = this.#ending?.failure !== undefined || this.#ending?.isHalfEnded === true;
    if (this.#role === 'server' || isLeft) this.#outbox.end();
  }

  // --- told by its intake -----------------------------------------------------------------------------------------

  /** Once this side is closing reading need not wait for the queue: the peer's Close frame is to be found. @internal */
  get mustPause(): boolean {
    if (this.#protocol.isOnHold) return true;
    if (this.#protocol.state !== 'open') return false;
    return this.#inbox?.isFull === true || this.#rateLimiter?.isWaiting === true;
  }

  /** Reads bytes, and then sends all answers at once: also those of handlers that take some ticks. @internal */
  receiveBytes(bytes: Buffer, start: number, end: number): number {
    this.#receiving = true;
    messagesRead = 0;
    this.#outbox.cork();
    const read = this.#protocol.receiveData(bytes, start, end);
    this.#outbox.uncork(this.#owner?.isBusy ?? false);
    this.#receiving = false;
    return read;
  }

  /** @internal */
  onReadOn(): void {
    this.#ending?.tell();
  }

  // --- told by its ending -----------------------------------------------------------------------------------------

  /** @internal */
  get isReading(): boolean {
    return this.#receiving || this.#protocol.isOnHold;
  }

  /** @internal */
  get hasUnread(): boolean {
    return this.#intake?.isWaiting ?? false;
  }

  /** @internal */
  onHalfEnd(): void {
    if (this.#protocol.close === undefined) this.#openEnding().begin('hangup', new ConnectionEndError('WS_ERR_HANGUP'));
    this.#protocol.receiveHalfEnd();
    this.#endReceiving();
  }

  /** @internal */
  onGone(): void {
    this.#protocol.receiveEnd(this.#transport.hasLost);
    this.#finish();
    this.#liveness.stop();
    this.#outbox.close();
    const end = this.#describeEnd();
    this.#openEnding().conclude(end);
    this.#owner?.onConnectionClosed(end);
    if (connectionClosed.hasSubscribers) connectionClosed.publish({ connection: this.#shown, end });
  }

  /** @internal */
  onError(cause: EndCause, error: WebSocketError): void {
    if (connectionFailed.hasSubscribers) connectionFailed.publish({ connection: this.#shown, cause, error });
  }

  // --- told by its liveness ---------------------------------------------------------------------------------------

  /** @internal */
  get isPaused(): boolean {
    return this.#intake?.isPaused ?? false;
  }

  /** @internal */
  get hasUnsent(): boolean {
    return this.#transport.pendingBytes > 0;
  }

  /** @internal */
  get leftBytes(): number {
    return this.#transport.leftBytes;
  }

  /** @internal */
  sendPing(payload: Uint8Array): void {
    this.#protocol.sendPing(payload);
  }

  /** @internal */
  closedError(): ConnectionClosedError {
    return this.#protocol.closedError();
  }

  /** @internal */
  onIdle(error: ConnectionEndError): void {
    this.close(CloseCode.GoingAway, 'idle timeout', 'idle', error);
  }

  /** @internal */
  onDead(error: ConnectionEndError): void {
    this.#openEnding().begin('heartbeat', error);
    this.#cut();
  }

  /** @internal */
  onCloseTimeout(): void {
    if (this.#protocol.isAnswerDue) {
      this.#protocol.answerClose();
      this.#liveness.extendClosing();
    } else if (this.#protocol.state !== 'open' && this.#protocol.compressing !== undefined) {
      // Not the peer is slow, but this side.
      this.#liveness.extendClosing();
    } else {
      if (this.isClosing) this.#openEnding().blame(this.#unansweredError());
      this.#cut();
    }
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** What those are shown who look on. */
  get #shown(): ObservedConnection {
    return this.#owner?.shown as ObservedConnection;
  }

  #countSent(data: string | Uint8Array): void {
    this.#messagesSent++;
    if (messageSent.hasSubscribers) messageSent.publish({ connection: this.#shown, data });
  }

  /** Counts a message that is read, and has this connection wait for others when there were enough. */
  #countMessage(): void {
    this.#messagesReceived++;
    if (++messagesRead % MESSAGES_A_LOOK !== 0) return;
    if (messagesRead === MESSAGES_A_LOOK) beginShare();
    else if (messagesRead === MAX_MESSAGES_A_TURN || isShareOver()) this.#openIntake().yieldTurn();
  }

  get #isRateLimited(): boolean {
    return this.#limits.maxMessagesPerSecond !== Number.POSITIVE_INFINITY;
  }

  /** Decides on a message of a peer that may not send as many as it likes. @returns whether it is to be told now */
  #admit(data: string | Buffer): boolean {
    // Of a connection that is closing only the Close frame is awaited.
    if (this.#protocol.state !== 'open') return true;
    this.#rateLimiter ??= this.#makeRateLimiter();
    if (this.#rateLimiter.take()) return true;
    switch (this.#limits.rateLimitPolicy) {
      case 'wait':
        this.#rateLimiter.keep(data);
        this.#pause();
        break;
      case 'drop':
        this.#rateLimiter.dropped++;
        break;
      case 'close':
        this.#refuseRate(new LimitError('WS_ERR_RATE_LIMIT'));
    }
    return false;
  }

  #refuseRate(error: LimitError): void {
    this.#fault('limit', error);
    this.#protocol.fail(error);
  }

  // Apart from `#admit`, as the inbox.
  #makeRateLimiter(): RateLimiter {
    return new RateLimiter(this.#limits, (message) => {
      this.#tell(message);
      this.#intake?.resumeSoon();
    });
  }

  /** Has reading wait behind the message that is being told. */
  #pause(): void {
    this.#openIntake().pause();
  }

  #openIntake(): Intake {
    this.#intake ??= new Intake(this, this.#protocol, this.#transport);
    return this.#intake;
  }

  #openEnding(): Ending {
    this.#ending ??= new Ending(this);
    return this.#ending;
  }

  #openInbox(): Inbox {
    this.#inbox ??= this.#makeInbox();
    return this.#inbox;
  }

  // Apart from `#openInbox`: its closure would cost that some memory at every call.
  #makeInbox(): Inbox {
    const inbox = new Inbox(this.#limits, () => this.#intake?.resumeSoon());
    if (this.isFinished) inbox.fail(this.#endError());
    return inbox;
  }

  /** The peer has said its last word, and is given its time to leave. */
  #endReceiving(): void {
    this.#finish();
    this.#liveness.startClosing();
    this.#liveness.endPings();
    // What still arrives is read and thrown away: a socket closed over unread bytes resets, and the peer would
    // never see the Close frame.
    this.#transport.resume();
  }

  /** Nothing more will be received: whoever waits for a message is told when the queue is empty. */
  #finish(): void {
    const ending = this.#openEnding();
    if (ending.isFinished) return;
    ending.isFinished = true;
    this.#intake?.end();
    this.#rateLimiter?.release();
    this.#inbox?.fail(this.#endError());
  }

  #endError(): WebSocketError {
    return this.#ending?.failure ?? this.#protocol.closedError();
  }

  /** Ends the transport of a peer that does not. */
  #cut(): void {
    // If it reads nothing, what the system holds for it is for nobody.
    if (this.hasUnsent) this.#transport.reset();
    else this.#transport.destroy();
  }

  #unansweredError(): ConnectionEndError {
    const { closeTimeoutMs } = this.#limits;
    return new ConnectionEndError(
      'WS_ERR_CLOSE_TIMEOUT',
      `the peer did not answer a Close frame for ${closeTimeoutMs} ms`,
    );
  }

  /** Takes down an error that whoever waits for a message is told, too. */
  #fault(cause: EndCause, error: WebSocketError): void {
    const ending = this.#openEnding();
    ending.failure = error;
    ending.begin(cause, error);
  }

  /** What there is to tell of the end, when the transport is gone. */
  #describeEnd(): ConnectionEnd {
    const ending = this.#openEnding();
    const { close, sentClose, receivedClose } = this.#protocol;
    const { error } = this.#transport;
    // Nobody said why; or somebody did, and then it broke before that was done.
    if (ending.cause === undefined || (error !== undefined && !close!.wasClean)) {
      const [cause, code] = isReset(error) ? (['reset', 'WS_ERR_RESET'] as const) : (['lost', 'WS_ERR_LOST'] as const);
      ending.begin(cause, new ConnectionEndError(code, undefined, { cause: error }));
    }
    const cause = ending.cause!;
    return {
      ...close!,
      cause,
      by: endedBy(cause, this.#role),
      sent: sentClose,
      received: receivedClose,
      error: ending.error,
      durationMs: this.openMs,
      traffic: this.traffic,
    };
  }

  #refuseBackpressure(): Promise<void> {
    const error = new LimitError('WS_ERR_BACKPRESSURE');
    this.#fault('backpressure', error);
    this.#protocol.fail(error);
    // The Close frame would wait behind all that the peer does not read.
    this.#transport.destroy();
    return rejected(error);
  }
}

function isReset(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.code !== undefined && RESETS.has(error.code);
}
