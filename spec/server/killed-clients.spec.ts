import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { WebSocketError } from '../../lib/errors.ts';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { Request } from '../../lib/server/request.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer } from '../support/running-server.ts';
import { SERVINGS } from '../support/servings.ts';
import { settle, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, upgradeRequest, type WsClient } from '../support/ws-client.ts';

/**
 * Clients that are killed at any moment. Whatever it is: nothing is thrown, whoever was told of the client is told of its
 * end once, and nothing of it is left.
 */

const [FIN, RSV1, TEXT, BINARY] = [0x80, 0x40, 0x1, 0x2];
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };

const deflate = (data: Buffer): Buffer => deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);
const compressed = (bits: number, data: Buffer): Buffer => clientFrame(bits | RSV1, deflate(data));

/** Compressed and decompressed at once, and in the thread pool. */
const SMALL = Buffer.alloc(2000, 'a message. ');
const LARGE = Buffer.concat([bytesOf(200_000, 1), Buffer.alloc(400_000, 'repeated. ')]);
const FRAME = clientFrame(FIN | TEXT, 'x'.repeat(70_000));

interface Moment {
  /** What the client does before it is killed; the request of an upgrade is sent and answered before, unless `bare`. */
  act(client: WsClient): unknown;
  readonly bare?: boolean;
  readonly path?: string;
}

const request = Buffer.from(upgradeRequest('/echo', OFFER));

const MOMENTS: Record<string, Moment> = {
  'before its first byte': { bare: true, act: () => {} },
  'in the middle of the request line': { bare: true, act: (client) => client.write(request.subarray(0, 7)) },
  'in the middle of a header of its request': { bare: true, act: (client) => client.write(half(request)) },
  'before the empty line of its request': { bare: true, act: (client) => client.write(request.subarray(0, -2)) },
  'with its request': { bare: true, act: (client) => client.write(request) },
  'with its request and a frame': { bare: true, act: (client) => client.write(Buffer.concat([request, FRAME])) },
  'while its upgrade is being decided': {
    bare: true,
    act: async (client) => {
      client.write(upgradeRequest('/echo?slow', OFFER));
      await settle();
    },
  },
  'when it is open': { act: () => {} },
  'behind the first byte of a frame': { act: (client) => client.write(FRAME.subarray(0, 1)) },
  'in the middle of a length': { act: (client) => client.write(FRAME.subarray(0, 5)) },
  'in the middle of a masking key': { act: (client) => client.write(FRAME.subarray(0, 12)) },
  'in the middle of a payload': { act: (client) => client.write(half(FRAME)) },
  'between two fragments': { act: (client) => client.write(clientFrame(TEXT, 'a beginning')) },
  'in the middle of a Ping': { act: (client) => client.write(half(clientFrame(FIN | 9, 'x'.repeat(100)))) },
  'in the middle of a compressed frame': { act: (client) => client.write(half(compressed(FIN | TEXT, LARGE))) },
  'between two compressed fragments': { act: (client) => client.write(clientFrame(TEXT | RSV1, deflate(SMALL))) },
  'behind a compressed message': { act: (client) => client.write(compressed(FIN | TEXT, SMALL)) },
  'while a compressed message is decompressed': { act: (client) => client.write(compressed(FIN | BINARY, LARGE)) },
  'while its answer is compressed': {
    act: async (client) => {
      client.write(clientFrame(FIN | BINARY, LARGE));
      await settle(2);
    },
  },
  'in the middle of the answer': {
    act: async (client) => {
      client.write(compressed(FIN | BINARY, LARGE));
      await client.readBytes(1000);
    },
  },
  'with messages that wait for the handler': {
    path: '/never',
    act: (client) => {
      for (let i = 0; i < 10; i++) client.send(`message ${i}`);
    },
  },
  'in the middle of a Close frame': { act: (client) => client.write(half(closeFrame(1000, 'a reason'))) },
  'with its Close frame': { act: (client) => client.close(1000) },
  'instead of an answer to a Close frame': {
    path: '/close',
    act: async (client) => {
      client.send('close me');
      assert.equal((await client.readFrame())!.opcode, 8);
    },
  },
  'in the middle of its answer to a Close frame': {
    path: '/close',
    act: async (client) => {
      client.send('close me');
      await client.readFrame();
      client.write(half(closeFrame(1000)));
    },
  },
  'while it breaks a rule': { act: (client) => client.write(Buffer.of(0xff, 0xff)) },
};

