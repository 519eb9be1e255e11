/**
 * A group chat: rooms, names, pictures and history, with the page that speaks to it.
 *
 *     npm start
 *     PORT=60001 npm start
 *
 * Then open the address it prints, in two windows. Many processes, on many machines, are one chat over a broker:
 *
 *     npm start -- --redis redis://127.0.0.1:6379
 *     npm start -- --nats 127.0.0.1:4222
 */
import { parseArgs } from 'node:util';
import { BrokerError, InvalidStateError } from 'hyperlane-ws';
import { type ChatBroker, natsAt, redisAt, StartError } from './broker.ts';
import { createChatServer } from './chat.ts';

const DEFAULT_PORT = 60000;

const { wanted, redis, nats } = readArguments();
const port = wanted === '' ? DEFAULT_PORT : Number(wanted);
let chatBroker: ChatBroker | undefined;

try {
  if (redis !== undefined) chatBroker = await redisAt(redis);
  else if (nats !== undefined) chatBroker = await natsAt(nats);
  const server = createChatServer({}, chatBroker?.broker);
  await server.port(port).run();
  console.log(`http://localhost:${server.address()?.port}/`);

  /** Says goodbye to everybody. A second signal does what signals do, and ends the process at once. */
  const stop = async (): Promise<void> => {
    await server.close({ reason: 'the chat is closing' });
    await chatBroker?.close();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
  await chatBroker?.close();
}

function readArguments(): { wanted: string; redis: string | undefined; nats: string | undefined } {
  try {
    const options = { redis: { type: 'string' }, nats: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    return { wanted: positionals[0] ?? process.env.PORT ?? '', redis: values.redis, nats: values.nats };
  } catch (error) {
    console.error(
      `${(error as Error).message.split('. ')[0]}: npm start -- [port] [--redis redis://… | --nats host:port]`,
    );
    process.exit(1);
  }
}

function explain(error: unknown): string {
  if (error instanceof RangeError)
    return `"${wanted}" is no port: give a number from 0 to 65535, as in PORT=60001 npm start`;
  if (error instanceof InvalidStateError && error.code === 'WS_ERR_PORT_IN_USE') {
    return `Port ${port} is in use by another program; choose another: PORT=${port < 65535 ? port + 1 : DEFAULT_PORT} npm start`;
  }
  if (error instanceof StartError) return error.message;
  if (error instanceof BrokerError) return `${redis ?? nats} cannot be used: ${error.message}`;
  return `The chat could not start on port ${port}: ${error instanceof Error ? error.message : String(error)}`;
}
