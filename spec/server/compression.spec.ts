import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import type { Server } from '../../lib/server/server.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, WsClient } from '../support/ws-client.ts';

const [FIN, RSV1, TEXT, BINARY] = [0x80, 0x40, 0x1, 0x2];
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const EXTENSIONS = 'sec-websocket-extensions';
const LONG = 'a message that is repeated. '.repeat(100);
const LARGE = 'a message that is repeated. '.repeat(10_000);

function deflate(data: string | Buffer): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function inflate(payload: Buffer): string {
  const input = Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]);
  return inflateRawSync(input, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}

function echo(options: ServerOptions): { server: Server; errors: unknown[] } {
  const made = makeServer(options);
  made.server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
  return made;
}

async function open(server: Server, headers: Record<string, string> = OFFER): Promise<[WsClient, string | undefined]> {
  const client = await WsClient.connect(await run(server));
  const head = await client.upgrade('/', headers);
  return [client, head.headers.get(EXTENSIONS)];
}

describe('a server with perMessageDeflate', () => {
  afterEach(cleanUp);

  it('is no server that compresses, unless it is told to', async () => {
    for (const options of [{}, { perMessageDeflate: false }]) {
      const [client, answer] = await open(echo(options).server);
      assert.equal(answer, undefined);
      assert.equal(await client.send(LONG).receive(), LONG);
      client.write(clientFrame(FIN | RSV1 | TEXT, deflate('a')));
      assert.equal((await client.receiveClose()).code, 1002);
    }
  });

  it('agrees with clients that offer it', async () => {
    const { server } = echo({ perMessageDeflate: true });
    const offers: [offer: string, answer: string | undefined][] = [
      ['permessage-deflate', 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'],
      [
        'permessage-deflate; foo, permessage-deflate; server_max_window_bits=10',
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10',
      ],
      ['permessage-deflate; server_max_window_bits=7', undefined],
      ['x-webkit-deflate-frame', undefined],
    ];
    for (const [offer, expected] of offers) {
      const [client, answer] = await open(server, { 'Sec-WebSocket-Extensions': offer });
      assert.equal(answer, expected, offer);
      assert.equal(await client.send('hi').receive(), 'hi');
      client.close(1000);
    }
    const [, none] = await open(server, {});
    assert.equal(none, undefined);
  });

  it('refuses an offer that is malformed with 400, whether it compresses or not', async () => {
    for (const perMessageDeflate of [true, false]) {
      const { server } = echo({ perMessageDeflate });
      const client = await WsClient.connect(await run(server));
      client.write(
        'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; =1\r\n\r\n',
      );
      const response = await client.readResponse();
      assert.equal(response.status, 400);
      assert.match(response.body, /Sec-WebSocket-Extensions/);
    }
  });

  it('shows handlers no difference, and compresses from the threshold on', async () => {
    const [client] = await open(echo({ perMessageDeflate: { thresholdBytes: 100 } }).server);
    for (const message of ['short', LONG]) {
      client.write(clientFrame(FIN | RSV1 | TEXT, deflate(message)));
      const frame = (await client.readFrame())!;
      assert.equal(frame.rsv1, message === LONG);
      assert.equal(frame.rsv1 ? inflate(frame.payload) : frame.payload.toString(), message);
      client.write(clientFrame(FIN | BINARY, message));
      const binary = (await client.readFrame())!;
      assert.equal(binary.opcode, BINARY);
      assert.equal(binary.rsv1 ? inflate(binary.payload) : binary.payload.toString(), message);
    }
  });

  it('lets each send choose', async () => {
    const { server } = makeServer({ perMessageDeflate: true });
    server.route('/', async (ctx) => {
      await ctx.sendResponseBody(LONG, { compress: false });
      await ctx.sendResponseBody('aaaaaaaaaaaaaaaaaaaa', { compress: true });
      await ctx.getStream()!.send(LONG, { compress: false });
      await ctx.getStream()!.send(LONG, {});
    });
    const [client] = await open(server);
    client.send('go');
    const frames = [
      await client.readFrame(),
      await client.readFrame(),
      await client.readFrame(),
      await client.readFrame(),
    ];
    assert.deepEqual(
      frames.map((frame) => frame!.rsv1),
      [false, true, false, true],
    );
  });

  for (const clientNoContextTakeover of [true, false]) {
    const context = clientNoContextTakeover ? 'without' : 'with';
    it(`keeps messages in order, of which some take time, ${context} takeover`, async () => {
      const options = { thresholdBytes: 0, clientNoContextTakeover };
      const [client] = await open(echo({ perMessageDeflate: options }).server);
      const messages = [LARGE, 'small', bytesOf(200_000, 1).toString('latin1'), LONG, LARGE.slice(1), '', 'end'];
      for (const [i, message] of messages.entries()) {
        client.write(
          i % 3 === 2
            ? clientFrame(FIN | TEXT, message)
            : clientFrame(FIN | RSV1 | TEXT, message === '' ? '\0' : deflate(message)),
        );
        client.ping(`${i}`);
      }
      const echoed: string[] = [];
      while (echoed.length < messages.length) {
        const { opcode, rsv1, payload } = (await client.readFrame())!;
        if (opcode === TEXT) echoed.push(rsv1 ? inflate(payload) : payload.toString());
      }
      assert.deepEqual(
        echoed.map((text) => text.length),
        messages.map((text) => text.length),
      );
      assert.ok(echoed.every((text, i) => text === messages[i]));
    });
  }

  it('gives a handler the large message in front of a Close frame, or of the end', async () => {
    const ends: ((client: WsClient) => void)[] = [
      (client) => client.write(closeFrame(1000)),
      (client) => client.write(closeFrame(1000)).end(),
      (client) => client.end(),
    ];
    for (const end of ends) {
      const { server, errors } = makeServer({ perMessageDeflate: true });
      const got: string[] = [];
      let closed = 0;
      server.onWebsocketConnected((ctx) => {
        void ctx.getStream()!.closed.then(() => {
          closed++;
        });
      });
      server.route('/', (ctx) => {
        got.push(ctx.getRequestBodyString());
      });
      const [client] = await open(server);
      client.write(Buffer.concat([clientFrame(FIN | RSV1 | TEXT, deflate(LARGE)), clientFrame(FIN | TEXT, 'behind')]));
      end(client);
      await until('the end', () => closed === 1);
      assert.deepEqual(
        got.map((text) => text.length),
        [LARGE.length, 6],
      );
      assert.deepEqual(errors, []);
    }
  });

  for (const clientNoContextTakeover of [true, false]) {
    const context = clientNoContextTakeover ? 'without' : 'with';
    it(`survives a client that is cut off while its message is being decompressed, ${context} takeover`, async () => {
      const { server, errors } = makeServer({ perMessageDeflate: { clientNoContextTakeover } });
      let closed = 0;
      server.onWebsocketConnected((ctx) => {
        void ctx.getStream()!.closed.then(({ code }) => {
          assert.equal(code, 1006);
          closed++;
        });
      });
      server.route('/', () => {});
      for (let i = 0; i < 10; i++) {
        const [client] = await open(server);
        client.write(clientFrame(FIN | RSV1 | TEXT, deflate(LARGE + i)));
        if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
        client.reset();
      }
      await until('all ends', () => closed === 10);
      assert.deepEqual(errors, []);
      assert.equal(reservedContextBytes(), 0);
    });
  }

  it('closes with 1007 for data that cannot be decompressed, and with 1009 for a bomb', async () => {
    const { server } = echo({ perMessageDeflate: true, maxMessageBytes: 100_000 });
    const [bad] = await open(server);
    bad.write(clientFrame(FIN | RSV1 | TEXT, 'no deflate data'));
    assert.equal((await bad.receiveClose()).code, 1007);
    const [bomb] = await open(server);
    bomb.write(clientFrame(FIN | RSV1 | BINARY, deflate(Buffer.alloc(10_000_000))));
    const close = await bomb.receiveClose();
    assert.equal(close.code, 1009);
    assert.match(close.reason, /maxMessageBytes/);
  });

  it('sends what was sent before a close, and before a flush resolves', async () => {
    const { server } = makeServer({ perMessageDeflate: true });
    let flushed = 0;
    server.route('/', async (ctx) => {
      void ctx.sendResponseBody(LARGE);
      void ctx.sendResponseBody('behind');
      await ctx.flush();
      flushed = ctx.getStream()!.bufferedBytes;
      void ctx.sendResponseBody(LARGE);
      void ctx.sendResponseBody('last');
      await ctx.close(4000, 'done');
    });
    const [client] = await open(server);
    client.send('go');
    for (const last of ['behind', 'last']) {
      const frame = (await client.readFrame())!;
      assert.equal(frame.rsv1, true);
      assert.equal(inflate(frame.payload), LARGE);
      assert.equal(await client.receive(), last);
    }
    assert.deepEqual(await client.receiveClose(), { code: 4000, reason: 'done' });
    assert.equal(flushed, 0);
  });

  it('waits for large messages that are awaited, and for no more than them', async () => {
    const { server } = makeServer({ perMessageDeflate: true });
    const turns: number[] = [];
    server.route('/', async (ctx) => {
      for (let i = 0; i < 5; i++) {
        let turn = 0;
        const timer = setInterval(() => turn++, 0);
        await ctx.sendResponseBody(LARGE + i);
        clearInterval(timer);
        turns.push(turn);
      }
    });
    const [client] = await open(server);
    client.send('go');
    for (let i = 0; i < 5; i++) assert.equal(inflate((await client.readFrame())!.payload), LARGE + i);
    await until('the last to be told of', () => turns.length === 5);
  });

  it('closes in order when it is shut down, with messages on their way', async () => {
    const { server } = makeServer({ perMessageDeflate: true });
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      for (;;) {
        const request = await Request.websocketRequestFromStream(stream);
        void stream.send(`${LARGE}${request.getBodyString()}`);
      }
    });
    server.enableInnerWebsocketHandle('/');
    server.errorHandle(() => {});
    const [client] = await open(server);
    client.send('1').send('2').send('3');
    await until('the first message', () => client.available > 0);
    const closing = server.close({ timeout: 8000 });
    for (const name of ['1', '2', '3']) assert.ok(inflate((await client.readFrame())!.payload).endsWith(name));
    assert.equal((await client.receiveClose()).code, 1001);
    assert.deepEqual(await closing, { closed: 1, cut: 0 });
  });

  it('keeps contexts within their budget, and gives back what they took', async () => {
    const perMessageDeflate = {
      serverNoContextTakeover: false,
      clientNoContextTakeover: false,
      maxContextBytes: 400 * 1024,
    };
    const { server } = echo({ perMessageDeflate });
    const clients: WsClient[] = [];
    const answers: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const [client, answer] = await open(server);
      clients.push(client);
      answers.push(answer);
      for (let turn = 0; turn < 3; turn++) {
        client.write(clientFrame(FIN | RSV1 | TEXT, deflate(LONG)));
        assert.ok((await client.readFrame())!.rsv1);
      }
    }
    const none =
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12';
    assert.deepEqual(answers.slice(2), [none, none]);
    assert.ok(reservedContextBytes() > 0);
    clients[0]!.close(1000);
    clients[1]!.reset();
    await until('the contexts to be freed', () => reservedContextBytes() === 0);
  });

  it('refuses options that mean nothing', () => {
    const wrong: [ServerOptions['perMessageDeflate'], RegExp][] = [
      [1 as never, /perMessageDeflate is 1: give true, false or its options/],
      [null as never, /give true, false or its options/],
      [{ serverMaxWindowBits: 7 }, /perMessageDeflate\.serverMaxWindowBits is 7/],
      [{ threshold: 7 } as never, /"threshold" is no option of perMessageDeflate/],
    ];
    for (const [perMessageDeflate, message] of wrong) {
      assert.throws(() => makeServer({ perMessageDeflate: perMessageDeflate! }), message);
    }
  });
});
