import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeEnvelope, encodeEnvelope } from '../../lib/topics/envelope.ts';
import '../support/seed.ts';

const PAGE = readFileSync(new URL('../../docs/reference/topics-wire.md', import.meta.url), 'utf8');
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** The rows of the page with an example each. */
const VECTORS = [
  ...PAGE.matchAll(/^\| (the text `(.*?)`.*?|the bytes `(.*?)`|no bytes) \| (.*?) \| `(.*?)` \|$/gm),
].map(([, what, text, hex, origin, envelope]) => {
  const [, process, connection] = /process `(\w+)`, connection (\d+)/.exec(origin!) ?? [];
  return {
    what: `${what}, ${origin}`,
    body: text !== undefined ? text : bytes(hex ?? ''),
    process: bytes(process ?? '0000000000000000'),
    sender: Number(connection ?? 0),
    envelope: bytes(envelope!),
  };
});

describe('the envelope of a message', () => {
  assert.equal(VECTORS.length, 7);
  for (const { what, body, process, sender, envelope } of VECTORS) {
    it(`is as documented for ${what}`, () => {
      assert.deepEqual(encodeEnvelope(body, process, sender), envelope);
      assert.deepEqual(decodeEnvelope(envelope, process), { body, sender });
    });
  }

  const refused = /These are none: (.*)\.$/m
    .exec(PAGE)![1]!
    .split(', ')
    .map((one) => /`(.*)`/.exec(one)![1]!);
  for (const hex of refused) {
    it(`is not "${hex}"`, () => {
      assert.equal(decodeEnvelope(bytes(hex), Buffer.alloc(8)), undefined);
    });
  }

  it('says nothing of who has published in another process', () => {
    const data = encodeEnvelope('x', Buffer.alloc(8, 1), 5);
    assert.deepEqual(decodeEnvelope(data, Buffer.alloc(8, 2)), { body: 'x', sender: 0 });
  });

  it('gives back what it was given, to the byte, and shares no memory with it', () => {
    const body = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array().map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(body, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (given, sender) => {
        const origin = Buffer.alloc(8, 7);
        const data = encodeEnvelope(given, origin, sender);
        if (typeof given !== 'string') assert.notEqual(data.buffer, given.buffer);
        // It may lie anywhere.
        const placed = Buffer.concat([Buffer.from('xx'), data]).subarray(2);
        assert.deepEqual(decodeEnvelope(Uint8Array.prototype.subarray.call(placed), origin), { body: given, sender });
      }),
    );
  });

  it('takes any bytes without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (data) => {
        decodeEnvelope(data, Buffer.alloc(8));
      }),
    );
  });
});
