import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, WebSocketError } from '../../lib/errors.ts';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { type PerMessageDeflateOptions, resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { checkResponse, type DeflateParams, formatOffer } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate, affordableWishes, PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { seed } from '../support/seed.ts';

const MIB = 1024 * 1024;
const DEFAULTS = resolveDeflateOptions(true)!;
const TAKEOVER: DeflateParams = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};
const NO_TAKEOVER: DeflateParams = { ...TAKEOVER, serverNoContextTakeover: true, clientNoContextTakeover: true };

interface Pair {
  readonly server: PerMessageDeflate;
  readonly client: PerMessageDeflate;
}

/** Both ends of a connection. */
function connect(params: DeflateParams, options: PerMessageDeflateOptions = {}): Pair {
  const resolved = resolveDeflateOptions(options)!;
  return {
    server: new PerMessageDeflate('server', params, resolved),
    client: new PerMessageDeflate('client', params, resolved),
  };
}

function close({ server, client }: Pair): void {
  server.close();
  client.close();
}

async function decompress(
  to: PerMessageDeflate,
  isText: boolean,
  payload: Uint8Array,
  maxBytes: number = MIB,
): Promise<string | Buffer | ErrorCode> {
  const result = await to.decompress(isText, payload, 0, payload.length, maxBytes);
  return result instanceof WebSocketError ? result.code : result;
}

/** Sends a message from one end to the other, compressed if that makes it smaller, and checks that it arrives. */
async function pass(from: PerMessageDeflate, to: PerMessageDeflate, data: string | Buffer): Promise<boolean> {
  const payload = await from.compress(data, true);
  if (payload === undefined) return false;
  assert.ok(payload.length < Buffer.byteLength(data));
  const result = await decompress(to, typeof data === 'string', payload);
  assert.ok(typeof data === 'string' ? result === data : (result as Buffer).equals(data));
  return true;
}

/** Bytes that compress well, a little, or not at all. */
function messageOf(length: number, kind: number, seedOf: number): Buffer {
  if (kind === 0) return bytesOf(length, seedOf);
  const text = `{"id":${seedOf},"name":"${bytesOf(6, seedOf).toString('hex')}"},`;
  const bytes = Buffer.from(text.repeat(Math.ceil(length / text.length))).subarray(0, length);
  return kind === 1 ? bytes : Buffer.concat([bytes.subarray(0, length >> 1), bytesOf(length - (length >> 1), seedOf)]);
}

const message = fc
  .tuple(
    fc.oneof(
      { arbitrary: fc.nat({ max: 300 }), weight: 6 },
      { arbitrary: fc.nat({ max: 5000 }), weight: 4 },
      { arbitrary: fc.nat({ max: 128 * 1024 }), weight: 1 },
      { arbitrary: fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 65_552, 128 * 1024), weight: 1 },
    ),
    fc.nat({ max: 2 }),
    fc.nat({ max: 9 }),
    fc.boolean(),
  )
  .map(([length, kind, seedOf, isText]) => {
    const bytes = messageOf(length, kind, seedOf);
    return isText ? bytes.toString('latin1') : bytes;
  });

const params = fc.record(
  {
    serverNoContextTakeover: fc.boolean(),
    clientNoContextTakeover: fc.boolean(),
    serverMaxWindowBits: fc.integer({ min: 8, max: 15 }),
    clientMaxWindowBits: fc.integer({ min: 8, max: 15 }),
  },
  { noNullPrototype: true },
);

