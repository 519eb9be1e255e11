import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { ConnectionEndError } from '../../lib/errors.ts';
import { Connection, type ConnectionOwner } from '../../lib/net/connection.ts';
import type { ServerConnection } from '../../lib/server/connections.ts';
import type { ConnectionLimits } from '../../lib/net/limits.ts';
import type { ConnectionEnd } from '../../lib/net/connection-end.ts';
import type { CloseInfo } from '../../lib/protocol/events.ts';
import { onCleanUp } from './clean-up.ts';
import { CERTIFICATE, PRIVATE_KEY } from './tls.ts';
import { WsClient } from './ws-client.ts';

/** The two ends of a connection: the one that is tested, and its peer's. */
export type Pair = readonly [here: Duplex, there: Duplex];

/** An accepted TCP socket as node:http makes them, and the socket of the client. */
export async function tcpPair(): Promise<readonly [Socket, Socket]> {
  const server = createTcpServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const there = connectTcp({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [[here]] = (await Promise.all([once(server, 'connection'), once(there, 'connect')])) as [[Socket], unknown];
  server.close();
  onCleanUp(() => here.destroy());
  return [here, there];
}

export async function tlsPair(): Promise<readonly [TLSSocket, TLSSocket]> {
  const server = createTlsServer({ key: PRIVATE_KEY, cert: CERTIFICATE, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const there = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true } as object);
  const [[here]] = (await Promise.all([once(server, 'secureConnection'), once(there, 'secureConnect')])) as [
    [TLSSocket],
    unknown,
  ];
  server.close();
  onCleanUp(() => here.destroy());
  return [here, there];
}

/** A pair that is not made of sockets: what is written at one end is read at the other, the very same bytes. */
export async function memoryPair(): Promise<Pair> {
  const [here, there] = duplexPair();
  here.once('close', () => there.destroy());
  there.once('close', () => here.destroy());
  return [here, there];
}

/** What a connection may run over. */
export const TRANSPORTS: readonly (readonly [name: string, makePair: () => Promise<Pair>])[] = [
  ['TCP', tcpPair],
  ['TLS', tlsPair],
  ['a Duplex', memoryPair],
];

export const CONNECTION_LIMITS: ConnectionLimits = {
  maxMessageBytes: 1024 * 1024,
  maxFrameBytes: Number.POSITIVE_INFINITY,
  maxQueuedMessages: 64,
  maxQueuedBytes: 1024 * 1024,
  highWaterMarkBytes: 64 * 1024,
  maxBackpressureBytes: 16 * 1024 * 1024,
  backpressurePolicy: 'close',
  closeTimeoutMs: 60_000,
  heartbeatIntervalMs: 0,
  idleTimeoutMs: 0,
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  messageBurst: undefined,
  rateLimitPolicy: 'wait',
};

/** What a connection is failed with for a handler that threw. */
export const HANDLER_ERROR: ConnectionEndError = new ConnectionEndError('WS_ERR_HANDLER', 'secret');

/** Code, reason and `wasClean` of an end. */
export function infoOf({ code, reason, wasClean }: CloseInfo): CloseInfo {
  return { code, reason, wasClean };
}

/** Looks after one connection: takes the messages that `take` wants, and remembers how it ended. */
export class TestOwner implements ConnectionOwner {
  readonly shown = {} as ServerConnection;
  readonly isBusy = false;
  readonly isHandling = false;
  take: ((data: string | Buffer) => boolean) | undefined;
  closed: ConnectionEnd[] = [];

  takeMessage(data: string | Buffer): boolean {
    return this.take?.(data) ?? false;
  }

  onDestroyed(): void {}

  onConnectionClosed(end: ConnectionEnd): void {
    this.closed.push(end);
  }
}

export interface Setup {
  readonly connection: Connection;
  readonly owner: TestOwner;
  readonly client: WsClient;
  readonly here: Duplex;
}

/** A server's connection that has started, and a client that speaks bytes at the other end. */
export async function open(
  makePair: () => Promise<Pair>,
  limits: Partial<ConnectionLimits> = {},
  head?: Buffer,
): Promise<Setup> {
  const [here, there] = await makePair();
  const owner = new TestOwner();
  const connection = new Connection(here, 'server', { ...CONNECTION_LIMITS, ...limits });
  const client = new WsClient(there);
  connection.start(owner, head);
  onCleanUp(() => connection.destroy());
  return { connection, owner, client, here };
}

/** Receives the next message of a connection. */
export function receive(connection: Connection): PromiseLike<string | Buffer> {
  return connection.receive(undefined, (data) => data);
}

/** Counts how often bytes are handed to the transport below a stream: writes of one chunk, and of several in one go. */
export function countWrites(stream: Duplex): { writes: number; chunks: Uint8Array[] } {
  const counter = { writes: 0, chunks: [] as Uint8Array[] };
  type Write = (chunk: Uint8Array, encoding: BufferEncoding, done: () => void) => void;
  type Writev = (chunks: { chunk: Uint8Array }[], done: () => void) => void;
  const target = stream as unknown as { _write: Write; _writev: Writev | null };
  const write = target._write;
  const writev = target._writev;
  target._write = function (chunk, encoding, done) {
    if (chunk.length > 0) counter.writes++;
    counter.chunks.push(chunk);
    write.call(this, chunk, encoding, done);
  };
  if (typeof writev === 'function') {
    target._writev = function (chunks, done) {
      counter.writes++;
      counter.chunks.push(...chunks.map(({ chunk }) => chunk));
      writev.call(this, chunks, done);
    };
  }
  return counter;
}
