import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as bits from '../../lib/codec/opcode.ts';

describe('OpCode', () => {
  it('has the numbers of §11.8', () => {
    assert.deepEqual(bits.OpCode, { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 });
  });

  it('splits the first byte of a frame as §5.2 draws it', () => {
    assert.equal(bits.FIN | bits.RSV1 | bits.RSV2_RSV3 | bits.OPCODE_BITS, 0xff);
    assert.equal(bits.FIN + bits.RSV1 + bits.RSV2_RSV3 + bits.OPCODE_BITS, 0xff);
  });

  it('tells control frames by one bit, §5.5', () => {
    for (const [name, opcode] of Object.entries(bits.OpCode)) {
      assert.equal((opcode & bits.CONTROL_BIT) !== 0, ['Close', 'Ping', 'Pong'].includes(name), name);
    }
  });
});