/** How a client is killed. */
const WAYS: Record<string, (client: WsClient) => void> = {
  'is cut off': (client) => client.socket.destroy(),
  'is reset': (client) => client.reset(),
  ends: (client) => client.end(),
};

/** Who reads: the server, or the handler. */
const ROUTES: Record<string, string> = { 'the server reads': '', 'the handler reads': '/inner' };

for (const { name, serve } of SERVINGS) {
  describe(`a client over ${name} that is killed`, () => {
    const { server, errors } = makeServer({
      perMessageDeflate: { serverNoContextTakeover: false, clientNoContextTakeover: false },
      closeTimeoutMs: 60_000,
    });
    /** The streams that were opened, and how often each was told of its end. */
    const ends = new Map<WeakRef<object>, number>();
    /** What handlers that read were told at the end. */
    let told: unknown[] = [];
    let started = 0;
    server.upgradeMiddleware(async (ctx) => {
      if (ctx.getRequestQuerys().has('slow')) await settle(20);
    });
    server.onWebsocketConnected((ctx) => {
      const stream = ctx.getStream()!;
      const key = new WeakRef(stream);
      ends.set(key, 0);
      void stream.closed.then(() => ends.set(key, ends.get(key)! + 1));
    });
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    server.route('/close', (ctx) => ctx.close(1000, 'as you wish'));
    server.route('/never', async (ctx) => {
      await ctx.getStream()?.closed;
    });
    /** The same for handlers that read by themselves. */
    const reads = (pattern: string, handle: (stream: WebSocketStream, request: Request) => unknown): void => {
      server.route(pattern, async (ctx) => {
        const stream = ctx.getStream()!;
        started++;
        try {
          for (;;) await handle(stream, await Request.websocketRequestFromStream(stream));
        } catch (error) {
          told.push(error);
        }
      });
      server.enableInnerWebsocketHandle(pattern);
    };
    reads('/inner/echo', (stream, request) => stream.send(request.getBody()));
    reads('/inner/close', (stream) => stream.close(1000, 'as you wish'));
    reads('/inner/never', (stream) => stream.closed);

    let served: Awaited<ReturnType<typeof serve>>;
    before(async () => {
      served = await serve(server);
    });
    afterEach(cleanUp);
    after(async () => {
      // None was left for the server to close, and no socket is.
      assert.deepEqual(await server.close({ timeout: 4000 }), { closed: 0, cut: 0 });
      await served.stop();
      assert.equal(reservedContextBytes(), 0);
      const sockets = ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap'];
      await until(
        'all sockets are closed',
        () => !process.getActiveResourcesInfo().some((type) => sockets.includes(type)),
      );
      assert.ok(ends.size > 100, 'many were opened');
      told = [];
      await until('nothing of them is left', () => {
        collectGarbage();
        return [...ends.keys()].every((stream) => stream.deref() === undefined);
      });
    });

    for (const [when, { act, bare = false, path = '/echo' }] of Object.entries(MOMENTS)) {
      for (const [how, kill] of Object.entries(WAYS)) {
        // Only a TCP connection can be reset.
        if (how === 'is reset' && name !== 'TCP') continue;
        it(`${how} ${when}`, async () => {
          told = [];
          started = 0;
          for (const prefix of Object.values(ROUTES)) {
            for (let i = 0; i < 3; i++) {
              const client = await served.connect();
              if (!bare) await client.upgrade(prefix + path, OFFER);
              await act(client);
              // One at once, and others when the server has had time to see what came.
              await settle(2 * i);
              kill(client);
            }
          }
          await settle(20);
          await until('each is told of its end', () => [...ends.values()].every((count) => count > 0));
          await until('each handler is told', () => told.length === started);
          await settle();
          assert.ok(
            [...ends.values()].every((count) => count === 1),
            'each is told once',
          );
          assert.equal(told.length, started, 'each handler is told once');
          for (const error of told) assert.ok(error instanceof WebSocketError, String(error));
          assert.ok(bare || started === 3, 'all were opened');
          assert.deepEqual(errors, []);
        });
      }
    }
  });
}
