import { type } from 'arktype';
import { type Context, type Handler, InvalidBodyError, type RouteOptions, Server } from 'hyperlane-ws';
import * as v from 'valibot';
import * as z from 'zod';

/**
 * What the types of an application allow and refuse. Never run: the compiler reads it, here and in types.spec.ts, which
 * takes the marks of the errors out, and counts them.
 */

interface User {
  readonly name: string;
}

interface Attributes {
  user: User;
  room: string;
}

function same<T>(_value: T): void {}

export function untyped(): void {
  const server = new Server();
  server.requestMiddleware((ctx) => {
    same<string | undefined>(ctx.getAttribute<string>('name'));
    same<unknown>(ctx.getAttribute('name'));
    ctx.setAttribute('name', 'Ada').setAttribute('age', 36).removeAttribute('age').clearAttribute();
    const name = ctx.getAttribute('name');
    // @ts-expect-error: nobody said what it is
    same<string | undefined>(name);
    // @ts-expect-error: a name is a string
    ctx.setAttribute(1, 'Ada');
  });
  server.errorHandle((_error, ctx) => same<Context>(ctx));
  const handler: Handler = (ctx: Context): void => {
    same<{ a: number }>(ctx.getRequestBodyJson<{ a: number }>());
    same<unknown>(ctx.getRequestBodyJson());
  };
  server.route('/', handler);
}

export function typed(): void {
  const server = new Server<Attributes>({ port: 0 });
  const handler = (ctx: Context<Attributes>): void => {
    same<User | undefined>(ctx.getAttribute('user'));
    ctx
      .setAttribute('user', { name: 'Ada' })
      .setAttribute('room', 'green')
      .setResponseStatusCode(200)
      .removeAttribute('room');
    // @ts-expect-error: it may not be there
    same<User>(ctx.getAttribute('user'));
    // @ts-expect-error: it is no text
    same<string | undefined>(ctx.getAttribute('user'));
    // @ts-expect-error: a user is no number
    ctx.setAttribute('user', 1);
    // @ts-expect-error: a slip of the pen
    ctx.getAttribute('usr');
    // @ts-expect-error: the same
    ctx.setAttribute('usr', { name: 'Ada' });
    // @ts-expect-error: and again
    ctx.removeAttribute('usr');
    // @ts-expect-error: what it is is known
    ctx.getAttribute<string>('user');
  };
  server
    .host('127.0.0.1')
    .requestMiddleware(handler)
    .responseMiddleware(handler)
    .upgradeMiddleware(handler)
    .onWebsocketConnected(handler)
    .errorHandle((_error, ctx) => handler(ctx))
    .route('/', handler)
    .route('/inline', async (ctx) => same<string | undefined>(ctx.getAttribute('room')));
}

export function shared(): void {
  const anywhere: Handler = (ctx) => void ctx.setAttribute('id', 1);
  new Server<Attributes>().requestMiddleware(anywhere).route('/', anywhere);
  const setUp = (server: Server): Server => server.requestMiddleware(anywhere);
  setUp(new Server<Attributes>());
  const special: Handler<Attributes> = (ctx) => void ctx.getAttribute('user');
  // @ts-expect-error: its users are not declared here
  new Server().requestMiddleware(special);
  // @ts-expect-error: they are others here
  new Server<{ user: string; room: string }>().requestMiddleware(special);
}

export function bodies(): void {
  const server = new Server<Attributes>();
  const schema = z.object({ text: z.string(), count: z.number().default(1) });
  server.route(
    '/zod',
    async (ctx) => {
      const body = ctx.getRequestBodyJson();
      same<string>(body.text);
      same<number>(body.count);
      same<User | undefined>(ctx.getAttribute('user'));
      await ctx.sendResponseJson(body);
      // @ts-expect-error: the schema has no such key
      body.txt;
    },
    {
      body: schema,
      invalidBody: (ctx, error) => same<[User | undefined, string]>([ctx.getAttribute('user'), error.message]),
    },
  );
  server.route('/valibot', (ctx) => same<number>(ctx.getRequestBodyJson().n), { body: v.object({ n: v.number() }) });
  server.route('/arktype', (ctx) => same<number>(ctx.getRequestBodyJson().n), { body: type({ n: 'number' }) });
  server.route('/changed', (ctx) => same<number>(ctx.getRequestBodyJson()), { body: z.string().transform(Number) });
  server.route('/later', (ctx) => same<string>(ctx.getRequestBodyJson()), {
    body: z.string().refine(async () => true),
  });
  server.route('/error', () => {}, { body: schema, invalidBody: 'error' });
  server.errorHandle((error) => {
    if (error instanceof InvalidBodyError) same<readonly PropertyKey[] | undefined>(error.issues[0]?.path);
  });

  const named = (ctx: Context<Attributes, { n: number }>): void => same<number>(ctx.getRequestBodyJson().n);
  server.route('/named', named, { body: v.object({ n: v.number() }) });
  const options: RouteOptions = {};
  server.route('/options', () => {}, options);
  // @ts-expect-error: nothing checks that it is so
  server.route('/unchecked', named);
  // @ts-expect-error: the schema is of something else
  server.route('/other', named, { body: z.object({ m: z.number() }) });
  // @ts-expect-error: this is no schema
  server.route('/none', () => {}, { body: { type: 'object' } });
  // @ts-expect-error: there is no such policy
  server.route('/policy', () => {}, { body: schema, invalidBody: 'ignore' });
  // @ts-expect-error: there is no such option
  server.route('/option', () => {}, { bodyy: schema });
}
