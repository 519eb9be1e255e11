import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { countByTurn, defer, settle, until } from '../support/watchdog.ts';
import { clientFrame, httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

describe('Pipelined requests', () => {
  it('are under way up to maxPipelinedRequests, and the rest is not read', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 3 });
    let running = 0;
    const gate = defer();
    server.route('/', async () => {
      running++;
      await gate.promise;
    });
    const client = await WsClient.connect(await run(server));
    const total = 400_000;
    client.write(httpRequest('GET', '/').repeat(total));
    await until('the first of them', () => running === 3);
    // The client is made to wait by the kernel: what it wrote stays with it.
    let before = -1;
    while (before !== client.socket.writableLength) {
      before = client.socket.writableLength;
      await settle(100);
    }
    assert.ok(client.socket.writableLength > 0, 'not all is read');
    assert.equal(running, 3);
    gate.resolve();
    await until('further ones', () => running > 1000);
  });

  it('are all answered in order, one limit after the other', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 2 });
    let running = 0;
    let most = 0;
    server.route('/:id', async (ctx) => {
      most = Math.max(most, ++running);
      if (Number(ctx.getRouteParam('id')) % 3 === 0) await settle(2);
      ctx.setResponseBody(`${ctx.getRouteParam('id')} ${ctx.getRequestBodyString()}`);
      running--;
    });
    const client = await WsClient.connect(await run(server));
    let text = '';
    for (let i = 0; i < 50; i++) {
      const body = '\r\n\r\n'.repeat(i % 4);
      text += httpRequest('POST', `/${i}`, { 'Content-Length': String(body.length) }) + body;
    }
    client.write(text);
    for (let i = 0; i < 50; i++) assert.equal((await client.readResponse()).body, `${i} ${'\r\n\r\n'.repeat(i % 4)}`);
    assert.equal(most, 2);
  });

  it('are begun by turns with what else there is to do', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 4 });
    const turns = countByTurn();
    let count = 0;
    server.route('/', () => {
      count++;
      turns.count();
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/').repeat(1000));
    await until('all', () => count === 1000);
    turns.stop();
    assert.ok(turns.most() <= 2 * 4, `${turns.most()} in a turn`);
  });

  it('are one behind the other with a limit of 1', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 1 });
    let running = 0;
    server.route('/', async (ctx) => {
      assert.equal(++running, 1);
      await settle(1);
      running--;
      ctx.setResponseBody('done');
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/').repeat(10));
    for (let i = 0; i < 10; i++) assert.deepEqual((await client.readResponse()).body, 'done');
  });

  it('leave what is behind them to an upgrade, though it came with them', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 2 });
    server.route('/', async (ctx) => {
      await settle(2);
      ctx.setResponseBody('plain');
    });
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const client = await WsClient.connect(await run(server));
    const frames = [clientFrame(0x81, 'one\r\n\r\n'), clientFrame(0x81, 'two')];
    client.write(Buffer.concat([Buffer.from(httpRequest('GET', '/').repeat(5) + upgradeRequest('/echo')), ...frames]));
    for (let i = 0; i < 5; i++) assert.equal((await client.readResponse()).body, 'plain');
    assert.equal((await client.readHead()).status, 101);
    assert.equal(await client.receive(), 'one\r\n\r\n');
    assert.equal(await client.receive(), 'two');
    assert.equal(await client.send('three').receive(), 'three');
  });

  it('keep the bytes of large bodies apart on connections that are read by turns', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => {
      ctx.setResponseBody(ctx.getRequestBody());
    });
    const port = await run(server);
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const body = randomBytes(400_000).toString('latin1').replaceAll('\n', '\r\n\r\n');
        const bytes = Buffer.from(body, 'latin1');
        const client = await WsClient.connect(port);
        const head = httpRequest('POST', '/', { 'Content-Length': String(bytes.length) });
        for (let i = 0; i < 3; i++) {
          client.write(Buffer.concat([Buffer.from(head), bytes]));
          const { headers } = await client.readHead();
          assert.ok((await client.readBytes(Number(headers.get('content-length')))).equals(bytes));
        }
      }),
    );
  });

  it('are counted one by one: node:http takes no line break that is not CRLF', async () => {
    const { server } = makeServer();
    server.route('/', () => assert.fail('no request'));
    const port = await run(server);
    for (const text of ['\n\n', '\n\r\n', '\r\r\n\r\n', '\r\r']) {
      const client = await WsClient.connect(port);
      client.write(`GET / HTTP/1.1\r\nHost: a${text}GET / HTTP/1.1\r\nHost: a${text}\r\n\r\n`);
      assert.equal((await client.readHead()).status, 400);
      await client.waitForEnd();
    }
  });

  it('are no more than may be, also where node:http takes another end of a head: it did on Node 20.19', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 4 });
    let running = 0;
    server.route('/', () => {
      running++;
      return new Promise<void>(() => {});
    });
    const client = await WsClient.connect(await run(server));
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\n'.repeat(100));
    // Refused, or cut at the limit.
    await client.waitForEnd();
    assert.ok(running <= 4);
  });

  it('end with the connection: what is broken behind them, and a client that is gone', async () => {
    const { server, errors } = makeServer({ maxPipelinedRequests: 2 });
    const gate = defer();
    let running = 0;
    server.route('/', async () => {
      running++;
      await gate.promise;
    });
    const port = await run(server);
    const broken = await WsClient.connect(port);
    broken.write(`${httpRequest('GET', '/')}garbage\r\n\r\n${httpRequest('GET', '/')}`);
    assert.equal((await broken.readHead()).status, 400);
    await broken.waitForEnd();
    const leaving = await WsClient.connect(port);
    leaving.write(httpRequest('GET', '/').repeat(5));
    await until('two of them', () => running === 3);
    leaving.reset();
    gate.resolve();
    await server.close({ timeout: 60_000 });
    assert.deepEqual(errors, []);
  });
});
