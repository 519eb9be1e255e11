import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidStateError } from '../../lib/errors.ts';
import { RouteMatcher } from '../../lib/server/route-matcher.ts';

/** A matcher of these patterns, each of which is its own value. */
function matcherOf(...patterns: string[]): RouteMatcher<string> {
  const matcher = new RouteMatcher<string>();
  for (const pattern of patterns) matcher.add(pattern, pattern);
  return matcher;
}

/** The pattern that fits a path, and its parameters. */
function match(
  matcher: RouteMatcher<string>,
  path: string,
): [pattern: string, params: Record<string, string>] | undefined {
  const found = matcher.match(path);
  if (found === undefined) return undefined;
  assert.equal(found.value, found.pattern);
  return [found.pattern, Object.fromEntries(found.params)];
}

describe('RouteMatcher', () => {
  it('finds static paths, to the letter', () => {
    const matcher = matcherOf('/', '/chat', '/chat/', '/chat/room', '/constructor', '/__proto__');
    for (const path of ['/', '/chat', '/chat/', '/chat/room', '/constructor', '/__proto__']) {
      assert.deepEqual(match(matcher, path), [path, {}]);
    }
    for (const path of ['', '*', 'chat', '/Chat', '/chat/room/', '//', '/chat//room', '/toString', '/chat?x', '/cha']) {
      assert.equal(match(matcher, path), undefined, path);
    }
  });

  it('finds parameters, each one segment that is not empty', () => {
    const matcher = matcherOf('/room/:id', '/room/:id/user/:user');
    assert.deepEqual(match(matcher, '/room/7'), ['/room/:id', { id: '7' }]);
    assert.deepEqual(match(matcher, '/room/7/user/ann'), ['/room/:id/user/:user', { id: '7', user: 'ann' }]);
    for (const path of ['/room', '/room/', '/room/7/', '/room/7/user', '/room/7/user/', '/room//user/x']) {
      assert.equal(match(matcher, path), undefined, path);
    }
  });

  it('prefers a static segment to a parameter, and comes back from one that leads nowhere', () => {
    const matcher = matcherOf('/:a/x', '/b/:c', '/b/x/y', '/:a/:b/z', '/:all');
    assert.deepEqual(match(matcher, '/b/x'), ['/b/:c', { c: 'x' }]);
    assert.deepEqual(match(matcher, '/q/x'), ['/:a/x', { a: 'q' }]);
    assert.deepEqual(match(matcher, '/b/x/y'), ['/b/x/y', {}]);
    assert.deepEqual(match(matcher, '/b/x/z'), ['/:a/:b/z', { a: 'b', b: 'x' }]);
    assert.deepEqual(match(matcher, '/b'), ['/:all', { all: 'b' }]);
  });

  it('has names of their own for patterns of the same shape', () => {
    const matcher = matcherOf('/a/:x/b', '/a/:y/c');
    assert.deepEqual(match(matcher, '/a/1/b'), ['/a/:x/b', { x: '1' }]);
    assert.deepEqual(match(matcher, '/a/1/c'), ['/a/:y/c', { y: '1' }]);
  });

  it('decodes each segment behind the split, and takes what is no encoding as it is', () => {
    const matcher = matcherOf('/room/:id', '/caf\u00e9/:id', '/a b');
    assert.deepEqual(match(matcher, '/room/a%20b%2Fc%C3%A9'), ['/room/:id', { id: 'a b/cé' }]);
    assert.deepEqual(match(matcher, '/room/%'), ['/room/:id', { id: '%' }]);
    assert.deepEqual(match(matcher, '/room/%ff'), ['/room/:id', { id: '%ff' }]);
    assert.deepEqual(match(matcher, '/room/__proto__'), ['/room/:id', JSON.parse('{"id":"__proto__"}')]);
    assert.deepEqual(match(matcher, '/caf%C3%A9/1'), ['/caf\u00e9/:id', { id: '1' }]);
    assert.deepEqual(match(matcher, '/a%20b'), ['/a b', {}]);
  });

  it('takes a parameter with any name', () => {
    const found = matcherOf('/:__proto__/:constructor').match('/a/b');
    assert.deepEqual(
      [...found!.params],
      [
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ],
    );
  });

  it('refuses a pattern that is there already, also under other names', () => {
    const matcher = matcherOf('/', '/a', '/a/:x', '/a/:x/b');
    for (const pattern of ['/', '/a', '/a/:x', '/a/:y', '/a/:y/b']) {
      assert.throws(
        () => matcher.add(pattern, pattern),
        (error) => {
          assert.ok(error instanceof InvalidStateError);
          return error.code === 'WS_ERR_DUPLICATE_ROUTE' && error.message.includes(pattern);
        },
      );
    }
    assert.throws(() => matcher.add('/a', ''), {
      message: 'the route "/a" is registered already: keep one of the two',
    });
    assert.throws(() => matcher.add('/a/:y', ''), {
      message: 'the route "/a/:y", which fits the same paths as "/a/:x", is registered already: keep one of the two',
    });
    assert.deepEqual([matcher.get('/a/:x'), matcher.get('/a/:y')], ['/a/:x', undefined]);
    assert.deepEqual(match(matcher, '/a/1'), ['/a/:x', { x: '1' }], 'the first stays');
  });

  it('refuses what is no pattern, and says what would be one', () => {
    const wrong: [patterns: unknown[], advice: RegExp][] = [
      [['', 'chat', 'ws://x/', '/a?b', '/a#b'], /: start it with "\/"/],
      [['/*', '/{id}'], /: write a parameter as ":name"/],
      [['/:', '/a/:/b'], /: write a name behind each ":"/],
      [['/:a/:a'], /: give each parameter a name of its own/],
      [[undefined, null, 5, /x/], /: give a string such as "\/chat\/:room"/],
    ];
    for (const [patterns, message] of wrong) {
      for (const pattern of patterns) {
        assert.throws(() => matcherOf(pattern as string), { code: 'WS_ERR_INVALID_ROUTE', message }, `${pattern}`);
      }
    }
  });

  it('looks at each segment once for each place it could stand: no path makes it slow', () => {
    const matcher = new RouteMatcher<number>();
    // A static and a parameter segment at each of twelve levels, all of which end in a dead end.
    for (let i = 0; i < 1 << 6; i++) {
      const pattern = Array.from({ length: 6 }, (_, bit) => ((i >> bit) & 1 ? 'a' : `:p${bit}`)).join('/');
      matcher.add(`/${pattern}/end`, i);
    }
    assert.equal(matcher.match(`/${'a/'.repeat(6)}nowhere`), undefined);
    assert.equal(matcher.match(`/${'a/'.repeat(100_000)}`), undefined);
    assert.equal(matcher.match(`/${'a/'.repeat(6)}end`)?.value, 63);
  });
});
