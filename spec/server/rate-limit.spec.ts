import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { LimitError } from '../../lib/errors.ts';
import type { Context } from '../../lib/server/context.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, WsClient } from '../support/ws-client.ts';

/** The clock of the limit stands still unless it is moved: how many messages are let through takes no time, and no luck. */
let nowMs = 0;

beforeEach(() => {
  nowMs = 1000;
  mock.method(performance, 'now', () => nowMs);
});
afterEach(async () => {
  mock.restoreAll();
  await cleanUp();
});

/** A server that takes note of what it handles, and echoes it. */
async function serve(options: ServerOptions) {
  const { server, errors } = makeServer(options);
  const handled: string[] = [];
  const streams: WebSocketStream[] = [];
  server.onWebsocketConnected((ctx) => void streams.push(ctx.getStream()!));
  server.route('/', (ctx) => {
    handled.push(ctx.getRequestBodyString());
    void ctx.sendResponseBody(ctx.getRequestBody());
  });
  return { server, errors, handled, streams, port: await run(server) };
}

/** Frames of messages that are their numbers. */
function numbers(count: number, from = 0): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => clientFrame(0x81, String(from + i))));
}

function texts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

describe("rateLimitPolicy 'wait'", () => {
  const limit: ServerOptions = { maxMessagesPerSecond: 1000, messageBurst: 3 };

  it('handles as many as may come, and the rest in order when their time has come', async () => {
    const { handled, port } = await serve(limit);
    const client = await WsClient.open(port);
    client.write(numbers(10));
    assert.deepEqual(await client.receiveAll(3), texts(3));
    await settle(20);
    assert.deepEqual(handled, texts(3));
    nowMs += 2;
    assert.deepEqual(await client.receiveAll(2), texts(2, 3));
    await settle(20);
    assert.deepEqual(handled, texts(5));
    nowMs += 1_000_000;
    assert.deepEqual(await client.receiveAll(3), texts(3, 5));
    nowMs += 2;
    assert.deepEqual(await client.receiveAll(2), texts(2, 8));
    assert.deepEqual(handled, texts(10));
  });

  it('does not read on meanwhile: the client is made to wait', async () => {
    const { streams, port } = await serve({ ...limit, messageBurst: 1, maxMessageBytes: 64 * 1024 * 1024 });
    const client = await WsClient.open(port);
    const message = clientFrame(0x82, Buffer.alloc(64 * 1024));
    const total = 64 * 1024 * 1024;
    let left = 0;
    const sent = defer();
    const fill = (): void => {
      while (left < total) {
        left += message.length;
        if (!client.socket.write(message)) {
          client.socket.once('drain', fill);
          return;
        }
      }
      sent.resolve();
    };
    fill();
    await client.receive();
    await until('the client waits', () => client.socket.writableLength > 0);
    await settle(50);
    assert.ok(streams[0]!.receivedBytes < 1024 * 1024, `${streams[0]!.receivedBytes} bytes are held`);
    assert.ok(left < total / 2, `${left} bytes were taken`);
    client.socket.destroy();
  });

  it('answers Ping and Close behind as many as may come, and else in their turn', async () => {
    const { port } = await serve({ ...limit, messageBurst: 1 });
    const ada = await WsClient.open(port);
    ada.write(Buffer.concat([numbers(1), clientFrame(0x89, 'a'), closeFrame(1000)]));
    assert.equal(await ada.receive(), '0');
    assert.equal((await ada.readFrame())!.payload.toString(), 'a');
    assert.equal((await ada.receiveClose(false)).code, 1000);

    const alan = await WsClient.open(port);
    alan.write(Buffer.concat([numbers(2), clientFrame(0x89, 'b'), closeFrame(1000)]));
    assert.equal(await alan.receive(), '0');
    nowMs += 1;
    assert.equal(await alan.receive(), '1');
    assert.equal((await alan.readFrame())!.payload.toString(), 'b');
    assert.equal((await alan.receiveClose(false)).code, 1000);
  });

  it('lets a client that ends behind its messages have them handled', async () => {
    const { handled, port } = await serve({ ...limit, messageBurst: 1 });
    const client = await WsClient.open(port, '/', { allowHalfOpen: true });
    client.write(numbers(3));
    client.socket.end();
    for (let i = 0; i < 3; i++) {
      await until('the next', () => handled.length === i + 1);
      nowMs += 1;
    }
  });

  it('goes on reading once the server closes, to find the Close frame of the client', async () => {
    const { handled, streams, port } = await serve({ ...limit, messageBurst: 1 });
    const client = await WsClient.open(port);
    client.write(numbers(50));
    assert.equal(await client.receive(), '0');
    streams[0]!.close(4000, 'enough');
    assert.equal((await client.receiveClose()).code, 4000);
    assert.equal((await soon('the end', streams[0]!.closed)).wasClean, true);
    assert.deepEqual(handled, ['0']);
  });

  it('has a handler that reads itself get all that came before the end, in order, also when the server closes', async () => {
    const { server } = makeServer({ ...limit, messageBurst: 1 });
    const got: string[] = [];
    let stream!: WebSocketStream;
    server.enableInnerWebsocketHandle('/').route('/', async (ctx) => {
      stream = ctx.getStream()!;
      for (;;) got.push((await Request.websocketRequestFromStream(stream)).getBodyString());
    });
    const client = await WsClient.open(await run(server));
    client.write(numbers(5));
    await until('the first', () => got.length === 1);
    assert.ok(stream.receivedBytes > 0);
    stream.close();
    client.close(1000);
    await soon('the end', stream.closed);
    assert.deepEqual(got, texts(5));
  });

  it('forgets what is kept of a connection that is cut', async () => {
    const { handled, streams, port } = await serve({ ...limit, messageBurst: 1 });
    const client = await WsClient.open(port);
    client.write(numbers(5));
    await client.receive();
    streams[0]!.destroy();
    await soon('the end', streams[0]!.closed);
    assert.equal(streams[0]!.receivedBytes, 0);
    nowMs += 1000;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(handled, ['0']);
  });

  it('counts what a handler reads itself, and messages in pieces once', async () => {
    const { server } = makeServer({ ...limit, messageBurst: 2 });
    const got: string[] = [];
    server.route('/', async (ctx) => {
      for (;;) got.push((await Request.websocketRequestFromStream(ctx.getStream()!)).getBodyString());
    });
    server.enableInnerWebsocketHandle('/');
    const client = await WsClient.open(await run(server));
    client.write(Buffer.concat([clientFrame(0x01, 'a'), clientFrame(0x00, 'b'), clientFrame(0x80, 'c'), numbers(3)]));
    await until('two messages', () => got.length === 2);
    await settle(20);
    assert.deepEqual(got, ['abc', '0']);
    nowMs += 2;
    await until('the rest', () => got.length === 4);
  });

  it('holds back messages that are compressed, too', async () => {
    const { handled, port } = await serve({ ...limit, perMessageDeflate: true });
    const client = await WsClient.connect(port);
    await client.upgrade('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    const { deflateRawSync } = await import('node:zlib');
    const text = (name: string) => name.repeat(100_000);
    const frames = ['a', 'b', 'c', 'd', 'e'].map((name) =>
      clientFrame(0xc1, deflateRawSync(text(name), { finishFlush: 2 }).subarray(0, -4)),
    );
    client.write(Buffer.concat(frames));
    await until('three', () => handled.length === 3);
    await settle(50);
    assert.equal(handled.length, 3);
    nowMs += 2;
    await until('all', () => handled.length === 5);
    assert.deepEqual(handled.map((body) => body[0]).join(''), 'abcde');
  });

  it('holds for each connection by itself', async () => {
    const { port } = await serve({ ...limit, messageBurst: 1 });
    const [ada, alan] = await Promise.all([WsClient.open(port), WsClient.open(port)]);
    ada.write(numbers(2));
    assert.equal(await ada.receive(), '0');
    alan.write(numbers(2));
    assert.equal(await alan.receive(), '0');
  });

  it('is there beside a full queue', async () => {
    const { server } = makeServer({ ...limit, messageBurst: 5, maxQueuedMessages: 2 });
    const gate = defer();
    const handled: string[] = [];
    server.route('/', async (ctx) => {
      handled.push(ctx.getRequestBodyString());
      await gate.promise;
    });
    const client = await WsClient.open(await run(server));
    client.write(numbers(20));
    await until('the first', () => handled.length === 1);
    gate.resolve();
    await until('five', () => handled.length === 5);
    await settle(20);
    assert.equal(handled.length, 5);
    nowMs += 1000;
    await until('ten', () => handled.length === 10);
    nowMs += 1000;
    await until('fifteen', () => handled.length === 15);
    nowMs += 1000;
    await until('all', () => handled.length === 20);
    assert.deepEqual(handled, texts(20));
  });
});

describe("rateLimitPolicy 'drop'", () => {
  it('throws away what is too much, text or bytes, and goes on', async () => {
    const { handled, port, streams } = await serve({
      maxMessagesPerSecond: 10,
      messageBurst: 2,
      rateLimitPolicy: 'drop',
    });
    const client = await WsClient.open(port);
    client.write(Buffer.concat([numbers(4), clientFrame(0x82, 'bytes'), clientFrame(0x89, 'ping')]));
    assert.deepEqual(await client.receiveAll(2), texts(2));
    assert.equal((await client.readFrame())!.payload.toString(), 'ping');
    nowMs += 100;
    client.write(Buffer.concat([clientFrame(0x82, 'late'), numbers(1)]));
    assert.deepEqual(await client.receive(), Buffer.from('late'));
    assert.deepEqual(handled, ['0', '1', 'late']);
    await client.close(1000).receiveClose(false);
    assert.equal((await streams[0]!.closed).code, 1000);
  });
});

describe("rateLimitPolicy 'close'", () => {
  it('closes with 1008, and handles none of what is too much', async () => {
    const { handled, port, errors } = await serve({
      maxMessagesPerSecond: 10,
      messageBurst: 2,
      rateLimitPolicy: 'close',
    });
    const client = await WsClient.open(port);
    client.write(numbers(5));
    assert.deepEqual(await client.receiveAll(2), texts(2));
    const { code, reason } = await client.receiveClose();
    assert.equal(code, 1008);
    assert.match(reason, /the option maxMessagesPerSecond/);
    assert.deepEqual([handled, errors], [texts(2), []]);
  });

  it('tells a handler that reads itself why', async () => {
    const { server } = makeServer({ maxMessagesPerSecond: 10, messageBurst: 2, rateLimitPolicy: 'close' });
    const ended = defer<unknown>();
    server.enableInnerWebsocketHandle('/').route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      try {
        for (;;) await Request.websocketRequestFromStream(stream);
      } catch (error) {
        ended.resolve(error);
      }
    });
    const client = await WsClient.open(await run(server));
    client.write(numbers(3));
    const error = await soon('the error', ended.promise);
    assert.ok(error instanceof LimitError);
    assert.equal(error.code, 'WS_ERR_RATE_LIMIT');
  });
});

