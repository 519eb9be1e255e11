import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer, createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createNetServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, it } from 'node:test';
import { type AttachableServer, checkAttachable } from '../../lib/server/attachable.ts';
import { Server } from '../../lib/server/server.ts';

// It ships no types.
const { WebSocketServer } = (await import('ws' as string)) as { WebSocketServer: new (options: object) => unknown };

const nothing = () => {};

describe('checkAttachable', () => {
  it('takes the servers of Node that speak HTTP/1.1, and what says the same events', () => {
    const servers = [createHttpServer(), createHttpsServer({}), createSecureServer({ allowHTTP1: true })];
    for (const server of [...servers, new EventEmitter() as AttachableServer]) checkAttachable(server);
  });

  const mistakes: [what: string, thing: unknown, message: RegExp][] = [
    ['undefined', undefined, /got undefined: .*Nest/],
    ['null', null, /got null: Vite/],
    ['a string', 'http://127.0.0.1:3000', /got 'http:\/\/127\.0\.0\.1:3000': give what createServer/],
    ['a number', 3000, /got 3000: /],
    ['an object', { a: { b: { c: 1 } } }, /got \{ a: \{ b: \[Object\] \} \}: /],
    ['what has no function on', { on: 'no function' }, /got \{ on: 'no function' \}: /],
    ['a promise', Promise.resolve(createHttpServer()), /got a promise: await it/],
    ['a server of this library', new Server(), /got a Server of this library/],
    ['a WebSocketServer', new WebSocketServer({ noServer: true }), /got a WebSocketServer of ws/],
    ['a request listener', nothing, /got a function: .*createServer\(listener\)/],
    ['net', createNetServer(), /does not speak HTTP\/1\.1/],
    ['tls', createTlsServer({}), /does not speak HTTP\/1\.1/],
    ['HTTP/2 without TLS', createHttp2Server(), /does not speak HTTP\/1\.1.*allowHTTP1: true/],
    ['HTTP/2 alone', createSecureServer({}), /does not speak HTTP\/1\.1.*allowHTTP1: true/],
  ];
  for (const [what, thing, message] of mistakes) {
    it(`says what it got: ${what}`, () => {
      assert.throws(
        () => checkAttachable(thing as AttachableServer),
        (error: Error) => {
          assert.equal(error.name, 'TypeError');
          assert.match(error.message, /^attach takes a server of node:http or node:https, and got /);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
