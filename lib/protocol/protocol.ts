import { Buffer } from 'node:buffer';
import { CloseCode } from '../codec/close-code.ts';
import { type ClosePayload, decodeClosePayload, encodeClosePayload, fitReason } from '../codec/close-payload.ts';
import { copyAlone } from '../codec/copy-alone.ts';
import { borrowEncoder, returnEncoder } from '../codec/encoder-pool.ts';
import type { FrameEncoder } from '../codec/frame-encoder.ts';
import { FrameParser, type FrameSink } from '../codec/frame-parser.ts';
import { decodeMessage } from '../codec/message-assembler.ts';
import { CONTROL_BIT, FIN, MAX_CONTROL_PAYLOAD_BYTES, OPCODE_BITS, OpCode, RSV1 } from '../codec/opcode.ts';
import {
  ConnectionClosedError,
  closeCodeOf,
  type ErrorCode,
  InvalidStateError,
  peerError,
  type WebSocketError,
} from '../errors.ts';
import { checkBytes } from './check-bytes.ts';
import type { Compressed, MessageCompression } from './compression.ts';
import type { CloseInfo, ProtocolEvents, ProtocolLimits, ProtocolState, Role } from './events.ts';
import { frameRules } from './frame-rules.ts';
import { MessageReceiver, type MessageSink } from './message-receiver.ts';
import { type MessageWriter, SendQueue } from './send-queue.ts';

/** How many Pings are answered one by one before their bytes leave; of any more only the latest is. */
const MAX_PONGS_WAITING = 16;

const EMPTY = Buffer.alloc(0);
const NOTHING: readonly Uint8Array[] = [];
const NO_COPIES: readonly Buffer[] = [];
/** The end of a connection without the peer's Close frame. §7.1.5 */
const ABNORMAL: CloseInfo = { code: CloseCode.Abnormal, reason: '', wasClean: false };

/**
 * A WebSocket connection without its socket: bytes go in with `receiveData` and come out with `takeOutput`; events
 * are told to the owner. Section numbers are RFC 6455.
 *
 * Holds the rules that span messages: Ping and Pong (§5.5.2), the closing handshake (§7), and which side masks (§5.1).
 */
export class Protocol implements FrameSink, MessageSink, MessageWriter {
  readonly #events: ProtocolEvents;
  readonly #parser: FrameParser;
  readonly #limits: ProtocolLimits;
  readonly #compression: MessageCompression | undefined;
  readonly #masks: boolean;
  /** Frames that have not left; borrowed while there are any. */
  #output: FrameEncoder | undefined;
  /** Where messages are compressed, and may have to wait for it. Made with the first that is sent. */
  #sends: SendQueue | undefined;
  /** Messages that do not come whole in one frame, or compressed. Made with the first of them. */
  #messages: MessageReceiver | undefined;
  #state: ProtocolState = 'open';
  /** The Close frame of this side, once it was sent; no more, if it has not left in the end. */
  #sentClose: ClosePayload | undefined;
  /** Whether the peer's Close frame waits for `answerClose`. */
  #answerDue = false;
  #close: CloseInfo | undefined;
  /** Whether output was thrown away that was no frames any more. */
  #outputLost = false;
  #pongsWaiting = 0;
  #latestPing: Buffer | undefined;

  /** @param compression - what was agreed on in the opening handshake; it is closed with the connection */
  constructor(role: Role, events: ProtocolEvents, limits: ProtocolLimits, compression?: MessageCompression) {
    this.#events = events;
    this.#limits = limits;
    this.#compression = compression;
    this.#masks = role === 'client';
    this.#parser = new FrameParser(this, frameRules(role, limits, compression !== undefined));
  }

  get state(): ProtocolState {
    return this.#state;
  }

  /** Whether messages can be sent: before a Close frame of either side, and until the peer's is answered. */
  get canSend(): boolean {
    return this.#state === 'open' || this.#answerDue;
  }

