import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError, WebSocketError } from '../../lib/index.ts';

describe('BrokerError', () => {
  it('has a code of its own, and what the client library said as its cause', () => {
    const cause = new Error('connect ECONNREFUSED');
    const error = new BrokerError('WS_ERR_BROKER_UNAVAILABLE', undefined, { cause });
    assert.ok(error instanceof WebSocketError);
    assert.equal(error.name, 'BrokerError');
    assert.equal(error.code, 'WS_ERR_BROKER_UNAVAILABLE');
    assert.match(error.message, /try again later/);
    assert.equal(error.cause, cause);
  });
});
