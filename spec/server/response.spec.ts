import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkBody, Response } from '../../lib/server/response.ts';
import { notABody } from '../../lib/wording.ts';

describe('Response', () => {
  it('is 200 and empty until something is set', () => {
    const response = new Response();
    assert.deepEqual([response.getStatusCode(), response.getBody(), response.getHeaders()], [200, '', []]);
    assert.deepEqual([response.hasStatus, response.isSet], [false, false]);
  });

  it('keeps what is set, and forgets it at clear', () => {
    const response = new Response().setStatusCode(404).setHeader('X-A', '1').setBody(Buffer.of(1));
    assert.deepEqual([response.hasStatus, response.isSet], [true, true]);
    assert.deepEqual(response.getBody(), Buffer.of(1));
    response.clear();
    assert.deepEqual([response.getStatusCode(), response.getBody(), response.getHeaders()], [200, '', []]);
    assert.equal(response.isSet, false);
    assert.equal(new Response().setBody('').isSet, true, 'an empty body is a body');
  });

  it('knows headers by any case of letters, in the order they were set first', () => {
    const response = new Response().setHeader('X-B', '1').setHeader('x-a', '2').setHeader('X-b', '3');
    assert.equal(response.getHeader('X-A'), '2');
    assert.equal(response.getHeader('x-B'), '3');
    assert.equal(response.getHeader('x-c'), undefined);
    assert.equal(response.getHeader('__proto__'), undefined);
    assert.deepEqual(response.getHeaders(), [
      ['X-b', '3'],
      ['x-a', '2'],
    ]);
  });

  it('takes a list for a header of several lines, in place of any before', () => {
    const cookies = ['a=1', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT'];
    const response = new Response()
      .setHeader('X-A', '1')
      .setHeader('set-cookie', 'old')
      .setHeader('Set-Cookie', cookies);
    cookies[0] = 'changed\r\nlater';
    assert.deepEqual(response.getHeaders(), [
      ['X-A', '1'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT'],
    ]);
    assert.equal(response.getHeader('SET-cookie'), 'a=1, b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT');
    assert.deepEqual([...response.headerValues].length, 2);
    assert.deepEqual(response.setHeader('Set-Cookie', 'one').getHeaders().slice(1), [['Set-Cookie', 'one']]);
    assert.deepEqual(response.setHeader('Set-Cookie', []).getHeaders(), [['X-A', '1']]);
    assert.equal(response.getHeader('set-cookie'), undefined);
  });

  it('refuses a status that ends no request', () => {
    for (const status of [0, 99, 100, 101, 199, 600, 200.5, Number.NaN, Infinity, '200' as unknown as number]) {
      assert.throws(() => new Response().setStatusCode(status), RangeError);
    }
    for (const status of [200, 299, 599]) assert.equal(new Response().setStatusCode(status).getStatusCode(), status);
  });

  it('refuses what no header may hold: above all line breaks', () => {
    for (const name of ['', 'a b', 'a:', 'a\r\nb', 'ä', 'a\0']) {
      assert.throws(() => new Response().setHeader(name, 'x'), TypeError, JSON.stringify(name));
    }
    for (const value of ['a\r\nSet-Cookie: x', 'a\nb', 'a\rb', 'a\0', '\u20ac', undefined as unknown as string]) {
      assert.throws(() => new Response().setHeader('X', value), TypeError, JSON.stringify(value));
      const response = new Response().setHeader('X', 'before');
      assert.throws(() => response.setHeader('X', ['fine', value]), TypeError, JSON.stringify(value));
      assert.equal(response.getHeader('x'), 'before');
    }
  });

  it('knows whether a status was set, and whether anything was that is worth sending', () => {
    const cases: [response: Response, hasStatus: boolean, isSet: boolean][] = [
      [new Response(), false, false],
      [new Response().setHeader('X', '1'), false, false],
      [new Response().setStatusCode(204), true, true],
      [new Response().setBody(''), false, true],
    ];
    for (const [response, hasStatus, isSet] of cases) {
      assert.deepEqual([response.hasStatus, response.isSet], [hasStatus, isSet]);
    }
  });

  it('refuses a body that is neither text nor bytes, and says what it is', () => {
    for (const body of [undefined, null, 5, {}, [], new ArrayBuffer(2), new Uint16Array(2)]) {
      assert.throws(() => new Response().setBody(body as unknown as string), {
        name: 'TypeError',
        message: notABody('a body', body).message,
      });
      assert.throws(() => checkBody(body as unknown as string), TypeError);
    }
  });
});
