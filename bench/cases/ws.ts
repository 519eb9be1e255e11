import type { Env, Subject, Work } from './case.ts';

/** What the cases use of ws. */
export interface WsReceiver {
  write(chunk: Uint8Array): boolean;
  on(event: 'message', listener: (data: Uint8Array, isBinary: boolean) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}

export interface WsSender {
  send(data: string | Uint8Array, options: object, done?: () => void): void;
}

export interface Ws {
  readonly Receiver: new (options: object) => WsReceiver;
  readonly Sender: new (socket: object, extensions?: object) => WsSender;
}

/** ws without and with bufferutil, which it uses where it finds it. */
export function wsSubjects(prepare: (env: Env) => Work | Promise<Work>): Subject[] {
  return [
    { name: 'ws', needs: 'ws', env: { WS_NO_BUFFER_UTIL: '1' }, prepare },
    { name: 'ws + bufferutil', needs: 'bufferutil', prepare },
  ];
}
