import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import zlib from 'node:zlib';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate, affordableWishes, PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import { canUseHandles } from '../../lib/extensions/zlib-handle.ts';
import { bytesOf } from '../support/arbitraries.ts';

// What a future version of Node may look like: the insides of zlib are not where they were.
Object.defineProperty(zlib.InflateRaw.prototype, '_processChunk', { value: undefined });

describe('permessage-deflate where handles cannot be used', () => {
  const options = resolveDeflateOptions({ serverNoContextTakeover: false, clientNoContextTakeover: false })!;

  it('finds that out', () => {
    assert.equal(canUseHandles(), false);
  });

  it('keeps no contexts', () => {
    const accepted = acceptDeflate(parseExtensions('permessage-deflate')!, options)!;
    assert.match(accepted.response, /server_no_context_takeover; client_no_context_takeover/);
    const wishes = affordableWishes('client', options);
    assert.ok(wishes.serverNoContextTakeover && wishes.clientNoContextTakeover);
  });

  it('works in the thread pool', async () => {
    const params = affordableWishes('client', options);
    const client = new PerMessageDeflate('client', params, options);
    const server = new PerMessageDeflate('server', params, options);
    for (const size of [200, 1000, 65_536, 100_000]) {
      for (const data of ['a€'.repeat(size / 4), Buffer.alloc(size, 'ab')]) {
        const payload = await client.compress(data);
        assert.ok(payload !== undefined && payload.length < size);
        assert.deepEqual(await server.decompress(typeof data === 'string', payload, 0, payload.length, 1 << 20), data);
      }
    }
    assert.equal(await client.compress(bytesOf(1000, 1)), undefined);
    assert.equal(client.compress('short'), undefined);
    const error = await server.decompress(true, Buffer.of(0xff), 0, 1, 100);
    assert.ok(error instanceof Error && 'code' in error && error.code === 'WS_ERR_INFLATE_FAILED');
  });
});
