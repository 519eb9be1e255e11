import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import type { DiagnosticsMessages } from '../../lib/diagnostics.ts';
import type { ServerConnection } from '../../lib/server/connections.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { until } from '../support/watchdog.ts';
import { clientFrame, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** Those of connections; spec/topics has the others. */
type Name = Extract<keyof DiagnosticsMessages, `hyperlane-ws:${'connection' | 'message' | 'ping'}${string}`>;

const NAMES: readonly Name[] = [
  'hyperlane-ws:connection.open',
  'hyperlane-ws:connection.close',
  'hyperlane-ws:connection.error',
  'hyperlane-ws:message.in',
  'hyperlane-ws:message.out',
  'hyperlane-ws:ping',
];

/** Subscribes until the end of the test. */
function on<N extends Name>(name: N, listener: (message: DiagnosticsMessages[N]) => void): void {
  const subscriber = (message: unknown): void => listener(message as DiagnosticsMessages[N]);
  subscribe(name, subscriber);
  onCleanUp(() => unsubscribe(name, subscriber));
}

/** Writes down what is published, in order. */
function listen(names: readonly Name[] = NAMES): { told: string[]; shown: Set<ServerConnection> } {
  const told: string[] = [];
  const shown = new Set<ServerConnection>();
  for (const name of names) {
    on(name, (message) => {
      shown.add(message.connection);
      const what = 'data' in message ? ` ${message.data}` : 'error' in message ? ` ${message.error.code}` : '';
      told.push(`${name.slice('hyperlane-ws:'.length)}${what}`);
    });
  }
  return { told, shown };
}

/** A server that sends back what comes, and can be told to throw. */
async function serve(options = {}) {
  const { server, errors } = makeServer({ heartbeatIntervalMs: 0, ...options });
  const handled: string[] = [];
  server.route('/', (ctx) => {
    const body = ctx.getRequestBodyString();
    handled.push(body);
    if (body === 'throw') throw new Error('as asked');
    return ctx.sendResponseBody(ctx.getRequestBody());
  });
  server.route('/view', (ctx) => ctx.readRequestBody((bytes) => void ctx.sendResponseBody(Buffer.from(bytes))));
  const port = await run(server);
  return { server, errors, handled, port, isOver: () => until('its end', () => server.stats().open === 0) };
}

describe('what is published of connections', () => {
  it('is each opening, message and end, in order, with what server.connections lists', async () => {
    const { server, port, isOver } = await serve();
    const { told, shown } = listen();
    const client = await WsClient.open(port);
    await client.send('one').receive();
    await client.send(Buffer.from('two')).receive();
    const [connection] = server.connections;
    await client.close(1000).receiveClose(false);
    await isOver();
    assert.deepEqual(told, [
      'connection.open',
      'message.in one',
      'message.out one',
      'message.in two',
      'message.out two',
      'connection.close',
    ]);
    assert.deepEqual([...shown], [connection]);
  });

  it('is the end as handlers are told it, when all counters tell of it, and the address is still known', async () => {
    const { server, port } = await serve();
    const seen: unknown[] = [];
    on('hyperlane-ws:connection.close', ({ connection, end }) => {
      const { messagesReceived, messagesSent, openMs } = connection.stats();
      seen.push(end.cause, end.code, connection.state, connection.address?.address, server.stats().open);
      seen.push(messagesReceived, messagesSent, openMs === end.durationMs);
    });
    const client = await WsClient.open(port);
    await client.send('one').receive();
    await client.close(4000).receiveClose(false);
    await until('its end', () => seen.length > 0);
    assert.deepEqual(seen, ['peer', 4000, 'closed', '127.0.0.1', 0, 1, 1, true]);
  });

  it('is what goes wrong, once, before the end that it leads to', async () => {
    const { port, isOver, errors } = await serve();
    const { told } = listen(['hyperlane-ws:connection.error', 'hyperlane-ws:connection.close']);
    const causes: unknown[] = [];
    on('hyperlane-ws:connection.error', ({ cause, error }) => causes.push(cause, error.cause));
    const unruly = await WsClient.open(port);
    unruly.write(Buffer.from('8b00', 'hex'));
    await unruly.waitForEnd();
    await isOver();
    const thrower = await WsClient.open(port);
    thrower.send('throw');
    assert.equal((await thrower.receiveClose()).code, 1011);
    await isOver();
    const lost = await WsClient.open(port);
    lost.reset();
    await isOver();
    assert.deepEqual(told, [
      'connection.error WS_ERR_INVALID_OPCODE',
      'connection.close',
      'connection.error WS_ERR_HANDLER',
      'connection.close',
      'connection.error WS_ERR_RESET',
      'connection.close',
    ]);
    assert.deepEqual([causes[0], causes[2], causes[4]], ['protocol', 'handler', 'reset']);
    assert.equal(causes[3], errors[0]);
  });

  it('is the answer to each Ping, with its time', async () => {
    const { server, port } = await serve();
    server.route('/ping', async (ctx) => void (await ctx.getStream()!.ping()));
    const times: number[] = [];
    on('hyperlane-ws:ping', ({ connection, latencyMs }) => {
      assert.equal(connection.latency, latencyMs);
      times.push(latencyMs);
    });
    const client = await WsClient.open(port, '/ping');
    client.send('now');
    const ping = await client.readFrame();
    assert.equal(ping?.opcode, 9);
    // The second Pong answers nothing.
    client.write(clientFrame(0x8a, ping.payload)).write(clientFrame(0x8a, ping.payload)).send('now');
    assert.equal((await client.readFrame())?.opcode, 9);
    assert.equal(times.length, 1);
    assert.ok(times[0]! >= 0);
  });

  it('is of messages what the counters count, also of those that are refused for their rate', async () => {
    const { server, port } = await serve({ maxMessagesPerSecond: 1, messageBurst: 1, rateLimitPolicy: 'drop' });
    const { told } = listen(['hyperlane-ws:message.in', 'hyperlane-ws:message.out']);
    const client = await WsClient.open(port);
    client.send('1').send('2').send('3');
    await client.receive();
    await until('three', () => server.stats().traffic.messagesReceived === 3);
    assert.deepEqual(told, ['message.in 1', 'message.out 1', 'message.in 2', 'message.in 3']);
    assert.equal([...server.connections][0]!.stats().droppedMessages, 2);
  });

  it('is a message before its handler has it, also where that reads it in place', async () => {
    const { port } = await serve();
    const client = await WsClient.open(port, '/view');
    await client.send(Buffer.from('unseen')).receive();
    const { told } = listen(['hyperlane-ws:message.in', 'hyperlane-ws:message.out']);
    client.send(Buffer.from('seen'));
    assert.deepEqual(await client.receive(), Buffer.from('seen'));
    assert.deepEqual(told, ['message.in seen', 'message.out seen']);
  });
});

describe('docs/reference/diagnostics.md', () => {
  it('has a heading for each channel, and no other', () => {
    const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    const names = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name]) => name!);
    const made = names(read('lib/diagnostics.ts'), /publisher\('(hyperlane-ws:[\w.]+)'\)/g);
    assert.deepEqual(names(read('docs/reference/diagnostics.md'), /^### `(hyperlane-ws:[\w.]+)`$/gm), made);
    assert.ok(NAMES.every((name) => made.includes(name)));
  });
});

