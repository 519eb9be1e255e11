import { OURS } from './e2e/contestants.ts';

/** Cases that belong together, and the number that is shown of them: in a chart, and in the short table of README.md. */
export interface Chart {
  /** In docs/assets, without its ending. */
  readonly file: string;
  readonly title: string;
  readonly subtitle: string;
  readonly metric: string;
  /** Names of cases, with what stands beside their bars. */
  readonly cases: Readonly<Record<string, string>>;
}

export const CHARTS: readonly Chart[] = [
  {
    file: 'bench-echo',
    title: 'Echo',
    subtitle: 'CPU time of the server per message, less is better',
    metric: 'cpuMicros',
    cases: {
      'echo-20-1': '20 B, 1 in flight',
      'echo-20-32': '20 B, 32 in flight',
      'echo-1k-16': '1 KiB, 16 in flight',
      'echo-16k-4': '16 KiB, 4 in flight',
      'echo-1m-2': '1 MiB, 2 in flight',
      'echo-deflate-1k': '1 KiB of JSON, compressed',
    },
  },
  {
    file: 'bench-chat',
    title: 'Chat',
    subtitle: "CPU time of the server per delivery, everyone's message to everyone, less is better",
    metric: 'cpuMicros',
    cases: { 'chat-32': '32 clients', 'chat-200': '200 clients' },
  },
  {
    file: 'bench-accept',
    title: 'Accept',
    subtitle: 'CPU time of the server per connection, less is better',
    metric: 'cpuMicros',
    cases: { accept: 'a new connection' },
  },
  {
    file: 'bench-idle',
    title: 'Memory',
    subtitle: 'Bytes per idle connection, of 5,000, less is better',
    metric: 'bytesPerConnection',
    cases: { idle: 'just opened', 'idle-used': 'after one message', 'idle-more': 'beside 5,000 others' },
  },
];

/** Other ways to write the handlers than that of README.md. */
export const VARIANTS = ['hyperlane view', 'hyperlane async', 'hyperlane select'];

/** In this order, and no others: floors, and ours on another Node, are for the tables. */
export const SHOWN = [OURS, ...VARIANTS, 'ws', 'ws + bufferutil', 'websocket', 'uWebSockets.js, Node 20', 'Bun'];
