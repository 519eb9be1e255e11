import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connection } from '../../lib/net/connection.ts';
import type { RequestHead } from '../../lib/server/request-head.ts';
import { WebSocketStream } from '../../lib/server/websocket-stream.ts';

describe('WebSocketStream', () => {
  const HEAD = {} as RequestHead;

  /** A stream, and what it asks of its connection. */
  function make() {
    const calls: unknown[] = [];
    const note =
      (name: string) =>
      (...args: unknown[]) => {
        calls.push([name, ...args]);
        return `answer to ${name}`;
      };
    const connection = {
      state: 'closing',
      subprotocol: 'chat',
      bufferedBytes: 1,
      receivedBytes: 2,
      latencyMs: 3,
      closed: 'the end',
      ...Object.fromEntries(['send', 'ping', 'flush', 'close', 'destroy'].map((name) => [name, note(name)])),
      receive(options: unknown, map: (data: string) => unknown) {
        calls.push(['receive', options]);
        return map('data');
      },
    };
    return { calls, stream: new WebSocketStream(connection as unknown as Connection, HEAD) };
  }

  it('tells of its connection', () => {
    const { stream } = make();
    const { state, subprotocol, bufferedBytes, receivedBytes, latency, closed } = stream;
    assert.deepEqual(
      [state, subprotocol, bufferedBytes, receivedBytes, latency, closed],
      ['closing', 'chat', 1, 2, 3, 'the end'],
    );
  });

  it('passes on what is asked of it, and the answer', () => {
    const { stream, calls } = make();
    const payload = new Uint8Array(1);
    assert.equal(stream.send('text'), 'answer to send');
    assert.equal(stream.send(payload, { compress: false }), 'answer to send');
    assert.equal(stream.ping(), 'answer to ping');
    assert.equal(stream.ping(payload, { timeout: 7 }), 'answer to ping');
    assert.equal(stream.flush(), 'answer to flush');
    stream.close(1000, 'why');
    stream.destroy();
    assert.deepEqual(calls, [
      ['send', 'text', undefined],
      ['send', payload, false],
      ['ping', undefined, undefined],
      ['ping', payload, 7],
      ['flush'],
      ['close', 1000, 'why'],
      ['destroy'],
    ]);
  });

  it('makes what it receives of its head, and asks only once how', () => {
    const { stream, calls } = make();
    const options = { timeoutMs: 7 };
    let made = 0;
    const makeMap = (head: RequestHead) => {
      made++;
      return (data: unknown) => [head, data];
    };
    for (const each of [options, undefined]) assert.deepEqual(stream.receive(each, makeMap), [HEAD, 'data']);
    assert.deepEqual(
      [made, calls],
      [
        1,
        [
          ['receive', options],
          ['receive', undefined],
        ],
      ],
    );
  });
});
