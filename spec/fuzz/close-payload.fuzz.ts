import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeClosePayload, encodeClosePayload } from '../../lib/codec/close-payload.ts';
import { texts } from '../support/arbitraries.ts';
import type { FuzzTarget } from '../support/fuzzing.ts';
import { closePayload } from '../support/protocol-recorder.ts';
import { referenceDecodeUtf8 } from '../support/reference-codec.ts';

const REGISTERED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

/** The payload of a Close frame: code and reason, or the rule that it breaks, and the same bytes when written again. */
export const target: FuzzTarget = {
  name: 'close-payload',
  inputs: fc
    .tuple(
      fc.oneof(fc.constantFrom(...REGISTERED, 999, 1004, 1005, 1006, 1015, 2999, 3000, 4999, 5000), fc.nat(65_535)),
      texts(20),
    )
    .map(([code, reason]) => closePayload(code, reason)),
  run(input, random) {
    const bytes = input.subarray(0, 125);
    // It lies somewhere in what was received.
    const [before, behind] = [random.bytes(random.below(4)), random.bytes(random.below(4))];
    const received = Buffer.concat([before, bytes, behind]);
    const payload = decodeClosePayload(received, before.length, before.length + bytes.length);
    if (bytes.length === 0) assert.deepEqual(payload, { code: 1005, reason: '' });
    if (bytes.length === 1) assert.equal(payload, 'WS_ERR_INVALID_CLOSE_PAYLOAD');
    if (bytes.length < 2) return `${bytes.length} bytes`;

    const code = bytes.readUInt16BE();
    const reason = referenceDecodeUtf8(bytes.subarray(2));
    if (!REGISTERED.includes(code) && (code < 3000 || code > 4999)) assert.equal(payload, 'WS_ERR_INVALID_CLOSE_CODE');
    else if (reason === undefined) assert.equal(payload, 'WS_ERR_INVALID_UTF8');
    else assert.deepEqual(payload, { code, reason });
    if (typeof payload === 'string') return payload;
    assert.equal(encodeClosePayload(payload.code, payload.reason).compare(bytes), 0);
    return `${Math.floor(payload.code / 1000)} ${payload.reason.length}`;
  },
};
