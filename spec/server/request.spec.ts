import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';
import { Request } from '../../lib/server/request.ts';
import { RequestHead } from '../../lib/server/request-head.ts';

function head(
  url: string | undefined,
  headers: Record<string, string | string[]> = {},
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
    ['//host/a', '//host/a', {}],
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
    const socket = { remoteAddress: '::1', remotePort: 7 };
    assert.deepEqual(head('/', {}, socket).address, { address: '::1', port: 7 });
  });
});

describe('Request', () => {
  it('tells of its head', () => {
    const request = new Request(head('/a?x=1', { host: 'h', 'x-a': '2' }), '');
    assert.equal(request.getMethod(), 'PUT');
    assert.equal(request.getHost(), 'h');
    assert.equal(request.getPath(), '/a');
    assert.equal(request.getQuery('x'), '1');
    assert.equal(request.getQuery('y'), undefined);
    assert.deepEqual([...request.getQuerys()], [['x', '1']]);
    assert.equal(request.getHeader('X-A'), '2');
    assert.equal(request.getHeaders().get('x-a'), '2');
  });

  it('gives its body as it is, as text, and parsed as JSON', () => {
    const text = new Request(head('/'), '{"a":["é"]}');
    const bytes = new Request(head('/'), new Uint8Array(Buffer.from('{"a":["é"]}')));
    for (const request of [text, bytes]) {
      assert.equal(request.getBodyString(), '{"a":["é"]}');
      assert.deepEqual(request.getBodyJson<{ a: string[] }>().a, ['é']);
    }
    assert.equal(typeof text.getBody(), 'string');
    assert.ok(bytes.getBody() instanceof Uint8Array);
    assert.throws(() => new Request(head('/'), 'no json').getBodyJson(), SyntaxError);
    assert.equal(text.setBody('new').getBody(), 'new');
  });

  it('takes the bytes of a view, and not the memory around it', () => {
    const view = new Uint8Array(Buffer.from('around middle around').buffer.slice(0)).subarray(0, 0);
    assert.equal(new Request(head('/'), view).getBodyString(), '');
    const middle = Buffer.from('around middle around').subarray(7, 13);
    assert.equal(new Request(head('/'), middle).getBodyString(), 'middle');
  });
});
