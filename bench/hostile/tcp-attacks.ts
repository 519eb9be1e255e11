import type { ServerOptions } from '../../lib/index.ts';
import { frame, getRequest, messageFrame, upgradeRequest } from '../soak/peer.ts';

/** Attacks on a whole server, by peers that come over TCP: what needs its door, its HTTP, or its timers. */

const KIB = 1024;
const FIN = 0x80;

export const OPTIONS = {
  perMessageDeflate: true,
  maxMessageBytes: 512 * KIB,
  maxQueuedMessages: 64,
  maxQueuedBytes: 64 * KIB,
  highWaterMarkBytes: 64 * KIB,
  maxBackpressureBytes: 256 * KIB,
  maxRequestBodyBytes: 64 * KIB,
  maxPipelinedRequests: 16,
  handshakeTimeoutMs: 600_000,
  heartbeatIntervalMs: 0,
} as const satisfies ServerOptions;

/** The largest read, and what one by 'data' events brings. */
const READ_BYTES = 256 * KIB;
const CHUNK_BYTES = 64 * KIB;
/** Objects of a request that is under way, and its head. */
const REQUEST_BYTES = 5 * KIB;
/** What a stream of node:http may hold above what its handler awaits: its own high-water mark, and one piece. */
export const PIECE_BYTES: number = 16 * KIB;
const BLOCK_BYTES = 64 * KIB;
const HTTP_BYTES =
  OPTIONS.maxPipelinedRequests * REQUEST_BYTES + READ_BYTES + OPTIONS.maxBackpressureBytes + PIECE_BYTES;

export interface TcpAttack {
  readonly title: string;
  readonly connections: number;
  readonly options?: ServerOptions;
  /** Is sent first, and answered; what the connections keep then is not counted. */
  readonly before: string;
  /** Is sent again and again, as often as this or until the server reads no more. */
  readonly bytes: Buffer;
  readonly times: number;
  readonly reads: boolean;
  /** Whether the server is to cut them; then what is left behind them is counted. */
  readonly isCut?: boolean;
  readonly formula: string;
  readonly bound: number;
}

const repeat = (bytes: Buffer, times: number): Buffer => Buffer.concat(Array<Buffer>(times).fill(bytes));
const close = frame(FIN | 8, Buffer.of(3, 232));

export const TCP_ATTACKS: readonly TcpAttack[] = [
  {
    title: 'pipelined requests without an end, and reads no answer',
    connections: 40,
    before: getRequest('/hello'),
    bytes: Buffer.from(getRequest('/hello').repeat(200)),
    times: 2000,
    reads: false,
    formula: '`maxPipelinedRequests` × 5 KiB + 1 read + `maxBackpressureBytes`',
    bound: HTTP_BYTES,
  },
  {
    title: 'the same, for streams of 1 MiB that are awaited, policy `wait`',
    connections: 40,
    options: { backpressurePolicy: 'wait' },
    before: getRequest('/hello'),
    bytes: Buffer.from(getRequest('/stream').repeat(200)),
    times: 2000,
    reads: false,
    formula: '`maxPipelinedRequests` × (5 KiB + 2 pieces) + 1 read',
    bound: OPTIONS.maxPipelinedRequests * (REQUEST_BYTES + 2 * PIECE_BYTES) + READ_BYTES,
  },
  {
    title: 'an upgrade behind a stream of 20 MiB that it does not read, and messages behind it',
    connections: 40,
    before: getRequest('/hello'),
    bytes: Buffer.concat([
      Buffer.from(getRequest('/download') + upgradeRequest('/never')),
      repeat(messageFrame(Buffer.alloc(1000)), 5000),
    ]),
    times: 1,
    reads: false,
    formula: '`maxPipelinedRequests` × 5 KiB + 1 read + `maxBackpressureBytes` + 2 × 64 KiB',
    bound: HTTP_BYTES + 2 * CHUNK_BYTES,
  },
  {
    title: 'an upgrade with 64 messages in the same write, and then a flood, to a handler that takes none',
    connections: 40,
    before: '',
    bytes: Buffer.concat([Buffer.from(upgradeRequest('/never')), repeat(messageFrame(Buffer.alloc(1000)), 5000)]),
    times: 1,
    reads: true,
    formula: '`maxQueuedBytes` + 1 message + 1 read',
    bound: OPTIONS.maxQueuedBytes + 1000 + READ_BYTES,
  },
  {
    title: 'a flood behind an upgrade that a middleware does not decide',
    connections: 40,
    before: '',
    bytes: Buffer.concat([Buffer.from(upgradeRequest('/never?wait')), repeat(messageFrame(Buffer.alloc(1000)), 5000)]),
    times: 1,
    reads: true,
    formula: '2 × 64 KiB',
    bound: 2 * CHUNK_BYTES,
  },
  {
    title: 'a flood of messages to an echo, and reads nothing',
    connections: 40,
    options: { backpressurePolicy: 'wait' },
    before: upgradeRequest('/echo'),
    bytes: repeat(messageFrame(Buffer.alloc(1000)), 64),
    times: 2000,
    reads: false,
    formula: '`maxQueuedBytes` + `highWaterMarkBytes` + 2 messages + 1 read + 64 KiB',
    bound: OPTIONS.maxQueuedBytes + OPTIONS.highWaterMarkBytes + 2000 + READ_BYTES + BLOCK_BYTES,
  },
  {
    title: 'the same, with a heartbeat',
    connections: 40,
    options: { backpressurePolicy: 'wait', heartbeatIntervalMs: 1000 },
    before: upgradeRequest('/echo'),
    bytes: repeat(messageFrame(Buffer.alloc(1000)), 64),
    times: 2000,
    reads: false,
    isCut: true,
    formula: 'nothing: it is cut',
    bound: 0,
  },
  {
    title: 'a request for a download of 20 MiB that it does not read, with a heartbeat',
    connections: 40,
    options: { heartbeatIntervalMs: 1000 },
    before: getRequest('/hello'),
    bytes: Buffer.from(getRequest('/download')),
    times: 1,
    reads: false,
    isCut: true,
    formula: 'nothing: it is cut',
    bound: 0,
  },
  {
    title: 'a Close frame while large answers are compressed',
    connections: 40,
    options: { heartbeatIntervalMs: 1000 },
    before: upgradeRequest('/large', 'permessage-deflate'),
    bytes: Buffer.concat([messageFrame('now'), close]),
    times: 1,
    reads: false,
    isCut: true,
    formula: 'nothing: it is closed',
    bound: 0,
  },
  {
    title: 'a fragment of 100 bytes without an end, on each of 10,000 connections',
    connections: 10_000,
    before: upgradeRequest('/echo'),
    bytes: frame(1, 'x'.repeat(100)),
    times: 1,
    reads: true,
    formula: '4 KiB',
    bound: 4 * KIB,
  },
];
