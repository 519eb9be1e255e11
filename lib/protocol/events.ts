import type { Buffer } from 'node:buffer';
import type { WebSocketError } from '../errors.ts';

/** How a connection ended. RFC 6455 §7.1.5 and §7.1.6. */
export interface CloseInfo {
  /** The peer's close code, 1005 if its Close frame had none, 1006 if no Close frame came. */
  readonly code: number;
  /** The peer's reason, empty if it gave none. */
  readonly reason: string;
  /** Whether both sides sent a Close frame. */
  readonly wasClean: boolean;
}

/** What a protocol tells its owner. Called while bytes are being received; the owner may call back into the protocol. */
export interface ProtocolEvents {
  /** A whole message: text as a string, binary as a buffer that is the receiver's own. */
  onMessage(data: string | Buffer): void;
  /**
   * A whole binary message, `bytes[start, end)`, which is lent for the time of the call. Whoever does not take it, and
   * returns false, is told of it by `onMessage`.
   */
  onLentMessage?(bytes: Buffer, start: number, end: number): boolean;
  /** The payload of a Ping; a buffer of the receiver's own. The Pong that answers it is in the output. */
  onPing?(payload: Buffer): void;
  /** The payload of a Pong; a buffer of the receiver's own. */
  onPong(payload: Buffer): void;
  /** Bytes wait in the protocol's output, where there were none before. */
  onOutput(): void;
  /** Bytes that wait were transferred or resized, and what is left is no frame: nothing can be sent any more. */
  onOutputChanged?(error: WebSocketError): void;
  /**
   * The peer broke the protocol, or a limit of ours; or a message cannot be sent as it was. A Close frame that says so
   * follows where it still can, and then `onFinished`.
   */
  onProtocolError(error: WebSocketError): void;
  /**
   * The peer's Close frame has come: nothing more will. It is answered when this returns; or, where it returns true, when
   * `answerClose` is called: until then messages can be sent, unless a Close frame was sent before. §5.5.1
   */
  onPeerClose?(): boolean;
  /**
   * A message takes time to be decompressed: `receiveData` returns behind it. What it leaves is to be given to it again
   * after `onContinue`. Both are needed only where compression was agreed on.
   */
  onHold?(): void;
  /** The message of `onHold` was told. Call `resumeReceiving`. */
  onContinue?(): void;
  /**
   * Nothing more will be received or sent: the closing handshake is over, or was given up. Send the output, then end the
   * transport. May be told again, when the peer ends the transport.
   */
  onFinished(): void;
}

export type Role = 'server' | 'client';

/** The states of RFC 6455: 4.1 OPEN, 7.1.3 CLOSING, 7.1.4 CLOSED. */
export type ProtocolState = 'open' | 'closing' | 'closed';

/** The bounds of what a protocol takes. */
export interface ProtocolLimits {
  /** The largest message that is taken, in bytes. */
  readonly maxMessageBytes: number;
  /** The largest payload of one frame that is taken, in bytes. */
  readonly maxFrameBytes: number;
}
