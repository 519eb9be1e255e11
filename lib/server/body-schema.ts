import { inspect } from 'node:util';
import { type BodyIssue, InvalidBodyError } from '../errors.ts';
import type { Context } from './context.ts';
import { type Handler, type HandlerResult, isThenable } from './hooks.ts';
import type { StandardSchema, StandardSchemaIssue, StandardSchemaResult } from './standard-schema.ts';

/**
 * What happens to a body that is not what the schema of its route says.
 *
 * - `'close'`, the default: a WebSocket is closed with 1007 and the first issue as reason, a plain request gets 400 with the
 *   issues as JSON. The handler does not run.
 * - `'error'`: the same for the peer, but the InvalidBodyError goes to `errorHandle`, as if the handler had thrown it.
 * - a function: it runs in place of the handler, and may answer; a WebSocket stays open. The status of a plain response is 400
 *   unless it sets another.
 */
export type InvalidBodyPolicy<Attributes extends object = object> =
  | 'close'
  | 'error'
  | ((ctx: Context<Attributes>, error: InvalidBodyError) => void | Promise<void>);

/** How many issues a peer is told: a body of 1 MiB may have a hundred thousand. */
const MAX_ISSUES_TOLD = 20;

/** An error that closes a WebSocket, and that nobody is told of: it was expected. */
export class BodyRefusal {
  readonly error: InvalidBodyError;

  constructor(error: InvalidBodyError) {
    this.error = error;
  }
}

/** Returns a schema as it is. @throws {TypeError} when it is none */
export function checkSchema(route: string, schema: StandardSchema): StandardSchema {
  const standard: unknown = (schema as Partial<StandardSchema> | null)?.['~standard'];
  const { version, validate } = (standard ?? {}) as { version?: unknown; validate?: unknown };
  if (version === 1 && typeof validate === 'function') return schema;
  throw new TypeError(
    `${route}: body takes a Standard Schema, of zod 3.24, valibot 1.0 or arktype 2.0 and later for example, and not ${inspect(schema, { depth: 0 })}`,
  );
}

/** Has `handler` run for bodies that `schema` takes, with what it makes of them as `getRequestBodyJson()`. */
export function withBodySchema(schema: StandardSchema, policy: InvalidBodyPolicy, handler: Handler): Handler {
  const decide = (result: StandardSchemaResult<unknown>, ctx: Context): HandlerResult => {
    if (result.issues !== undefined) return refuse(result.issues.map(toBodyIssue), policy, ctx);
    ctx.setBodyJson(result.value);
    return handler(ctx);
  };
  return (ctx) => {
    let value: unknown;
    try {
      value = JSON.parse(ctx.getRequestBodyString());
    } catch (error) {
      return refuse([{ message: `it is not JSON: ${(error as Error).message}`, path: [] }], policy, ctx, error);
    }
    const result = schema['~standard'].validate(value);
    if (!isThenable(result)) return decide(result, ctx);
    return result.then((settled) => decide(settled, ctx));
  };
}

function refuse(
  issues: readonly BodyIssue[],
  policy: InvalidBodyPolicy,
  ctx: Context,
  cause?: unknown,
): void | Promise<void> {
  const error = new InvalidBodyError(issues, cause === undefined ? undefined : { cause });
  if (policy === 'error') throw error;
  if (policy === 'close' && ctx.isWebSocket()) throw new BodyRefusal(error);
  if (!ctx.isWebSocket()) ctx.setResponseStatusCode(400);
  if (policy !== 'close') return policy(ctx, error);
  answerInvalidBody(error, ctx);
}

/** Sets the response to a plain request whose body is not what it should be. */
export function answerInvalidBody(error: InvalidBodyError, ctx: Context): void {
  const issues = error.issues
    .slice(0, MAX_ISSUES_TOLD)
    .map(({ message, path }) => ({ message, path: path.map(toJsonKey) }));
  ctx.setResponseStatusCode(400).setResponseHeader('Content-Type', 'application/json');
  ctx.setResponseBody(JSON.stringify({ error: error.message, issues }));
}

function toBodyIssue({ message, path }: StandardSchemaIssue): BodyIssue {
  return { message, path: (path ?? []).map((part) => (typeof part === 'object' ? part.key : part)) };
}

function toJsonKey(key: PropertyKey): string | number {
  return typeof key === 'symbol' ? String(key) : key;
}
