/**
 * The floor: bytes come back as they came, with no handshake and no frames. What this costs, everything on this runtime
 * costs.
 *
 * Variants: `data`, sockets as Node hands them out; `onread`, sockets that read into one shared buffer. Node offers
 * `onread` for sockets one makes oneself, so accepted ones are switched to it by hand.
 */
import { createServer, Socket } from 'node:net';
import { readTask, serveQuestions } from '../server-process.ts';

const READ_BYTES = 64 * 1024;

const { variant } = readTask();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  if (variant === 'onread') echoFromSharedBuffer(socket);
  else socket.on('data', (chunk) => socket.write(chunk));
});

type Internals = Record<symbol, unknown> & { _handle: { useUserBuffer(buffer: Uint8Array): void } };

const readBuffer = Buffer.alloc(READ_BYTES);
let writeBuffer = Buffer.alloc(READ_BYTES);

/** The symbols under which a socket keeps its buffer and its callback. */
const [kBuffer, kCallback] = ((): symbol[] => {
  const probe = new Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } } as object);
  const symbols = Object.getOwnPropertySymbols(probe);
  return ['kBuffer', 'kBufferCb'].map((name) => symbols.find((symbol) => symbol.description === name)!);
})();

function echoFromSharedBuffer(socket: Socket): void {
  const internals = socket as unknown as Internals;
  internals[kBuffer!] = readBuffer;
  internals[kCallback!] = (length: number, buffer: Buffer): boolean => {
    // The next read may come before these bytes have left.
    buffer.copy(writeBuffer, 0, 0, length);
    socket.write(writeBuffer.subarray(0, length));
    if (socket.writableLength > 0) writeBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
    return true;
  };
  internals._handle.useUserBuffer(readBuffer);
  socket.read(0);
}

server.listen(0, '127.0.0.1', () => serveQuestions((server.address() as { port: number }).port));
