import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { format as formatText } from 'node:util';
import { ConnectionClosedError, InvalidStateError } from '../../lib/errors.ts';
import type { Context } from '../../lib/server/context.ts';
import { HttpExchange, type HttpExchangeHost, type HttpLimits } from '../../lib/server/http-exchange.ts';
import { Response } from '../../lib/server/response.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** A request with a body of known length. */
function post(target: string, body: string, headers: Record<string, string> = {}): string {
  return httpRequest('POST', target, { 'Content-Length': String(Buffer.byteLength(body)), ...headers }) + body;
}

/** A response that sends nothing, and says what is done to it. */
class StillResponse extends EventEmitter {
  readonly calls: string[] = [];
  readonly headers = new Map<string, unknown>();
  /** What `write` answers: whether there is room for more. */
  hasRoom = true;
  /** Has `setHeader` or `end` fail. */
  failing: 'setHeader' | 'end' | undefined;
  statusCode = 200;
  shouldKeepAlive = true;
  headersSent = false;
  destroyed = false;
  writableEnded = false;
  writableFinished = false;
  writableLength = 0;
  /** What is to be called once a piece has left. */
  onLeft: (() => void) | undefined;

  setHeader(name: string, value: unknown): void {
    if (this.failing === 'setHeader') throw new TypeError('no such header');
    this.headers.set(name.toLowerCase(), value);
  }

  hasHeader(name: string): boolean {
    return this.headers.has(name.toLowerCase());
  }

  getHeaderNames(): string[] {
    return [...this.headers.keys()];
  }

  removeHeader(name: string): void {
    this.headers.delete(name);
  }

  flushHeaders(): void {
    this.headersSent = true;
    this.calls.push('flushHeaders');
  }

  write(chunk: string | Uint8Array, onLeft?: () => void): boolean {
    this.headersSent = true;
    this.calls.push(`write ${Buffer.from(chunk as string)}`);
    this.onLeft = onLeft;
    return this.hasRoom;
  }

  end(chunk?: Uint8Array): void {
    if (this.failing === 'end') throw new Error('cannot end');
    this.headersSent = true;
    this.writableEnded = true;
    this.calls.push(chunk === undefined ? 'end' : `end ${Buffer.from(chunk)}`);
  }

  destroy(): void {
    this.destroyed = true;
    this.calls.push('destroy');
  }
}

