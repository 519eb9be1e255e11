import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CLIENT_TLS } from './tls.ts';

/** Room for what one read brings; all clients read into the same place, since none keeps what it read. */
const READ_BYTES = 256 * 1024;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
const HEAD_END = '\r\n\r\n';

/** How to reach a server. */
export interface Target {
  readonly port: number;
  readonly secure: boolean;
  /** False for a server that echoes bytes and knows no WebSocket. */
  readonly handshake: boolean;
  readonly compressed: boolean;
  /** Default `/`. */
  readonly path?: string;
}

/** A raw WebSocket client: knows the handshake, and hands everything behind it to `onBytes`. */
export class Client {
  onBytes: (bytes: Buffer, end: number) => void = () => {};
  readonly socket: Socket;
  readonly #target: Target;
  #open: (() => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #closing = false;

  constructor(target: Target) {
    this.#target = target;
    const receive = (bytes: Buffer, end: number): void => {
      if (this.#open === undefined) this.onBytes(bytes, end);
      else this.#receiveHead(bytes.subarray(0, end));
    };
    const onread = {
      buffer: readBuffer,
      callback: (end: number, bytes: Uint8Array) => {
        receive(bytes as Buffer, end);
        return true;
      },
    };
    const address = { port: target.port, host: '127.0.0.1', noDelay: true };
    if (target.secure) {
      this.socket = connectTls({ ...address, ...CLIENT_TLS });
      this.socket.on('data', (bytes: Buffer) => receive(bytes, bytes.length));
    } else {
      this.socket = connectTcp({ ...address, onread });
    }
    this.socket.on('error', (error) => this.#lose(error));
    this.socket.on('close', () => this.#lose(new Error('the server closed a connection')));
  }

  /** Resolves once the WebSocket is open. */
  open(): Promise<this> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#open = () => {
        this.#open = undefined;
        this.#fail = undefined;
        resolve(this);
      };
      this.socket.once(this.#target.secure ? 'secureConnect' : 'connect', () => {
        if (this.#target.handshake) this.socket.write(upgradeRequest(this.#target));
        else this.#open!();
      });
    });
  }

  /** Cuts the connection with a reset, so that no port stays taken. */
  destroy(): void {
    this.#closing = true;
    if (this.#target.secure) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  #receiveHead(bytes: Buffer): void {
    const end = bytes.indexOf(HEAD_END) + HEAD_END.length;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#fail!(
        new Error(`the server answered the upgrade with ${JSON.stringify(bytes.toString('latin1', 0, 100))}`),
      );
      return;
    }
    if (this.#target.compressed && !/^sec-websocket-extensions: *permessage-deflate/im.test(head)) {
      this.#fail!(new Error('not supported: permessage-deflate'));
      return;
    }
    this.#open!();
    if (end < bytes.length) this.onBytes(bytes.subarray(end), bytes.length - end);
  }

  #lose(error: Error): void {
    if (this.#closing) return;
    if (this.#fail === undefined) throw error;
    this.#fail(error);
  }
}

function upgradeRequest({ port, compressed, path = '/' }: Target): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ];
  if (compressed) {
    const offer = 'permessage-deflate; client_no_context_takeover; server_no_context_takeover';
    lines.push(`Sec-WebSocket-Extensions: ${offer}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Opens many clients, some at a time. */
export async function openClients(target: Target, count: number, atOnce: number): Promise<Client[]> {
  const clients: Client[] = [];
  let started = 0;
  const openNext = async (): Promise<void> => {
    while (started < count) {
      started++;
      clients.push(await new Client(target).open());
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, openNext));
  return clients;
}
