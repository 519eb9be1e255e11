import type { Buffer } from 'node:buffer';
import { MessageAssembler, ownPayload } from '../codec/message-assembler.ts';
import { endLoan, lendMemory, returnMemory } from '../codec/message-memory.ts';
import { FIN, OPCODE_BITS, OpCode, RSV1 } from '../codec/opcode.ts';
import { type ErrorCode, peerError, WebSocketError } from '../errors.ts';
import type { Decompressed, MessageCompression } from './compression.ts';

/** What a receiver of messages tells. */
export interface MessageSink {
  /** A whole message: text as a string, binary as a buffer that is the receiver's own. */
  onMessage(data: string | Buffer): void;
  /** A whole binary message, as `ProtocolEvents.onLentMessage`; it may be taken over. */
  onLentMessage(bytes: Buffer, start: number, end: number): boolean;
  /** The peer broke a rule of messages, or a limit of ours. Nothing more is to be given to the receiver. */
  onMessageError(error: WebSocketError): void;
  /** A message is being decompressed: no frame is to be given to the receiver before `onContinue`. */
  onHold(): void;
  onContinue(): void;
}

/**
 * Makes messages of data frames that are not a message by themselves: keeps the order of fragments (RFC 6455 §5.4), and has those decompressed that carry RSV1
 * (RFC 7692 §6.2).
 */
export class MessageReceiver {
  readonly #sink: MessageSink;
  readonly #maxMessageBytes: number;
  readonly #compression: MessageCompression | undefined;
  /** Made with the first message that does not come whole in one frame. */
  #assembler: MessageAssembler | undefined;
  /** Whether pieces of the current frame were seen before. */
  #midFrame = false;
  /** The opcode of the message that is being put together, if it is compressed. */
  #compressedOpcode: number | undefined;
  #onHold = false;
  #stopped = false;

  constructor(sink: MessageSink, maxMessageBytes: number, compression: MessageCompression | undefined) {
    this.#sink = sink;
    this.#maxMessageBytes = maxMessageBytes;
    this.#compression = compression;
  }

  /** Bytes held for a message that has not arrived whole. */
  get bufferedBytes(): number {
    return this.#assembler?.bufferedBytes ?? 0;
  }

  /** Whether a message was begun and is not whole. */
  get isActive(): boolean {
    return this.#assembler?.active ?? false;
  }

  /** Whether a message is being decompressed: between `onHold` and `onContinue`. */
  get isOnHold(): boolean {
    return this.#onHold;
  }

  /** Lets go of all memory. Nothing more is told, but an `onContinue` that is due. */
  stop(): void {
    this.#stopped = true;
    this.#assembler?.reset();
    this.#assembler = undefined;
  }

  /**
   * Receives a data frame whose payload is whole, see `FrameSink`: a fragment, or a message that is compressed.
   */
  receiveFrame(bits: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#checkSequence(bits)) return;
    const opcode = bits & OPCODE_BITS;
    if ((bits & FIN) === 0 || opcode === OpCode.Continuation) this.#append(bits, bytes, start, end, 0);
    else this.#decompress(opcode, bytes, start, end);
  }

  /** Receives a piece of a data frame; see `FrameSink`. */
  receivePiece(bits: number, bytes: Buffer, start: number, end: number, remaining: number): void {
    if (!this.#midFrame && !this.#checkSequence(bits)) return;
    this.#midFrame = remaining !== 0;
    this.#append(bits, bytes, start, end, remaining);
  }

  /** Only a message that was begun is continued, and none begins before its end. §5.4 */
  #checkSequence(bits: number): boolean {
    const active = this.isActive;
    const continuation = (bits & OPCODE_BITS) === OpCode.Continuation;
    if (continuation === active) return true;
    this.#fail(active ? 'WS_ERR_EXPECTED_CONTINUATION' : 'WS_ERR_UNEXPECTED_CONTINUATION');
    return false;
  }

  #append(bits: number, bytes: Buffer, start: number, end: number, remaining: number): void {
    this.#assembler ??= new MessageAssembler(this.#maxMessageBytes);
    const assembler = this.#assembler;
    if (!assembler.active) this.#begin(assembler, bits);
    const isLast = (bits & FIN) !== 0;
    const error = assembler.append(bytes, start, end, remaining, isLast);
    if (error !== undefined) this.#fail(error);
    else if (remaining === 0 && isLast) this.#finish(assembler);
  }

  #begin(assembler: MessageAssembler, bits: number): void {
    const opcode = bits & OPCODE_BITS;
    const isCompressed = (bits & RSV1) !== 0;
    this.#compressedOpcode = isCompressed ? opcode : undefined;
    // What is compressed is no text yet.
    assembler.begin(opcode === OpCode.Text && !isCompressed);
  }

  #finish(assembler: MessageAssembler): void {
    const { isText, length } = assembler;
    if (isText) {
      this.#deliver(assembler.finish());
      return;
    }
    const memory = assembler.finishInPlace();
    if (this.#compressedOpcode === undefined) this.#deliverBinary(memory, length);
    else if (!this.#decompress(this.#compressedOpcode, memory, 0, length)) returnMemory(memory);
  }

  /** Lends a message to whoever reads it where it lies, and otherwise has it be theirs. */
  #deliverBinary(memory: Buffer, length: number): void {
    lendMemory(memory);
    const isTaken = this.#sink.onLentMessage(memory, 0, length);
    const isFree = endLoan(memory);
    if (!isTaken) this.#sink.onMessage(ownPayload(memory, length));
    else if (isFree) returnMemory(memory);
  }

  /** @returns whether the bytes are still being read */
  #decompress(opcode: number, bytes: Buffer, start: number, end: number): boolean {
    const isText = opcode === OpCode.Text;
    const message = this.#compression!.decompress(isText, bytes, start, end, this.#maxMessageBytes);
    const isLater = message instanceof Promise;
    if (isLater) void this.#deliverLater(message);
    else this.#deliverDecompressed(message);
    return isLater;
  }

  /** Waits for a message: what came behind it stays behind it. */
  async #deliverLater(pending: Promise<Decompressed>): Promise<void> {
    this.#onHold = true;
    this.#sink.onHold();
    const message = await pending;
    this.#onHold = false;
    if (!this.#stopped) this.#deliverDecompressed(message);
    this.#sink.onContinue();
  }

  #deliverDecompressed(message: Decompressed): void {
    if (message instanceof WebSocketError) this.#sink.onMessageError(message);
    else this.#sink.onMessage(message);
  }

  #deliver(message: string | Buffer | undefined): void {
    if (message === undefined) this.#fail('WS_ERR_INVALID_UTF8');
    else this.#sink.onMessage(message);
  }

  #fail(code: ErrorCode): void {
    this.#sink.onMessageError(peerError(code));
  }
}