describe('HttpExchange, by itself', () => {
  function make(changes: Partial<HttpLimits> = {}, headers: Record<string, string> = { host: 'here' }) {
    const response = new StillResponse();
    const socket = { destroyed: false, ended: 0, end: () => socket.ended++ };
    const request = Object.assign(new Readable({ read() {} }), {
      socket,
      headers,
      rawHeaders: [],
      httpVersionMajor: 1,
      httpVersionMinor: 1,
    });
    const host = {
      limits: {
        hosts: ['here'],
        maxRequestBodyBytes: 10,
        maxBackpressureBytes: 100,
        backpressurePolicy: 'close',
        ...changes,
      } as HttpLimits,
      unsentBytes: 0,
      destroyed: 0,
      taken: [] as number[],
      room: undefined as Promise<void> | undefined,
      takeBody(_exchange: HttpExchange, bytes: number) {
        host.taken.push(bytes);
        return host.room;
      },
      destroy: () => {
        host.destroyed++;
        socket.destroyed = true;
      },
    };
    const exchange = new HttpExchange(
      request as unknown as IncomingMessage,
      response as unknown as ServerResponse,
      host satisfies HttpExchangeHost,
    );
    return { exchange, request, response, socket, host };
  }

  const isGone = (error: unknown) =>
    error instanceof ConnectionClosedError && error.closeCode === 1006 && error.reason === '';
  const SENT = { name: 'InvalidStateError', code: 'WS_ERR_RESPONSE_SENT' };
  const CUT = { name: 'LimitError', code: 'WS_ERR_BACKPRESSURE' };
  const STREAM = () => new Response().setHeader('Content-Type', 'text/event-stream; charset=utf-8');

  /** Says whether a promise has been settled, once all has run that can. */
  async function isSettled(promise: Promise<unknown>): Promise<boolean> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    await settle(2);
    return settled;
  }

  it('is refused for a host that is not one of ours, and for nothing else', () => {
    assert.equal(make().exchange.refusal, undefined);
    assert.equal(make({ hosts: ['there'] }).exchange.refusal?.httpStatus, 421);
    assert.equal(make({ hosts: '*' }, {}).exchange.refusal?.httpStatus, 400);
  });

  it('is open until the response is ended, or either side is gone', () => {
    assert.equal(make().exchange.isOpen, true);
    for (const part of ['destroyed', 'writableEnded'] as const) {
      const { exchange, response } = make();
      response[part] = true;
      assert.equal(exchange.isOpen, false, part);
    }
    const { exchange, socket } = make();
    socket.destroyed = true;
    assert.equal(exchange.isOpen, false);
  });

  it('tells of its response: whether it has begun, what has not left, and its end', () => {
    const { exchange, response } = make();
    assert.deepEqual([exchange.isStarted, exchange.unsentBytes, exchange.isWebSocket], [false, 0, false]);
    response.headersSent = true;
    response.writableLength = 7;
    assert.deepEqual([exchange.isStarted, exchange.unsentBytes], [true, 7]);
    let closes = 0;
    exchange.whenClosed(() => closes++);
    assert.equal(closes, 0);
    exchange.lose();
    assert.deepEqual([closes, response.calls], [1, ['destroy']]);
    response.emit('close');
    assert.equal(closes, 1, 'once');
  });

  it('has the connection end behind it as long as its head can say so', () => {
    const early = make();
    early.exchange.endConnection();
    assert.equal(early.response.shouldKeepAlive, false);
    const late = make();
    late.response.headersSent = true;
    late.exchange.endConnection();
    assert.equal(late.response.shouldKeepAlive, true);
  });

  it('reads a body of just the size that is taken, announced or not, in one piece or in several', async () => {
    for (const headers of [{}, { 'content-length': '10' }]) {
      for (const pieces of [['0123456789'], ['01234', '56789'], []]) {
        const { exchange, request, host } = make({}, headers);
        for (const piece of pieces) request.push(piece);
        request.push(null);
        const body = await soon('the body', exchange.readBody());
        assert.equal(body.toString(), pieces.join(''));
        assert.equal(
          host.taken.reduce((sum, bytes) => sum + bytes, 0),
          body.length,
        );
      }
    }
  });

  it('refuses a body of a byte more: as soon as that is announced, or with the piece that is too much', async () => {
    const tooLarge = { name: 'LimitError', code: 'WS_ERR_REQUEST_BODY_TOO_LARGE' };
    const announced = make({}, { 'content-length': '11' });
    await assert.rejects(soon('the refusal', announced.exchange.readBody()), tooLarge);
    const { exchange, request, host } = make();
    const body = exchange.readBody();
    request.push('0123456789');
    await until('the piece', () => host.taken.length === 1);
    request.push('x');
    await assert.rejects(soon('the refusal', body), tooLarge);
    assert.deepEqual(host.taken, [10]);
    assert.equal(request.destroyed, false, 'the answer is still to be sent over its connection');
  });

  it('reads on when there is room again, and nothing for a client that is gone then', async () => {
    for (const isGoneThen of [false, true]) {
      const { exchange, request, host, socket } = make();
      const gate = defer();
      host.room = gate.promise;
      request.push('01234');
      const body = exchange.readBody();
      body.catch(() => {});
      await until('the first piece', () => host.taken.length === 1);
      request.push('56789');
      request.push(null);
      assert.equal(await isSettled(body), false);
      assert.equal(host.taken.length, 1);
      socket.destroyed = isGoneThen;
      gate.resolve();
      if (isGoneThen) await assert.rejects(soon('the end', body), isGone);
      else assert.equal((await soon('the body', body)).toString(), '0123456789');
    }
  });

  it('reads a body that came whole of a client that has left since', async () => {
    const { exchange, request, socket } = make();
    request.push('whole');
    request.push(null);
    socket.destroyed = true;
    assert.equal((await soon('the body', exchange.readBody())).toString(), 'whole');
  });

  it('says that the client is gone when its request breaks off, and why', async () => {
    const { exchange, request } = make();
    const body = exchange.readBody();
    const cause = new Error('aborted');
    request.destroy(cause);
    await assert.rejects(soon('the end', body), (error) => isGone(error) && (error as Error).cause === cause);
  });

  it('sends a whole response: status, headers, length and content', async () => {
    for (const body of ['héé', Buffer.from('héé')]) {
      const { exchange, response } = make();
      await exchange.sendResponse(new Response().setStatusCode(201).setHeader('X-A', ['1', '2']).setBody(body));
      assert.deepEqual([response.statusCode, response.calls], [201, ['end héé']]);
      assert.deepEqual(
        [...response.headers],
        [
          ['x-a', ['1', '2']],
          ['content-length', 5],
        ],
      );
    }
  });

  it('leaves out what frames the content otherwise, and content that there cannot be', async () => {
    const own = make();
    const headers = new Response().setHeader('Transfer-Encoding', 'gzip').setHeader('Content-Length', '9').setBody('x');
    await own.exchange.sendResponse(headers);
    assert.deepEqual([...own.response.headers], [['content-length', '9']]);
    for (const [status, length] of [
      [204, undefined],
      [205, 0],
      [304, undefined],
    ] as const) {
      const { exchange, response } = make();
      const given = new Response().setStatusCode(status).setHeader('Content-LENGTH', '9').setBody('content');
      given.setHeader('X-A', '1');
      await exchange.sendResponse(given);
      assert.deepEqual([response.headers.get('content-length'), response.calls], [length, ['end ']]);
      assert.equal(response.headers.get('x-a'), '1');
      const streamed = make();
      await streamed.exchange.sendBody(given, 'content');
      assert.deepEqual([streamed.response.headers.get('content-length'), streamed.response.calls], [length, []]);
    }
  });

  it('refuses a second response, and one to a client that is gone', async () => {
    const { exchange } = make();
    await exchange.sendResponse(new Response());
    await assert.rejects(exchange.sendResponse(new Response()), SENT);
    const begun = make();
    begun.response.headersSent = true;
    await assert.rejects(begun.exchange.sendResponse(new Response()), SENT);
    const ended = make();
    ended.response.writableEnded = true;
    await assert.rejects(ended.exchange.sendResponse(new Response()), SENT);
    await assert.rejects(ended.exchange.sendBody(undefined, 'x'), SENT);
    const gone = make();
    gone.socket.destroyed = true;
    await assert.rejects(gone.exchange.sendResponse(new Response()), isGone);
    await assert.rejects(gone.exchange.sendBody(undefined, 'x'), isGone);
    assert.deepEqual(gone.response.calls, []);
  });

  it('cuts the connection above maxBackpressureBytes, and not at it, nor with the policy wait', async () => {
    for (const [unsentBytes, policy, isCut] of [
      [100, 'close', false],
      [101, 'close', true],
      [101, 'drop', true],
      [101, 'wait', false],
    ] as const) {
      for (const send of ['sendResponse', 'sendBody'] as const) {
        const { exchange, host, response } = make({ backpressurePolicy: policy });
        host.unsentBytes = unsentBytes;
        const sent = send === 'sendBody' ? exchange.sendBody(undefined, 'x') : exchange.sendResponse(new Response());
        if (isCut) await assert.rejects(sent, CUT);
        else await sent;
        assert.deepEqual([host.destroyed, response.calls.length], isCut ? [1, 0] : [0, 1]);
      }
    }
  });

  it('begins an event stream with its head, and with the content that was set', async () => {
    const empty = make();
    await empty.exchange.sendResponse(STREAM());
    assert.deepEqual(empty.response.calls, ['flushHeaders']);
    const { exchange, response } = make();
    await exchange.sendResponse(STREAM().setBody('data: 1\n\n'));
    assert.deepEqual(response.calls, ['flushHeaders', 'write data: 1\n\n']);
    assert.equal(response.hasHeader('content-length'), false);
    const other = make();
    await other.exchange.sendResponse(new Response().setHeader('Content-Type', 'x-text/event-stream').setBody('whole'));
    assert.deepEqual(other.response.calls, ['end whole']);
  });

  it('sends what was set, unless that was done, and ends the connection behind the last', async () => {
    const kept = make();
    await kept.exchange.send(new Response().setBody('once'), false);
    await kept.exchange.send(new Response().setBody('twice'), false);
    assert.deepEqual([kept.response.calls, kept.response.shouldKeepAlive], [['end once'], true]);
    const last = make();
    await last.exchange.send(new Response().setBody('last'), true);
    assert.deepEqual([last.response.calls, last.response.shouldKeepAlive], [['end last'], false]);
    assert.equal(last.socket.ended, 0);
    last.response.emit('finish');
    assert.equal(last.socket.ended, 1);
    const begun = make();
    await begun.exchange.sendBody(undefined, 'part');
    await begun.exchange.send(new Response().setBody('whole'), false);
    assert.deepEqual(begun.response.calls, ['write part']);
    await begun.exchange.send(new Response().setBody('whole'), true);
    assert.deepEqual(begun.response.calls, ['write part', 'end']);
    const gone = make();
    gone.response.destroyed = true;
    await gone.exchange.send(new Response(), false);
    assert.deepEqual(gone.response.calls, []);
  });

  it('sends a stream in pieces, under the head that was set before the first', async () => {
    const { exchange, response } = make();
    const head = new Response().setStatusCode(202);
    await exchange.sendBody(head, 'one');
    head.setStatusCode(500);
    await exchange.sendBody(head, '');
    await exchange.sendBody(undefined, Buffer.from('two'));
    assert.deepEqual([response.statusCode, response.calls], [202, ['write one', 'write two']]);
    assert.throws(() => exchange.sendBody(undefined, [7] as unknown as string), TypeError);
    assert.equal(response.calls.length, 2);
  });

  it('has sends wait for room together, and go on when there is', async () => {
    const { exchange, response } = make();
    response.hasRoom = false;
    const sends = ['one', 'two'].map((piece) => exchange.sendBody(undefined, piece));
    assert.equal(response.listenerCount('drain'), 1);
    assert.equal(await isSettled(Promise.race(sends)), false);
    response.emit('drain');
    await soon('both', Promise.all(sends));
    assert.deepEqual([response.listenerCount('drain'), response.listenerCount('close')], [0, 0]);
    const next = exchange.sendBody(undefined, 'three');
    assert.equal(await isSettled(next), false, 'waits anew');
    response.emit('drain');
    await soon('the next', next);
  });

  it('rejects sends that wait when the client goes, and not when the response left as a whole', async () => {
    for (const [destroyed, writableFinished] of [
      [true, false],
      [true, true],
      [false, false],
    ] as const) {
      const { exchange, response } = make();
      response.hasRoom = false;
      const sent = exchange.sendBody(undefined, 'piece');
      Object.assign(response, { destroyed, writableFinished });
      response.emit('close');
      if (destroyed && !writableFinished) await assert.rejects(soon('the end', sent), isGone);
      else await soon('the end', sent);
    }
    // Nobody awaits this one, and the process lives.
    const { exchange, response } = make();
    response.hasRoom = false;
    void exchange.sendBody(undefined, 'piece');
    response.destroyed = true;
    response.emit('close');
    await settle(2);
  });

  it('sends its head at flush, once, and waits until what was sent has left, or never will', async () => {
    const { exchange, response } = make();
    const first = exchange.flush(new Response().setStatusCode(202));
    assert.deepEqual([response.statusCode, response.calls], [202, ['flushHeaders', 'write ']]);
    assert.equal(await isSettled(first), false);
    response.onLeft!();
    await soon('the first', first);
    assert.equal(response.listenerCount('close'), 0);
    const second = exchange.flush(undefined);
    assert.deepEqual(response.calls, ['flushHeaders', 'write ', 'write ']);
    assert.equal(await isSettled(second), false);
    response.emit('close');
    await soon('the second', second);
    const bare = make();
    void bare.exchange.flush(undefined);
    assert.deepEqual(bare.response.calls, ['flushHeaders', 'write ']);
    const gone = make();
    gone.response.destroyed = true;
    await soon('the third', gone.exchange.flush(undefined));
    assert.deepEqual(gone.response.calls, []);
  });

  it('ends the connection at close, behind what was sent', async () => {
    for (const writableFinished of [false, true]) {
      const { exchange, response, socket } = make();
      response.writableFinished = writableFinished;
      await exchange.close(new Response().setBody('last'));
      assert.deepEqual([response.calls, response.shouldKeepAlive], [['end last'], false]);
      assert.equal(socket.ended, writableFinished ? 1 : 0);
      response.emit('finish');
      response.emit('finish');
      assert.equal(socket.ended, 1);
    }
    const bare = make();
    await bare.exchange.close(undefined);
    assert.deepEqual(bare.response.calls, ['end ']);
  });

  it('is finished behind the last handler: with what was set, or the end of what was begun', async () => {
    const whole = make();
    await whole.exchange.finish(new Response().setBody('whole'));
    await whole.exchange.finish(new Response().setBody('again'));
    assert.deepEqual(whole.response.calls, ['end whole']);
    const begun = make();
    await begun.exchange.sendBody(undefined, 'part');
    await begun.exchange.finish(new Response().setBody('ignored'));
    assert.deepEqual(begun.response.calls, ['write part', 'end']);
    const events = make();
    await events.exchange.finish(STREAM());
    assert.deepEqual(events.response.calls, ['flushHeaders', 'end']);
    const gone = make();
    gone.socket.destroyed = true;
    await gone.exchange.finish(new Response());
    assert.deepEqual(gone.response.calls, []);
  });

  it('is abandoned with a status of its own, or the one that was set, and with none of the headers before', async () => {
    for (const [response, status] of [
      [new Response().setBody('why'), 500],
      [new Response().setStatusCode(502).setBody('why'), 502],
    ] as const) {
      const made = make();
      made.response.setHeader('X-Before', '1');
      made.exchange.abandon(500, response);
      await settle(1);
      assert.deepEqual([made.response.statusCode, made.response.calls], [status, ['end why']]);
      assert.equal(made.response.hasHeader('x-before'), false);
    }
  });

  it('is abandoned in the middle of a stream by cutting it, and not at all behind its end', async () => {
    const begun = make();
    await begun.exchange.sendBody(undefined, 'part');
    begun.exchange.abandon(500, new Response());
    assert.deepEqual(begun.response.calls, ['write part', 'destroy']);
    const ended = make();
    await ended.exchange.finish(new Response());
    ended.exchange.abandon(500, new Response());
    await settle(1);
    assert.deepEqual(ended.response.calls, ['end ']);
    const broken = make();
    broken.response.failing = 'end';
    broken.exchange.abandon(500, new Response());
    await settle(1);
    assert.deepEqual(broken.response.calls, ['destroy'], 'what cannot be sent');
  });
});

