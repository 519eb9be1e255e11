import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import type { DeflateParams } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate } from '../../lib/extensions/permessage-deflate.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp } from '../support/clean-up.ts';
import type { Frame } from '../support/reference-codec.ts';
import { makeServer } from '../support/running-server.ts';
import { SERVINGS } from '../support/servings.ts';
import type { WsClient } from '../support/ws-client.ts';
import { ZlibPeer } from '../support/zlib-peer.ts';
import {
  agree,
  checkAnswer,
  framesOf,
  headerOf,
  MESSAGE_BYTES,
  messageOf,
  PARAMETER_SETS,
  paramsIn,
  playCompression,
  SPREAD_SETS,
} from './compression-cases.ts';

const ROLES: readonly Role[] = ['server', 'client'];
const EXTENSIONS = 'Sec-WebSocket-Extensions';
const PONG = 10;
const BITS = [8, 9, 10, 11, 12, 13, 14, 15];

/** Up to this length of a message every set of parameters is played; above, those of `SPREAD_SETS`. */
const MAX_SMALL_BYTES = 4096;
/** `npm run conformance` plays a thousand. */
const ROUNDS = 3;

const DEFAULTS: DeflateParams = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};

describe('the peer that is made of node:zlib', () => {
  const narrow = { ...DEFAULTS, serverMaxWindowBits: 9, clientMaxWindowBits: 9 };
  const noise = bytesOf(1000, 1);

  it('reads what it writes, with every set of parameters', () => {
    for (const params of PARAMETER_SETS) {
      const [server, client] = [new ZlibPeer('server', params), new ZlibPeer('client', params)];
      for (const data of [noise, noise, Buffer.alloc(0), Buffer.alloc(5000, 'text. '), noise]) {
        assert.ok(client.decompress(server.compress(data)).equals(data));
        assert.ok(server.decompress(client.compress(data)).equals(data));
      }
    }
  });

  it('takes no message that takes over a context where none was agreed on', () => {
    const sender = new ZlibPeer('client', DEFAULTS);
    const receiver = new ZlibPeer('server', { ...DEFAULTS, serverNoContextTakeover: true });
    receiver.decompress(sender.compress(noise));
    const second = sender.compress(noise);
    assert.ok(second.length < 100, 'it refers to the first');
    assert.throws(() => receiver.decompress(second), /invalid distance/);
  });

  it('takes no message that reaches further back than the window', () => {
    const far = new ZlibPeer('client', DEFAULTS).compress(Buffer.concat([noise, noise]));
    assert.throws(() => new ZlibPeer('server', narrow).decompress(far), /invalid distance/);
    const near = new ZlibPeer('client', narrow).compress(Buffer.concat([noise, noise]));
    assert.ok(near.length > 1900 && far.length < 1100);
    assert.equal(new ZlibPeer('server', narrow).decompress(near).length, 2000);
  });
});

describe('12. Compression: agreeing', () => {
  it('agrees on every set of parameters that a client may offer', () => {
    for (const params of PARAMETER_SETS) agree('server', params).close();
  });

  it('agrees on every set of parameters that a server may answer with', () => {
    for (const params of PARAMETER_SETS) agree('client', params).close();
  });

  it('asks for every set of parameters that its options may name', () => {
    for (const params of PARAMETER_SETS) {
      const options = resolveDeflateOptions({ ...params })!;
      const accepted = acceptDeflate(parseExtensions('permessage-deflate; client_max_window_bits')!, options)!;
      assert.deepEqual(paramsIn(accepted.response), params);
      accepted.compression.close();
    }
  });

  it('takes the stricter of what a client offers and what its options name', () => {
    const options = resolveDeflateOptions({
      serverMaxWindowBits: 11,
      clientMaxWindowBits: 12,
      clientNoContextTakeover: false,
    })!;
    for (const params of PARAMETER_SETS) {
      const accepted = acceptDeflate(parseExtensions(headerOf(params))!, options)!;
      assert.deepEqual(paramsIn(accepted.response), {
        serverNoContextTakeover: true,
        clientNoContextTakeover: params.clientNoContextTakeover,
        serverMaxWindowBits: Math.min(params.serverMaxWindowBits, 11),
        clientMaxWindowBits: Math.min(params.clientMaxWindowBits, 12),
      });
      accepted.compression.close();
    }
  });
});

