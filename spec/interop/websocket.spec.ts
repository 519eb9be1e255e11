import { describePeer, Mailbox } from '../support/interop.ts';

interface WebSocketConnection extends NodeJS.EventEmitter {
  sendUTF(text: string): void;
  sendBytes(bytes: Buffer): void;
  ping(payload: string): void;
  close(code: number, reason: string): void;
}

type Message = { type: 'utf8'; utf8Data: string } | { type: 'binary'; binaryData: Buffer };

// It ships no types.
const { client: WebSocketClient } = ((await import('websocket' as string)) as { default: unknown }).default as {
  client: new () => NodeJS.EventEmitter & { connect(url: string, subprotocols: string[]): void };
};

/** Sends messages above 16 KiB in fragments. */
describePeer('websocket', async (url, subprotocol) => {
  const client = new WebSocketClient();
  const mailbox = new Mailbox();
  const connection = await new Promise<WebSocketConnection>((resolve, reject) => {
    client.once('connectFailed', reject).once('connect', (opened: WebSocketConnection) => {
      // At once: it tells of a message that came together with the 101 as soon as this returns.
      opened.on('message', (message: Message) => {
        mailbox.put(message.type === 'utf8' ? message.utf8Data : message.binaryData);
      });
      resolve(opened);
    });
    client.connect(url, subprotocol === undefined ? [] : [subprotocol]);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    connection.on('close', (code: number, reason: string) => resolve({ code, reason }));
  });
  return {
    send: (data) => (typeof data === 'string' ? connection.sendUTF(data) : connection.sendBytes(data)),
    receive: () => mailbox.take(),
    ping: (payload) =>
      new Promise((resolve) => {
        connection.once('pong', (data: Buffer) => resolve(data.toString()));
        connection.ping(payload);
      }),
    close: (code, reason) => connection.close(code, reason),
    closed,
  };
});
