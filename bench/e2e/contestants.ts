import type { EndToEndCase } from './cases.ts';

/** A server that is measured. */
export interface Contestant {
  readonly name: string;
  /** The compiled file in `servers/` that it is. */
  readonly file: string;
  readonly variant: string;
  readonly runtime: 'main' | 'old' | 'bun';
  /** The package it needs; without one it is our own, or Node's. */
  readonly needs?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** False for a server without WebSocket: a floor. */
  readonly handshake: boolean;
  takes(work: EndToEndCase): boolean;
}

/** All ratios are to this one. */
export const OURS = 'hyperlane';

const everything = (): boolean => true;
const plain = (work: EndToEndCase): boolean => !work.secure;
const rawEcho = (work: EndToEndCase): boolean => work.kind === 'echo' && !work.secure && !work.compressed;
const isFanOut = (work: EndToEndCase): boolean => work.kind === 'fan-out';
const isChat = (work: EndToEndCase): boolean => work.kind === 'chat';
const hyperlane = {
  file: 'hyperlane',
  variant: 'sync',
  runtime: 'main',
  handshake: true,
  // Elsewhere what is read where it lies is spoiled.
  env: { NODE_ENV: 'production' },
  takes: everything,
} as const;

export const CONTESTANTS: readonly Contestant[] = [
  { ...hyperlane, name: OURS },
  { ...hyperlane, name: 'hyperlane async', variant: 'async', takes: (work) => !isFanOut(work) },
  { ...hyperlane, name: 'hyperlane view', variant: 'view', takes: rawEcho },
  { ...hyperlane, name: 'hyperlane observed', variant: 'observed', takes: rawEcho },
  { ...hyperlane, name: 'hyperlane select', variant: 'select', takes: isChat },
  { ...hyperlane, name: 'hyperlane publish', variant: 'publish', takes: isChat },
  { ...hyperlane, name: 'hyperlane loop', variant: 'loop', takes: isFanOut },
  { ...hyperlane, name: 'hyperlane, Node 20', runtime: 'old', takes: plain },
  { ...hyperlane, name: 'ws', file: 'ws', needs: 'ws', env: { WS_NO_BUFFER_UTIL: '1' } },
  { ...hyperlane, name: 'ws + bufferutil', file: 'ws', needs: 'bufferutil' },
  { ...hyperlane, name: 'uWebSockets.js, Node 20', file: 'uws', runtime: 'old', needs: 'uwebsockets', takes: plain },
  { ...hyperlane, name: 'Bun', file: 'bun', runtime: 'bun', needs: 'bun', takes: plain },
  {
    ...hyperlane,
    name: 'websocket',
    file: 'websocket',
    needs: 'websocket',
    takes: (work) => !work.secure && !work.compressed,
  },
  { ...hyperlane, name: "net 'data'", file: 'net', variant: 'data', handshake: false, takes: rawEcho },
  { ...hyperlane, name: 'net onread', file: 'net', variant: 'onread', handshake: false, takes: rawEcho },
];
