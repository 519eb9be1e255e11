import type { RequestHead } from './request-head.ts';
import type { Response } from './response.ts';
import type { WebSocketStream } from './websocket-stream.ts';

/** What a `Context` speaks through: a plain HTTP request with its response, or a WebSocket. */
export interface Exchange {
  readonly head: RequestHead;
  readonly isWebSocket: boolean;
  /** The stream of a WebSocket whose peer is there. */
  readonly stream: WebSocketStream | undefined;
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

/** Returns the promise of a send as it is, and sees to it that the process lives when nobody awaits it and it rejects. */
export function unwatched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** A rejected promise that does not end the process when nobody awaits it. */
export function rejected(error: unknown): Promise<never> {
  return unwatched(Promise.reject(error));
}