  /** Whether the peer's Close frame has come, and waits for `answerClose`. */
  get isAnswerDue(): boolean {
    return this.#answerDue;
  }

  /** How the connection ended, as far as is known: set by the peer's Close frame, or by the end of the transport. */
  get close(): CloseInfo | undefined {
    return this.#close;
  }

  /** The Close frame of this side, if one was sent. Once the connection is over, only if it has left. */
  get sentClose(): ClosePayload | undefined {
    return this.#sentClose;
  }

  /** The Close frame of the peer, if one came. */
  get receivedClose(): ClosePayload | undefined {
    if (this.#close === undefined || this.#close.code === CloseCode.Abnormal) return undefined;
    return { code: this.#close.code, reason: this.#close.reason };
  }

  /** Bytes held for frames and messages that have not arrived whole. */
  get receivedBytes(): number {
    return this.#parser.bufferedBytes + (this.#messages?.bufferedBytes ?? 0);
  }

  /** Bytes that wait in the output, or to be compressed for it. */
  get outputBytes(): number {
    return (this.#output?.bufferedBytes ?? 0) + (this.#latestPing?.length ?? 0) + (this.#sends?.waitingBytes ?? 0);
  }

  /** Resolves when no message waits to be compressed; `undefined` when none does. */
  get compressing(): Promise<void> | undefined {
    return this.#sends?.work;
  }

  /** Whether a message is being decompressed: between `onHold` and `onContinue`. */
  get isOnHold(): boolean {
    return this.#messages?.isOnHold ?? false;
  }

  // --- bytes in ---------------------------------------------------------------------------------------------------

  /**
   * Receives `bytes[start, end)` and tells what they mean. The bytes are changed (unmasked) and not kept.
   *
   * @returns the offset of the first byte that was not read: `end`, unless `pauseReceiving` was called
   */
  receiveData(bytes: Buffer, start: number = 0, end: number = bytes.length): number {
    return this.#parser.push(bytes, start, end);
  }

  /** Makes `receiveData` return after the message that is being told. */
  pauseReceiving(): void {
    this.#parser.pause();
  }

  resumeReceiving(): void {
    if (!this.isOnHold) this.#parser.resume();
  }

  /** Says that the peer has ended its side of the transport: what was sent before may still leave, and nothing more. */
  receiveHalfEnd(): void {
    if (this.#state === 'closed' || this.#answerDue) return;
    this.#state = 'closing';
    this.#close ??= ABNORMAL;
    this.#stopReceiving();
    this.#whenWritten(() => this.#events.onFinished());
  }

  /**
   * Says that the transport has ended: nothing more can be received or sent.
   *
   * @param hasLost - whether bytes that were handed to it have not left
   */
  receiveEnd(hasLost: boolean = false): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    // §7.1.4: cleanly is with a closing handshake that was completed, and the Close frame of this side has not left.
    if (this.#outputLost || hasLost || this.outputBytes > 0) this.#sentClose = undefined;
    const close = this.#close ?? ABNORMAL;
    this.#close = this.#sentClose === undefined ? { ...close, wasClean: false } : close;
    this.#answerDue = false;
    this.#sends?.drop();
    this.#compression?.close();
    this.#stopReceiving();
    this.#latestPing = undefined;
    this.#output?.take();
    this.outputReleased();
  }

  // --- bytes out --------------------------------------------------------------------------------------------------

  /**
   * Sends a message: a string as text, bytes as binary. Bytes of 16 KiB and more are kept by reference until they
   * have left, and must not change until then.
   *
   * @param compress - whether to compress it, where that was agreed on and makes it smaller; unless given, from the
   * threshold on
   * @throws {TypeError} when the data is neither
   * @throws {ConnectionClosedError} once `canSend` is false
   */
  sendMessage(data: string | Uint8Array, compress?: boolean): void {
    if (typeof data !== 'string') checkBytes(data, 'a message');
    if (!this.canSend) throw this.closedError();
    if (this.#compression === undefined) {
      this.writeMessage(data, undefined);
      return;
    }
    this.#sends ??= new SendQueue(this.#compression, this);
    this.#sends.send(data, compress);
  }

  /**
   * Sends a Ping. §5.5.2
   *
   * @param payload - at most 125 bytes, copied
   * @throws {TypeError} when the payload is not a Uint8Array
   * @throws {RangeError} when the payload is longer
   * @throws {ConnectionClosedError} once a Close frame was sent or received
   */
  sendPing(payload: Uint8Array = EMPTY): void {
    this.#sendControl(OpCode.Ping, payload);
  }

  /** Sends a Pong that answers no Ping. §5.5.3. Throws as `sendPing` does. */
  sendPong(payload: Uint8Array = EMPTY): void {
    this.#sendControl(OpCode.Pong, payload);
  }

  /** Answers the peer's Close frame, if it waits for that. §5.5.1: the answer repeats its code. */
  answerClose(): void {
    if (!this.#answerDue) return;
    this.#answerDue = false;
    // The reason is the peer's own, and it knows it.
    this.#writeClose({ code: this.#close!.code, reason: '' });
    this.#whenWritten(() => this.#events.onFinished());
  }

  /**
   * Starts the closing handshake, or ends that of the peer; does nothing when a Close frame was sent before. §7.1.2
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  sendClose(code: number = CloseCode.Normal, reason: string = ''): void {
    const payload = encodeClosePayload(code, reason);
    this.answerClose();
    if (this.#sentClose !== undefined || this.#state !== 'open') return;
    this.#state = 'closing';
    this.#writeClose({ code, reason }, payload);
  }

  /** Fails the connection: says why in a Close frame, and receives nothing more. §7.1.7 */
  fail(error: unknown): void {
    this.answerClose();
    if (this.#state === 'closed' || this.#close !== undefined) return;
    this.#state = 'closing';
    this.#dropWaiting();
    const code = closeCodeOf(error);
    // What went wrong on this side is nobody else's business.
    const reason = code === CloseCode.InternalError ? '' : fitReason((error as Error).message);
    this.#close = ABNORMAL;
    if (this.#sentClose === undefined) this.#writeClose({ code, reason });
    this.#stopReceiving();
    this.#events.onFinished();
  }

  /**
   * Hands over all bytes to be sent, in order. Say `outputReleased` or `outputRetained` before the next call. None where
   * they are no frames any more, see `onOutputChanged`.
   */
  takeOutput(): readonly Uint8Array[] {
    this.#answerLatestPing();
    this.#pongsWaiting = 0;
    if (this.#output === undefined) return NOTHING;
    const { isIntact } = this.#output;
    const chunks = this.#output.take();
    if (isIntact) return chunks;
    this.#outputLost = true;
    this.#events.onOutputChanged?.(changedError());
    return NOTHING;
  }

  /** Says that the output has to wait for the peer: it is put where it keeps no other memory alive. */
  holdOutput(): void {
    this.#output?.hold();
  }

  /** Says that the bytes of the last `takeOutput` have left: their memory is used again. */
  outputReleased(): void {
    this.#output?.released();
    this.#returnOutput();
  }

  /**
   * Says that the bytes of the last `takeOutput` are still being read: their memory is not used again.
   *
   * @returns what may be given to `returnMemory` when they have left, if that is told
   */
  outputRetained(): readonly Buffer[] {
    const copies = this.#output?.retained() ?? NO_COPIES;
    this.#returnOutput();
    return copies;
  }

  /** The error of whoever uses a connection that is over. */
  closedError(): ConnectionClosedError {
    return new ConnectionClosedError(this.#close?.code ?? CloseCode.Abnormal, this.#close?.reason ?? '');
  }

  // --- frames, told by the parser ---------------------------------------------------------------------------------

  /** @internal */
  onFrame(bits: number, bytes: Buffer, start: number, end: number): void {
    if (bits === (FIN | OpCode.Text) || bits === (FIN | OpCode.Binary)) this.#receiveWhole(bits, bytes, start, end);
    else if ((bits & CONTROL_BIT) === 0) this.#receiver.receiveFrame(bits, bytes, start, end);
    else this.#receiveControl(bits & OPCODE_BITS, bytes, start, end);
  }

  /** @internal */
  onFramePiece(bits: number, bytes: Buffer, start: number, end: number, remaining: number): void {
    this.#receiver.receivePiece(bits, bytes, start, end, remaining);
  }

  /** @internal */
  onFrameError(code: ErrorCode): void {
    // No frame can be larger than a message may be: the error names the option that is in the way.
    const { maxMessageBytes, maxFrameBytes } = this.#limits;
    const frameTooBig = code === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH';
    this.#failReceiving(frameTooBig && maxMessageBytes <= maxFrameBytes ? 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' : code);
  }

  // --- messages, written by their queue ---------------------------------------------------------------------------

  /** Writes a message, or the compressed payload of it. @internal */
  writeMessage(data: string | Uint8Array, compressed: Compressed): void {
    this.#output ??= borrowEncoder(this.#masks);
    const output = this.#output;
    const waiting = output.bufferedBytes;
    if (compressed !== undefined) {
      const opcode = typeof data === 'string' ? OpCode.Text : OpCode.Binary;
      output.addFrame(FIN | RSV1 | opcode, compressed);
    } else if (typeof data === 'string') {
      output.addTextFrame(FIN | OpCode.Text, data);
    } else {
      output.addFrame(FIN | OpCode.Binary, data);
    }
    if (waiting === 0) this.#events.onOutput();
  }

  /** A message that was to be compressed is not what it was when it was sent. @internal */
  onMessageChanged(): void {
    const error = changedError();
    this.#events.onProtocolError(error);
    this.fail(error);
    // Where it is closing already it goes on with that.
    this.#sends!.dropMessages();
  }

  // --- messages, told by their receiver -----------------------------------------------------------------------------

  /** @internal */
  onMessage(data: string | Buffer): void {
    this.#events.onMessage(data);
  }

  /** @internal */
  onLentMessage(bytes: Buffer, start: number, end: number): boolean {
    return this.#events.onLentMessage?.(bytes, start, end) ?? false;
  }

  /** @internal */
  onMessageError(error: WebSocketError): void {
    this.#parser.stop();
    this.#events.onProtocolError(error);
    this.fail(error);
  }

  /** @internal */
  onHold(): void {
    this.#parser.pause();
    this.#events.onHold?.();
  }

  /** @internal */
  onContinue(): void {
    this.#events.onContinue?.();
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Gives the encoder back, unless more was sent while its bytes were being written. */
  #returnOutput(): void {
    if (this.#output === undefined || this.#output.bufferedBytes > 0) return;
    returnEncoder(this.#output);
    this.#output = undefined;
  }

  get #receiver(): MessageReceiver {
    this.#messages ??= new MessageReceiver(this, this.#limits.maxMessageBytes, this.#compression);
    return this.#messages;
  }

  /** The usual case: a message that is one frame, which is one piece of the chunk. */
  #receiveWhole(bits: number, bytes: Buffer, start: number, end: number): void {
    if (this.#messages?.isActive === true) {
      this.#failReceiving('WS_ERR_EXPECTED_CONTINUATION');
      return;
    }
    const isText = bits === (FIN | OpCode.Text);
    if (!isText && this.onLentMessage(bytes, start, end)) return;
    const message = decodeMessage(isText, bytes, start, end);
    if (message === undefined) this.#failReceiving('WS_ERR_INVALID_UTF8');
    else this.#events.onMessage(message);
  }

  #receiveControl(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OpCode.Close) {
      this.#receiveClose(bytes, start, end);
      return;
    }
    const payload = Buffer.from(bytes.subarray(start, end));
    if (opcode === OpCode.Pong) {
      this.#events.onPong(payload);
      return;
    }
    this.#answerPing(payload);
    // The owner, told of the answer, may have ended the connection.
    if (this.#close === undefined) this.#events.onPing?.(payload);
  }

  /** §5.5.2 asks for a Pong to each Ping, §5.5.3 allows to answer the latest only: done when the peer is flooding. */
  #answerPing(payload: Buffer): void {
    if (this.#sentClose !== undefined) return;
    if (this.#pongsWaiting < MAX_PONGS_WAITING) {
      this.#pongsWaiting++;
      this.#addFrame(FIN | OpCode.Pong, payload);
    } else {
      // A copy: the payload itself goes to the owner, who may write to it.
      this.#latestPing = copyAlone(payload);
    }
  }

  #answerLatestPing(): void {
    if (this.#latestPing === undefined) return;
    this.#output ??= borrowEncoder(this.#masks);
    this.#output.addFrame(FIN | OpCode.Pong, this.#latestPing);
    this.#latestPing = undefined;
  }

  #receiveClose(bytes: Buffer, start: number, end: number): void {
    const payload = decodeClosePayload(bytes, start, end);
    if (typeof payload === 'string') {
      this.#failReceiving(payload);
      return;
    }
    this.#state = 'closing';
    this.#close = { code: payload.code, reason: payload.reason, wasClean: true };
    this.#stopReceiving();
    this.#answerDue = this.#sentClose === undefined;
    const isAnsweredLater = this.#events.onPeerClose?.() ?? false;
    if (this.#sentClose !== undefined) this.#whenWritten(() => this.#events.onFinished());
    else if (!isAnsweredLater) this.answerClose();
  }

  #failReceiving(code: ErrorCode): void {
    this.onMessageError(peerError(code));
  }

  /** §1.4: all bytes behind a Close frame, or behind a fault, are ignored. */
  #stopReceiving(): void {
    this.#parser.stop();
    this.#messages?.stop();
  }

  #sendControl(opcode: number, payload: Uint8Array): void {
    checkBytes(payload, 'the payload of a ping');
    if (payload.byteLength > MAX_CONTROL_PAYLOAD_BYTES) {
      throw new RangeError(
        `a ping or pong takes at most ${MAX_CONTROL_PAYLOAD_BYTES} bytes, and this one has ${payload.byteLength}`,
      );
    }
    if (this.#state !== 'open') throw this.closedError();
    this.#addFrame(FIN | opcode, payload);
  }

  /** Writes a Close frame behind all messages, also those that wait to be compressed. */
  #writeClose(close: ClosePayload, payload: Buffer = encodeClosePayload(close.code, close.reason)): void {
    this.#sentClose = close;
    this.#whenWritten(() => {
      this.#answerLatestPing();
      this.#addFrame(FIN | OpCode.Close, payload);
    });
  }

  #whenWritten(action: () => void): void {
    if (this.#sends === undefined) action();
    else this.#sends.whenWritten(action);
  }

  /** Throws away the messages that wait to be compressed, and a Close frame behind them. */
  #dropWaiting(): void {
    if (this.#sends?.isBusy !== true) return;
    this.#sends.drop();
    this.#sentClose = undefined;
  }

  /** Adds a frame to the output, and tells the owner if it is the first there. */
  #addFrame(bits: number, payload: Uint8Array): void {
    this.#output ??= borrowEncoder(this.#masks);
    const waiting = this.#output.bufferedBytes;
    this.#output.addFrame(bits, payload);
    if (waiting === 0) this.#events.onOutput();
  }
}

function changedError(): InvalidStateError {
  return new InvalidStateError('WS_ERR_MESSAGE_CHANGED');
}
