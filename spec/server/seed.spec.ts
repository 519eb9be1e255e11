import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import { select } from '../../lib/channel/select.ts';
import type { Context } from '../../lib/server/context.ts';
import { type Body, Request } from '../../lib/server/request.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { soon, until } from '../support/watchdog.ts';
import { WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

// The two servers of hyperlane's page on WebSockets, line by line.

async function echo(ctx: Context): Promise<void> {
  const requestBody = ctx.getRequestBody();
  await ctx.sendResponseBody(requestBody).catch(() => {});
}

function makeBroadcastHandler(): { broadcast: Broadcast<Body>; handle: (ctx: Context) => Promise<void> } {
  const broadcast = new Broadcast<Body>();
  async function handle(ctx: Context): Promise<void> {
    const stream = ctx.getStream();
    if (stream === undefined) {
      ctx.aborted();
      return;
    }
    const firstRequest = ctx.getRequest();
    const receiver = broadcast.subscribe();
    try {
      for (;;) {
        const { key, value } = await select({
          request: Request.websocketRequestFromStream(stream, 10_000),
          message: receiver.recv(),
        });
        if (key === 'request') {
          const body = value.getBody();
          firstRequest.setBody(body);
          if (broadcast.send(body) === 0) break;
        } else {
          await ctx.sendResponseBody(value);
          await ctx.flush();
        }
      }
    } catch {
      // The peer is gone, or said nothing for too long.
    } finally {
      receiver.unsubscribe();
    }
  }
  return { broadcast, handle };
}

/** Whether a server has a client's earlier bytes: it answers in order. */
async function synchronize(client: WsClient): Promise<void> {
  const frame = await client.ping('sync').readFrame();
  assert.deepEqual([frame?.opcode, frame?.payload.toString()], [10, 'sync']);
}

describe('the echo of the seed', () => {
  it('sends each message back, as what it was', async () => {
    const { server } = makeServer();
    server.route('/websocket', echo);
    const client = await WsClient.open(await run(server), '/websocket');
    for (const body of ['Now time: 2026', '', Buffer.of(0, 255)])
      assert.deepEqual(await client.send(body).receive(), body);
  });

  it('owns the stream and has only one empty request to answer, when it is told to run at once', async () => {
    const { server, errors } = makeServer();
    server.route('/websocket', echo).enableInnerWebsocketHandle('/websocket');
    const client = await WsClient.open(await run(server), '/websocket');
    assert.equal(await client.receive(), '');
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
    assert.deepEqual(errors, []);
  });
});

describe('the broadcast of the seed', () => {
  it('reaches a client only after its first message, of which an empty one is enough', async () => {
    const { server, errors } = makeServer();
    const { broadcast, handle } = makeBroadcastHandler();
    server.route('/websocket', handle);
    const port = await run(server);
    const [first, second] = [await WsClient.open(port, '/websocket'), await WsClient.open(port, '/websocket')];
    await synchronize(first);
    assert.equal(broadcast.receiverCount(), 0);
    first.send('');
    await until('the first subscription', () => broadcast.receiverCount() === 1);
    first.send('too early for the second');
    assert.equal(await first.receive(), 'too early for the second');

    second.send('');
    await until('the second subscription', () => broadcast.receiverCount() === 2);
    first.send('text');
    second.send(Buffer.from('bytes'));
    for (const client of [first, second]) {
      const received = await client.receiveAll(2);
      assert.deepEqual(new Set(received.map(String)), new Set(['text', 'bytes']));
      assert.ok(received.some(Buffer.isBuffer), 'the type is kept');
    }
    first.close(1000);
    await first.receiveClose(false);
    await until('the first has left', () => broadcast.receiverCount() === 1);
    assert.equal(await second.send('alone').receive(), 'alone');
    assert.deepEqual(errors, []);
  });

  it('reaches a client from the moment it is connected, when the handler runs at once', async () => {
    const { server, errors } = makeServer();
    const { broadcast, handle } = makeBroadcastHandler();
    server.route('/websocket', handle).enableInnerWebsocketHandle('/websocket');
    const port = await run(server);
    const [first, second] = [await WsClient.open(port, '/websocket'), await WsClient.open(port, '/websocket')];
    await until('both subscriptions', () => broadcast.receiverCount() === 2);
    first.send('hello');
    assert.equal(await second.receive(), 'hello');
    assert.equal(await first.receive(), 'hello');
    second.reset();
    await until('the second has left', () => broadcast.receiverCount() === 1);
    const closing = server.close();
    assert.deepEqual(await first.receiveClose(), { code: 1001, reason: '' });
    await soon('close', closing);
    assert.deepEqual(errors, []);
  });

  it('loses and doubles nothing while messages and broadcasts race', async () => {
    const { server, errors } = makeServer();
    const { broadcast, handle } = makeBroadcastHandler();
    server.route('/websocket', handle).enableInnerWebsocketHandle('/websocket');
    const port = await run(server);
    const clients = await Promise.all([0, 1, 2].map(() => WsClient.open(port, '/websocket')));
    await until('all subscriptions', () => broadcast.receiverCount() === 3);
    const count = 100;
    for (let i = 0; i < count; i++) clients.forEach((client, c) => void client.send(`${c} ${i}`));
    for (const client of clients) {
      const received = await client.receiveAll(3 * count);
      for (const c of [0, 1, 2]) {
        const mine = received.filter((text) => String(text).startsWith(`${c} `));
        assert.deepEqual(
          mine,
          Array.from({ length: count }, (_, i) => `${c} ${i}`),
          'all of them, in order',
        );
      }
    }
    assert.deepEqual(errors, []);
  });

  it('is no handler for plain HTTP: it aborts', async () => {
    const { server } = makeServer();
    server.route('/websocket', makeBroadcastHandler().handle);
    server.responseMiddleware(() => assert.fail('does not run'));
    assert.equal((await fetch(`http://127.0.0.1:${await run(server)}/websocket`)).status, 200);
  });
});
