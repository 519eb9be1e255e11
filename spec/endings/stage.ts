import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { ConnectionEnd } from '../../lib/net/connection-end.ts';
import type { Context } from '../../lib/server/context.ts';
import type { Server } from '../../lib/server/server.ts';
import { onCleanUp } from '../support/clean-up.ts';
import { makeServer } from '../support/running-server.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/tls.ts';
import { type Deferred, defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, WsClient } from '../support/ws-client.ts';
import type { Way } from './ways.ts';

export type Road = 'TCP' | 'TLS';

/** What the client sees if there is no Close frame: that the connection ends; or nothing, since it went by itself. */
const CUT = 'cut';
const NOTHING = '–';

/** One WebSocket that ends in one way: a server, a client that speaks bytes, and what both were told of the end. */
export class Stage {
  readonly way: Way;
  readonly server: Server;
  readonly errors: unknown[];
  readonly ends: ConnectionEnd[] = [];
  client!: WsClient;
  /** The context of the handler that ran first, and the socket of the server. */
  ctx: Context | undefined;
  socket: Duplex | undefined;
  /** What handlers may wait for: it opens once the connection is over. */
  readonly over: Deferred = defer();
  #hasBegun = false;
  #closed: Promise<ConnectionEnd> | undefined;
  #http!: HttpServer;
  #tcp!: Socket;

  constructor(way: Way) {
    this.way = way;
    const { server, errors } = makeServer({ heartbeatIntervalMs: 0, closeTimeoutMs: 60_000, ...way.options });
    this.server = server;
    this.errors = errors;
    server.onWebsocketConnected((ctx) => {
      this.ctx = ctx;
      this.#closed = ctx.getStream()!.closed;
      return way.connected?.(this);
    });
    server.onWebsocketClosed((_ctx, end) => {
      this.ends.push(end);
    });
    const handle = (ctx: Context) => {
      this.#hasBegun = true;
      return way.handle?.(ctx, this);
    };
    server.route('/', handle, way.route);
    if (way.ownsStream === true) server.enableInnerWebsocketHandle('/');
  }

  /** Plays the way, and returns the end as the table writes it. */
  async play(road: Road): Promise<string[]> {
    await this.#open(road);
    const seeing = this.#see();
    await this.way.happen?.(this);
    const end = await soon('the end', this.#closed!);
    this.over.resolve();
    const seen = await seeing;
    await until('the hook', () => this.ends.length > 0);
    await settle();
    assert.equal(this.ends.length, 1, 'it is told once');
    assert.equal(this.ends[0], end, 'both are told the same');
    this.#check(end, seen, road);
    await soon('close', this.server.close());
    await soon('the server of node:http', new Promise((resolve) => this.#http.close(resolve)));
    const told = this.errors.length === 0 ? '' : ' !';
    return [
      `\`${end.cause}\``,
      end.by,
      seen,
      end.received === undefined ? NOTHING : `${end.received.code} ${end.received.reason}`.trim(),
      end.wasClean ? 'yes' : 'no',
      (end.error?.code ?? NOTHING) + told,
    ];
  }

  /** Has the client send a message, and waits until its handler runs. */
  async begin(text: string = 'hello'): Promise<void> {
    this.client.send(text);
    await until('the handler', () => this.#hasBegun);
  }

  /** Resets the connection of the client: below TLS, where there is that. */
  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  async #open(road: Road): Promise<void> {
    const http = road === 'TLS' ? createHttpsServer({ key: PRIVATE_KEY, cert: CERTIFICATE }) : createServer();
    this.#http = http;
    this.server.attach(http);
    http.on(road === 'TLS' ? 'secureConnection' : 'connection', (socket: Duplex) => {
      this.socket = socket;
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    onCleanUp(() => {
      this.over.resolve();
      this.socket?.destroy();
      http.close();
    });
    this.client = await this.#connect((http.address() as AddressInfo).port, road);
    await this.client.upgrade('/', this.way.headers);
    await until('it is open', () => this.#closed !== undefined);
  }

  async #connect(port: number, road: Road): Promise<WsClient> {
    const tcp = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#tcp = tcp;
    await once(tcp, 'connect');
    if (road === 'TCP') return new WsClient(tcp);
    const tls = connectTls({ socket: tcp, rejectUnauthorized: false, allowHalfOpen: true } as object);
    const client = new WsClient(tls);
    await once(tls, 'secureConnect');
    return client;
  }

  /** Reads to the end, and does of itself what a client is to do, unless the way says otherwise. */
  async #see(): Promise<string> {
    const { client, way } = this;
    if (way.isDeaf === true) {
      client.socket.pause();
      await this.over.promise;
      client.socket.resume();
    }
    try {
      for (let frame = await client.readFrame(); frame !== undefined; frame = await client.readFrame()) {
        if (frame.opcode === 8) {
          const code = frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE();
          if (way.isMute !== true) client.write(clientFrame(0x88, frame.payload.subarray(0, 2)));
          await way.onClose?.(this);
          if (way.isMute === true) return String(code);
          await client.waitForEnd();
          client.end();
          return String(code);
        }
        if (frame.opcode === 9 && way.isMute !== true) client.write(clientFrame(0x8a, frame.payload));
      }
    } catch (error) {
      // It may end in the midst of a frame.
      if (!client.ended) throw error;
    }
    return way.goesByItself === true ? NOTHING : CUT;
  }

  /** What holds of each end. */
  #check(end: ConnectionEnd, seen: string, road: Road): void {
    const { code, reason, received, sent, cause, by, durationMs, traffic, error } = end;
    assert.deepEqual([code, reason], received === undefined ? [1006, ''] : [received.code, received.reason]);
    // Only of TCP it is known at once what has left.
    const isUnknown = this.way.isCutBehindClose === true && road !== 'TCP';
    if (/^\d/.test(seen) && !isUnknown) assert.equal(sent?.code, Number(seen), 'what was sent is what was seen');
    else if (!isUnknown && this.way.goesByItself !== true)
      assert.equal(sent, undefined, 'what was not sent was not seen');
    assert.equal(end.wasClean, sent !== undefined && received !== undefined);
    assert.ok(Number.isInteger(durationMs) && durationMs >= 0);
    for (const count of Object.values(traffic)) assert.ok(Number.isInteger(count) && count >= 0);
    assert.equal(by === 'peer', cause === 'peer' || cause === 'hangup');
    assert.equal(by === 'network', cause === 'reset' || cause === 'lost');
    if (cause === 'handler') assert.equal(error!.cause, this.errors[0], 'what was thrown is the cause of the error');
    const { closed } = this.server.stats();
    assert.deepEqual([closed[cause], Object.values(closed).reduce((a, b) => a + b)], [1, 1], 'it is counted');
  }
}
