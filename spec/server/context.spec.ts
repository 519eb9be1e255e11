import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import { Response } from '../../lib/server/response.ts';
import { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { soon } from '../support/watchdog.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** The methods that every version of this library has. */
const METHODS = `getStream getRequest setRequest getResponse getRequestMethod getRequestHost getRequestPath
  getRequestQuery getRequestQuerys getRequestHeader getRequestHeaders getRequestBody getRequestBodyString
  getRequestBodyJson setRequestBody getRouteParam getRouteParams getSocketAddr setResponseHeader getResponseHeader
  setResponseStatusCode setResponseBody sendResponse send sendOnce sendResponseBody sendBody flush close closed aborted
  setAborted cancelAborted getAborted setAttribute getAttribute removeAttribute clearAttribute`.split(/\s+/);

describe('Context', () => {
  it('has every method it promises', () => {
    for (const name of METHODS) {
      assert.equal(typeof (Context.prototype as unknown as Record<string, unknown>)[name], 'function', name);
    }
  });

  /** What a context tells, for a request to `/room/a%20b?x=1&y=z%20z` with the body `{"n":1}`. */
  function check(ctx: Context, isWebSocket: boolean, port: number): void {
    assert.equal(ctx.isWebSocket(), isWebSocket);
    assert.equal(ctx.getStream() instanceof WebSocketStream, isWebSocket);
    assert.equal(ctx.getStream(), ctx.getStream());
    assert.deepEqual(ctx.getSocketAddr(), { address: '127.0.0.1', port });
    assert.equal(ctx.getRequestMethod(), isWebSocket ? 'GET' : 'POST');
    assert.equal(ctx.getRequestHost(), 'localhost');
    assert.equal(ctx.getRequestPath(), '/room/a b');
    assert.equal(ctx.getRequestQuery('y'), 'z z');
    assert.equal(ctx.getRequestQuery('constructor'), undefined);
    assert.deepEqual([...ctx.getRequestQuerys()], [['x', '1'], ['y', 'z z']]); // biome-ignore format: a pair a word
    assert.equal(ctx.getRequestHeader('X-MINE'), 'yes');
    assert.equal(ctx.getRequestHeader('x-not-there'), undefined);
    assert.equal(ctx.getRequestHeaders().get('x-mine'), 'yes');
    assert.equal(ctx.getRouteParam('id'), 'a b');
    assert.equal(ctx.getRouteParam('other'), undefined);
    assert.deepEqual([...ctx.getRouteParams()], [['id', 'a b']]);

    assert.equal(typeof ctx.getRequestBody(), isWebSocket ? 'string' : 'object');
    assert.equal(ctx.getRequestBodyString(), '{"n":1}');
    assert.equal(ctx.getRequestBodyJson<{ n: number }>().n, 1);
    const request = ctx.getRequest();
    assert.ok(request instanceof Request);
    assert.equal(ctx.getRequest(), request);
    assert.equal(ctx.setRequestBody('new'), ctx);
    assert.deepEqual([ctx.getRequestBody(), request.getBody()], ['new', 'new']);
    request.setBody('newer');
    assert.equal(ctx.getRequestBody(), 'newer');

    const response = ctx.getResponse();
    assert.ok(response instanceof Response);
    assert.equal(
      ctx.setResponseStatusCode(201).setResponseHeader('X-A', 'b').setResponseBody('body').getResponse(),
      response,
    );
    assert.deepEqual([response.getStatusCode(), response.getBody(), ctx.getResponseHeader('x-a')], [201, 'body', 'b']);
    assert.throws(() => ctx.setResponseHeader('X', 'a\r\nb'), TypeError);
    assert.throws(() => ctx.setResponseStatusCode(42), RangeError);

    assert.equal(ctx.getAborted(), false);
    assert.equal(ctx.aborted().getAborted(), true);
    assert.equal(ctx.cancelAborted().getAborted(), false);
    assert.equal(ctx.setAborted().setAborted(false).getAborted(), false);
    assert.equal(ctx.getClosed(), false);

    assert.equal(ctx.getAttribute('a'), undefined);
    assert.equal(ctx.removeAttribute('a').clearAttribute(), ctx);
    ctx.setAttribute('a', 1).setAttribute('__proto__', 2).setAttribute('b', 3);
    assert.deepEqual(
      [ctx.getAttribute('a'), ctx.getAttribute('__proto__'), ctx.getAttribute('toString')],
      [1, 2, undefined],
    );
    assert.equal(ctx.removeAttribute('a').getAttribute('a'), undefined);
    assert.equal(ctx.clearAttribute().getAttribute('b'), undefined);
  }

  const TARGET = '/room/a%20b?x=1&y=z%20z';

  it('tells everything of an HTTP request', async () => {
    const { server, errors } = makeServer();
    server.route('/room/:id', (ctx) => check(ctx, false, Number(ctx.getRequestHeader('x-port'))));
    const client = await WsClient.connect(await run(server));
    const port = String((client.socket as unknown as { localPort: number }).localPort);
    const headers = { 'X-Mine': 'yes', 'X-Port': port, 'Content-Length': '7' };
    const response = await client.write(`${httpRequest('POST', TARGET, headers)}{"n":1}`).readResponse();
    assert.deepEqual(errors, []);
    assert.deepEqual([response.status, response.body, response.headers.get('x-a')], [201, 'body', 'b']);
  });

  it('tells everything of a WebSocket message', async () => {
    const { server, errors } = makeServer();
    server.route('/room/:id', (ctx) => {
      check(ctx, true, Number(ctx.getRequestHeader('x-port')));
      void ctx.sendBody();
    });
    const client = await WsClient.connect(await run(server));
    const port = String((client.socket as unknown as { localPort: number }).localPort);
    await client.upgrade(TARGET, { 'X-Mine': 'yes', 'X-Port': port });
    for (let i = 0; i < 2; i++) {
      client.send('{"n":1}');
      const message = await client.readFrame();
      assert.deepEqual(errors, []);
      assert.equal(message?.payload.toString(), 'body');
    }
  });

  it('takes another request in place of its own', async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => {
      const first = ctx.getRequest();
      ctx.setRequest(first.setBody('changed'));
    });
    server.route('/', async (ctx) => {
      if (ctx.getRequestBody() !== 'changed') return;
      const next = await Request.websocketRequestFromStream(ctx.getStream()!);
      await ctx.setRequest(next).sendResponseBody(`${ctx.getRequestBodyString()} ${ctx.getRequestPath()}`);
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('1').send('2').receive(), '2 /');
  });

  it('has nothing of one message in the next', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      assert.equal(ctx.getResponse().isSet, false);
      assert.equal(ctx.getResponseHeader('x-a'), undefined);
      assert.equal(ctx.getAborted(), false);
      ctx.setResponseHeader('X-A', '1').setResponseBody('x').aborted();
      await ctx.sendBody();
    });
    const client = await WsClient.open(await run(server));
    assert.deepEqual(await client.send('').send('').receiveAll(2), ['x', 'x']);
  });

  it('sends a value as JSON: as a message, and as a whole response', async () => {
    const { server, errors } = makeServer();
    server.route('/', (ctx) => {
      void ctx.setResponseStatusCode(201).sendResponseJson({ a: ['é', null] });
    });
    const port = await run(server);
    assert.equal(await (await WsClient.open(port)).send('').receive(), '{"a":["é",null]}');
    const response = await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse();
    const headers = ['content-type', 'content-length'].map((name) => response.headers.get(name));
    assert.deepEqual([response.status, ...headers], [201, 'application/json', '17']);
    assert.deepEqual(JSON.parse(response.body), { a: ['é', null] });
    assert.deepEqual(errors, []);
  });

  it('sends JSON under the type that was set, and as a piece of what was started', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      ctx.setResponseHeader('Content-Type', 'application/x-ndjson');
      await ctx.sendResponseBody('');
      await ctx.flush();
      await ctx.sendResponseJson(1);
      await ctx.sendResponseJson(2);
    });
    server.route('/twice', async (ctx) => {
      await ctx.setResponseHeader('Content-Type', 'application/problem+json').sendResponseJson('first');
      await ctx.sendResponseJson('second');
    });
    const port = await run(server);
    const get = async (path: string) => (await WsClient.connect(port)).write(httpRequest('GET', path)).readResponse();
    const lines = await get('/');
    assert.deepEqual([lines.headers.get('content-type'), lines.body], ['application/x-ndjson', '12']);
    const first = await get('/twice');
    assert.deepEqual([first.headers.get('content-type'), first.body], ['application/problem+json', '"first"']);
    assert.deepEqual(
      errors.map((error) => (error as { code?: string }).code),
      ['WS_ERR_RESPONSE_SENT'],
    );
  });

  it('refuses an upgrade with JSON', async () => {
    const { server } = makeServer();
    server.upgradeMiddleware((ctx) => ctx.setResponseStatusCode(401).sendResponseJson({ error: 'who are you?' }));
    const client = await WsClient.connect(await run(server));
    const { status, headers, body } = await client.write(upgradeRequest('/')).readResponse();
    assert.deepEqual(
      [status, headers.get('content-type'), body],
      [401, 'application/json', '{"error":"who are you?"}'],
    );
  });

  it('throws for what JSON does not have', async () => {
    const { server } = makeServer();
    const circle: unknown[] = [];
    circle.push(circle);
    const thrown: string[] = [];
    server.route('/', (ctx) => {
      for (const value of [undefined, () => {}, Symbol('s'), 1n, circle]) {
        assert.throws(
          () => ctx.sendResponseJson(value),
          (error: Error) => {
            thrown.push(error.message);
            return error instanceof TypeError;
          },
        );
      }
      void ctx.sendResponseJson('done');
    });
    assert.equal(await (await WsClient.open(await run(server))).send('').receive(), '"done"');
    assert.equal(thrown[0], 'sendResponseJson takes a value that JSON has, and not one of type undefined');
    assert.equal(thrown[1], 'sendResponseJson takes a value that JSON has, and not one of type function');
  });

  it('flushes what was sent', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      void ctx.sendResponseBody(Buffer.alloc(100_000));
      await soon('flush', ctx.flush());
      assert.equal(ctx.getStream()!.bufferedBytes, 0);
      await ctx.sendResponseBody('flushed');
    });
    const client = await WsClient.open(await run(server));
    assert.equal((await client.send('').receive()).length, 100_000);
    assert.equal(await client.receive(), 'flushed');
  });
});