describe('PerMessageDeflate', () => {
  it('passes messages of 16 bytes to 128 KiB with every set of parameters', async () => {
    const sizes = [0, 1, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_535, 65_536, 65_537, 131_072];
    const messages = sizes.flatMap((size) => [messageOf(size, 1, size), messageOf(size, 2, size).toString('latin1')]);
    for (const noTakeover of [false, true]) {
      for (let bits = 8; bits <= 15; bits++) {
        const pair = connect({
          serverNoContextTakeover: noTakeover,
          clientNoContextTakeover: noTakeover,
          serverMaxWindowBits: bits,
          clientMaxWindowBits: 23 - bits,
        });
        for (const data of messages) {
          await pass(pair.server, pair.client, data);
          await pass(pair.client, pair.server, data);
        }
        close(pair);
      }
    }
  });

  it(`gives what was sent, on many connections by turns, whatever their parameters (seed ${seed})`, async () => {
    const connections = fc.array(params, { minLength: 1, maxLength: 4 });
    const steps = fc.array(fc.tuple(fc.nat(), fc.boolean(), message), { minLength: 1, maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(connections, steps, async (all, sends) => {
        const pairs = all.map((one) => connect(one));
        for (const [at, toServer, data] of sends) {
          const { server, client } = pairs[at % pairs.length]!;
          await (toServer ? pass(client, server, data) : pass(server, client, data));
        }
        for (const pair of pairs) close(pair);
        assert.equal(reservedContextBytes(), 0);
      }),
    );
  });

  it(`gives what was sent, on many connections at the same time (seed ${seed})`, async () => {
    const queues = fc.array(fc.tuple(params, fc.array(message, { maxLength: 8 })), { minLength: 2, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(queues, async (all) => {
        await Promise.all(
          all.map(async ([one, messages]) => {
            const pair = connect(one);
            for (const data of messages) await pass(pair.server, pair.client, data);
            close(pair);
          }),
        );
      }),
      { numRuns: 60 },
    );
  });

  it(`makes data or a documented error of any bytes, and works on (seed ${seed})`, async () => {
    const codes = ['WS_ERR_INFLATE_FAILED', 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'WS_ERR_INVALID_UTF8'];
    const mutation = fc.tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat());
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      // Something valid with a few bytes changed, and its end cut off.
      mutation.map(([data, changes, cut]) => {
        const { server } = connect(NO_TAKEOVER);
        const payload = server.compress(data, true);
        const bytes = payload instanceof Buffer ? Buffer.from(payload) : Buffer.from(data).subarray(0, 1000);
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        return bytes.subarray(0, bytes.length - (cut % 3));
      }),
    );
    await fc.assert(
      fc.asyncProperty(input, fc.boolean(), fc.boolean(), async (bytes, isText, takeover) => {
        const pair = connect(takeover ? TAKEOVER : NO_TAKEOVER);
        const limit = 10_000;
        const result = await decompress(pair.server, isText, bytes, limit);
        if (typeof result === 'string' && !codes.includes(result))
          assert.ok(isText && Buffer.byteLength(result) <= limit);
        else if (typeof result !== 'string') assert.ok(!isText && result.length <= limit);
        close(pair);
        const next = connect(takeover ? TAKEOVER : NO_TAKEOVER);
        assert.ok(await pass(next.client, next.server, 'abcabcabcabcabcabcabcabcabc'));
        close(next);
      }),
    );
  });

  it('compresses from the threshold on, or always when it is told to', () => {
    const { server } = connect(NO_TAKEOVER);
    assert.equal(server.compress('a'.repeat(1023)), undefined);
    assert.ok(server.compress('a'.repeat(1023), true) instanceof Buffer);
    assert.ok(server.compress('a'.repeat(1024)) instanceof Buffer);
    assert.equal(connect(NO_TAKEOVER, { thresholdBytes: 2000 }).server.compress('a'.repeat(1999)), undefined);
  });

  it('compresses the same text once for all connections with the same parameters', () => {
    const text = 'a'.repeat(2000);
    const first = connect(NO_TAKEOVER).server.compress(text);
    assert.equal(connect(NO_TAKEOVER).server.compress(text), first);
    assert.notEqual(connect({ ...NO_TAKEOVER, serverMaxWindowBits: 10 }).server.compress(text), first);
  });

  it('never gives what was compressed for others to a connection that keeps its context', async () => {
    const text = messageOf(3000, 1, 1).toString();
    const lone = connect(TAKEOVER);
    const others = connect(NO_TAKEOVER);
    for (let i = 0; i < 3; i++) {
      assert.ok(await pass(lone.server, lone.client, `${i}${text}`));
      assert.ok(await pass(others.server, others.client, `${i}${text}`));
      assert.ok(await pass(lone.server, lone.client, text));
    }
    close(lone);
  });

  it('refuses a message that grows too much, above 64 KiB', async () => {
    const { server, client } = connect(NO_TAKEOVER, { maxRatio: 50 });
    assert.ok(await pass(client, server, 'a'.repeat(65_536)));
    const payload = (await client.compress('a'.repeat(100_000)))!;
    assert.equal(await decompress(server, true, payload), 'WS_ERR_COMPRESSION_RATIO');
    assert.equal(await decompress(server, true, payload, 1000), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
    assert.ok(await pass(client, server, messageOf(100_000, 2, 1)));
  });

  it('gives back what it reserves, once', () => {
    const pair = connect(TAKEOVER);
    assert.ok(reservedContextBytes() > 400 * 1024);
    close(pair);
    close(pair);
    assert.equal(reservedContextBytes(), 0);
    const half = connect({ ...TAKEOVER, serverNoContextTakeover: true });
    assert.ok(reservedContextBytes() > 0);
    close(half);
    assert.equal(reservedContextBytes(), 0);
    close(connect(NO_TAKEOVER));
    assert.equal(reservedContextBytes(), 0);
  });
});

describe('acceptDeflate', () => {
  const offer = parseExtensions('permessage-deflate; client_max_window_bits')!;

  it('keeps no context by default', () => {
    const { compression, response } = acceptDeflate(offer, DEFAULTS)!;
    assert.equal(response, 'permessage-deflate; server_no_context_takeover; client_no_context_takeover');
    assert.equal(reservedContextBytes(), 0);
    compression.close();
  });

  it('holds nothing for a connection that keeps no context', () => {
    const { compression } = acceptDeflate(offer, DEFAULTS)!;
    compression.close();
    assert.equal(acceptDeflate(offer, DEFAULTS)!.compression, compression);
    assert.ok(compression.compress('a'.repeat(2000)) instanceof Buffer, 'closing it closes nothing');
    const smaller = parseExtensions('permessage-deflate; server_max_window_bits=9')!;
    assert.notEqual(acceptDeflate(smaller, DEFAULTS)!.compression, compression);
    assert.notEqual(acceptDeflate(offer, resolveDeflateOptions(true)!)!.compression, compression);
  });

  it('declines what it cannot meet', () => {
    assert.equal(acceptDeflate(parseExtensions('permessage-deflate; foo')!, DEFAULTS), undefined);
    assert.equal(acceptDeflate([], DEFAULTS), undefined);
  });

  it('grants contexts as long as there is memory for them', () => {
    const options = resolveDeflateOptions({
      serverNoContextTakeover: false,
      clientNoContextTakeover: false,
      maxContextBytes: 400 * 1024,
    })!;
    const accepted = Array.from({ length: 5 }, () => acceptDeflate(offer, options)!);
    const [all, client, none] = [
      'permessage-deflate; server_max_window_bits=12',
      'permessage-deflate; client_no_context_takeover; server_max_window_bits=12',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12',
    ];
    // 164 KiB for both, 112 KiB for the server's own.
    assert.deepEqual(
      accepted.map(({ response }) => response),
      [all, all, none, none, none],
    );
    accepted[0]!.compression.close();
    accepted.push(acceptDeflate(offer, { ...options, maxContextBytes: 300 * 1024 })!);
    assert.equal(accepted.at(-1)!.response, client);
    for (const { compression } of accepted) compression.close();
    assert.equal(reservedContextBytes(), 0);
  });
});

describe('affordableWishes', () => {
  it('gives up the context of what is received first', () => {
    const options = { ...DEFAULTS, ...TAKEOVER };
    assert.deepEqual(affordableWishes('server', options), options);
    const [server, client] = (['server', 'client'] as const).map((role) =>
      affordableWishes(role, { ...options, maxContextBytes: 350 * 1024 }),
    );
    assert.equal(server!.serverNoContextTakeover, false);
    assert.equal(server!.clientNoContextTakeover, true);
    assert.equal(client!.serverNoContextTakeover, true);
    assert.equal(client!.clientNoContextTakeover, false);
    const none = affordableWishes('client', { ...options, maxContextBytes: 1000 });
    assert.ok(none.serverNoContextTakeover && none.clientNoContextTakeover);
  });

  it('makes an offer that both sides understand alike', async () => {
    const options = resolveDeflateOptions({ serverNoContextTakeover: false, clientNoContextTakeover: false })!;
    const wishes = affordableWishes('client', options);
    const { compression, response } = acceptDeflate(parseExtensions(formatOffer(wishes))!, options)!;
    const client = new PerMessageDeflate('client', checkResponse(response, wishes)!, options);
    for (let i = 0; i < 3; i++) {
      assert.ok(await pass(client, compression, 'to the server '.repeat(50)));
      assert.ok(await pass(compression, client, 'to the client '.repeat(50)));
    }
    close({ server: compression, client });
    assert.equal(reservedContextBytes(), 0);
  });
});
