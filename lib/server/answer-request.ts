import { Buffer } from 'node:buffer';
import { ConnectionClosedError, InvalidBodyError, LimitError } from '../errors.ts';
import { answerInvalidBody } from './body-schema.ts';
import { Context } from './context.ts';
import { runHandlers } from './hooks.ts';
import type { HttpExchange } from './http-exchange.ts';
import { Response } from './response.ts';
import type { Routes } from './routes.ts';
import type { ReportError } from './upgrades.ts';

/** Answers a plain HTTP request: reads its body, runs the handlers of its path, and sends what they set. Never rejects. */
export async function answerRequest(exchange: HttpExchange, routes: Routes, reportError: ReportError): Promise<void> {
  const response = new Response();
  const { refusal } = exchange;
  if (refusal !== undefined) {
    exchange.endConnection();
    exchange.abandon(refusal.httpStatus, response.setBody(refusal.message));
    return;
  }
  const match = routes.match(exchange.head.rawPath);
  if (match !== undefined) exchange.head.params = match.params;
  let ctx = new Context(exchange, Buffer.alloc(0), response);
  try {
    ctx = new Context(exchange, await exchange.readBody(), response);
    await runHandlers(routes.httpHandlersOf(match?.value), ctx);
    if (ctx.getClosed()) await exchange.close(response);
    else await exchange.finish(response);
  } catch (error) {
    if (error instanceof ConnectionClosedError && !exchange.isOpen) return;
    // Nothing of what was meant for a success goes out with an error.
    if (!exchange.isStarted) response.clear();
    const isTooLarge = error instanceof LimitError && error.code === 'WS_ERR_REQUEST_BODY_TOO_LARGE';
    if (isTooLarge) response.setBody(error.message);
    else await reportError(error, ctx);
    if (error instanceof InvalidBodyError && !response.isSet && !exchange.isStarted) answerInvalidBody(error, ctx);
    exchange.abandon(isTooLarge ? 413 : 500, response);
  }
}
