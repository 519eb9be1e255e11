import { CloseCode } from './codec/close-code.ts';

/**
 * Every error of the library and the one table of their codes. A code is stable: match on `error.code`, show
 * `error.message` to a person. Each has a heading in docs/reference/errors.md.
 */

type ErrorClassName =
  | 'HandshakeError'
  | 'ProtocolError'
  | 'InvalidPayloadError'
  | 'InvalidBodyError'
  | 'LimitError'
  | 'ConnectionClosedError'
  | 'ConnectionEndError'
  | 'TimeoutError'
  | 'LaggedError'
  | 'GapError'
  | 'ChannelClosedError'
  | 'BrokerError'
  | 'InvalidStateError';

interface ErrorRow {
  readonly class: ErrorClassName;
  /** What is sent in a Close frame, or `undefined` where the error never ends a connection. */
  readonly closeCode?: CloseCode;
  /** What to say when the thrower has nothing more exact: what happened, and what to do. */
  readonly message: string;
}

const ERROR_TABLE = {
  // What a peer may break in a frame. RFC 6455 §5.
  WS_ERR_UNEXPECTED_RSV_1: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'RSV1 is set on a frame that may not carry it (§5.2)',
  },
  WS_ERR_UNEXPECTED_RSV_2_3: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'RSV2 or RSV3 is set, and no extension uses them (§5.2)',
  },
  WS_ERR_INVALID_OPCODE: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'the opcode is reserved (§5.2)',
  },
  WS_ERR_EXPECTED_FIN: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a control frame may not be fragmented (§5.5)',
  },
  WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'the payload of a control frame is longer than 125 bytes (§5.5)',
  },
  WS_ERR_EXPECTED_MASK: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a client must mask its frames (§5.1)',
  },
  WS_ERR_UNEXPECTED_MASK: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a server must not mask its frames (§5.1)',
  },
  WS_ERR_NON_MINIMAL_LENGTH: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'the payload length is not in its shortest form (§5.2)',
  },
  WS_ERR_INVALID_PAYLOAD_LENGTH: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'the most significant bit of a 64-bit payload length is set (§5.2)',
  },
  WS_ERR_UNEXPECTED_CONTINUATION: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a continuation frame came with no message to continue (§5.4)',
  },
  WS_ERR_EXPECTED_CONTINUATION: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a new message began before the last one was finished (§5.4)',
  },
  WS_ERR_INVALID_CLOSE_PAYLOAD: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'a Close frame has a payload of one byte (§5.5.1)',
  },
  WS_ERR_INVALID_CLOSE_CODE: {
    class: 'ProtocolError',
    closeCode: CloseCode.ProtocolError,
    message: 'the close code may not be sent in a Close frame (§7.4)',
  },
  WS_ERR_INVALID_UTF8: {
    class: 'InvalidPayloadError',
    closeCode: CloseCode.InvalidPayload,
    message: 'a text message or close reason is not valid UTF-8 (§8.1)',
  },
  WS_ERR_INFLATE_FAILED: {
    class: 'InvalidPayloadError',
    closeCode: CloseCode.InvalidPayload,
    message: 'a compressed message cannot be decompressed (RFC 7692 §7.2.2)',
  },
  WS_ERR_INVALID_BODY: {
    class: 'InvalidBodyError',
    closeCode: CloseCode.InvalidPayload,
    message: 'a body is not what the schema of its route says',
  },
  // Our limits, the peer's data. RFC 6455 §10.4.
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: {
    class: 'LimitError',
    closeCode: CloseCode.MessageTooBig,
    message: 'a frame is larger than this endpoint takes; the option maxFrameBytes sets the limit',
  },
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: {
    class: 'LimitError',
    closeCode: CloseCode.MessageTooBig,
    message: 'a message is larger than this endpoint takes; the option maxMessageBytes sets the limit',
  },
  WS_ERR_COMPRESSION_RATIO: {
    class: 'LimitError',
    closeCode: CloseCode.MessageTooBig,
    message:
      'a message is compressed more than this endpoint takes; the option maxRatio of perMessageDeflate sets the limit',
  },
  WS_ERR_BACKPRESSURE: {
    class: 'LimitError',
    closeCode: CloseCode.PolicyViolation,
    message: 'the peer does not read what it is sent; the option maxBackpressureBytes sets how much may wait for it',
  },
  WS_ERR_SLOW_SUBSCRIBER: {
    class: 'LimitError',
    closeCode: CloseCode.TryAgainLater,
    message: 'the peer reads more slowly than a topic it is subscribed to, whose option whenBehind is "end"',
  },
  WS_ERR_RATE_LIMIT: {
    class: 'LimitError',
    closeCode: CloseCode.PolicyViolation,
    message: 'the peer sends more messages than it may; the option maxMessagesPerSecond sets how many',
  },
  WS_ERR_PRESENCE_FULL: {
    class: 'LimitError',
    closeCode: CloseCode.TryAgainLater,
    message:
      'a topic has 16,384 members in this process, and takes no more: divide it, or subscribe to it without presence',
  },
  WS_ERR_REQUEST_BODY_TOO_LARGE: {
    class: 'LimitError',
    message:
      'the body of an HTTP request is larger than this server takes; the option maxRequestBodyBytes sets the limit',
  },
  // The upgrade request. RFC 6455 §4.2.
  WS_ERR_HANDSHAKE: { class: 'HandshakeError', message: 'the upgrade request is not acceptable' },
  WS_ERR_INVALID_SUBPROTOCOL: {
    class: 'InvalidStateError',
    message: 'the chosen subprotocol is not one that the client offered (§4.2.2)',
  },
  WS_ERR_INVALID_EXTENSIONS: {
    class: 'HandshakeError',
    message: 'the server answers with extensions that were not offered (§4.1)',
  },
  // Why a connection ended, where the peer broke neither a rule nor a limit.
  WS_ERR_HANDLER: {
    class: 'ConnectionEndError',
    closeCode: CloseCode.InternalError,
    message: 'a handler of this connection threw: see the cause of this error',
  },
  WS_ERR_HEARTBEAT: {
    class: 'ConnectionEndError',
    message: 'the peer gave no sign of life; the option heartbeatIntervalMs sets for how long it may be silent',
  },
  WS_ERR_IDLE: {
    class: 'ConnectionEndError',
    closeCode: CloseCode.GoingAway,
    message: 'no message came or went; the option idleTimeoutMs sets for how long that may be',
  },
  WS_ERR_CLOSE_TIMEOUT: {
    class: 'ConnectionEndError',
    message: 'the peer did not answer a Close frame; the option closeTimeoutMs sets how long that may take',
  },
  WS_ERR_SHUTDOWN: {
    class: 'ConnectionEndError',
    closeCode: CloseCode.GoingAway,
    message: 'the server was closed',
  },
  WS_ERR_HANGUP: {
    class: 'ConnectionEndError',
    message: 'the peer ended the connection without a Close frame',
  },
  WS_ERR_RESET: {
    class: 'ConnectionEndError',
    message: 'the connection was reset by the peer, or by what is in between',
  },
  WS_ERR_LOST: {
    class: 'ConnectionEndError',
    message: 'the connection broke, or was cut below the WebSocket, without a word of the peer',
  },
  // How a connection that is no longer there answers.
  WS_ERR_CONNECTION_CLOSED: { class: 'ConnectionClosedError', message: 'the connection is closed' },
  WS_ERR_TIMEOUT: { class: 'TimeoutError', message: 'nothing arrived in time' },
  WS_ERR_LAGGED: {
    class: 'LaggedError',
    message: 'the receiver fell behind and missed values; receive faster, or give the channel a larger capacity',
  },
  WS_ERR_GAP: {
    class: 'GapError',
    message: 'messages of a topic are missing here; go on from the position of this error',
  },
  WS_ERR_BROKER: {
    class: 'BrokerError',
    message: 'the broker of the topics failed: see the cause of this error',
  },
  WS_ERR_CHANNEL_CLOSED: {
    class: 'ChannelClosedError',
    message: 'the channel is closed, or this receiver has unsubscribed: no more values come',
  },
  // What carries topics from process to process.
  WS_ERR_BROKER_UNAVAILABLE: {
    class: 'BrokerError',
    message: 'the broker did not answer in time, or its connection is lost: try again later',
  },
  // What a caller of this library did wrong.
  WS_ERR_SEND_RESPONSE_ON_WEBSOCKET: {
    class: 'InvalidStateError',
    message: 'sendResponse writes an HTTP response, and this connection is a WebSocket: use sendResponseBody',
  },
  WS_ERR_RESPONSE_SENT: {
    class: 'InvalidStateError',
    message:
      'the response to this request was sent already: send one response a request, or use sendResponseBody for pieces',
  },
  WS_ERR_DUPLICATE_ROUTE: {
    class: 'InvalidStateError',
    message: 'a route for this pattern is registered already: keep one of the two',
  },
  WS_ERR_INVALID_ROUTE: {
    class: 'InvalidStateError',
    message: 'the route pattern is not valid: start with "/", and give each ":name" parameter a name of its own',
  },
  WS_ERR_UNKNOWN_ROUTE: {
    class: 'InvalidStateError',
    message: 'no route has this pattern: register it with server.route(pattern, handler) first',
  },
  WS_ERR_SERVER_STATE: {
    class: 'InvalidStateError',
    message: 'the server is not in a state for this call',
  },
  WS_ERR_PORT_IN_USE: {
    class: 'InvalidStateError',
    message: 'another program listens on this port: choose another with server.port(number), or 0 for any free one',
  },
  WS_ERR_NOT_A_STREAM: {
    class: 'InvalidStateError',
    message: 'this is no WebSocket stream: pass what ctx.getStream() returned, and check it for undefined first',
  },
  WS_ERR_BODY_GONE: {
    class: 'InvalidStateError',
    message:
      'the body was read where it lies, and is no more there: call getRequestBody() while the handlers of its message run',
  },
  WS_ERR_MESSAGE_CHANGED: {
    class: 'InvalidStateError',
    message:
      'bytes that were sent were transferred or resized before they had left: send a copy of them, or wait for flush()',
  },
  WS_ERR_TOPICS_CLOSED: {
    class: 'InvalidStateError',
    message: 'these topics were closed: make new ones, or close them later',
  },
  WS_ERR_SUBSCRIBE_ON_HTTP: {
    class: 'InvalidStateError',
    message:
      'only a WebSocket that is open can subscribe to a topic: do it in onWebsocketConnected, or behind a message',
  },
  WS_ERR_POSITIONS_ONE_TOPIC: {
    class: 'InvalidStateError',
    message:
      'a connection with the subprotocol positions.hyperlane has one position, and so one topic: unsubscribe from the other one first, or have the page open a connection for each',
  },
  WS_ERR_RECEIVE_WITHDRAWN: {
    class: 'InvalidStateError',
    message: 'this receive lost a select and was withdrawn: start a new one for the next select or await',
  },
} as const satisfies Record<string, ErrorRow>;

