import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';
import { RequestHead } from '../../lib/server/request-head.ts';

function head(
  url: string | undefined,
  headers: Record<string, string | string[] | undefined> = {},
  socket: object = {},
): RequestHead {
  const request = { method: 'PUT', url, httpVersionMajor: 1, httpVersionMinor: 1, headers } as UpgradeHead;
  return new RequestHead(request, socket as Duplex);
}

describe('RequestHead', () => {
  const targets: [target: string | undefined, path: string, query: Record<string, string>][] = [
    ['/', '/', {}],
    [undefined, '/', {}],
    ['/a/b?x=1&y=2', '/a/b', { x: '1', y: '2' }],
    ['/a?', '/a', {}],
    ['/a?x', '/a', { x: '' }],
    ['/a?x=1?y=2', '/a', { x: '1?y=2' }],
    ['/a?x=a%20b+c&%C3%A9=%E2%82%AC', '/a', { x: 'a b c', é: '€' }],
    ['/a?x=%', '/a', { x: '%' }],
    ['/a?x=1&x=2', '/a', { x: '2' }],
    ['/a#hash?x=1', '/a', {}],
    ['/a?x=1#hash', '/a', { x: '1' }],
    ['/a%20b', '/a b', {}],
    ['http://host/a?x=1', '/a', { x: '1' }],
    ['http://host?x=1', '/', { x: '1' }],
    ['http://host/', '/', {}],
    ['//host/a', '//host/a', {}],
    ['/http://host/a?x=1', '/http://host/a', { x: '1' }],
    ['a?x=1', 'a', { x: '1' }],
    ['a#b', 'a', {}],
    ['*', '*', {}],
  ];
  for (const [target, path, query] of targets) {
    it(`splits ${target} into path and query`, () => {
      const split = head(target);
      assert.equal(split.path, path);
      assert.deepEqual(Object.fromEntries(split.querys), query);
    });
  }

  it('keeps names that objects have by birth apart from those', () => {
    const request = head('/?__proto__=1&constructor=2');
    assert.equal(request.querys.get('__proto__'), '1');
    assert.equal(request.querys.get('toString'), undefined);
    assert.equal(request.header('constructor'), undefined);
    assert.equal(request.header('__proto__'), undefined);
  });

  it('gives headers in any case of letters, repeated ones joined', () => {
    const request = head('/', { host: 'h', 'x-a': '1', 'set-cookie': ['a', 'b'] });
    assert.equal(request.host, 'h');
    assert.equal(request.header('X-A'), '1');
    assert.equal(request.header('set-cookie'), 'a, b');
    assert.deepEqual(Object.fromEntries(request.headers), { host: 'h', 'x-a': '1', 'set-cookie': 'a, b' });
    assert.equal(request.headers, request.headers, 'made once');
  });

  it('knows where the peer is, if the transport does', () => {
    assert.equal(head('/').address, undefined);
    assert.equal(head('/', {}, { remoteAddress: '::1' }).address, undefined, 'of a Unix socket, or a pipe');
    assert.equal(head('/', {}, { remotePort: 7 }).address, undefined);
    const socket = { remoteAddress: '::1', remotePort: 7 };
    assert.deepEqual(head('/', {}, socket).address, { address: '::1', port: 7 });
  });

  it('keeps the path as it was sent for the routes, and the query apart', () => {
    assert.equal(head('/a%20b?x').rawPath, '/a%20b');
    const request = head('/?x=1');
    assert.equal(request.querys, request.querys, 'made once');
  });

  it('is that of a GET of "/" without parameters, unless the request says otherwise', () => {
    const request = { httpVersionMajor: 1, httpVersionMinor: 1, headers: {} } as UpgradeHead;
    const bare = new RequestHead(request, {} as Duplex);
    assert.deepEqual([bare.method, bare.rawPath, bare.params.size, bare.host], ['GET', '/', 0, undefined]);
    assert.equal(head('/').method, 'PUT');
  });

  it('is empty where a header has no value', () => {
    const request = head('/', { 'x-none': undefined });
    assert.equal(request.header('x-none'), undefined);
    assert.equal(request.headers.get('x-none'), '');
  });

  it('makes its headers of the lines it came in, when somebody wants one', () => {
    const lines = 'GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n';
    const request = { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1, headers: {}, lines };
    const parsed = new RequestHead(request, {} as Duplex);
    assert.equal(parsed.header('x-A'), '1');
    assert.deepEqual(Object.fromEntries(parsed.headers), { host: 'h', 'x-a': '1' });
  });
});
