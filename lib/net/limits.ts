import type { ProtocolLimits } from '../protocol/events.ts';

/** What to do with a message when more than `maxBackpressureBytes` wait for a peer that does not read. */
export type BackpressurePolicy = 'wait' | 'drop' | 'close';

/** How many messages may wait for a handler. */
export interface InboxLimits {
  /** Messages that may wait for a handler before the peer is made to wait. */
  readonly maxQueuedMessages: number;
  /** Bytes of messages that may wait for a handler before the peer is made to wait. */
  readonly maxQueuedBytes: number;
}

/** How long a peer may be silent. */
export interface LivenessLimits {
  /** How long the peer may take to close, in milliseconds, before the connection is cut. */
  readonly closeTimeoutMs: number;
  /** How often the peer is sent a Ping, in milliseconds; one that is silent until the next is gone. 0: never. */
  readonly heartbeatIntervalMs: number;
  /** After how many milliseconds without a message, in either direction, the connection is closed. 0: never. */
  readonly idleTimeoutMs: number;
}

/** What to do with a message when a peer has sent as many as it may. */
export type RateLimitPolicy = 'wait' | 'drop' | 'close';

/** How many messages a peer may send. */
export interface RateLimits {
  /** Messages that a peer may send in a second, on average. Infinity: as many as it likes. */
  readonly maxMessagesPerSecond: number;
  /** Messages that it may send at once, when it was silent before. `undefined`: as many as in a second. */
  readonly messageBurst: number | undefined;
  /** Above that: `'wait'` has reading wait, `'drop'` throws the message away, `'close'` closes with 1008. */
  readonly rateLimitPolicy: RateLimitPolicy;
}

/** The bounds of one connection. */
export interface ConnectionLimits extends ProtocolLimits, InboxLimits, LivenessLimits, RateLimits {
  /** Above this many bytes that have not left, `send` waits until they have. */
  readonly highWaterMarkBytes: number;
  /** Above this many bytes that have not left, `backpressurePolicy` decides. */
  readonly maxBackpressureBytes: number;
  readonly backpressurePolicy: BackpressurePolicy;
}