describe('the limit of a route', () => {
  it("is in place of the server's, whole or in part", async () => {
    const { server } = makeServer({ maxMessagesPerSecond: 10, messageBurst: 2, rateLimitPolicy: 'close' });
    const echo = (ctx: Context) => void ctx.sendResponseBody(ctx.getRequestBody());
    server.route('/server', echo);
    server.route('/more', echo, { messageBurst: 4 });
    server.route('/free', echo, { maxMessagesPerSecond: Number.POSITIVE_INFINITY });
    server.route('/drop', echo, { rateLimitPolicy: 'drop' });
    const port = await run(server);
    for (const [path, count] of [
      ['/server', 2],
      ['/more', 4],
    ] as const) {
      const client = await WsClient.open(port, path);
      client.write(numbers(6));
      assert.deepEqual(await client.receiveAll(count), texts(count));
      assert.equal((await client.receiveClose()).code, 1008);
    }
    const free = await WsClient.open(port, '/free');
    free.write(numbers(100));
    assert.deepEqual(await free.receiveAll(100), texts(100));
    const drop = await WsClient.open(port, '/drop');
    drop.write(Buffer.concat([numbers(100), clientFrame(0x89, '')]));
    assert.deepEqual(await drop.receiveAll(2), texts(2));
    assert.equal((await drop.readFrame())!.opcode, 0xa);
  });

  it("is checked as the server's is", () => {
    const { server } = makeServer();
    const register = (options: object) => () => server.route('/a', () => {}, options);
    assert.throws(register({ maxMessagesPerSecond: 0 }), {
      name: 'RangeError',
      message: /^route\('\/a', …\): maxMessagesPerSecond is 0: /,
    });
    assert.throws(register({ messageBurst: 0.5 }), {
      name: 'RangeError',
      message: /messageBurst is 0.5: give a number of messages from 1 on/,
    });
    assert.throws(register({ rateLimitPolicy: 'slow' }), {
      name: 'RangeError',
      message: /give one of wait, drop, close/,
    });
  });
});
