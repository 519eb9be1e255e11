import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { seed } from '../support/seed.ts';
import { settle, until } from '../support/watchdog.ts';
import { clientFrame, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

interface WsSocket extends NodeJS.EventEmitter {
  send(data: Buffer, options: { compress: boolean }): void;
  terminate(): void;
}

// It ships no types.
const { WebSocket } = (await import('ws' as string)) as { WebSocket: new (url: string) => WsSocket };

const KIB = 1024;

describe('Context.readRequestBody', () => {
  it('gives the bytes of any body, returns what is returned, and may be called again', async () => {
    const { server, errors } = makeServer();
    const seen: unknown[] = [];
    server.route('/', (ctx) => {
      const length = ctx.readRequestBody((bytes) => bytes.length);
      const copy = ctx.readRequestBody((bytes) => Buffer.from(bytes));
      seen.push([length, copy.toString(), ctx.getRequest().readBody((bytes) => bytes.toString())]);
      assert.deepEqual(ctx.getRequestBody(), copy.toString().startsWith('text') ? copy.toString() : copy);
    });
    const port = await run(server);
    const client = await WsClient.open(port);
    client.send('text €').send(Buffer.from('bytes')).send(Buffer.alloc(0));
    client.write(Buffer.concat([clientFrame(0x02, 'in '), clientFrame(0x80, 'pieces')]));
    await until('all', () => seen.length === 4);
    assert.deepEqual(seen, [
      [8, 'text €', 'text €'],
      [5, 'bytes', 'bytes'],
      [0, '', ''],
      [9, 'in pieces', 'in pieces'],
    ]);
    const response = await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'plain' })).text();
    assert.deepEqual([response, seen.at(-1)], ['', [5, 'plain', 'plain']]);
    assert.deepEqual(errors, []);
  });

  it('sends on what it gives, of any length: nobody refers to it', async () => {
    const { server } = makeServer({ maxQueuedMessages: 1000 });
    server.route('/', (ctx) => void ctx.readRequestBody((bytes) => ctx.sendResponseBody(bytes)));
    const client = await WsClient.open(await run(server));
    const lengths = [
      0,
      1,
      125,
      126,
      16 * KIB - 1,
      16 * KIB,
      64 * KIB - 15,
      64 * KIB - 14,
      64 * KIB,
      200 * KIB,
      999 * KIB,
    ];
    const messages = [...lengths, ...lengths].map((length, i) => bytesOf(length, i));
    client.write(Buffer.concat(messages.map((message) => clientFrame(0x82, message))));
    for (const message of messages) assert.deepEqual(await client.receive(), message);
  });

  it('gives it again to handlers that have waited, and keeps it from others meanwhile', async () => {
    const { server, errors } = makeServer();
    const seen: string[] = [];
    const read = (ctx: Context): string => ctx.readRequestBody((bytes) => `${bytes.subarray(0, 1)}${bytes.length}`);
    server.route('/:kind', async (ctx) => {
      seen.push(read(ctx));
      await settle(5);
      seen.push(read(ctx));
      if (ctx.getRouteParam('kind') === 'owned') seen.push(String(ctx.getRequestBodyString().length));
    });
    server.responseMiddleware((ctx) => void seen.push(read(ctx)));
    const port = await run(server);
    for (const kind of ['read', 'owned']) {
      const client = await WsClient.open(port, `/${kind}`);
      const other = await WsClient.open(port, `/${kind}`);
      for (const [i, one] of [client, other, client].entries()) {
        one.write(Buffer.concat([clientFrame(0x02, Buffer.alloc(70_000, `${i}`)), clientFrame(0x80, '')]));
      }
      const count = 3 * (kind === 'read' ? 3 : 4);
      await until('all', () => seen.length === count);
      for (const i of [0, 1, 2]) assert.equal(seen.filter((one) => one === `${i}70000`).length, 3, seen.join());
      seen.length = 0;
    }
    assert.deepEqual(errors, []);
  });

  it('sends on what it gives, compressed by a thread later', async () => {
    const { server } = makeServer({ perMessageDeflate: true });
    server.route('/', (ctx) => void ctx.readRequestBody((bytes) => ctx.sendResponseBody(bytes)));
    const port = await run(server);
    // More than there are threads.
    const clients = Array.from({ length: 12 }, () => new WebSocket(`ws://127.0.0.1:${port}/`));
    onCleanUp(() => {
      for (const client of clients) client.terminate();
    });
    await Promise.all(clients.map((client) => once(client, 'open')));
    const answers = clients.map((client) => once(client, 'message'));
    const messages = clients.map((_, i) => Buffer.alloc(300 * KIB, `message ${i}, `));
    for (const [i, client] of clients.entries()) client.send(messages[i]!, { compress: false });
    for (const [i, [answer]] of (await Promise.all(answers)).entries()) {
      assert.ok(messages[i]!.equals(answer), `message ${i}`);
    }
  });

  it('lends: what is kept of it is spoiled, unless in production', () => {
    const program = `
      import { lend } from './lib/codec/borrowed.ts';
      const bytes = Buffer.from('abc');
      let kept;
      const result = lend(bytes, 1, 3, (view) => { kept = view; return view.toString(); });
      console.log(result, kept.toString('latin1') === 'bc', bytes.toString());
      try { lend(bytes, 0, 3, () => { throw new Error('mine'); }); } catch (error) { console.log(error.message); }
    `;
    for (const [mode, isKept] of [
      ['production', true],
      ['development', false],
    ] as const) {
      const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        env: { ...process.env, NODE_ENV: mode },
        encoding: 'utf8',
      });
      assert.equal(stdout, `bc ${isKept} abc\nmine\n`);
    }
  });

  it('leaves the body to handlers that wait, and to those that ask for it later and have not read it', async () => {
    const { server, errors } = makeServer();
    const contexts: Context[] = [];
    const readers: Context[] = [];
    const seen: unknown[] = [];
    server.route('/', (ctx) => void contexts.push(ctx));
    server.route('/waits', async (ctx) => {
      ctx.readRequestBody(() => {});
      await settle();
      seen.push(String(ctx.getRequestBody()));
    });
    server.route('/read', (ctx) => {
      ctx.readRequestBody(() => {});
      readers.push(ctx);
    });
    const port = await run(server);
    for (const path of ['/', '/waits', '/read']) {
      const client = await WsClient.open(port, path);
      client.send(Buffer.from('one')).send(Buffer.from('two'));
    }
    await until('all', () => contexts.length === 2 && readers.length === 2 && seen.length === 2);
    assert.deepEqual(seen, ['one', 'two']);
    const [later, read] = [contexts[0]!, readers[0]!];
    assert.equal(String(later.getRequestBody()), 'one');
    for (const use of [() => read.getRequestBody(), () => read.getRequest(), () => read.readRequestBody(() => {})]) {
      assert.throws(use, { code: 'WS_ERR_BODY_GONE' });
    }
    read.setRequestBody('another');
    assert.equal(read.getRequestBody(), 'another');
    assert.deepEqual(errors, []);
  });
});

