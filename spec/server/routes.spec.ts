import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConnectionEnd } from '../../lib/net/connection-end.ts';
import type { Context } from '../../lib/server/context.ts';
import type { Handler } from '../../lib/server/hooks.ts';
import { Routes } from '../../lib/server/routes.ts';

describe('Routes', () => {
  /** Handlers that only have a name, by which the lists of them can be compared. */
  const named = (name: string): Handler => Object.defineProperty((_ctx: Context) => {}, 'name', { value: name });
  const names = (handlers: readonly Handler[]) => handlers.map((handler) => handler.name);

  function make() {
    const routes = new Routes(named('none'));
    routes.addRoute('/a/:id', named('a'));
    routes.addRoute('/b', named('b'));
    const of = (path: string) => {
      const { pattern, opening, message, ownsStream } = routes.handlersOf(routes.match(path)!.value);
      assert.equal(pattern, routes.match(path)!.pattern);
      return { opening: names(opening), message: names(message), ownsStream };
    };
    const http = (path: string) => names(routes.httpHandlersOf(routes.match(path)?.value));
    return { routes, of, http };
  }

  it('finds the route of a path, with its parameters, and none for another', () => {
    const { routes } = make();
    const match = routes.match('/a/7')!;
    assert.deepEqual([match.value.pattern, match.value.handler.name], ['/a/:id', 'a']);
    assert.equal(match.params.get('id'), '7');
    assert.equal(routes.match('/c'), undefined);
    assert.throws(() => routes.addRoute('/b', named('c')), { code: 'WS_ERR_DUPLICATE_ROUTE' });
  });

  it('runs what goes before, the route and what goes behind, each in order of registration', () => {
    const { routes, of, http } = make();
    for (const name of ['1', '2']) {
      routes.addBefore(named(`before ${name}`));
      routes.addAfter(named(`after ${name}`));
      routes.addConnected(named(`connected ${name}`));
    }
    for (const [path, name] of [
      ['/a/7', 'a'],
      ['/b', 'b'],
    ] as const) {
      const message = ['before 1', 'before 2', name, 'after 1', 'after 2'];
      assert.deepEqual(of(path), { opening: ['connected 1', 'connected 2'], message, ownsStream: false });
      assert.deepEqual(http(path), message);
    }
    assert.deepEqual(http('/c'), ['before 1', 'before 2', 'none', 'after 1', 'after 2']);
  });

  it('has nothing to run for a new WebSocket, unless it is told', () => {
    assert.deepEqual(make().of('/b'), { opening: [], message: ['b'], ownsStream: false });
  });

  it('runs the handlers of a route that owns its stream behind the hooks, and those of others as before', () => {
    const { routes, of } = make();
    routes.addConnected(named('connected'));
    routes.setOwnsStream('/a/:id', true);
    assert.deepEqual(of('/a/7'), { opening: ['connected', 'a'], message: ['a'], ownsStream: true });
    assert.deepEqual(of('/b'), { opening: ['connected'], message: ['b'], ownsStream: false });
  });

  it('makes the lists once, and again after each registration', () => {
    const { routes, of, http } = make();
    const { value } = routes.match('/b')!;
    assert.equal(routes.handlersOf(value), routes.handlersOf(value));
    assert.equal(routes.httpHandlersOf(undefined), routes.httpHandlersOf(undefined));
    routes.addBefore(named('before'));
    assert.deepEqual(
      [of('/b').message, http('/c')],
      [
        ['before', 'b'],
        ['before', 'none'],
      ],
    );
    routes.addAfter(named('after'));
    assert.deepEqual(
      [of('/b').message, http('/c')],
      [
        ['before', 'b', 'after'],
        ['before', 'none', 'after'],
      ],
    );
    routes.addConnected(named('connected'));
    assert.deepEqual(of('/b').opening, ['connected']);
    assert.equal(of('/b').ownsStream, false);
    routes.setOwnsStream('/b', true);
    assert.equal(of('/b').ownsStream, true);
    routes.setOwnsStream('/b', false);
    assert.equal(of('/b').ownsStream, false);
  });

  it('runs the hooks of a route behind those of all', () => {
    const routes = new Routes(named('none'));
    const told: string[] = [];
    const closed = (name: string) => () => void told.push(name);
    routes.addRoute('/a', named('a'), { connected: named('own'), closed: closed('own') });
    routes.addRoute('/b', named('b'));
    routes.addConnected(named('all'));
    routes.addClosed(closed('all'));
    const [a, b] = ['/a', '/b'].map((path) => routes.handlersOf(routes.match(path)!.value));
    assert.deepEqual([names(a!.opening), names(b!.opening)], [['all', 'own'], ['all']]);
    for (const handler of a!.closed) void handler({} as Context, {} as ConnectionEnd);
    assert.deepEqual([told, b!.closed.length], [['all', 'own'], 1]);
    assert.deepEqual(a!.hooks, ['onWebsocketConnected, on the route "/a"', "route('/a', …, { connected })"]);
  });

  it('knows what a route is for', () => {
    const { routes, http } = make();
    routes.addRoute('/ws', named('ws'), { only: 'websocket' });
    routes.addRoute('/http', named('http'), { only: 'http' });
    assert.deepEqual([http('/ws'), http('/http')], [['answerUpgradeRequired'], ['http']]);
    const found = ['/ws', '/http', '/b', '/c'].map((path) => routes.matchUpgrade(path)?.pattern);
    assert.deepEqual(found, ['/ws', undefined, '/b', undefined]);
    routes.setOwnsStream('/http', true);
    assert.throws(() => routes.check(), { code: 'WS_ERR_INVALID_ROUTE', message: /"\/http" is only for 'http'/ });
  });

  it('refuses a pattern that owns its stream and has no route, whatever else has one', () => {
    const { routes } = make();
    routes.check();
    routes.setOwnsStream('/a/:id', true);
    routes.setOwnsStream('/b', true);
    routes.check();
    routes.setOwnsStream('/a/:name', true);
    assert.throws(() => routes.check(), { name: 'InvalidStateError', code: 'WS_ERR_UNKNOWN_ROUTE' });
    routes.setOwnsStream('/a/:name', false);
    routes.check();
  });
});
