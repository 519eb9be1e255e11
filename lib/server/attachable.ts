import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import type { Server as HttpsServer } from 'node:https';
import { show } from '../wording.ts';

/**
 * What frameworks call a server. It must speak HTTP/1.1, in which WebSockets are opened: one of `node:http`,
 * `node:https`, or of `node:http2` with TLS and `allowHTTP1`.
 */
export type AttachableServer = HttpServer | HttpsServer | Http2SecureServer | Http2Server;

/** What stands where a server should, as far as it is known: what it is, and what to give instead. */
type Mistake = readonly [is: (thing: Record<string, unknown>) => boolean, what: string, advice: string];

const MISTAKES: readonly Mistake[] = [
  [has('route', 'attach', 'handleUpgrade'), 'a Server of this library', 'that listens by itself: run() it'],
  [has('handleUpgrade', 'shouldHandle'), 'a WebSocketServer of ws', 'give the server that it is on'],
  [has('attachApp', 'of'), 'a Server of Socket.IO', 'give its httpServer'],
  [has('getHttpServer'), 'a Nest application', 'give app.getHttpServer()'],
  [has('inject', 'addHook'), 'a Fastify instance', 'give fastify.server'],
  [has('callback', 'createContext'), 'a Koa application', 'give what app.listen() returned'],
  [has('getRequestHandler'), 'a Next application', 'give the server that calls its request handler'],
  [has('transformRequest'), "Vite's dev server", 'give its httpServer'],
  [has('fetch', 'basePath'), 'a Hono application', 'give what serve() of @hono/node-server returned'],
  [has('handle', 'listen'), 'an Express application', 'give what app.listen() returned'],
  // Behind an instance of Fastify, which is one too.
  [has('then'), 'a promise', 'await it'],
  [isFunction, 'a function', 'give the server that calls it: createServer(listener)'],
  [
    (thing) => has('getConnections')(thing) && !('headersTimeout' in thing),
    'a server that does not speak HTTP/1.1, in which WebSockets are opened',
    'of node:http2 it is createSecureServer({ allowHTTP1: true })',
  ],
];

/**
 * Checks that something is a server that upgrade requests come to.
 *
 * @throws {TypeError} which says what it is instead
 */
export function checkAttachable(server: AttachableServer | null | undefined): asserts server is AttachableServer {
  const [what, advice] = explain(server) ?? [];
  if (what === undefined) return;
  throw new TypeError(`attach takes a server of node:http or node:https, and got ${what}: ${advice}`);
}

function explain(thing: unknown): readonly [what: string, advice: string] | undefined {
  if (thing === undefined) {
    return [
      'undefined',
      'it is not made yet. Nest makes it behind the constructors: attach in onModuleInit, or in main.ts',
    ];
  }
  if (thing === null) return ['null', 'Vite has no server in middleware mode: give the one that it is a middleware of'];
  if (typeof thing === 'object' || typeof thing === 'function') {
    const mistake = MISTAKES.find(([is]) => is(thing as Record<string, unknown>));
    if (mistake !== undefined) return [mistake[1], mistake[2]];
    if (has('on', 'off', 'listeners')(thing as Record<string, unknown>)) return undefined;
  }
  return [show(thing), 'give what createServer() returned, or listen() of a framework'];
}

function has(...methods: readonly string[]): (thing: Record<string, unknown>) => boolean {
  return (thing) => methods.every((method) => typeof thing[method] === 'function');
}

function isFunction(thing: unknown): boolean {
  return typeof thing === 'function';
}
