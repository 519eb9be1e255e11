import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseHeaderLines, parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import '../support/seed.ts';

const LIMIT = 16 * 1024;
const PLAIN = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: example.com',
  'Upgrade: websocket',
  'Connection: keep-alive, Upgrade',
  'Sec-WebSocket-Key:  dGhlIHNhbXBsZSBub25jZQ==\t',
  'X-Empty:',
];

function head(lines: readonly string[], rest = ''): Buffer {
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${rest}`, 'latin1');
}

function changed(index: number, line: string): Buffer {
  return head(PLAIN.with(index, line));
}

describe('parseUpgradeHead', () => {
  it('reads a plain upgrade request, and tells where it ends', () => {
    const bytes = head(PLAIN, 'frames');
    const parsed = parseUpgradeHead(bytes, LIMIT);
    assert.equal(parsed?.method, 'GET');
    assert.equal(parsed?.url, '/chat?room=1');
    assert.deepEqual([parsed?.httpVersionMajor, parsed?.httpVersionMinor], [1, 1]);
    assert.deepEqual(
      { ...parsed?.headers },
      {
        host: 'example.com',
        upgrade: 'websocket',
        connection: 'keep-alive, Upgrade',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'x-empty': '',
      },
    );
    assert.equal(bytes.toString('latin1', parsed?.bytes), 'frames');
    assert.deepEqual(parseHeaderLines(parsed!.lines), parsed!.headers);
  });

  it('keeps names that objects have by birth apart from those', () => {
    const parsed = parseUpgradeHead(head([...PLAIN, '__proto__: x', 'constructor: y']), LIMIT);
    assert.equal(parsed?.headers.constructor, 'y');
    assert.equal(Object.getPrototypeOf(parsed?.headers), null);
  });

  const left: [what: string, bytes: Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['a few bytes', Buffer.from('GET')],
    ['another method', changed(0, 'POST / HTTP/1.1')],
    ['a method that begins as GET does', changed(0, 'GETS / HTTP/1.1')],
    ['a head that is cut', head(PLAIN).subarray(0, -1)],
    ['another version', changed(0, 'GET / HTTP/1.0')],
    ['no target', changed(0, 'GET  HTTP/1.1')],
    ['a line without any room for a target', changed(0, 'GET HTTP/1.1')],
    ['a target in absolute form', changed(0, 'GET http://example.com/ HTTP/1.1')],
    ['a space in the target', changed(0, 'GET /a b HTTP/1.1')],
    ['DEL in the target', changed(0, 'GET /\x7f HTTP/1.1')],
    ['a byte above ASCII in the target', changed(0, 'GET /\xe4 HTTP/1.1')],
    ['no upgrade', head(PLAIN.toSpliced(2, 1))],
    ['no connection', head(PLAIN.toSpliced(3, 1))],
    ['a connection that is not to be upgraded', changed(3, 'Connection: keep-alive')],
    ['a header that stands twice', head([...PLAIN, 'host: example.com'])],
    ['a body', head([...PLAIN, 'Content-Length: 1'])],
    ['chunks', head([...PLAIN, 'Transfer-Encoding: chunked'])],
    ['what the answer may hold', head([...PLAIN, 'TE: trailers'])],
    ['headers behind a body', head([...PLAIN, 'Trailer: x-checksum'])],
    ['an expectation', head([...PLAIN, 'Expect: 100-continue'])],
    ['a line without a colon', head([...PLAIN, 'Nothing'])],
    ['a line without a name', head([...PLAIN, ': x'])],
    ['a space before the colon', head([...PLAIN, 'X-A : x'])],
    ['a folded line', head([...PLAIN, 'X-A: x', ' more'])],
    ['a control character in a value', head([...PLAIN, 'X-A: \x01'])],
    ['DEL in a value', head([...PLAIN, 'X-A: \x7f'])],
    ['a byte above ASCII in a value', head([...PLAIN, 'X-A: \xe4'])],
    ['a bare CR in a value', head([...PLAIN, 'X-A: a\rb'])],
    ['a bare CR in a value, and what could be a header behind it', head([...PLAIN, 'X-A: a\r X-B: b'])],
    ['a bare LF in a value', head([...PLAIN, 'X-A: a\nb'])],
    ['too many headers', head([...PLAIN, ...Array.from({ length: 64 }, (_, i) => `X-${i}: x`)])],
  ];
  for (const [what, bytes] of left) {
    it(`leaves ${what} to node:http`, () => {
      assert.equal(parseUpgradeHead(bytes, LIMIT), undefined);
    });
  }

  it('leaves a head to node:http that is longer than the limit', () => {
    const bytes = head(PLAIN);
    assert.equal(parseUpgradeHead(bytes, bytes.length - 1), undefined);
    assert.notEqual(parseUpgradeHead(bytes, bytes.length), undefined);
  });

  it('never throws, whatever byte is changed', () => {
    const whole = head(PLAIN);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        const parsed = parseUpgradeHead(bytes, LIMIT);
        assert.ok(parsed === undefined || parsed.bytes === whole.length);
      }),
    );
  });
});
