import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as z from 'zod';
import { Server } from '../../lib/server/server.ts';

describe('the options of a route', () => {
  const schema = z.object({});

  /** Registers a route with options that its types would refuse. */
  function register(options: unknown): Server {
    return new Server().route('/a', () => {}, options as never);
  }

  it('are checked when it is registered', () => {
    const wrong: [options: unknown, name: string, message: RegExp][] = [
      [null, 'TypeError', /^route\('\/a', …\): options are an object, such as \{ body: schema \}, and not null$/],
      ['body', 'TypeError', /and not 'body'$/],
      [
        { bodyy: schema },
        'TypeError',
        /^"bodyy" is no option of route\('\/a', …\): did you mean "body"\? there are only, /,
      ],
      [{ schema }, 'TypeError', /^"schema" is no option of route\('\/a', …\): there are only, .*\bbody\b/],
      [{ body: {} }, 'TypeError', /: body takes a Standard Schema, of zod .* and not \{\}$/],
      [{ body: null }, 'TypeError', /and not null$/],
      [{ body: { '~standard': { version: 2, validate() {} } } }, 'TypeError', /body takes a Standard Schema/],
      [{ body: { '~standard': { version: 1 } } }, 'TypeError', /body takes a Standard Schema/],
      [
        { body: schema, invalidBody: 'ignore' },
        'RangeError',
        /invalidBody is 'ignore': give 'close', 'error' or a function$/,
      ],
      [{ only: 'ws' }, 'RangeError', /only is 'ws': give 'websocket' or 'http'$/],
      [{ connected: 5 }, 'TypeError', /^route\('\/a', …\): connected: a handler is a function/],
      [{ only: 'http', closed: () => {} }, 'TypeError', /closed is for WebSockets, and the route is only for 'http'$/],
      [{ invalidBody: 'close' }, 'TypeError', /invalidBody is for a route with a schema: give body as well$/],
    ];
    for (const [options, name, message] of wrong) assert.throws(() => register(options), { name, message });
    for (const options of [
      undefined,
      {},
      { body: undefined, invalidBody: undefined },
      { body: schema },
      { only: 'websocket', upgrade: () => {}, connected: undefined },
    ])
      register(options);
  });

  it('register nothing when they are wrong', () => {
    const server = new Server();
    assert.throws(() => server.route('/a', () => {}, { body: {} } as never));
    server.route('/a', () => {});
  });

  it('have no schema for a handler that reads the messages itself', async () => {
    const server = register({ body: schema }).enableInnerWebsocketHandle('/a').port(0);
    await assert.rejects(server.run(), { code: 'WS_ERR_INVALID_ROUTE', message: /the route "\/a" has a schema/ });
  });
});
