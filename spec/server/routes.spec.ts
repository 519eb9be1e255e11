import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
      const { opening, message, ownsStream } = routes.handlersOf(routes.match(path)?.value);
      return { opening: names(opening), message: names(message), ownsStream };
    };
    return { routes, of };
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
    const { routes, of } = make();
    for (const name of ['1', '2']) {
      routes.addBefore(named(`before ${name}`));
      routes.addAfter(named(`after ${name}`));
      routes.addConnected(named(`connected ${name}`));
    }
    for (const [path, name] of [
      ['/a/7', 'a'],
      ['/b', 'b'],
      ['/c', 'none'],
    ] as const) {
      assert.deepEqual(of(path), {
        opening: ['connected 1', 'connected 2'],
        message: ['before 1', 'before 2', name, 'after 1', 'after 2'],
        ownsStream: false,
      });
    }
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
    assert.deepEqual(of('/c'), { opening: ['connected'], message: ['none'], ownsStream: false });
  });

  it('makes the lists once, and again after each registration', () => {
    const { routes, of } = make();
    const before = routes.handlersOf(undefined);
    assert.equal(routes.handlersOf(undefined), before);
    routes.addBefore(named('before'));
    assert.deepEqual(of('/c').message, ['before', 'none']);
    routes.addAfter(named('after'));
    assert.deepEqual(of('/c').message, ['before', 'none', 'after']);
    routes.addConnected(named('connected'));
    assert.deepEqual(of('/c').opening, ['connected']);
    assert.equal(of('/b').ownsStream, false);
    routes.setOwnsStream('/b', true);
    assert.equal(of('/b').ownsStream, true);
    routes.setOwnsStream('/b', false);
    assert.equal(of('/b').ownsStream, false);
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
