import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { type } from 'arktype';
import * as v from 'valibot';
import * as z from 'zod';
import { InvalidBodyError } from '../../lib/errors.ts';
import type { InvalidBodyPolicy } from '../../lib/server/body-schema.ts';
import type { Context } from '../../lib/server/context.ts';
import type { StandardSchema, StandardSchemaResult } from '../../lib/server/standard-schema.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { httpRequest, type ResponseHead, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

const point = z.object({ x: z.number(), y: z.number().default(0) });

/** A schema that gives back what it is told to. */
function schemaOf(
  validate: (value: unknown) => StandardSchemaResult<unknown> | Promise<StandardSchemaResult<unknown>>,
) {
  return { '~standard': { version: 1, vendor: 'spec', validate } } satisfies StandardSchema;
}

/** A server whose route `/` answers with the JSON that its handler got, and what was handled. */
async function serve(body: StandardSchema, invalidBody?: InvalidBodyPolicy) {
  const { server, errors } = makeServer();
  const handled: unknown[] = [];
  server.route(
    '/',
    async (ctx) => {
      handled.push(ctx.getRequestBodyJson());
      await ctx.sendResponseJson(ctx.getRequestBodyJson());
    },
    { body, invalidBody },
  );
  return { server, errors, handled, port: await run(server) };
}

async function post(port: number, body: string): Promise<ResponseHead & { body: string }> {
  const client = await WsClient.connect(port);
  const headers = { 'Content-Length': String(Buffer.byteLength(body)) };
  return client.write(`${httpRequest('POST', '/', headers)}${body}`).readResponse();
}

