import type { ServerOptions } from '../../lib/index.ts';

const KIB = 1024;

/** The bounds of the server that is flooded. */
export const OPTIONS = {
  perMessageDeflate: true,
  maxMessageBytes: 256 * KIB,
  maxQueuedMessages: 64,
  maxQueuedBytes: 256 * KIB,
  maxBackpressureBytes: 1024 * KIB,
  backpressurePolicy: 'close',
  heartbeatIntervalMs: 30_000,
} as const satisfies ServerOptions;

/** Pieces of 16 KiB in a streamed response. */
export const STREAM_PIECES = 64;

/** The largest read, and what is no payload: objects, those of 16 requests included. */
const READ_BYTES = 256 * KIB;
const OBJECTS_BYTES = 128 * KIB;

/** What one connection may make the server hold: docs/explanation/hostile-peers.md. */
export const BOUND_BYTES: number =
  OPTIONS.maxQueuedBytes + 2 * OPTIONS.maxMessageBytes + OPTIONS.maxBackpressureBytes + READ_BYTES + OBJECTS_BYTES;
