import type { ClosePayload } from '../codec/close-payload.ts';
import { describeError, type WebSocketError } from '../errors.ts';
import type { CloseInfo, Role } from '../protocol/events.ts';

/** Who ends a connection for which cause: the peer, this side, or the network. Each cause has a row in docs/reference/endings.md. */
const ENDED_BY = {
  /** The peer closed it, with a Close frame. */
  peer: 'peer',
  /** The peer ended the transport without a Close frame. */
  hangup: 'peer',
  /** The transport was reset by the peer, or by what is in between. */
  reset: 'network',
  /** The transport broke in another way, or was cut below the connection. */
  lost: 'network',
  /** User code closed or cut it. */
  application: 'here',
  /** User code threw. */
  handler: 'here',
  /** User code changed bytes that had not left. */
  misuse: 'here',
  /** The peer broke the rules of RFC 6455 or RFC 7692. */
  protocol: 'here',
  /** The peer sent more than is taken. */
  limit: 'here',
  /** The peer sent a body that the schema of its route does not take. */
  body: 'here',
  /** The peer did not read what it was sent. */
  backpressure: 'here',
  /** The peer gave no sign of life. */
  heartbeat: 'here',
  /** No message came or went. */
  idle: 'here',
  /** The server was closed. */
  shutdown: 'here',
} as const satisfies Record<string, 'peer' | 'network' | 'here'>;

/** Why a connection ended: one stable word for each kind of end. */
export type EndCause = keyof typeof ENDED_BY;

/** All causes, in the order of the table. */
export const END_CAUSES: readonly EndCause[] = Object.keys(ENDED_BY) as EndCause[];

/** What a connection has carried. */
export interface Traffic {
  /** Messages that came whole. */
  readonly messagesReceived: number;
  /** Messages that were sent. They may not all have left. */
  readonly messagesSent: number;
  /** Bytes of frames that were read: with their headers, and as they were compressed. */
  readonly bytesReceived: number;
  /** Bytes of frames that were handed to the socket. They may not all have left. */
  readonly bytesSent: number;
}

/** What a connection has carried, and what it holds now. */
export interface ConnectionStats extends Traffic {
  /** Bytes that were sent and have not left this process. */
  readonly bufferedBytes: number;
  /** Bytes that were received and that no handler has taken. */
  readonly receivedBytes: number;
  /** Messages that were thrown away, since the peer sent more than it may. */
  readonly droppedMessages: number;
  /** From the latest Ping that was answered to its Pong, `undefined` before the first. */
  readonly latencyMs: number | undefined;
  /** For how long it has been open, or was. */
  readonly openMs: number;
}

/** How and why a connection ended. */
export interface ConnectionEnd extends CloseInfo {
  /** Why it ended: what came first. */
  readonly cause: EndCause;
  /** Who ended it: `'peer'`, this side by its role (`'server'`), or `'network'` where nobody said a word. */
  readonly by: 'peer' | 'network' | Role;
  /** The Close frame of this side, `undefined` where none has left. */
  readonly sent: ClosePayload | undefined;
  /** The Close frame of the peer, `undefined` where none came. One without a code has 1005. */
  readonly received: ClosePayload | undefined;
  /** What went wrong: why it ended, or why it did not end cleanly. `undefined` where nothing did. */
  readonly error: WebSocketError | undefined;
  /** For how long it was open, in milliseconds. */
  readonly durationMs: number;
  readonly traffic: Traffic;
}

/** Who ends a connection for this cause, where this side has that role. */
export function endedBy(cause: EndCause, role: Role): ConnectionEnd['by'] {
  const by = ENDED_BY[cause];
  return by === 'here' ? role : by;
}

/** The cause of an end by an error that the bytes of the peer, or those of user code, have caused. */
export function causeOf({ code }: WebSocketError): EndCause {
  switch (describeError(code).class) {
    case 'LimitError':
      return code === 'WS_ERR_BACKPRESSURE' ? 'backpressure' : 'limit';
    case 'InvalidStateError':
      return 'misuse';
    default:
      return 'protocol';
  }
}
