import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RESOLVED } from '../../lib/net/promises.ts';
import { Context } from '../../lib/server/context.ts';
import type { Exchange } from '../../lib/server/exchange.ts';
import { answerNotFound, checkHandler, type Handler, runHandlers } from '../../lib/server/hooks.ts';
import { Topics } from '../../lib/topics/topics.ts';

function makeContext(): Context {
  return new Context({} as Exchange, '');
}

/** What `await` takes for a promise, and is none. */
function thenable(act: () => void): Promise<void> {
  const then = (resolve: () => void) => {
    act();
    resolve();
  };
  return Object.fromEntries([['then', then]]) as unknown as Promise<void>;
}

describe('runHandlers', () => {
  it('makes no promise while all handlers are synchronous', () => {
    const calls: number[] = [];
    const handlers = [1, 2, 3].map((n) => () => void calls.push(n));
    assert.equal(runHandlers(handlers, makeContext()), undefined);
    assert.deepEqual(calls, [1, 2, 3], 'and has run them all when it returns');
    assert.equal(runHandlers([], makeContext()), undefined);
  });

  it('does not wait for a send that need not', () => {
    const calls: number[] = [];
    const handlers = [1, 2].map((n) => () => {
      calls.push(n);
      return RESOLVED;
    });
    assert.equal(runHandlers(handlers, makeContext()), undefined);
    assert.deepEqual(calls, [1, 2]);
  });

  it('does not wait for a message that is published already, and has one in one process be that', async () => {
    const topics = new Topics();
    const handler = (): Promise<unknown> => topics.publish('a', 'body');
    assert.equal(runHandlers([handler as Handler, handler as Handler], makeContext()), undefined);
    const earlier = topics.publish('a', 'body');
    await topics.publish('a', 'body', { id: 'known' });
    assert.equal(runHandlers([() => topics.publish('a', 'body', { id: 'known' })], makeContext()), undefined);
    assert.ok(runHandlers([(() => earlier) as Handler], makeContext()) instanceof Promise, 'only the last is known');
    await topics.close();
  });

  it('waits for each handler that returns a promise, and only for those', async () => {
    const calls: string[] = [];
    const handlers: Handler[] = [
      () => void calls.push('1'),
      async () => {
        await Promise.resolve();
        calls.push('2');
      },
      () => void calls.push('3'),
      () => thenable(() => calls.push('4')),
      () => void calls.push('5'),
    ];
    const pending = runHandlers(handlers, makeContext());
    assert.deepEqual(calls, ['1']);
    await pending;
    assert.deepEqual(calls, ['1', '2', '3', '4', '5']);
  });

  it('does not wait for what is no promise', () => {
    for (const value of [5, 'then', null, {}, Object.fromEntries([['then', 1]]), () => {}]) {
      assert.equal(runHandlers([(() => value) as unknown as Handler], makeContext()), undefined);
    }
  });

  it('runs nothing behind a handler that aborts, synchronous or not', async () => {
    for (const abort of [
      (ctx: Context) => void ctx.aborted(),
      async (ctx: Context) => {
        await Promise.resolve();
        ctx.aborted();
      },
    ]) {
      await runHandlers([abort, () => assert.fail('does not run')], makeContext());
      await runHandlers([async () => {}, abort, () => assert.fail('does not run')], makeContext());
    }
    const aborted = makeContext().aborted();
    assert.equal(runHandlers([() => assert.fail('does not run')], aborted), undefined);
  });

  it('goes on when the abort is taken back', async () => {
    const ctx = makeContext();
    let ran = 0;
    await runHandlers([(c) => void c.aborted(), (c) => void c.cancelAborted()], ctx);
    assert.ok(ctx.getAborted(), 'the second did not run');
    await runHandlers(
      [(c) => void c.aborted().cancelAborted(), async () => void ran++, () => void ran++],
      makeContext(),
    );
    assert.equal(ran, 2);
  });

  it('throws what a synchronous handler throws, and rejects with what others do; nothing runs behind it', async () => {
    const fail = () => {
      throw new Error('mine');
    };
    const never = () => assert.fail('does not run');
    assert.throws(() => runHandlers([fail, never], makeContext()), /mine/);
    await assert.rejects(runHandlers([async () => fail(), never], makeContext())!, /mine/);
    await assert.rejects(runHandlers([async () => {}, fail, never], makeContext())!, /mine/);
  });
});

describe('checkHandler', () => {
  it('refuses what is no function, and says what it is', () => {
    const wrong: [handler: unknown, type: string][] = [
      [undefined, 'undefined'],
      [null, 'null'],
      [{}, 'an object'],
      ['handler', "the string 'handler'"],
      [Promise.resolve(), 'a promise'],
    ];
    for (const [handler, type] of wrong) {
      assert.throws(() => checkHandler('route', handler), {
        name: 'TypeError',
        message: `route: a handler is a function, (ctx) => { … }, and this one is ${type}: give the function itself, and not what it returns`,
      });
    }
    assert.equal(checkHandler('route', answerNotFound), answerNotFound);
  });
});

describe('answerNotFound', () => {
  it('sets 404, unless somebody has set something', () => {
    const empty = makeContext();
    answerNotFound(empty);
    assert.equal(empty.getResponse().getStatusCode(), 404);
    assert.equal(empty.getResponse().getBody(), 'no route has this path');
    const set = makeContext().setResponseBody('mine');
    answerNotFound(set);
    assert.deepEqual([set.getResponse().getStatusCode(), set.getResponse().getBody()], [200, 'mine']);
  });
});
