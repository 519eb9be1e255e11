import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseSubprotocol } from '../../lib/handshake/subprotocol.ts';

describe('chooseSubprotocol', () => {
  it('takes the first of its own that was offered, and none rather than one that was not', () => {
    assert.equal(chooseSubprotocol(['v2', 'v1'], ['v1', 'v2']), 'v2');
    assert.equal(chooseSubprotocol(['v2', 'v1'], ['v1']), 'v1');
    assert.equal(chooseSubprotocol(['v2'], ['V2']), undefined, 'names differ by case');
    assert.equal(chooseSubprotocol(['v2'], []), undefined);
    assert.equal(chooseSubprotocol([], ['v2']), undefined);
    assert.equal(chooseSubprotocol([], ['constructor', '__proto__']), undefined);
    assert.equal(chooseSubprotocol(['__proto__'], ['__proto__']), '__proto__');
  });

  it('asks a function', () => {
    assert.equal(
      chooseSubprotocol((offered) => offered.at(-1), ['a', 'b']),
      'b',
    );
    assert.equal(
      chooseSubprotocol(() => undefined, ['a']),
      undefined,
    );
  });

  it('refuses what a function made up: a client has to fail such a connection (§4.1)', () => {
    assert.throws(() => chooseSubprotocol(() => 'c', ['a', 'b']), RangeError);
    assert.throws(() => chooseSubprotocol(() => 'a\r\nSet-Cookie: x=1', ['a']), RangeError);
    assert.throws(() => chooseSubprotocol(() => '', []), RangeError);
  });
});
