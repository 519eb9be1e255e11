/**
 * A group chat: rooms, names, pictures and history, with the page that speaks to it.
 *
 *     npm start
 *     PORT=60001 npm start
 *
 * Then open the address it prints, in two windows.
 */
import { InvalidStateError } from 'hyperlane-ws';
import { createChatServer } from './chat.ts';

const DEFAULT_PORT = 60000;

const wanted = process.argv[2] ?? process.env.PORT ?? '';
const port = wanted === '' ? DEFAULT_PORT : Number(wanted);
const server = createChatServer();

try {
  await server.port(port).run();
  console.log(`http://localhost:${server.address()?.port}/`);
  process.once('SIGINT', stop).once('SIGTERM', stop);
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}

/** Says goodbye to everybody. A second signal does what signals do, and ends the process at once. */
async function stop(): Promise<void> {
  await server.close({ reason: 'the chat is closing' });
}

function explain(error: unknown): string {
  if (error instanceof RangeError)
    return `"${wanted}" is no port: give a number from 0 to 65535, as in PORT=60001 npm start`;
  if (error instanceof InvalidStateError && error.code === 'WS_ERR_PORT_IN_USE') {
    return `Port ${port} is in use by another program; choose another: PORT=${port < 65535 ? port + 1 : DEFAULT_PORT} npm start`;
  }
  return `The chat could not start on port ${port}: ${error instanceof Error ? error.message : String(error)}`;
}