describe('the schema of a route', () => {
  const schemas: [name: string, schema: StandardSchema][] = [
    ['zod', z.object({ n: z.number().min(1) })],
    ['valibot', v.object({ n: v.pipe(v.number(), v.minValue(1)) })],
    ['arktype', type({ n: 'number >= 1' })],
    ['zod, with a check that takes time', z.object({ n: z.number().refine(async (n) => n >= 1) })],
  ];

  for (const [name, schema] of schemas) {
    it(`lets pass what it takes, and nothing else: ${name}`, async () => {
      const { port, errors, handled } = await serve(schema);
      const client = await WsClient.open(port);
      assert.deepEqual(await client.send('{"n":1}').send(Buffer.from('{"n":2}')).receiveAll(2), ['{"n":1}', '{"n":2}']);
      const close = await client.send('{"n":0}').send('{"n":3}').receiveClose();
      assert.equal(close.code, 1007);
      assert.match(close.reason, /^invalid body at n: ./);

      assert.equal((await post(port, '{"n":4}')).body, '{"n":4}');
      const refused = await post(port, '{"n":"5"}');
      assert.deepEqual([refused.status, refused.headers.get('content-type')], [400, 'application/json']);
      const answer = JSON.parse(refused.body);
      assert.match(answer.error, /^invalid body at n: ./);
      assert.deepEqual(answer.issues[0].path, ['n']);
      assert.deepEqual(handled, [{ n: 1 }, { n: 2 }, { n: 4 }]);
      assert.deepEqual(errors, []);
    });
  }

  it('makes of a body what the handler gets, the same at each call', async () => {
    const { server } = makeServer();
    server.route(
      '/',
      (ctx) => {
        const { x, y } = ctx.getRequestBodyJson();
        const same = ctx.getRequestBodyJson() === ctx.getRequest().getBodyJson();
        void ctx.sendResponseJson([x, y, same, ctx.getRequestBodyString(), ctx.getRequestPath()]);
      },
      { body: point },
    );
    const client = await WsClient.open(await run(server));
    assert.deepEqual(JSON.parse((await client.send('{"x":1}').receive()) as string), [1, 0, true, '{"x":1}', '/']);
  });

  it('sees the body that a middleware put in place, and is past once the handler puts another', async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => void ctx.setRequestBody(`{"x":${ctx.getRequestBodyString()}}`));
    server.route(
      '/',
      (ctx) => {
        const { x } = ctx.getRequestBodyJson();
        ctx.setRequestBody('"other"');
        void ctx.sendResponseJson([x, ctx.getRequestBodyJson<string>()]);
      },
      { body: point },
    );
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('7').receive(), '[7,"other"]');
  });

  it('runs before the handler alone: middleware sees every body, and what is refused', async () => {
    const { server } = makeServer();
    const seen: string[] = [];
    server.requestMiddleware((ctx) => void seen.push(`before ${ctx.getRequestBodyString()}`));
    server.responseMiddleware((ctx) => {
      seen.push(`after ${ctx.getResponse().getStatusCode()}`);
      ctx.setResponseHeader('Access-Control-Allow-Origin', '*');
    });
    server.route('/', () => assert.fail('it does not run'), { body: point });
    const refused = await post(await run(server), '[]');
    assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [400, '*']);
    assert.deepEqual(seen, ['before []', 'after 400']);
  });

  it('is not asked about what is no JSON', async () => {
    const { port, handled } = await serve(schemaOf(() => assert.fail('it is asked')));
    for (const text of ['', 'text', '{"x":', '\u0000']) {
      const close = await (await WsClient.open(port)).send(text).receiveClose();
      assert.equal(close.code, 1007);
      assert.match(close.reason, /^invalid body: it is not JSON: /);
      const { status, body } = await post(port, text);
      assert.equal(status, 400);
      assert.deepEqual(JSON.parse(body).issues[0].path, []);
    }
    assert.deepEqual(handled, []);
  });

  it('is not fooled by keys that objects have', async () => {
    const { port } = await serve(z.object({ x: z.number() }).strict());
    for (const text of ['{"__proto__":{"x":1}}', '{"x":1,"constructor":1}']) {
      assert.equal((await post(port, text)).status, 400);
    }
  });

  it('tells a peer of some issues, and the application of all', async () => {
    const many = JSON.stringify(new Array(5000).fill('x'));
    const { port } = await serve(z.array(z.number()));
    const answer = JSON.parse((await post(port, many)).body);
    assert.equal(answer.issues.length, 20);
    assert.match(answer.error, /\(and 4999 more\)$/);
    const close = await (await WsClient.open(port)).send(many).receiveClose();
    assert.equal(close.code, 1007);

    const told: number[] = [];
    const lenient = await serve(z.array(z.number()), (_ctx, error) => void told.push(error.issues.length));
    assert.equal((await post(lenient.port, many)).status, 400);
    assert.deepEqual(told, [5000]);
  });

  it('may wrap the keys of a path, and have symbols among them', async () => {
    const issues = [{ message: 'wrong', path: [{ key: 'a' }, 0, Symbol('s')] }, { message: 'also wrong' }];
    const { port } = await serve(schemaOf(() => ({ issues })));
    const answer = JSON.parse((await post(port, '1')).body);
    assert.deepEqual(answer, {
      error: 'invalid body at a.0.Symbol(s): wrong (and 1 more)',
      issues: [
        { message: 'wrong', path: ['a', 0, 'Symbol(s)'] },
        { message: 'also wrong', path: [] },
      ],
    });
  });

  it('may tell of no issue in particular', async () => {
    const { port } = await serve(schemaOf(() => ({ issues: [] })));
    const { code, reason } = await (await WsClient.open(port)).send('1').receiveClose();
    assert.deepEqual([code, reason], [1007, 'a body is not what the schema of its route says']);
  });

  it('has long reasons cut to what a Close frame holds', async () => {
    const { port } = await serve(schemaOf(() => ({ issues: [{ message: 'é'.repeat(200) }] })));
    const { reason } = await (await WsClient.open(port)).send('1').receiveClose();
    assert.match(reason, /^invalid body: é+$/);
    assert.ok(Buffer.byteLength(reason) <= 123);
  });

  it('that throws, at once or later, is an error of the application', async () => {
    for (const validate of [() => assert.fail('broken'), async () => assert.fail('broken')]) {
      const { port, errors, handled } = await serve(schemaOf(validate));
      assert.deepEqual(await (await WsClient.open(port)).send('1').receiveClose(), { code: 1011, reason: '' });
      assert.equal((await post(port, '1')).status, 500);
      assert.deepEqual([errors.map((error) => (error as Error).message), handled], [['broken', 'broken'], []]);
    }
  });

  it('that calls itself too deeply ends neither the process nor another connection', async () => {
    interface Nested {
      readonly inner?: Nested | undefined;
    }
    const nested: z.ZodType<Nested> = z.object({ inner: z.lazy(() => nested).optional() });
    const { port } = await serve(nested);
    const other = await WsClient.open(port);
    const depth = 50_000;
    const { code } = await (await WsClient.open(port))
      .send(`${'{"inner":'.repeat(depth)}{}${'}'.repeat(depth)}`)
      .receiveClose();
    assert.ok(code === 1011 || code === 1007, `${code}`);
    assert.equal(await other.send('{}').receive(), '{}');
  });

  it('has messages wait for one that takes time, in order', async () => {
    const gates: (() => void)[] = [];
    const slow = schemaOf((value) => new Promise((resolve) => gates.push(() => resolve({ value }))));
    const { port, handled } = await serve(slow);
    const client = await WsClient.open(port);
    client.send('1').send('2').send('3');
    for (let i = 0; i < 3; i++) {
      while (gates.length <= i) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.equal(gates.length, i + 1);
      gates[i]!();
      assert.equal(await client.receive(), String(i + 1));
    }
    assert.deepEqual(handled, [1, 2, 3]);
  });

  it('that takes time does no harm to a client that leaves meanwhile', async () => {
    let open!: () => void;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { port, errors } = await serve(schemaOf(async () => opened.then(() => ({ issues: [] }))));
    const client = await WsClient.open(port);
    client.send('1');
    await new Promise((resolve) => setTimeout(resolve, 5));
    client.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 5));
    open();
    assert.equal((await post(port, '1')).status, 400);
    assert.deepEqual(errors, []);
  });
});

