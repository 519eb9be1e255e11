import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { ConnectionClosedError, HandshakeError, LimitError } from '../../lib/errors.ts';
import { answerRequest } from '../../lib/server/answer-request.ts';
import type { Context } from '../../lib/server/context.ts';
import { answerNotFound } from '../../lib/server/hooks.ts';
import type { HttpExchange } from '../../lib/server/http-exchange.ts';
import type { Response } from '../../lib/server/response.ts';
import { Routes } from '../../lib/server/routes.ts';

describe('answerRequest', () => {
  /** A request for `path`, and all that is done to it and said of it. */
  function make(path: string, changes: Partial<HttpExchange> = {}) {
    const calls: string[] = [];
    const say = (what: string, response: Response) => {
      calls.push(`${what}: ${response.getStatusCode()} ${response.getBody()}`);
      return Promise.resolve();
    };
    const exchange = {
      head: { rawPath: path, params: new Map([['of', 'nothing']]) },
      refusal: undefined,
      isOpen: true,
      isStarted: false,
      readBody: async () => Buffer.from('body'),
      endConnection: () => calls.push('end the connection'),
      abandon: (status: number, response: Response) => say(`abandon ${status}`, response),
      close: (response: Response) => say('close', response),
      finish: (response: Response) => say('finish', response),
      ...changes,
    } as unknown as HttpExchange;
    const reported: { error: unknown; ctx: Context }[] = [];
    const routes = new Routes(answerNotFound);
    const answer = () => answerRequest(exchange, routes, async (error, ctx) => void reported.push({ error, ctx }));
    return { calls, exchange, reported, routes, answer };
  }

  /** A request whose handler throws. */
  function makeFailing(error: unknown, changes: Partial<HttpExchange> = {}) {
    const made = make('/', changes);
    made.routes.addRoute('/', (ctx) => {
      ctx.setResponseStatusCode(201).setResponseBody('what was meant');
      throw error;
    });
    return made;
  }

  it('runs the handlers of the path with its parameters and the body, and sends what they set', async () => {
    const { calls, exchange, reported, routes, answer } = make('/chat/a%20b');
    routes.addRoute('/chat/:room', async (ctx) => {
      await undefined;
      ctx.setResponseBody(`${ctx.getRouteParam('room')}: ${ctx.getRequestBody()}`);
    });
    await answer();
    assert.deepEqual(calls, ['finish: 200 a b: body']);
    assert.deepEqual([...exchange.head.params], [['room', 'a b']]);
    assert.deepEqual(reported, []);
  });

  it('runs what stands for a route where there is none', async () => {
    const { calls, exchange, answer } = make('/nowhere');
    await answer();
    assert.deepEqual(calls, ['finish: 404 no route has this path']);
    assert.deepEqual([...exchange.head.params], [['of', 'nothing']]);
  });

  it('closes behind the handlers where these said so', async () => {
    const { calls, routes, answer } = make('/');
    routes.addRoute('/', (ctx) => void ctx.setResponseBody('last').closed());
    await answer();
    assert.deepEqual(calls, ['close: 200 last']);
  });

  it('refuses at once what is not to be handled, and ends the connection', async () => {
    const { calls, routes, answer } = make('/', {
      refusal: new HandshakeError(421, 'not here'),
      readBody: () => assert.fail('is not read'),
    });
    routes.addRoute('/', () => assert.fail('is not handled'));
    await answer();
    assert.deepEqual(calls, ['end the connection', 'abandon 421: 200 not here']);
  });

  it('reports what a handler throws, and answers 500 with nothing of what was set', async () => {
    const error = new Error('of a handler');
    const { calls, reported, answer } = makeFailing(error);
    await answer();
    assert.equal(reported[0]!.error, error);
    assert.equal(reported[0]!.ctx.getRequestBodyString(), 'body');
    assert.deepEqual(calls, ['abandon 500: 200 ']);
  });

  it('leaves the response as it is when some of it was sent', async () => {
    const { calls, answer } = makeFailing(new Error('of a handler'), { isStarted: true });
    await answer();
    assert.deepEqual(calls, ['abandon 500: 201 what was meant']);
  });

  it('says nothing of a client that is gone, and all of anything else', async () => {
    const gone = makeFailing(new ConnectionClosedError(1006, ''), { isOpen: false });
    await gone.answer();
    assert.deepEqual([gone.calls, gone.reported], [[], []]);
    for (const [error, isOpen] of [
      [new ConnectionClosedError(1006, 'of another connection'), true],
      [new Error('of a handler'), false],
    ] as const) {
      const { calls, reported, answer } = makeFailing(error, { isOpen });
      await answer();
      assert.deepEqual([reported.length, calls.length], [1, 1]);
    }
  });

  it('answers 413 to a body that is too large, and does not call that an error of user code', async () => {
    const error = new LimitError('WS_ERR_REQUEST_BODY_TOO_LARGE');
    const { calls, reported, routes, answer } = make('/', { readBody: () => Promise.reject(error) });
    routes.addRoute('/', () => assert.fail('is not handled'));
    await answer();
    assert.deepEqual([calls, reported], [[`abandon 413: 200 ${error.message}`], []]);
  });

  it('reports every other limit, and what only has the code of that one', async () => {
    const alike = Object.assign(new Error('alike'), { code: 'WS_ERR_REQUEST_BODY_TOO_LARGE' });
    for (const error of [new LimitError('WS_ERR_BACKPRESSURE'), alike]) {
      const { calls, reported, answer } = make('/', { readBody: () => Promise.reject(error) });
      await answer();
      assert.deepEqual([calls, reported[0]!.error], [['abandon 500: 200 '], error]);
      assert.equal(reported[0]!.ctx.getRequestBody().length, 0);
      assert.ok(reported[0]!.ctx.getRequestBody() instanceof Buffer);
    }
  });

  it('sends what is set when an error is reported', async () => {
    const { calls, exchange, routes } = makeFailing(new Error('of a handler'));
    await answerRequest(exchange, routes, async (_error, ctx) => void ctx.setResponseBody('sorry'));
    assert.deepEqual(calls, ['abandon 500: 200 sorry']);
    const early = make('/', { readBody: () => Promise.reject(new Error('of the body')) });
    await answerRequest(early.exchange, early.routes, async (_error, ctx) => void ctx.setResponseBody('sorry'));
    assert.deepEqual(early.calls, ['abandon 500: 200 sorry']);
  });
});
