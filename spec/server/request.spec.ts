import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';
import type { Connection } from '../../lib/net/connection.ts';
import { Request } from '../../lib/server/request.ts';
import { RequestHead } from '../../lib/server/request-head.ts';
import { WebSocketStream } from '../../lib/server/websocket-stream.ts';

function head(url: string, headers: Record<string, string> = {}): RequestHead {
  const request = { method: 'PUT', url, httpVersionMajor: 1, httpVersionMinor: 1, headers } as UpgradeHead;
  return new RequestHead(request, {} as Duplex);
}

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
    assert.equal(text.setBody('\ud800').getBodyString(), '\ud800', 'as it is, also what UTF-8 cannot say');
  });

  it('takes the bytes of a view, and not the memory around it', () => {
    const view = new Uint8Array(Buffer.from('around middle around').buffer.slice(0)).subarray(0, 0);
    assert.equal(new Request(head('/'), view).getBodyString(), '');
    const middle = Buffer.from('around middle around').subarray(7, 13);
    assert.equal(new Request(head('/'), middle).getBodyString(), 'middle');
  });

  it('lends its bytes to a reader, of text as well, and gives back what that returns', () => {
    for (const body of ['héllo', new Uint8Array(Buffer.from('héllo'))]) {
      const request = new Request(head('/'), body);
      assert.equal(
        request.readBody((bytes) => bytes.toString()),
        'héllo',
      );
    }
  });
});

describe('Request.websocketRequestFromStream', () => {
  /** A stream over a connection that only remembers how it was asked. */
  function makeStream() {
    const asked: unknown[] = [];
    const connection = {
      receive(options: unknown, map: (data: string) => Request) {
        asked.push(options);
        return map('message');
      },
    };
    return { asked, stream: new WebSocketStream(connection as unknown as Connection, head('/path')) };
  }

  it('makes requests of the messages, with the head of the stream', () => {
    const { stream } = makeStream();
    const request = Request.websocketRequestFromStream(stream) as unknown as Request;
    assert.ok(request instanceof Request);
    assert.deepEqual([request.getBody(), request.getPath(), request.getMethod()], ['message', '/path', 'PUT']);
  });

  it('asks for a limit of time, or a signal, only where one is given', () => {
    const { stream, asked } = makeStream();
    const { signal } = new AbortController();
    Request.websocketRequestFromStream(stream);
    Request.websocketRequestFromStream(stream, 0, {});
    Request.websocketRequestFromStream(stream, 7);
    Request.websocketRequestFromStream(stream, 0, { signal });
    Request.websocketRequestFromStream(stream, 7, { signal });
    assert.deepEqual(asked.slice(0, 2), [undefined, undefined]);
    assert.deepEqual(asked.slice(2), [
      { timeoutMs: 7, signal: undefined },
      { timeoutMs: 0, signal },
      { timeoutMs: 7, signal },
    ]);
  });

  it('refuses what is no stream, at once', () => {
    for (const stream of [undefined, {}, Object.create(null)]) {
      assert.throws(() => Request.websocketRequestFromStream(stream), {
        name: 'InvalidStateError',
        code: 'WS_ERR_NOT_A_STREAM',
      });
    }
  });
});