describe('HttpExchange, whole responses', () => {
  it('sends what was set, at the end of the chain', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => {
      ctx.setResponseStatusCode(201).setResponseHeader('X-Mine', 'yes').setResponseBody('bödy');
    });
    server.responseMiddleware((ctx) => {
      ctx.setResponseHeader('x-late', ctx.getResponseHeader('x-MINE')!);
    });
    const client = await WsClient.connect(await run(server));
    const response = await client.write(httpRequest('GET', '/')).readResponse();
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('x-mine'), 'yes');
    assert.equal(response.headers.get('x-late'), 'yes');
    assert.equal(response.headers.get('content-length'), '5');
    assert.equal(response.body, 'bödy');
  });

  it('sends what was set by sendResponse without arguments, too', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.setResponseStatusCode(201).setResponseBody('set').sendResponse());
    const client = await WsClient.connect(await run(server));
    const response = await client.write(httpRequest('GET', '/')).readResponse();
    assert.deepEqual([response.status, response.body], [201, 'set']);
  });

  it('sends at once what send, sendOnce and sendResponse send, and not when the handler ends', async () => {
    for (const name of ['send', 'sendOnce', 'sendResponse'] as const) {
      const { server } = makeServer();
      const arrived = defer();
      server.route('/', async (ctx) => {
        await ctx.setResponseBody('now')[name]();
        await arrived.promise;
      });
      const client = await WsClient.connect(await run(server));
      const response = await client.write(httpRequest('GET', '/')).readResponse();
      assert.equal(response.body, 'now');
      arrived.resolve();
    }
  });

  it('sends 200 and nothing when nothing was set', async () => {
    const { server } = makeServer();
    server.route('/', () => {});
    const client = await WsClient.connect(await run(server));
    const response = await client.write(httpRequest('GET', '/')).readResponse();
    assert.deepEqual([response.status, response.headers.get('content-length'), response.body], [200, '0', '']);
  });

  it('keeps the connection for the next request, after sendResponse too', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, `${ctx.getSocketAddr()!.port} ${ctx.getRequestBodyString()}`));
    const client = await WsClient.connect(await run(server));
    const first = await client.write(post('/', 'one')).readResponse();
    const second = await client.write(post('/', 'two')).readResponse();
    assert.equal(first.body.replace('one', 'two'), second.body);
    assert.ok(first.body.endsWith(' one'));
  });

  it('answers pipelined requests in order', async () => {
    const { server } = makeServer();
    server.route('/:name', async (ctx) => {
      if (ctx.getRouteParam('name') === 'slow') await settle(20);
      await ctx.sendResponse(200, ctx.getRouteParam('name'));
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/slow') + httpRequest('GET', '/quick') + httpRequest('GET', '/last'));
    for (const name of ['slow', 'quick', 'last']) assert.equal((await client.readResponse()).body, name);
  });

  it('gives the body of a request as bytes, however it is sent', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => {
      assert.ok(Buffer.isBuffer(ctx.getRequestBody()));
      ctx.setResponseBody(ctx.getRequestBody());
    });
    const client = await WsClient.connect(await run(server));
    client.write(`${httpRequest('POST', '/', { 'Transfer-Encoding': 'chunked' })}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
    assert.equal((await client.readResponse()).body, 'abcde');
    client.write(post('/', 'x'.repeat(200_000)));
    assert.equal((await client.readResponse()).body.length, 200_000);
    client.write(httpRequest('POST', '/', { 'Content-Length': '0' }));
    assert.equal((await client.readResponse()).body, '');
  });

  it('sends the head alone to HEAD, 204 and 304', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, 'body'));
    server.route('/204', (ctx) => ctx.sendResponse(204));
    server.route('/304', (ctx) => ctx.sendResponse(304));
    server.route('/stream', (ctx) => ctx.sendResponseBody('piece'));
    const client = await WsClient.connect(await run(server));
    const head = await client.write(httpRequest('HEAD', '/')).readResponse({ head: true });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '4']);
    for (const status of [204, 304]) {
      const empty = await client.write(httpRequest('GET', `/${status}`)).readResponse();
      assert.deepEqual([empty.status, empty.headers.has('content-length')], [status, false]);
    }
    assert.equal((await client.write(httpRequest('HEAD', '/stream')).readResponse({ head: true })).status, 200);
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, 'body');
  });

  it('sends no content with 204, 205 and 304, whole or streamed, whatever headers say', async () => {
    const { server, errors } = makeServer();
    server.route('/:how/:status', async (ctx) => {
      ctx.setResponseStatusCode(Number(ctx.getRouteParam('status')));
      ctx.setResponseHeader('Content-Length', '4').setResponseHeader('Transfer-Encoding', 'chunked');
      if (ctx.getRouteParam('how') === 'whole') ctx.setResponseBody('body');
      else await ctx.sendResponseBody('body');
    });
    server.route('/next', (ctx) => ctx.sendResponse(200, 'next'));
    const client = await WsClient.connect(await run(server));
    for (const how of ['whole', 'streamed']) {
      for (const status of [204, 205, 304]) {
        client.write(httpRequest('GET', `/${how}/${status}`));
        const { headers } = await client.readHead();
        assert.equal(headers.get('content-length'), status === 205 ? '0' : undefined, `${how} ${status}`);
        assert.equal(headers.has('transfer-encoding'), false);
        assert.equal((await client.write(httpRequest('GET', '/next')).readResponse()).body, 'next');
      }
    }
    assert.deepEqual(errors, []);
  });

  it('frames the content itself: a Transfer-Encoding that a handler sets is left out', async () => {
    const { server, errors } = makeServer();
    server.route('/whole', (ctx) => {
      ctx.setResponseHeader('transfer-Encoding', 'chunked').setResponseBody('body');
    });
    server.route('/streamed', async (ctx) => {
      ctx.setResponseHeader('Transfer-Encoding', 'gzip');
      await ctx.sendResponseBody('body');
    });
    const client = await WsClient.connect(await run(server));
    const whole = await client.write(httpRequest('GET', '/whole')).readResponse();
    assert.deepEqual([whole.headers.get('content-length'), whole.body], ['4', 'body']);
    assert.equal(whole.headers.has('transfer-encoding'), false);
    const streamed = await client.write(httpRequest('GET', '/streamed')).readResponse();
    assert.deepEqual([streamed.headers.get('transfer-encoding'), streamed.body], ['chunked', 'body']);
    assert.deepEqual(errors, []);
  });

  it('lets Expect: 100-continue go on', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, ctx.getRequestBodyString()));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('POST', '/', { 'Content-Length': '4', Expect: '100-continue' }));
    assert.equal((await client.readHead()).status, 100);
    assert.equal((await client.write('body').readResponse()).body, 'body');
  });

  it('answers a path without a route with 404, with and without a middleware that sends', async () => {
    const { server } = makeServer();
    server.responseMiddleware(async (ctx) => {
      if (ctx.getRequestQuery('send') !== undefined) await ctx.send();
      ctx.getResponse();
    });
    const client = await WsClient.connect(await run(server));
    for (const target of ['/nothing', '/nothing?send', '*']) {
      assert.equal((await client.write(httpRequest('OPTIONS', target)).readResponse()).status, 404, target);
    }
  });

  it('lets middleware answer a path without a route', async () => {
    const { server } = makeServer();
    server.requestMiddleware(async (ctx) => {
      if (ctx.getRequestPath() === '/set') ctx.setResponseStatusCode(200).setResponseBody('set');
      if (ctx.getRequestPath() === '/sent') await ctx.sendResponse(200, 'sent');
      if (ctx.getRequestPath() === '/streamed') await ctx.sendResponseBody('streamed');
    });
    const client = await WsClient.connect(await run(server));
    for (const name of ['set', 'sent', 'streamed']) {
      const response = await client.write(httpRequest('GET', `/${name}`)).readResponse();
      assert.deepEqual([response.status, response.body], [200, name]);
    }
  });

  it('rejects a second response, and a piece behind the last', async () => {
    const { server, errors } = makeServer();
    const codes: unknown[] = [];
    server.route('/', async (ctx) => {
      await ctx.sendResponse(200, 'first');
      for (const send of [() => ctx.sendResponse(500, 'second'), () => ctx.sendResponseBody('piece')]) {
        await assert.rejects(send(), (error) => {
          assert.ok(error instanceof InvalidStateError);
          codes.push(error.code);
          return true;
        });
      }
      // Neither throws, and neither sends.
      await ctx.send();
      await ctx.flush();
    });
    server.route('/stream', async (ctx) => {
      await ctx.sendResponseBody('piece');
      await assert.rejects(ctx.sendResponse(200, 'whole'), { code: 'WS_ERR_RESPONSE_SENT' });
      await ctx.send();
    });
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, 'first');
    assert.equal((await client.write(httpRequest('GET', '/stream')).readResponse()).body, 'piece');
    assert.deepEqual(codes, ['WS_ERR_RESPONSE_SENT', 'WS_ERR_RESPONSE_SENT']);
    assert.deepEqual(errors, []);
  });

  it('ends the connection at sendOnce, close and closed', async () => {
    const { server } = makeServer();
    server.route('/sendOnce', async (ctx) => {
      ctx.setResponseBody('sendOnce');
      await ctx.sendOnce();
    });
    server.route('/close', async (ctx) => {
      ctx.setResponseBody('close');
      await ctx.close();
    });
    server.route('/closed', (ctx) => {
      ctx.setResponseBody('closed').closed();
    });
    const port = await run(server);
    for (const name of ['sendOnce', 'close', 'closed']) {
      const client = await WsClient.connect(port);
      const response = await client.write(httpRequest('GET', `/${name}`)).readResponse();
      assert.equal(response.body, name);
      assert.equal(response.headers.get('connection'), 'close');
      await client.waitForEnd();
    }
  });
});

describe('HttpExchange, streams', () => {
  it('sends pieces in chunks as they come', async () => {
    const { server } = makeServer();
    const gate = defer();
    server.route('/', async (ctx) => {
      ctx.setResponseStatusCode(202).setResponseHeader('Content-Type', 'text/plain');
      await ctx.sendResponseBody('one');
      await gate.promise;
      await ctx.sendResponseBody(Buffer.from('two'));
      await ctx.sendResponseBody('');
      ctx.setResponseBody('three');
      await ctx.sendBody();
    });
    const client = await WsClient.connect(await run(server));
    const head = await client.write(httpRequest('GET', '/')).readHead();
    assert.deepEqual([head.status, head.headers.get('transfer-encoding')], [202, 'chunked']);
    assert.equal(await client.readChunk(), 'one');
    gate.resolve();
    // Node 26 makes one chunk of what is written in one tick.
    let rest = '';
    for (let chunk = await client.readChunk(); chunk !== ''; chunk = await client.readChunk()) rest += chunk;
    assert.equal(rest, 'twothree');
    assert.equal((await client.write(httpRequest('GET', '/')).readHead()).status, 202, 'the connection is kept');
  });

  it('sends Server-Sent Events: sendResponse, then sendResponseBody an event, then close', async () => {
    const { server, errors } = makeServer();
    const gate = defer();
    server.route('/events', async (ctx) => {
      ctx.setResponseHeader('Content-Type', 'text/event-stream');
      await ctx.sendResponse(200, '');
      await gate.promise;
      for (let i = 0; i < 3; i++) {
        await ctx.sendResponseBody(`data: ${i}\n\n`);
        await ctx.flush();
      }
      await ctx.close();
    });
    const client = await WsClient.connect(await run(server));
    const head = await client.write(httpRequest('GET', '/events')).readHead();
    assert.equal(head.headers.get('content-type'), 'text/event-stream');
    assert.equal(head.headers.has('content-length'), false);
    gate.resolve();
    const chunks = [await client.readChunk(), await client.readChunk(), await client.readChunk()];
    assert.deepEqual(chunks, ['data: 0\n\n', 'data: 1\n\n', 'data: 2\n\n']);
    assert.equal(await client.readChunk(), '');
    await client.waitForEnd();
    assert.deepEqual(errors, []);
  });

  it('sends the body that was given together with the head of an event stream', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      ctx.setResponseHeader('Content-Type', 'text/event-stream; charset=utf-8');
      await ctx.sendResponse(200, ': hello\n\n');
      await assert.rejects(ctx.sendResponse(200), { code: 'WS_ERR_RESPONSE_SENT' });
    });
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, ': hello\n\n');
  });

  it('sends the head at flush', async () => {
    const { server } = makeServer();
    const gate = defer();
    server.route('/', async (ctx) => {
      ctx.setResponseStatusCode(201);
      await ctx.flush();
      await gate.promise;
      await ctx.sendResponseBody('late');
    });
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readHead()).status, 201);
    gate.resolve();
    assert.equal(await client.readChunk(), 'late');
  });

  it('makes sends wait for a client that does not read, and go on when it does', async () => {
    const { server } = makeServer();
    let sent = 0;
    const total = 64;
    server.route('/', async (ctx) => {
      for (let i = 0; i < total; i++, sent++) await ctx.sendResponseBody(Buffer.alloc(256 * 1024, i));
    });
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/'));
    await client.readHead();
    client.socket.pause();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await settle(200);
    }
    assert.ok(sent < total, 'the sends wait');
    client.socket.resume();
    let bytes = 0;
    for (;;) {
      const size = Number.parseInt((await client.readUntil('\r\n')).toString('latin1'), 16);
      bytes += (await client.readBytes(size + 2)).length - 2;
      if (size === 0) break;
    }
    assert.equal(bytes, total * 256 * 1024);
  });

  it('resolves sends that nobody awaited, with one listener and no warning', async (t) => {
    const warnings: unknown[] = [];
    const warn = (warning: unknown) => warnings.push(warning);
    process.on('warning', warn);
    t.after(() => process.off('warning', warn));
    const { server, errors } = makeServer();
    const all = defer<unknown>();
    server.route('/', async (ctx) => {
      const sends = Array.from({ length: 50 }, () => ctx.sendResponseBody(Buffer.alloc(256 * 1024)));
      all.resolve(Promise.allSettled(sends));
      await ctx.close();
    });
    const client = await WsClient.connect(await run(server));
    const response = await client.write(httpRequest('GET', '/')).readResponse();
    assert.equal(response.body.length, 50 * 256 * 1024);
    const results = (await soon('the sends', all.promise)) as PromiseSettledResult<void>[];
    assert.ok(results.every(({ status }) => status === 'fulfilled'));
    await settle();
    assert.deepEqual([warnings, errors], [[], []]);
  });

  it('rejects with ConnectionClosedError when the client has left; that is no error', async () => {
    const { server, errors } = makeServer();
    const outcome = defer<unknown>();
    server.route('/', async (ctx) => {
      try {
        for (;;) {
          await ctx.sendResponseBody('piece');
          await new Promise((resolve) => setImmediate(resolve));
        }
      } catch (error) {
        outcome.resolve(error);
        throw error;
      }
    });
    const port = await run(server);
    for (const leave of ['reset', 'end'] as const) {
      const client = await WsClient.connect(port);
      await client.write(httpRequest('GET', '/')).readHead();
      if (leave === 'end') client.socket.destroy();
      else client.reset();
      assert.ok((await soon('the rejection', outcome.promise)) instanceof ConnectionClosedError);
    }
    await settle();
    assert.deepEqual(errors, []);
  });
});

describe('HttpExchange, several requests at once', () => {
  it('answers them in order, and an upgrade behind them last', async () => {
    const { server, errors } = makeServer();
    const gates = [defer(), defer()];
    server.route('/plain/:id', async (ctx) => {
      await gates[Number(ctx.getRouteParam('id'))]!.promise;
      ctx.setResponseBody(`plain ${ctx.getRouteParam('id')}`);
    });
    server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const client = await WsClient.connect(await run(server));
    client.write(
      Buffer.concat([
        Buffer.from(httpRequest('GET', '/plain/0') + httpRequest('GET', '/plain/1') + upgradeRequest('/echo')),
        clientFrame(0x81, 'early'),
      ]),
    );
    await settle(20);
    assert.equal(client.available, 0, 'nothing overtakes the first');
    gates[1]!.resolve();
    await settle(20);
    assert.equal(client.available, 0);
    gates[0]!.resolve();
    assert.equal((await client.readResponse()).body, 'plain 0');
    assert.equal((await client.readResponse()).body, 'plain 1');
    assert.equal((await client.readHead()).status, 101);
    assert.equal(await client.receive(), 'early');
    assert.equal(await client.send('late').receive(), 'late');
    assert.deepEqual(errors, []);
  });

  it('lets go of all of them when the client goes, with an upgrade behind them and without', async () => {
    for (const behind of ['', upgradeRequest('/')]) {
      const { server, errors } = makeServer();
      const gate = defer();
      let running = 0;
      const outcomes: unknown[] = [];
      server.route('/', async (ctx) => {
        running++;
        await gate.promise;
        // More than a client takes that reads nothing.
        try {
          for (;;) await ctx.sendResponseBody(Buffer.alloc(100_000));
        } catch (error) {
          outcomes.push(error);
        }
      });
      const client = await WsClient.connect(await run(server));
      client.write(httpRequest('GET', '/').repeat(3) + behind);
      await until('all of them', () => running === 3);
      gate.resolve();
      await settle();
      client.reset();
      await until('all ends', () => outcomes.length === 3);
      assert.ok(outcomes.every((error) => error instanceof ConnectionClosedError));
      await soon('the close', server.close({ timeout: 60_000 }));
      assert.deepEqual(errors, []);
    }
  });
});

describe('HttpExchange, requests that are never answered', () => {
  it('keep no server from closing, with an upgrade behind them and without', async () => {
    for (const behind of ['', upgradeRequest('/')]) {
      const { server } = makeServer();
      let running = 0;
      server.route('/', () => {
        running++;
        return new Promise<void>(() => {});
      });
      const client = await WsClient.connect(await run(server));
      client.write(httpRequest('GET', '/').repeat(2) + behind);
      await until('both of them', () => running === 2);
      await settle();
      assert.deepEqual(await soon('the close', server.close({ timeout: 20 })), { closed: 0, cut: 0 });
      await client.waitForEnd();
    }
  });
});

describe('HttpExchange, headers of several lines', () => {
  it('writes each line, whole or streamed', async () => {
    const { server, errors } = makeServer();
    const cookies = ['a=1; Path=/', 'b=2'];
    server.route('/whole', (ctx) => void ctx.setResponseHeader('Set-Cookie', cookies).setResponseBody('x'));
    server.route('/streamed', (ctx) => void ctx.setResponseHeader('Set-Cookie', cookies).sendResponseBody('x'));
    server.route('/one', (ctx) => void ctx.setResponseHeader('Set-Cookie', cookies.slice(0, 1)));
    const client = await WsClient.connect(await run(server));
    for (const path of ['/whole', '/streamed', '/one']) {
      const { text } = await client.write(httpRequest('GET', path)).readResponse();
      const lines = text.split('\r\n').filter((line) => line.startsWith('Set-Cookie'));
      const expected = ['Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2'].slice(0, path === '/one' ? 1 : 2);
      assert.deepEqual(lines, expected, path);
    }
    assert.deepEqual(errors, []);
  });
});

describe('HttpExchange, what goes wrong', () => {
  it('answers 500 for what a handler throws, whatever it had set, and lives on', async () => {
    const { server, errors } = makeServer();
    const set = (ctx: Context) =>
      ctx
        .setResponseStatusCode(200)
        .setResponseHeader('Content-Length', '99')
        .setResponseHeader('ETag', 'x')
        .setResponseBody('secret');
    server.route('/sync', (ctx) => {
      set(ctx);
      throw new Error('sync');
    });
    server.route('/async', async (ctx) => {
      set(ctx);
      await settle(1);
      throw new Error('async');
    });
    server.route('/json', (ctx) => {
      ctx.getRequestBodyJson();
    });
    server.route('/type', (ctx) => {
      ctx.setResponseBody({ an: 'object' } as unknown as string);
    });
    const client = await WsClient.connect(await run(server));
    for (const path of ['/sync', '/async', '/json', '/type']) {
      const response = await client.write(post(path, 'no json')).readResponse();
      assert.deepEqual([response.status, response.body], [500, ''], path);
      assert.ok(!response.headers.has('etag'));
    }
    assert.equal(errors.length, 4);
  });

  it('lets errorHandle set the response, and send it', async () => {
    const { server } = makeServer();
    server.errorHandle(async (error, ctx) => {
      await settle(1);
      ctx
        .setResponseStatusCode(503)
        .setResponseHeader('Retry-After', '1')
        .setResponseBody((error as Error).message);
      if (ctx.getRequestPath() === '/send') await ctx.send();
    });
    const fail = () => {
      throw new Error('sorry');
    };
    server.route('/set', fail).route('/send', fail);
    const client = await WsClient.connect(await run(server));
    for (const path of ['/set', '/send']) {
      const response = await client.write(httpRequest('GET', path)).readResponse();
      assert.deepEqual([response.status, response.body, response.headers.get('retry-after')], [503, 'sorry', '1']);
    }
  });

  it('answers 500 when errorHandle throws itself', async (t) => {
    const printed = t.mock.method(console, 'error', () => {});
    const { server } = makeServer();
    server.errorHandle(() => {
      throw new Error('second');
    });
    server.route('/', () => {
      throw new Error('first');
    });
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).status, 500);
    assert.equal(printed.mock.callCount(), 1);
  });

  it('prints errors unless it is told otherwise', async (t) => {
    const printed = t.mock.method(console, 'error', () => {});
    const { Server } = await import('../../lib/server/server.ts');
    const server = new Server({ host: '127.0.0.1' }).route('/', () => {
      throw new Error('first');
    });
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).status, 500);
    const [format, where, error] = printed.mock.calls[0]!.arguments;
    assert.match(
      formatText(format, where),
      /^hyperlane-ws: an error in a handler of GET '\/' from 127\.0\.0\.1 port \d+:$/,
    );
    assert.equal((error as Error).message, 'first');
  });

  it('prints what is no error with where it comes from, whatever the path says', async (t) => {
    const printed = t.mock.method(console, 'error', () => {});
    const { Server } = await import('../../lib/server/server.ts');
    const server = new Server({ host: '127.0.0.1' }).route('/:a', () => {
      throw 'text';
    });
    const port = await run(server);
    const client = await WsClient.connect(port);
    assert.equal((await client.write(httpRequest('GET', '/%25s%0Aforged')).readResponse()).status, 500);
    const webSocket = await WsClient.open(port, '/chat');
    assert.equal((await webSocket.send('x').receiveClose()).code, 1011);
    const texts = printed.mock.calls.map((call) => formatText(...call.arguments));
    assert.match(
      texts[0]!,
      /^hyperlane-ws: 'text' was thrown in a handler of GET '\/%s\\nforged' from 127\.0\.0\.1 port \d+, and is no Error: throw new Error\(…\)$/,
    );
    assert.match(
      texts[1]!,
      /^hyperlane-ws: 'text' was thrown in a handler of a WebSocket '\/chat' from 127\.0\.0\.1 port \d+,/,
    );
  });

  it('cuts a stream in the middle when its handler throws: the client must not take it for whole', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      await ctx.sendResponseBody('piece');
      await ctx.flush();
      throw new Error('in the middle');
    });
    const client = await WsClient.connect(await run(server));
    await client.write(httpRequest('GET', '/')).readHead();
    assert.equal(await client.readChunk(), 'piece');
    assert.equal((await client.readToEnd()).toString(), '', 'no last chunk');
    assert.equal(errors.length, 1);
  });

  it('survives headers that contradict the body', async () => {
    const { server, errors } = makeServer();
    server.route('/trailer', (ctx) => {
      ctx.setResponseHeader('Trailer', 'X').setResponseBody('body');
    });
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const port = await run(server);
    const client = await WsClient.connect(port);
    assert.equal((await client.write(httpRequest('GET', '/trailer')).readResponse()).status, 500);
    assert.equal(errors.length, 1);
    assert.equal((await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse()).body, 'fine');
  });

  it('answers 413 to a body that is too large, announced or not, and runs nothing', async () => {
    const { server, errors } = makeServer({ maxRequestBodyBytes: 10 });
    server.requestMiddleware((ctx) => {
      assert.equal(ctx.getRequestBodyString(), '0123456789');
    });
    server.route('/', (ctx) => ctx.sendResponse(200, 'taken'));
    const port = await run(server);
    const announced = await (await WsClient.connect(port)).write(post('/', '0123456789a')).readResponse();
    assert.equal(announced.status, 413);
    assert.match(announced.body, /maxRequestBodyBytes/);
    const chunked = await WsClient.connect(port);
    chunked.write(`${httpRequest('POST', '/', { 'Transfer-Encoding': 'chunked' })}5\r\n01234\r\n6\r\n56789a\r\n`);
    assert.equal((await chunked.readResponse()).status, 413);
    const whole = await (await WsClient.connect(port)).write(post('/', '0123456789')).readResponse();
    assert.deepEqual([whole.status, whole.body], [200, 'taken']);
    assert.deepEqual(errors, []);
  });

  it('reports nothing when a client leaves in the middle of its request', async () => {
    const { server, errors } = makeServer();
    server.route('/', () => assert.fail('runs no handler'));
    const port = await run(server);
    for (const leave of ['end', 'reset'] as const) {
      const client = await WsClient.connect(port);
      client.write(httpRequest('POST', '/', { 'Content-Length': '100' }));
      client.write('some');
      await settle();
      client[leave]();
      await client.waitForEnd();
    }
    await settle();
    assert.deepEqual(errors, []);
  });

  it('answers 431 to a head that is too large', async () => {
    const { server } = makeServer({ maxHeaderBytes: 2048 });
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const port = await run(server);
    const client = await WsClient.connect(port);
    client.write(httpRequest('GET', '/', { 'X-Long': 'x'.repeat(4096) }));
    assert.equal((await client.readHead()).status, 431);
    await client.waitForEnd();
  });

  it('answers 400 to what is no HTTP, and lives on', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const port = await run(server);
    for (const garbage of [
      'garbage\r\n\r\n',
      '\x16\x03\x01\x02\x00',
      'GET / HTTP/9.9\r\n\r\n',
      'GET / HTTP/1.1\r\nHost x\r\n\r\n',
    ]) {
      const client = await WsClient.connect(port);
      client.write(Buffer.from(garbage, 'latin1'));
      assert.equal((await client.readHead()).status, 400, garbage);
      await client.waitForEnd();
    }
    const fine = await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse();
    assert.equal(fine.body, 'fine');
  });

  it('cuts a request head that takes too long', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 20 });
    server.route('/', () => {});
    const port = await run(server);
    for (const start of ['', 'G', 'GET / HTTP/1.1\r\nHost: x\r\n']) {
      const client = await WsClient.connect(port);
      client.write(start);
      await client.waitForEnd();
    }
  });

  it('takes aborted() for the end of the chain, and sends what was set', async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => {
      ctx.setResponseStatusCode(401).aborted();
    });
    server.route('/', () => assert.fail('runs no handler'));
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).status, 401);
  });

  it('keeps attributes for the handlers of one request', async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => {
      assert.equal(ctx.getAttribute('mine'), undefined);
      ctx.setAttribute('mine', 1);
    });
    server.route('/', (ctx) => ctx.sendResponse(200, String(ctx.getAttribute('mine'))));
    const client = await WsClient.connect(await run(server));
    for (let i = 0; i < 2; i++) assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, '1');
  });

  it('has no stream, and leaves no process waiting', async () => {
    const { server } = makeServer();
    const seen: unknown[] = [];
    server.route('/', (ctx) => {
      seen.push(ctx.getStream(), ctx.isWebSocket());
    });
    server.enableInnerWebsocketHandle('/');
    const client = await WsClient.connect(await run(server));
    await client.write(httpRequest('GET', '/')).readResponse();
    await until('the handler', () => seen.length === 2);
    assert.deepEqual(seen, [undefined, false]);
  });
});
