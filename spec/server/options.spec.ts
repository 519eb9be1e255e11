import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { describe, it } from 'node:test';
import { MAX_TIMER_MS, resolveOptions, type ServerOptions } from '../../lib/server/options.ts';

/** What a user of plain JavaScript may pass. */
function resolve(options: unknown): ReturnType<typeof resolveOptions> {
  return resolveOptions(options as ServerOptions);
}

describe('resolveOptions', () => {
  it('fills in the defaults', () => {
    const { port, host, origins, maxMessageBytes, nodelay, backpressurePolicy } = resolve({});
    assert.deepEqual(
      [port, host, origins, maxMessageBytes, nodelay, backpressurePolicy],
      [60000, undefined, 'same-origin', 1024 * 1024, true, 'close'],
    );
  });

  it('fills in the bounds that the documentation names', () => {
    const { origins, subprotocols, ...bounds } = resolve({});
    assert.deepEqual([origins, subprotocols], ['same-origin', []]);
    assert.deepEqual(bounds, {
      host: undefined,
      port: 60_000,
      nodelay: true,
      hosts: '*',
      perMessageDeflate: undefined,
      maxMessageBytes: 1_048_576,
      maxFrameBytes: Number.POSITIVE_INFINITY,
      maxQueuedMessages: 64,
      maxQueuedBytes: 1_048_576,
      highWaterMarkBytes: 65_536,
      maxBackpressureBytes: 16_777_216,
      backpressurePolicy: 'close',
      maxMessagesPerSecond: Number.POSITIVE_INFINITY,
      messageBurst: undefined,
      rateLimitPolicy: 'wait',
      maxRequestBodyBytes: 1_048_576,
      maxPipelinedRequests: 16,
      maxHeaderBytes: 16_384,
      maxConnections: Number.POSITIVE_INFINITY,
      handshakeTimeoutMs: 10_000,
      closeTimeoutMs: 5_000,
      heartbeatIntervalMs: 30_000,
      idleTimeoutMs: 0,
      topics: undefined,
    });
    assert.equal(MAX_TIMER_MS, 2_147_483_647);
  });

  const right: [name: string, values: unknown[]][] = [
    ['host', ['127.0.0.1', 'localhost']],
    ['port', [0, 65_535]],
    ['nodelay', [true, false]],
    ['hosts', ['*', [], ['localhost', '127.0.0.1:8080', '[::1]']]],
    ['backpressurePolicy', ['wait', 'drop', 'close']],
    ['rateLimitPolicy', ['wait', 'drop', 'close']],
    ['maxMessagesPerSecond', [0.1, 1, Number.POSITIVE_INFINITY]],
    ['messageBurst', [1, 1.5, Number.POSITIVE_INFINITY]],
    ['maxPipelinedRequests', [1, Number.POSITIVE_INFINITY]],
    ['maxConnections', [1, Number.POSITIVE_INFINITY]],
  ];
  for (const [name, values] of right) {
    it(`takes a right ${name} as it is`, () => {
      for (const value of values) {
        assert.equal((resolve({ [name]: value }) as unknown as Record<string, unknown>)[name], value);
      }
    });
  }

  it('fills in the options of perMessageDeflate, where it is given', () => {
    assert.equal(resolve({ perMessageDeflate: false }).perMessageDeflate, undefined);
    const { perMessageDeflate } = resolve({ perMessageDeflate: true });
    assert.equal(typeof perMessageDeflate, 'object');
    assert.deepEqual(resolve({ perMessageDeflate: {} }).perMessageDeflate, perMessageDeflate);
  });

  it('names the policies there are', () => {
    assert.throws(() => resolve({ backpressurePolicy: 'ignore' }), /: give one of wait, drop, close$/);
  });

  it('takes what is given, and undefined for not given', () => {
    const { port, maxMessageBytes } = resolve({ port: 0, maxMessageBytes: undefined });
    assert.deepEqual([port, maxMessageBytes], [0, 1024 * 1024]);
  });

  it('makes of Infinity what timers take', () => {
    const { handshakeTimeoutMs, closeTimeoutMs, maxHeaderBytes } = resolve({
      handshakeTimeoutMs: Infinity,
      closeTimeoutMs: 0.5,
      maxHeaderBytes: Infinity,
    });
    assert.deepEqual([handshakeTimeoutMs, closeTimeoutMs], [MAX_TIMER_MS, 1]);
    assert.ok(Number.isSafeInteger(maxHeaderBytes));
  });

  it('takes no message that no string can hold: to make one of it would throw', () => {
    const { MAX_STRING_LENGTH } = constants;
    for (const given of [Infinity, MAX_STRING_LENGTH + 1]) {
      assert.equal(resolve({ maxMessageBytes: given }).maxMessageBytes, MAX_STRING_LENGTH);
    }
    assert.equal(resolve({ maxMessageBytes: MAX_STRING_LENGTH }).maxMessageBytes, MAX_STRING_LENGTH);
    assert.throws(() => 'x'.repeat(MAX_STRING_LENGTH + 1), RangeError);
  });

  it('refuses an option that does not exist, and names those that do', () => {
    for (const name of ['prot', 'maxPayload', 'toString', 'constructor']) {
      assert.throws(
        () => resolve({ [name]: 1 }),
        (error) =>
          error instanceof TypeError && error.message.includes(name) && error.message.includes('maxMessageBytes'),
      );
    }
    assert.throws(() => resolve(JSON.parse('{"__proto__": 1}')), TypeError);
    for (const options of [null, 60000, 'localhost']) {
      assert.throws(() => resolve(options), { name: 'TypeError', message: /^Server takes its options as an object, / });
    }
  });

  const wrong: [name: string, values: unknown[]][] = [
    ['host', [5, null, {}]],
    ['port', [-1, 65536, 0.5, '80', null, Number.NaN]],
    ['nodelay', [0, 'yes', null]],
    ['hosts', ['localhost', '', 5, null, {}, [5], ['a b'], ['localhost', 'a b'], ['http://localhost']]],
    ['perMessageDeflate', [5, null, 'yes']],
    [
      'origins',
      [
        'https://example.com',
        '',
        5,
        null,
        {},
        [5],
        ['example.com'],
        ['https://a.com/'],
        ['https://a.com/x'],
        ['HTTPS://A.com'],
        ['*'],
        ['https://*'],
        ['https://a.com', 'a.com'],
      ],
    ],
    ['subprotocols', ['chat', 5, null, [5], ['a b'], ['']]],
    ['backpressurePolicy', ['ignore', '', null, 5]],
    ['rateLimitPolicy', ['ignore', '', null, 5]],
    ['messageBurst', [0, 0.9, -1, Number.NaN, '5', null]],
    ['maxMessageBytes', [0, -1, Number.NaN, '1024', null]],
    ['maxFrameBytes', [0, '1']],
    ['maxQueuedMessages', [0, '1']],
    ['maxQueuedBytes', [0, '1']],
    ['highWaterMarkBytes', [0, '1']],
    ['maxBackpressureBytes', [0, '1']],
    ['maxRequestBodyBytes', [0, '1']],
    ['maxHeaderBytes', [0, '1']],
    ['handshakeTimeoutMs', [0, -1, '1', Number.NaN]],
    ['closeTimeoutMs', [0, '1']],
    ['heartbeatIntervalMs', [-1, '1', Number.NaN]],
    ['idleTimeoutMs', [-1, '1']],
  ];
  for (const [name, values] of wrong) {
    it(`refuses a wrong ${name} by name, and says what to give`, () => {
      for (const value of values) {
        assert.throws(
          () => resolve({ [name]: value }),
          (error) =>
            error instanceof RangeError && error.message.startsWith(`${name} is `) && /: give /.test(error.message),
          `${name}: ${JSON.stringify(value)}`,
        );
      }
    });
  }

  it('takes every kind of rule', () => {
    for (const origins of [
      'same-origin',
      '*',
      [],
      ['https://a.com', 'http://b:8080', 'http://[::1]:1', 'null'],
      () => true,
    ]) {
      assert.equal(resolve({ origins }).origins, origins);
    }
    for (const subprotocols of [[], ['a', 'b'], () => undefined]) {
      assert.equal(resolve({ subprotocols }).subprotocols, subprotocols);
    }
    for (const name of ['heartbeatIntervalMs', 'idleTimeoutMs'] as const) assert.equal(resolve({ [name]: 0 })[name], 0);
  });
});