describe('subscribers', () => {
  it('have nothing made for them before there are any, nor after they have left', async () => {
    const { server, port } = await serve();
    const quiet = await WsClient.open(port);
    await quiet.send('one').receive();
    const leave = (): void => {};
    subscribe('hyperlane-ws:message.in', leave);
    unsubscribe('hyperlane-ws:message.in', leave);
    await quiet.send('two').receive();
    // The ids count those that were shown.
    const { shown } = listen();
    const client = await WsClient.open(port);
    await client.send('three').receive();
    assert.deepEqual(
      [...shown].map(({ id }) => id),
      ['1'],
    );
    assert.deepEqual(
      [...server.connections].map(({ id }) => id),
      ['2', '1'],
    );
  });

  it('that throw make an uncaughtException, and no connection feels it', async () => {
    const { port, handled, errors, isOver } = await serve();
    const uncaught: string[] = [];
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.message));
    onCleanUp(() => process.setUncaughtExceptionCaptureCallback(null));
    for (const name of NAMES) {
      on(name, () => {
        throw new Error(name);
      });
    }
    const { told } = listen();
    const client = await WsClient.open(port);
    assert.equal(await client.send('one').receive(), 'one');
    await client.close(1000).receiveClose(false);
    await isOver();
    await until('all of them', () => uncaught.length === 4);
    assert.deepEqual(uncaught.sort(), [
      'hyperlane-ws:connection.close',
      'hyperlane-ws:connection.open',
      'hyperlane-ws:message.in',
      'hyperlane-ws:message.out',
    ]);
    assert.equal(told.length, 4);
    assert.deepEqual([handled, errors], [['one'], []]);
  });

  for (const name of NAMES.filter((one) => one !== 'hyperlane-ws:ping')) {
    it(`may end the connection that ${name} tells of`, async () => {
      for (const way of ['close', 'destroy'] as const) {
        const { port, isOver, server } = await serve({ closeTimeoutMs: 20 });
        const others = listen(['hyperlane-ws:connection.open', 'hyperlane-ws:connection.close']);
        on(name, ({ connection }) => connection[way]());
        const client = await WsClient.connect(port);
        await client.upgrade('/').catch(() => {});
        client.send(name.endsWith('.error') ? 'throw' : 'Hello');
        if (name.endsWith('.close')) client.reset();
        else await client.waitForEnd();
        await isOver();
        assert.deepEqual(others.told, ['connection.open', 'connection.close']);
        assert.equal(server.connections.size, 0);
        await cleanUp();
      }
    });
  }

  it('may send when they are told of an opening or a message', async () => {
    const { port } = await serve();
    on('hyperlane-ws:connection.open', ({ connection }) => void connection.send('welcome'));
    on('hyperlane-ws:message.in', ({ connection }) => void connection.send('coming'));
    const client = await WsClient.open(port);
    client.send('Hello');
    assert.deepEqual(await client.receiveAll(3), ['welcome', 'coming', 'Hello']);
  });
});