/** A message in so many fragments. */
function framesOf(message: Buffer, pieces: number): Buffer[] {
  const size = Math.ceil(message.length / pieces);
  return Array.from({ length: pieces }, (_, i) => {
    const bits = (i === 0 ? 0x02 : 0) | (i === pieces - 1 ? 0x80 : 0);
    return clientFrame(bits, message.subarray(i * size, (i + 1) * size));
  });
}

/** What a handler does with a body. */
type Use = 'own' | 'read' | 'read, own' | 'read, send' | 'own, send' | 'wait, own' | 'receive' | 'none, later';

describe(`bodies of messages (FC_SEED=${seed})`, () => {
  it('never change once they are a handler’s own, whatever else is read', async () => {
    const uses: Use[] = ['own', 'read', 'read, own', 'read, send', 'own, send', 'wait, own', 'receive', 'none, later'];
    const message = fc.record({
      use: fc.constantFrom(...uses),
      pieces: fc.constantFrom(1, 1, 2, 3),
      length: fc.oneof(fc.nat({ max: 200 }), fc.constantFrom(1000, 5000, 16 * KIB, 40 * KIB, 100 * KIB, 300 * KIB)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 12 }), async (messages) => {
        const { server, errors } = makeServer();
        const owned: [number, string | Uint8Array][] = [];
        const later: [number, Context][] = [];
        let count = 0;
        const use = async (ctx: Context, index: number): Promise<void> => {
          const expected = bytesOf(messages[index]!.length, index);
          for (const step of messages[index]!.use.split(', ')) {
            if (step === 'own') owned.push([index, ctx.getRequestBody()]);
            if (step === 'read') ctx.readRequestBody((bytes) => assert.ok(bytes.equals(expected)));
            if (step === 'send') ctx.readRequestBody((bytes) => void ctx.sendResponseBody(bytes));
            if (step === 'wait') await settle(2);
            if (step === 'later') later.push([index, ctx]);
            if (step === 'receive' && index + 1 < messages.length) {
              const request = await Request.websocketRequestFromStream(ctx.getStream()!);
              owned.push([++count - 1, request.getBody()]);
            }
          }
        };
        // Synchronous where it can be: only then is anything lent.
        server.route('/', (ctx) => {
          const index = count++;
          const done = use(ctx, index);
          return /wait|receive/.test(messages[index]!.use) ? done : void done;
        });
        const client = await WsClient.open(await run(server));
        client.write(Buffer.concat(messages.flatMap(({ length, pieces }, i) => framesOf(bytesOf(length, i), pieces))));
        await until('all', () => count === messages.length);
        await settle();
        for (const [index, ctx] of later) owned.push([index, ctx.getRequestBody()]);
        for (const [index, body] of owned) {
          assert.ok(
            Buffer.from(body as Uint8Array).equals(bytesOf(messages[index]!.length, index)),
            `message ${index}`,
          );
        }
        assert.deepEqual(errors, []);
        await cleanUp();
      }),
      { numRuns: 60 },
    );
  });
});
