import type { Connection } from '../net/connection.ts';
import type { ConnectionStats, Traffic } from '../net/connection-end.ts';
import type { ProtocolState } from '../protocol/events.ts';
import type { RequestHead, SocketAddress } from './request-head.ts';
import type { AnyKey } from './context.ts';
import type { Roster } from './roster.ts';
import { stringifyJson } from './stringify-json.ts';
import type { SendOptions } from './websocket-stream.ts';

/** What a connection is shown of. */
export interface ConnectionSource {
  readonly head: RequestHead;
  readonly connection: Connection;
  readonly pattern: string;
  attributes: Map<string, unknown> | undefined;
}

/** A WebSocket as seen from outside its handlers: what `server.connections` lists, and `ctx.getConnection()` returns. */
export class ServerConnection<Attributes extends object = object> {
  readonly #id: string;
  readonly #openedAt: Date;
  readonly #source: ConnectionSource;

  /** @internal */
  constructor(id: string, source: ConnectionSource) {
    this.#id = id;
    this.#source = source;
    this.#openedAt = new Date(Date.now() - source.connection.openMs);
  }

  /** Its name: unique among all that a server has had. */
  get id(): string {
    return this.#id;
  }

  /** When it was opened. */
  get openedAt(): Date {
    return this.#openedAt;
  }

  /** Where the peer is; `undefined` where the transport has no addresses, and when it is gone and nobody asked before. */
  get address(): SocketAddress | undefined {
    return this.#source.head.address;
  }

  /** The path without the query, decoded as for routes. */
  get path(): string {
    return this.#source.head.path;
  }

  /** The pattern of its route. */
  get route(): string {
    return this.#source.pattern;
  }

  /** `'open'`, `'closing'` once either side sent a Close frame, `'closed'`. */
  get state(): ProtocolState {
    return this.#source.connection.state;
  }

  /** The subprotocol that was agreed on, empty for none. */
  get subprotocol(): string {
    return this.#source.connection.subprotocol;
  }

  /** Bytes that were sent and have not left this process. */
  get bufferedBytes(): number {
    return this.#source.connection.bufferedBytes;
  }

  /** Bytes that were received and that no handler has taken. */
  get receivedBytes(): number {
    return this.#source.connection.receivedBytes;
  }

  /** Messages that were thrown away, since the peer sent more than `maxMessagesPerSecond`. */
  get droppedMessages(): number {
    return this.#source.connection.droppedMessages;
  }

  /** Milliseconds from the latest Ping that was answered to its Pong; `undefined` before the first. */
  get latency(): number | undefined {
    return this.#source.connection.latencyMs;
  }

  /** What it has carried. */
  get traffic(): Traffic {
    return this.#source.connection.traffic;
  }

  /** All counters, in bytes, messages and milliseconds: a copy of what they are now. */
  stats(): ConnectionStats {
    return this.#source.connection.stats();
  }

  /** A value that its handlers keep. */
  getAttribute<T = unknown>(key: AnyKey<Attributes>): T | undefined;
  getAttribute<Key extends keyof Attributes & string>(key: Key): Attributes[Key] | undefined;
  getAttribute(key: string): unknown {
    return this.#source.attributes?.get(key);
  }

  /** Keeps a value for its handlers. */
  setAttribute(key: AnyKey<Attributes>, value: unknown): this;
  setAttribute<Key extends keyof Attributes & string>(key: Key, value: Attributes[Key]): this;
  setAttribute(key: string, value: unknown): this {
    this.#source.attributes ??= new Map();
    this.#source.attributes.set(key, value);
    return this;
  }

  removeAttribute(key: AnyKey<Attributes> | (keyof Attributes & string)): this {
    this.#source.attributes?.delete(key);
    return this;
  }

  /**
   * Sends a message: a string as text, bytes as binary. Bytes of 16 KiB and more must not change until they have left.
   * Resolves and rejects as `ctx.sendResponseBody` does.
   */
  send(data: string | Uint8Array, options?: SendOptions): Promise<void> {
    return this.#source.connection.send(data, options?.compress);
  }

  /** Sends a value as JSON. @throws {TypeError} for what JSON does not have */
  sendJson(value: unknown, options?: SendOptions): Promise<void> {
    return this.send(stringifyJson('sendJson', value), options);
  }

  /**
   * Starts the closing handshake, with 1000 unless given. Does nothing when it is closing already.
   *
   * @throws {RangeError} when the code may not be sent, or the reason takes more than 123 bytes of UTF-8
   */
  close(code?: number, reason?: string): void {
    this.#source.connection.close(code, reason);
  }

  /** Cuts it without a closing handshake. */
  destroy(): void {
    this.#source.connection.destroy();
  }
}

/** The WebSockets of a server that are open, or closing. Iterating makes an object for each, if it has none yet. */
export class Connections<Attributes extends object = object> implements Iterable<ServerConnection<Attributes>> {
  readonly #members: Roster<ConnectionSource>;
  readonly #known = new WeakMap<ConnectionSource, ServerConnection<Attributes>>();
  readonly #byId = new Map<string, ServerConnection<Attributes>>();
  #lastId = 0;

  /** @internal */
  constructor(members: Roster<ConnectionSource>) {
    this.#members = members;
  }

  /** How many there are. */
  get size(): number {
    return this.#members.size;
  }

  /** The connection of that id, `undefined` when it is over, or was never shown. */
  get(id: string): ServerConnection<Attributes> | undefined {
    return this.#byId.get(id);
  }

  *[Symbol.iterator](): Iterator<ServerConnection<Attributes>> {
    for (const source of this.#members) yield this.of(source);
  }

  /** What shows a connection, the same at each call. @internal */
  of(source: ConnectionSource): ServerConnection<Attributes> {
    let shown = this.#known.get(source);
    if (shown === undefined) {
      shown = new ServerConnection(String(++this.#lastId), source);
      this.#known.set(source, shown);
      if (this.#members.has(source)) this.#byId.set(shown.id, shown);
    }
    return shown;
  }

  /** Forgets a connection that is over. @internal */
  forget(source: ConnectionSource): void {
    const shown = this.#known.get(source);
    if (shown !== undefined) this.#byId.delete(shown.id);
  }
}
