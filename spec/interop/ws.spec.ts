import { once } from 'node:events';
import { describePeer, Mailbox } from '../support/interop.ts';

interface WsSocket {
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: 'close', listener: (code: number, reason: Buffer) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  once(event: 'pong', listener: (data: Buffer) => void): this;
  once(event: 'open', listener: () => void): this;
  send(data: string | Buffer): void;
  ping(data: string): void;
  close(code: number, reason: string): void;
}

// It ships no types.
const { WebSocket } = (await import('ws' as string)) as {
  WebSocket: new (url: string, subprotocols: string[]) => WsSocket & NodeJS.EventEmitter;
};

describePeer('ws', async (url, subprotocol) => {
  const socket = new WebSocket(url, subprotocol === undefined ? [] : [subprotocol]);
  const mailbox = new Mailbox();
  socket.on('message', (data, isBinary) => mailbox.put(isBinary ? data : data.toString()));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await once(socket, 'open');
  return {
    send: (data) => socket.send(data),
    receive: () => mailbox.take(),
    ping: (payload) =>
      new Promise((resolve) => {
        socket.once('pong', (data) => resolve(data.toString()));
        socket.ping(payload);
      }),
    close: (code, reason) => socket.close(code, reason),
    closed,
  };
});
