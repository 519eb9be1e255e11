/** What the processes of bench/hostile.ts tell each other. */

export type ToPeers =
  /** Open the connections of an attack, by its place among `TCP_ATTACKS`. */
  | { readonly type: 'open'; readonly port: number; readonly attack: number; readonly connections: number }
  | { readonly type: 'attack' }
  | { readonly type: 'leave' };

export type FromPeers = { readonly type: 'opened' } | { readonly type: 'attacked' } | { readonly type: 'left' };