describe('stats', () => {
  it('of a server sum up what those have carried that are open and those that are over', async () => {
    const { server, port } = await serve();
    const none = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
    assert.deepEqual([server.stats().traffic, server.stats().bufferedBytes], [none, 0]);
    const [ada, alan] = [await WsClient.open(port), await WsClient.open(port)];
    await ada.send('Hello').receive();
    await alan.send('Hello').receive();
    assert.deepEqual(server.stats().traffic, {
      messagesReceived: 2,
      messagesSent: 2,
      bytesReceived: 2 * 11,
      bytesSent: 2 * 7,
    });
    await ada.close(1000).receiveClose(false);
    await until('its end', () => server.stats().open === 1);
    assert.deepEqual(server.stats().traffic, {
      messagesReceived: 2,
      messagesSent: 2,
      bytesReceived: 2 * 11 + 8,
      bytesSent: 2 * 7 + 4,
    });
    assert.notEqual(server.stats().traffic, server.stats().traffic);
  });

  it('of a connection are plain, and stay what they were at its end', async () => {
    const { server, port, isOver } = await serve();
    const client = await WsClient.open(port);
    await client.send('Hello').receive();
    const [connection] = server.connections;
    const { openMs, ...rest } = connection!.stats();
    assert.ok(Number.isInteger(openMs) && openMs >= 0);
    assert.deepEqual(rest, {
      messagesReceived: 1,
      messagesSent: 1,
      bytesReceived: 11,
      bytesSent: 7,
      bufferedBytes: 0,
      receivedBytes: 0,
      droppedMessages: 0,
      latencyMs: undefined,
    });
    await client.close(1000).receiveClose(false);
    await isOver();
    const end = connection!.stats();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(connection!.stats(), end);
  });
});
