/**
 * The channels of `node:diagnostics_channel` on which others are shown what happens: metrics, traces, logs.
 *
 * Where nobody has subscribed, one look at `hasSubscribers` is all that a message costs, and no object is made. Whoever
 * publishes looks first.
 */
import type { Buffer } from 'node:buffer';
import { channel } from 'node:diagnostics_channel';
import type { GapError, WebSocketError } from './errors.ts';
import type { ConnectionEnd, EndCause } from './net/connection-end.ts';
import type { ServerConnection } from './server/connections.ts';
import type { WhenBehind } from './topics/topic-reader.ts';

/** What is shown of a connection: what `server.connections` lists. */
export type ObservedConnection = ServerConnection;

/** What is published on each channel of `node:diagnostics_channel`, by its name. */
export interface DiagnosticsMessages {
  /** A WebSocket is open: before any handler runs for it. */
  'hyperlane-ws:connection.open': { readonly connection: ServerConnection };
  /** It is over. Once for each that was opened. */
  'hyperlane-ws:connection.close': { readonly connection: ServerConnection; readonly end: ConnectionEnd };
  /** Something has gone wrong that ends it, or kept it from ending cleanly: what `end.error` will be. At most once. */
  'hyperlane-ws:connection.error': {
    readonly connection: ServerConnection;
    readonly cause: EndCause;
    readonly error: WebSocketError;
  };
  /** A message came, as a handler will get it. What is to be kept of its bytes must be copied. */
  'hyperlane-ws:message.in': { readonly connection: ServerConnection; readonly data: string | Buffer };
  /** A message was sent, by whomever. What is to be kept of its bytes must be copied. */
  'hyperlane-ws:message.out': { readonly connection: ServerConnection; readonly data: string | Uint8Array };
  /** A Ping of this side was answered, that of a heartbeat too. */
  'hyperlane-ws:ping': { readonly connection: ServerConnection; readonly latencyMs: number };
  /** A message that this process has published is ordered; or, with an error, nobody knows whether it is. */
  'hyperlane-ws:topic.publish': {
    readonly topic: string;
    readonly body: string | Uint8Array;
    readonly position: string | undefined;
    readonly error: unknown;
    /** From the call on. */
    readonly durationMs: number;
  };
  /** Messages are missing: for all who are subscribed here, or for one. */
  'hyperlane-ws:topic.gap': { readonly topic: string; readonly error: GapError; readonly isForAll: boolean };
  /** Messages were skipped for a subscriber that is too slow. */
  'hyperlane-ws:topic.drop': { readonly topic: string; readonly messages: number; readonly whenBehind: WhenBehind };
  /** Messages were read from the history that somebody had missed. */
  'hyperlane-ws:topic.recovered': { readonly topic: string; readonly messages: number };
  /** The connection to the broker is lost. */
  'hyperlane-ws:broker.down': { readonly broker: string; readonly error: Error };
  /** It is there again, or may have lost messages while it was: each topic is compared with the broker's. */
  'hyperlane-ws:broker.up': { readonly broker: string };
}

/** A channel, as whoever publishes sees it. */
interface Publisher<Message> {
  readonly hasSubscribers: boolean;
  /** Never throws: what a subscriber throws becomes an 'uncaughtException' of the process. */
  publish(message: Message): void;
}

function publisher<Name extends keyof DiagnosticsMessages>(name: Name): Publisher<DiagnosticsMessages[Name]> {
  return channel(name);
}

export const connectionOpened = publisher('hyperlane-ws:connection.open');
export const connectionClosed = publisher('hyperlane-ws:connection.close');
export const connectionFailed = publisher('hyperlane-ws:connection.error');
export const messageReceived = publisher('hyperlane-ws:message.in');
export const messageSent = publisher('hyperlane-ws:message.out');
export const pingAnswered = publisher('hyperlane-ws:ping');
export const topicPublished = publisher('hyperlane-ws:topic.publish');
export const topicGap = publisher('hyperlane-ws:topic.gap');
export const topicDropped = publisher('hyperlane-ws:topic.drop');
export const topicRecovered = publisher('hyperlane-ws:topic.recovered');
export const brokerDown = publisher('hyperlane-ws:broker.down');
export const brokerUp = publisher('hyperlane-ws:broker.up');
