import type { ConnectionSubscription, TopicConnection } from '../topics/connection-subscription.ts';
import type { ConnectionSubscribeOptions } from '../topics/subscribe-options.ts';
import type { Topics } from '../topics/topics.ts';
import type { Context } from './context.ts';
import type { ServerConnection } from './connections.ts';
import type { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import type { WebSocketStream } from './websocket-stream.ts';

/** What a `Context` speaks through: a plain HTTP request with its response, or a WebSocket. */
export interface Exchange {
  readonly head: RequestHead;
  readonly isWebSocket: boolean;
  /** Whether any of a plain response was sent: what follows is a piece of it. */
  readonly isStarted?: boolean;
  /** The stream of a WebSocket whose peer is there. */
  readonly stream: WebSocketStream | undefined;
  /** What shows a WebSocket to others. */
  readonly shown?: ServerConnection;
  /** The topics of its server. */
  readonly topics: Topics;
  /** The connection of a WebSocket, as topics know it. */
  readonly connection?: TopicConnection;
  /** Subscribes a WebSocket. */
  subscribe?(ctx: Context, topic: string, options?: ConnectionSubscribeOptions): Promise<ConnectionSubscription>;
  /** Values that handlers keep; a WebSocket's are shared by all its messages. Made when first needed. */
  attributes: Map<string, unknown> | undefined;
  /** @param compress - of a message: whether to compress it, as in `SendOptions` */
  sendBody(response: Response | undefined, body: string | Uint8Array, compress?: boolean): Promise<void>;
  sendResponse(response: Response): Promise<void>;
  /** Sends what was set, unless that happened before; `last`: and then ends the connection. */
  send(response: Response, last: boolean): Promise<void>;
  flush(response: Response | undefined): Promise<void>;
  close(response: Response | undefined, code: number | undefined, reason: string | undefined): Promise<void>;
}
