/** What the processes of the flood bench tell each other. */

export type Flood = keyof typeof FLOODS;

/** What one peer does to the server while another echoes. */
export const FLOODS = {
  'requests, answers read': 'plain requests, pipelined without an end',
  'requests, answers not read': 'the same by a peer that reads nothing',
  'streams, read': 'requests for streamed responses of 1 MiB, pipelined without an end',
  'streams, not read': 'the same by a peer that reads nothing',
  'small messages, read': 'messages of 20 bytes to an echo, without an end',
  'small messages, not read': 'the same by a peer that reads nothing',
  'large messages, read': 'messages of 64 KiB to an echo, without an end',
  'messages to a slow handler': 'messages of 20 bytes to a handler that takes 1 ms for each',
  'compressed messages, read': 'messages of 1 KiB, compressed, to an echo',
} as const;

export type ToServer = { readonly type: 'memory' };

export type FromServer =
  | { readonly type: 'port'; readonly port: number }
  | {
      readonly type: 'memory';
      readonly rssBytes: number;
      /** Heap and buffers after a collection. */
      readonly heldBytes: number;
    };

export type ToEcho = { readonly type: 'measure'; readonly ms: number };

export type FromEcho =
  | { readonly type: 'open' }
  | { readonly type: 'measured'; readonly p50Micros: number; readonly p99Micros: number; readonly count: number };

export type ToFlooder = { readonly type: 'flood'; readonly port: number; readonly flood: Flood };

/** `bytes` were written so far. */
export type FromFlooder = { readonly type: 'flooding'; readonly bytes: number };
