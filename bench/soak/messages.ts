/** What the processes of a soak tell each other. Times are in milliseconds. */

/** The ports of the server: one for each policy of backpressure, and one of a server of node:http that it is attached to. */
export interface Ports {
  readonly close: number;
  readonly drop: number;
  readonly wait: number;
  readonly attached: number;
}

/** Times that follow from how long a wave is, so that a short soak sees every timeout, too. */
export interface Times {
  readonly heartbeatMs: number;
  readonly idleMs: number;
  readonly handshakeMs: number;
  readonly closeMs: number;
}

/** What is to be at its base when the clients of a wave are gone. */
export interface Base {
  readonly sessions: number;
  readonly sockets: number;
  /** Entries in the timer wheel. */
  readonly wheel: number;
  /** Bytes that are reserved for compression contexts. */
  readonly contextBytes: number;
  /** Requests of plain HTTP whose handlers run. */
  readonly requests: number;
  /** Rooms of the chat. */
  readonly rooms: number;
  /** WebSockets whose objects were not collected. */
  readonly uncollected: number;
  /** What keeps the process alive, by its kind. */
  readonly handles: Readonly<Record<string, number>>;
}

/** The server between two waves, and what was most during the last one. */
export interface ServerSample extends Base {
  /** After a collection, in bytes. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly arrayBufferBytes: number;
  readonly rssBytes: number;
  /** How long it took from the end of the wave until all was at its base. */
  readonly settledMs: number;
  /** How late the event loop was during the wave. */
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  readonly maxSessions: number;
  readonly maxSockets: number;
  /** The most that one WebSocket held of what was received, and of what was to be sent. */
  readonly maxReceivedBytes: number;
  readonly maxBufferedBytes: number;
  readonly maxRssBytes: number;
  /** WebSockets that were opened during the wave, and requests that were handled. */
  readonly opened: number;
  readonly handled: number;
  readonly cpuMs: number;
}

/** What the clients of a wave have done. */
export interface WaveResult {
  /** How many clients of each kind were there. */
  readonly clients: Readonly<Record<string, number>>;
  /** Messages, responses and events of good clients that came as they had to. */
  readonly verified: number;
  readonly verifiedBytes: number;
  /** Connections that were left for the server to end. */
  readonly staying: number;
  /** How late the event loop of the clients was: what is late there the server may take for idle, or gone. */
  readonly lagMaxMs: number;
  readonly cpuMs: number;
}

export type FromServer =
  | { readonly type: 'ports'; readonly ports: Ports }
  | { readonly type: 'cpu'; readonly ms: number }
  | { readonly type: 'based' }
  | { readonly type: 'sample'; readonly sample: ServerSample };

export type ToServer =
  | { readonly type: 'start'; readonly times: Times }
  /** The residents are there: this is the base. */
  | { readonly type: 'base' }
  | { readonly type: 'wave' }
  /** The clients have gone, or wait to be cut. */
  | { readonly type: 'settle'; readonly deadlineMs: number }
  /** Closes all, and ends. */
  | { readonly type: 'stop' };

export type FromClients =
  | { readonly type: 'ready' }
  | { readonly type: 'wave-over'; readonly result: WaveResult }
  | { readonly type: 'stopped' };

export type ToClients =
  | { readonly type: 'start'; readonly ports: Ports; readonly plan: ClientPlan }
  | { readonly type: 'cpu'; readonly ms: number }
  | { readonly type: 'wave'; readonly number: number; readonly activeMs: number }
  /** The server is at its base: what was left for it to end is let go. */
  | { readonly type: 'let-go' }
  /** The residents leave. */
  | { readonly type: 'stop' };

export interface ClientPlan {
  readonly seed: number;
  readonly load: number;
  /** Clients at once. */
  readonly atOnce: number;
  /** Kinds that are let in. */
  readonly kinds: readonly string[];
}

/** An invariant that was broken; ends the soak. */
export interface Violation {
  readonly type: 'violation';
  readonly text: string;
}
