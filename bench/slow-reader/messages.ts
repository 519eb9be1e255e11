/** What the processes of the slow reader's bench tell each other, and what they have in common. */

export const POLICIES = ['catchUp', 'skip', 'latest', 'end'] as const;
export type Policy = (typeof POLICIES)[number];

/** So many messages wait for a slow reader; fewer than pass while it does not read. */
export const CAPACITY = 64;
/** Enough to have all that passes meanwhile. */
export const HISTORY_MESSAGES = 320;
/** That pass while it does not read. */
export const MESSAGES = 240;
export const MESSAGE_BYTES = 1024;
/** What fills the socket of the one that does not read. */
export const PIECE_BYTES = 64 * 1024;
export const HIGH_WATER_MARK_BYTES: number = 64 * 1024;

/** What objects take beside the bytes of a message: its own, and its place. */
const OBJECT_BYTES = 512;
/**
 * What one that does not read may make the server hold: what waits in the topic for it, what waits for its socket, and one more
 * message of each.
 */
export const BOUND_BYTES: number =
  (CAPACITY + 1) * (MESSAGE_BYTES + OBJECT_BYTES) + HIGH_WATER_MARK_BYTES + PIECE_BYTES;

/** `slow` resolves when the one that does not read is stuck. */
export type ToServer = { readonly type: 'memory' | 'slow' | 'counters' };

export type FromServer =
  | { readonly type: 'port'; readonly port: number }
  /** Heap and buffers after a collection. */
  | { readonly type: 'memory'; readonly heldBytes: number }
  | { readonly type: 'slow' }
  | ({ readonly type: 'counters' } & Counters);

/** Since the server was started; of the one that does not read, since it came. */
export interface Counters {
  readonly ended: number;
  readonly dropped: number;
  readonly recovered: number;
  readonly slowDropped: number;
  readonly slowMissed: number;
  readonly slowGaps: number;
}

export type ToLoad =
  | { readonly type: 'measure'; readonly messages: number }
  /** Opens one that reads nothing. */
  | { readonly type: 'open'; readonly policy: Policy }
  /** Has it read all that there is for it. */
  | { readonly type: 'read' };

export type FromLoad =
  | { readonly type: 'ready' | 'open' }
  | { readonly type: 'measured'; readonly p50Micros: number; readonly p99Micros: number }
  | { readonly type: 'read'; readonly received: number; readonly isInOrder: boolean; readonly closeCode: number };
