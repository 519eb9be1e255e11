import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { makeHttpRequest } from '../../lib/server/http-request.ts';

const LINES = 'GET /a?b=1 HTTP/1.1\r\nHost: h:1\r\nX-Two:  a: b \r\n__proto__: x\r\nEmpty:\r\n';

describe('makeHttpRequest', () => {
  it('makes what node:http makes of the same lines', () => {
    const socket = new Socket();
    const request = makeHttpRequest(LINES, socket);
    assert.ok(request instanceof IncomingMessage);
    assert.equal(request.socket, socket);
    assert.equal(request.method, 'GET');
    assert.equal(request.url, '/a?b=1');
    assert.equal(request.httpVersion, '1.1');
    assert.deepEqual([request.httpVersionMajor, request.httpVersionMinor], [1, 1]);
    assert.deepEqual(Object.entries(request.headers), [
      ['host', 'h:1'],
      ['x-two', 'a: b'],
      ['__proto__', 'x'],
      ['empty', ''],
    ]);
    assert.deepEqual(request.headersDistinct['x-two'], ['a: b']);
    assert.deepEqual(request.rawHeaders, ['Host', 'h:1', 'X-Two', 'a: b', '__proto__', 'x', 'Empty', '']);
    assert.deepEqual(request.trailers, {});
  });

  it('has no body, and ends', async () => {
    const request = makeHttpRequest(LINES, new Socket());
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    assert.deepEqual(chunks, []);
    assert.ok(request.complete);
  });
});
