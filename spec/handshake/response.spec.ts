import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAccept, formatRefusal, type HeaderLine } from '../../lib/handshake/response.ts';

/** Splits a response; throws for a line break that is none. */
function parse(bytes: Buffer): { status: string; headers: Map<string, string[]>; body: string } {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const [status, ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    assert.ok(!/[\r\n]/.test(line), 'no line break in a line');
    const colon = line.indexOf(': ');
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 2)]);
  }
  return { status: status!, headers, body: bytes.subarray(end + 4).toString() };
}

describe('formatAccept', () => {
  it('writes the example of RFC 6455 §1.3', () => {
    assert.equal(
      formatAccept('dGhlIHNhbXBsZSBub25jZQ==', [['Sec-WebSocket-Protocol', 'chat']]),
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n',
    );
  });
});

describe('formatRefusal', () => {
  it('writes a head and a body, and nothing besides', () => {
    const head = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n';
    const own = 'Content-Type: text/plain; charset=utf-8\r\n';
    assert.equal(formatRefusal(404, 'no').toString(), `${head}${own}\r\nno`);
    assert.equal(formatRefusal(404, 'no', []).toString(), `${head}${own}\r\nno`);
    const given = 'Content-Type: text/html\r\n';
    assert.equal(formatRefusal(404, 'no', [['Content-Type', 'text/html']]).toString(), `${head}${given}\r\nno`);
  });

  it('writes status, length and body, and ends the connection', () => {
    const { status, headers, body } = parse(formatRefusal(403, 'nö'));
    assert.equal(status, 'HTTP/1.1 403 Forbidden');
    assert.deepEqual(headers.get('connection'), ['close']);
    assert.deepEqual(headers.get('content-length'), ['3']);
    assert.deepEqual(headers.get('content-type'), ['text/plain; charset=utf-8']);
    assert.equal(body, 'nö');
  });

  it('writes bytes as they are, and a type that was given', () => {
    const { headers, body } = parse(formatRefusal(401, Buffer.from('{}'), [['content-TYPE', 'application/json']]));
    assert.deepEqual(headers.get('content-type'), ['application/json']);
    assert.equal(body, '{}');
  });

  it('says what would be right: the method, and the version (§4.4)', () => {
    assert.deepEqual(parse(formatRefusal(405, '')).headers.get('allow'), ['GET']);
    const { status, headers } = parse(formatRefusal(426, ''));
    assert.equal(status, 'HTTP/1.1 426 Upgrade Required');
    assert.deepEqual(headers.get('sec-websocket-version'), ['13']);
    assert.deepEqual(headers.get('upgrade'), ['websocket']);
    assert.deepEqual(headers.get('connection'), ['Upgrade, close']);
  });

  it('prefers what was given', () => {
    const { headers } = parse(formatRefusal(405, '', [['Allow', 'GET, POST']]));
    assert.deepEqual(headers.get('allow'), ['GET, POST']);
  });

  it('knows how long its body is and that the connection ends, whatever was given', () => {
    const given: HeaderLine[] = [
      ['Content-Length', '99'],
      ['Transfer-Encoding', 'chunked'],
      ['connection', 'keep-alive'],
      ['X-Kept', 'yes'],
    ];
    const { headers } = parse(formatRefusal(403, 'no', given));
    assert.deepEqual(headers.get('content-length'), ['2']);
    assert.deepEqual(headers.get('connection'), ['close']);
    assert.equal(headers.has('transfer-encoding'), false);
    assert.deepEqual(headers.get('x-kept'), ['yes']);
  });

  it('writes a header byte by byte, as node:http does, and a body in UTF-8', () => {
    const bytes = formatRefusal(403, 'ä', [['X-Name', 'ä']]);
    assert.ok(bytes.includes(Buffer.from('X-Name: ä\r\n', 'latin1')));
    assert.ok(bytes.subarray(-4).equals(Buffer.from('\r\nä')));
  });

  const phrases: [status: number, phrase: string][] = [
    [400, 'Bad Request'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [404, 'Not Found'],
    [405, 'Method Not Allowed'],
    [408, 'Request Timeout'],
    [413, 'Content Too Large'],
    [421, 'Misdirected Request'],
    [426, 'Upgrade Required'],
    [429, 'Too Many Requests'],
    [431, 'Request Header Fields Too Large'],
    [500, 'Internal Server Error'],
    [503, 'Service Unavailable'],
  ];
  for (const [status, phrase] of phrases) {
    it(`calls ${status} ${phrase}, as RFC 9110 and RFC 6585 do`, () => {
      assert.equal(parse(formatRefusal(status, '')).status, `HTTP/1.1 ${status} ${phrase}`);
    });
  }

  it('writes no content where there can be none, and a length only for 205 (RFC 9110 §8.6, §15.3.6)', () => {
    for (const status of [204, 205, 304]) {
      const { headers, body } = parse(formatRefusal(status, 'body', [['X-Kept', 'yes']]));
      assert.equal(body, '', `${status}`);
      assert.equal(headers.has('content-type'), false);
      assert.deepEqual(headers.get('content-length'), status === 205 ? ['0'] : undefined);
      assert.deepEqual(headers.get('x-kept'), ['yes']);
    }
  });

  it('writes the head alone to HEAD, with the length that the content would have', () => {
    const { headers, body } = parse(formatRefusal(405, 'body', [], 'HEAD'));
    assert.equal(body, '');
    assert.deepEqual(headers.get('content-length'), ['4']);
  });

  it('writes a status it has no phrase for by its number', () => {
    assert.equal(parse(formatRefusal(499, '')).status, 'HTTP/1.1 499 ');
  });
});
