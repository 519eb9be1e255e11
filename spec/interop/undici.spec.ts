import { WebSocket } from 'undici';
import { describePeer, Mailbox } from '../support/interop.ts';

// What `new WebSocket()` is on Node 22 and later, without an import.
describePeer('undici', async (url, subprotocol) => {
  const socket = new WebSocket(url, subprotocol === undefined ? [] : [subprotocol]);
  socket.binaryType = 'arraybuffer';
  const mailbox = new Mailbox();
  socket.addEventListener('message', ({ data }) => mailbox.put(typeof data === 'string' ? data : Buffer.from(data)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  return {
    send: (data) => socket.send(typeof data === 'string' ? data : Uint8Array.from(data)),
    receive: () => mailbox.take(),
    ping: undefined,
    close: (code, reason) => socket.close(code, reason),
    closed,
  };
});
