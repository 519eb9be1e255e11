/// <reference types="node" preserve="true" />
export { Broadcast } from './broadcast/broadcast.ts';
export { BroadcastMap } from './broadcast/broadcast-map.ts';
export type { BroadcastReceiver } from './broadcast/broadcast-receiver.ts';
export type { Receive, ReceiveOptions } from './channel/receive.ts';
export { select } from './channel/select.ts';
export { CloseCode } from './codec/close-code.ts';
export type { ClosePayload } from './codec/close-payload.ts';
export type { DiagnosticsMessages } from './diagnostics.ts';
export {
  type BodyIssue,
  BrokerError,
  ChannelClosedError,
  ConnectionClosedError,
  ConnectionEndError,
  type ErrorCode,
  GapError,
  type GapReason,
  HandshakeError,
  InvalidBodyError,
  InvalidPayloadError,
  InvalidStateError,
  LaggedError,
  LimitError,
  ProtocolError,
  type RefusalReason,
  TimeoutError,
  WebSocketError,
} from './errors.ts';
export type { PerMessageDeflateOptions } from './extensions/deflate-options.ts';
export type { OriginRule } from './handshake/origin.ts';
export type { SubprotocolRule } from './handshake/subprotocol.ts';
export type { ConnectionEnd, ConnectionStats, EndCause, Traffic } from './net/connection-end.ts';
export type { BackpressurePolicy, RateLimitPolicy } from './net/limits.ts';
export type { CloseInfo, ProtocolState } from './protocol/events.ts';
export type { AttachOptions, HandleUpgradeOptions, UnknownPaths } from './server/attach-options.ts';
export type { AttachableServer } from './server/attachable.ts';
export type { InvalidBodyPolicy } from './server/body-schema.ts';
export type { Connections, ServerConnection } from './server/connections.ts';
export { Context } from './server/context.ts';
export type { CookieOptions } from './server/cookies.ts';
export type { ClosedHandler, Handler, HandlerResult } from './server/hooks.ts';
export type { ServerOptions } from './server/options.ts';
export type { Refusal, RefusedHandler } from './server/refusal.ts';
export { type Body, Request } from './server/request.ts';
export type { SocketAddress } from './server/request-head.ts';
export { type HeaderValue, Response } from './server/response.ts';
export type { ServerStats } from './server/stats.ts';
export type { BodyRouteOptions, RouteOptions } from './server/route-options.ts';
export { type CloseOptions, type CloseResult, type ErrorHandler, Server } from './server/server.ts';
export type {
  StandardSchema,
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
} from './server/standard-schema.ts';
export type { SendOptions, WebSocketStream } from './server/websocket-stream.ts';
export type {
  Broker,
  BrokerEvents,
  BrokerMessage,
  BrokerPage,
  BrokerSettings,
  BrokerTop,
} from './topics/broker.ts';
export type { ConnectionSubscription } from './topics/connection-subscription.ts';
export type { Position } from './topics/position.ts';
export type { Presence } from './topics/presence.ts';
export type { PresenceStats } from './topics/presence-book.ts';
export type { PresenceChange, PresenceEvent, PresenceSnapshot } from './topics/presence-room.ts';
export type { HistoryPage } from './topics/read-history.ts';
export type {
  ConnectionSubscribeOptions,
  PresenceSeat,
  PublishOptions,
  SubscribeOptions,
} from './topics/subscribe-options.ts';
export type { TopicMessage } from './topics/topic-entry.ts';
export { pointToGroup, pointToPoint } from './topics/topic-names.ts';
export type { WhenBehind } from './topics/topic-reader.ts';
export type { TopicSubscription } from './topics/topic-subscription.ts';
export type { TopicsStats } from './topics/topic-tally.ts';
export { Topics } from './topics/topics.ts';
export type { TopicsOptions } from './topics/topics-options.ts';