describe('invalidBody', () => {
  it("'error': has errorHandle told, which may answer", async () => {
    const { server, port, errors, handled } = await serve(point, 'error');
    const { code, reason } = await (await WsClient.open(port)).send('{}').receiveClose();
    assert.equal(code, 1007);
    assert.match(reason, /^invalid body at x: /);
    const refused = await post(port, '{}');
    assert.equal(refused.status, 400);
    assert.equal(JSON.parse(refused.body).issues.length, 1);
    assert.deepEqual([errors.length, handled], [2, []]);
    for (const error of errors) {
      assert.ok(error instanceof InvalidBodyError);
      assert.equal(error.code, 'WS_ERR_INVALID_BODY');
      assert.deepEqual(error.issues[0]!.path, ['x']);
    }
    server.errorHandle((_error, ctx) => void ctx.setResponseStatusCode(422).setResponseBody('no'));
    const answered = await post(port, '{}');
    assert.deepEqual([answered.status, answered.body], [422, 'no']);
  });

  it('a function: may answer, and the WebSocket goes on', async () => {
    const policy = async (ctx: Context, error: InvalidBodyError) => {
      await undefined;
      await ctx.sendResponseJson({ wrong: error.issues[0]!.path });
    };
    const { port, handled, errors } = await serve(point, policy);
    const client = await WsClient.open(port);
    const answers = await client.send('{}').send('{"x":1}').receiveAll(2);
    assert.deepEqual(answers, ['{"wrong":["x"]}', '{"x":1,"y":0}']);
    const refused = await post(port, '{}');
    assert.deepEqual([refused.status, refused.body], [400, '{"wrong":["x"]}']);
    assert.deepEqual([handled, errors], [[{ x: 1, y: 0 }], []]);
  });

  it('a function that throws is a handler that throws', async () => {
    const { port, errors } = await serve(point, () => assert.fail('broken'));
    assert.equal((await (await WsClient.open(port)).send('{}').receiveClose()).code, 1011);
    assert.equal((await post(port, '{}')).status, 500);
    assert.equal(errors.length, 2);
  });

  it('tells why a body is no JSON', async () => {
    const causes: unknown[] = [];
    const { port } = await serve(point, (_ctx, error) => void causes.push(error.cause));
    await post(port, '{');
    assert.ok(causes[0] instanceof SyntaxError);
  });
});