for (const role of ROLES) {
  for (const noContext of ['neither', 'client', 'server', 'both'] as const) {
    describe(`12, 13. Compression: a ${role} echoes, ${noContext} without context takeover`, () => {
      for (const bits of BITS) {
        it(`server_max_window_bits=${bits}`, async () => {
          const sets = PARAMETER_SETS.filter(
            ({ serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits }) =>
              serverMaxWindowBits === bits &&
              serverNoContextTakeover === (noContext === 'server' || noContext === 'both') &&
              clientNoContextTakeover === (noContext === 'client' || noContext === 'both'),
          );
          assert.equal(sets.length, BITS.length);
          for (const [i, params] of sets.entries()) {
            for (const bytes of MESSAGE_BYTES) {
              if (bytes > MAX_SMALL_BYTES && !SPREAD_SETS.includes(params)) continue;
              // Elsewhere in the series each time, so that all kinds of messages, blocks and fragments come up.
              await playCompression({ role, params, bytes }, ROUNDS, (i + bits) * ROUNDS);
            }
          }
        });
      }
    });
  }
}

for (const { name, serve } of SERVINGS) {
  describe(`12, 13. Compression: a server over ${name}`, () => {
    const { server, errors } = makeServer({
      perMessageDeflate: {
        thresholdBytes: 0,
        serverNoContextTakeover: false,
        clientNoContextTakeover: false,
        serverMaxWindowBits: 15,
      },
    });
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    let served: Awaited<ReturnType<typeof serve>>;
    before(async () => {
      served = await serve(server);
    });
    after(() => served.stop());
    afterEach(cleanUp);

    /** Opens a WebSocket with these offers, and returns what the server answers. */
    async function open(offers: string): Promise<[WsClient, answer: string]> {
      const client = await served.connect();
      const head = await client.upgrade('/', { [EXTENSIONS]: offers });
      if (client.socket instanceof Socket) client.socket.setNoDelay(true);
      return [client, head.headers.get(EXTENSIONS.toLowerCase())!];
    }

    for (const params of SPREAD_SETS) {
      it(headerOf(params), async () => {
        const [client, answer] = await open(headerOf(params));
        assert.deepEqual(paramsIn(answer), params);
        const peer = new ZlibPeer('server', params);
        for (const [i, bytes] of MESSAGE_BYTES.entries()) {
          // Two behind each other, whose answers must come in order; a Pong may overtake what is still being compressed.
          const sent = [2 * i, 2 * i + 1].map((round) => messageOf(round, bytes));
          const pings = sent.flatMap((message, n) => {
            const [frames, expected] = framesOf('server', peer, 2 * i + n, message);
            client.write(frames);
            return expected;
          });
          const echoes: Frame[] = [];
          const pongs: string[] = [];
          while (echoes.length < sent.length) {
            const frame = (await client.readFrame()) ?? assert.fail('the connection ended early');
            if (frame.opcode === PONG) pongs.push(frame.payload.toString());
            else echoes.push(frame);
          }
          assert.deepEqual(pongs, pings);
          for (const [n, message] of sent.entries()) checkAnswer([echoes[n]!], [], peer, message, true);
        }
        client.close(1000);
        assert.equal((await client.receiveClose(false)).code, 1000);
        assert.deepEqual(errors, []);
      });
    }

    it('takes the first of several offers that it can, in their order', async () => {
      const offers: [offers: string, chosen: DeflateParams][] = [
        ['permessage-deflate; server_max_window_bits=9, permessage-deflate', { ...DEFAULTS, serverMaxWindowBits: 9 }],
        ['permessage-deflate, permessage-deflate; server_max_window_bits=9', DEFAULTS],
        [
          'permessage-deflate; server_no_context_takeover; client_max_window_bits=10, permessage-deflate; client_max_window_bits, permessage-deflate',
          { ...DEFAULTS, serverNoContextTakeover: true, clientMaxWindowBits: 10 },
        ],
        [
          'x-other; a=b, permessage-deflate; server_max_window_bits=16, permessage-deflate; unknown, permessage-deflate; client_no_context_takeover',
          { ...DEFAULTS, clientNoContextTakeover: true },
        ],
        [
          'permessage-deflate; server_max_window_bits=08, permessage-deflate; server_max_window_bits="11"',
          { ...DEFAULTS, serverMaxWindowBits: 11 },
        ],
      ];
      for (const [header, chosen] of offers) {
        const [client, answer] = await open(header);
        assert.deepEqual(paramsIn(answer), chosen, header);
        const peer = new ZlibPeer('server', chosen);
        for (let round = 0; round < 3; round++) {
          const message = messageOf(2, 1024);
          client.write(framesOf('server', peer, 0, message)[0]);
          const echoed = (await client.readFrame())!;
          assert.ok(checkAnswer([echoed], [], peer, message, true), 'it comes back compressed');
        }
      }
    });
  });
}