/** A stable identifier of what went wrong; each has a heading in docs/reference/errors.md. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** The class, close code and sentence of an error code. */
export function describeError(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

/** All error codes, in the order of the table. */
export const ERROR_CODES: readonly ErrorCode[] = Object.keys(ERROR_TABLE) as ErrorCode[];

/** The base of every error this library makes. */
export class WebSocketError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string = ERROR_TABLE[code].message, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** All reasons for which an upgrade is refused. Each has a row in docs/reference/server.md. */
export const REFUSAL_REASONS = [
  /** The request breaks a rule of the handshake. */
  'handshake',
  /** It asks for a version of the protocol that is not served. */
  'version',
  /** It asks for a host that the server does not answer to. */
  'host',
  /** It comes from a page that may not connect. */
  'origin',
  /** No route has its path. */
  'route',
  /** There are as many WebSockets as may be. */
  'connections',
  /** It took too long to decide. */
  'timeout',
  /** An upgrade middleware refused it. */
  'middleware',
  /** An upgrade middleware threw, or chose what cannot be. */
  'error',
  /** The server is shutting down. */
  'shutdown',
] as const;

/** Why an upgrade was refused: one stable word for each reason. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** An upgrade request that was refused, or is malformed; nothing was opened. RFC 6455 §4.2. */
export class HandshakeError extends WebSocketError {
  /** The HTTP status of the refusal. */
  readonly httpStatus: number;
  /** Why, in one stable word. What an upgrade middleware throws has `'middleware'`. */
  readonly reason: RefusalReason;

  constructor(
    httpStatus: number,
    message: string,
    reason: RefusalReason = 'middleware',
    code: ErrorCode = 'WS_ERR_HANDSHAKE',
  ) {
    super(code, message);
    this.httpStatus = httpStatus;
    this.reason = reason;
  }
}

/** The peer broke the framing or the sequence of RFC 6455. */
export class ProtocolError extends WebSocketError {}

/** The payload is not what its type promises: bad UTF-8, or bad compressed data. */
export class InvalidPayloadError extends WebSocketError {}

/** One thing that is wrong with a body. */
export interface BodyIssue {
  /** What is wrong, in the words of the schema. */
  readonly message: string;
  /** Where: the keys and indexes from the whole body down, none for the body itself. */
  readonly path: readonly PropertyKey[];
}

/** A body is no JSON, or not what the schema of its route says. */
export class InvalidBodyError extends WebSocketError {
  /** All that is wrong with it, as the schema tells. */
  readonly issues: readonly BodyIssue[];

  constructor(issues: readonly BodyIssue[], options?: ErrorOptions) {
    super('WS_ERR_INVALID_BODY', describeIssues(issues), options);
    this.issues = issues;
  }
}

function describeIssues(issues: readonly BodyIssue[]): string {
  const [first] = issues;
  if (first === undefined) return ERROR_TABLE.WS_ERR_INVALID_BODY.message;
  const place = first.path.length === 0 ? '' : ` at ${first.path.map(String).join('.')}`;
  const more = issues.length === 1 ? '' : ` (and ${issues.length - 1} more)`;
  return `invalid body${place}: ${first.message}${more}`;
}

/** A limit of this endpoint was passed by the peer's data. */
export class LimitError extends WebSocketError {}

/** The normal outcome of using a connection that is closed. */
export class ConnectionClosedError extends WebSocketError {
  /** Close code of the connection: the peer's, or 1005 for a Close frame without one, or 1006 for none at all (§7.1.5). */
  readonly closeCode: number;
  /** The peer's reason, empty if it gave none (§7.1.6). */
  readonly reason: string;

  constructor(closeCode: number, reason: string, options?: ErrorOptions) {
    const because = reason === '' ? '' : ` (${reason})`;
    super('WS_ERR_CONNECTION_CLOSED', `the connection is closed with code ${closeCode}${because}`, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** Why a connection ended, where the peer broke neither a rule nor a limit; its `cause` is what was thrown, if anything was. */
export class ConnectionEndError extends WebSocketError {}

/** Nothing arrived in the time that was given. The stream stays open, and what arrives later is the next receive's. */
export class TimeoutError extends WebSocketError {
  /** The time that passed, in milliseconds. */
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super('WS_ERR_TIMEOUT', `nothing arrived within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** A receiver fell more than the capacity behind; it goes on with the oldest value that is kept. */
export class LaggedError extends WebSocketError {
  /** How many values were missed. */
  readonly missed: number;

  constructor(
    missed: number,
    message: string = `missed ${missed} values: receive faster, or give the channel a larger capacity`,
    code: ErrorCode = 'WS_ERR_LAGGED',
  ) {
    super(code, message);
    this.missed = missed;
  }
}

/**
 * Why messages of a topic are missing: they are no longer kept, the order of the topic has begun anew, or they were skipped for
 * a subscriber that was too slow or since they cannot be read.
 */
export type GapReason = 'history' | 'epoch' | 'skipped';

/** Messages of a topic are missing, just here: what came before and what comes next are no neighbours. */
export class GapError extends LaggedError {
  /** The topic. */
  readonly topic: string;
  readonly reason: GapReason;
  /** Where it goes on: behind the gap. A string for `after`. */
  readonly position: string;

  /** @param missed - how many messages; NaN where nobody can tell */
  constructor(topic: string, reason: GapReason, position: string, missed: number) {
    super(missed, `${describeMissed(missed)} of topic ${JSON.stringify(topic)} ${GAP_REASONS[reason]}`, 'WS_ERR_GAP');
    this.topic = topic;
    this.reason = reason;
    this.position = position;
  }
}

const GAP_REASONS: Readonly<Record<GapReason, string>> = {
  history: 'are missing here, and no longer kept: load anew, or keep more with historyMessages and historyMs',
  epoch: 'may be missing here: its order has begun anew, or the position is not one of it; load anew',
  skipped: 'were skipped here: receive faster, or have whenBehind "catchUp" and a history',
};

function describeMissed(missed: number): string {
  if (Number.isNaN(missed)) return 'messages';
  return missed === 1 ? '1 message' : `${missed} messages`;
}

/** The normal end of a broadcast channel: it was closed and all its values were received, or the receiver unsubscribed. */
export class ChannelClosedError extends WebSocketError {
  constructor() {
    super('WS_ERR_CHANNEL_CLOSED');
  }
}

/**
 * What carries topics from process to process cannot be reached, or did not answer in time. It never says whether what was
 * published is: repeat it with the same `id`, and it is published once. Its `cause` is the error of the client library, if there is one.
 */
export class BrokerError extends WebSocketError {}

/** The library was called in a way it cannot serve. */
export class InvalidStateError extends WebSocketError {}

/** Makes the error of a code that a peer's bytes can cause. */
export function peerError(code: ErrorCode, message?: string): WebSocketError {
  switch (ERROR_TABLE[code].class) {
    case 'InvalidPayloadError':
      return new InvalidPayloadError(code, message);
    case 'LimitError':
      return new LimitError(code, message);
    default:
      return new ProtocolError(code, message);
  }
}

/** The close code that tells the peer of an error; 1011 for what is no fault of the peer's (§7.4.1). */
export function closeCodeOf(error: unknown): CloseCode {
  if (!(error instanceof WebSocketError)) return CloseCode.InternalError;
  return describeError(error.code).closeCode ?? CloseCode.InternalError;
}
