import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import type { ErrorCode } from '../../lib/errors.ts';
import { type PerMessageDeflateOptions, resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import type { DeflateParams } from '../../lib/extensions/deflate-params.ts';
import { PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import { Connection } from '../../lib/net/connection.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cutAt } from '../support/chunking.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, TestOwner, TRANSPORTS } from '../support/connections.ts';
import {
  assertCloses,
  assertSent,
  assertSentClose,
  type Endpoint,
  itOverAll,
  type Setting,
} from '../support/endpoints.ts';
import { hex } from '../support/hex.ts';
import { closePayload, peerFrame } from '../support/protocol-recorder.ts';
import { until } from '../support/watchdog.ts';

const ROLES: readonly Role[] = ['server', 'client'];
const [FIN, RSV1, TEXT, BINARY, CLOSE, PING, PONG] = [0x80, 0x40, 0x1, 0x2, 0x8, 0x9, 0xa];

const TAKEOVER: DeflateParams = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};
const NO_TAKEOVER: DeflateParams = { ...TAKEOVER, serverNoContextTakeover: true, clientNoContextTakeover: true };

interface OpenOptions extends PerMessageDeflateOptions {
  readonly maxMessageBytes?: number;
}

/** An endpoint that has agreed on compression, whatever it runs over. */
async function open(
  setting: Setting,
  role: Role,
  params: DeflateParams = NO_TAKEOVER,
  options: OpenOptions = {},
): Promise<Endpoint> {
  const { maxMessageBytes = 1 << 20, ...deflate } = options;
  const compression = new PerMessageDeflate(role, params, resolveDeflateOptions({ thresholdBytes: 0, ...deflate })!);
  onCleanUp(() => compression.close());
  return setting.open(role, { maxMessageBytes, compression });
}

/** Opens an endpoint, gives it bytes, and returns it when it has handled them. */
async function play(setting: Setting, role: Role, params: DeflateParams, ...chunks: Buffer[]): Promise<Endpoint> {
  return (await open(setting, role, params)).receive(...chunks);
}

/** Frames of the peer, in the notation of the RFC: as an example of it, and not masked. */
function frames(role: Role, ...list: readonly [bits: number, payload: Buffer | string][]): Buffer {
  return Buffer.concat(list.map(([bits, payload]) => peerFrame(role, bits, payload)));
}

const HELLO = hex('f2 48 cd c9 c9 07 00');

describe('RFC 7692', () => {
  afterEach(cleanUp);

  for (const role of ROLES) {
    describe(`§7.2.3 Examples (${role})`, () => {
      const examples: Record<string, [bits: number, payload: Buffer][]> = {
        '§7.2.3.1 one compressed frame': [[FIN | RSV1 | TEXT, HELLO]],
        '§7.2.3.1 two compressed fragments': [
          [RSV1 | TEXT, HELLO.subarray(0, 3)],
          [FIN, HELLO.subarray(3)],
        ],
        '§7.2.3.3 a block with no compression': [[FIN | RSV1 | TEXT, hex('00 05 00 fa ff 48 65 6c 6c 6f 00')]],
        '§7.2.3.4 a block with BFINAL': [[FIN | RSV1 | TEXT, hex('f3 48 cd c9 c9 07 00 00')]],
        '§7.2.3.5 two blocks': [[FIN | RSV1 | TEXT, hex('f2 48 05 00 00 00 ff ff ca c9 c9 07 00')]],
      };
      for (const [section, list] of Object.entries(examples)) {
        itOverAll(`reads ${section}`, async (setting) => {
          await setting.eachChunking(frames(role, ...list), async (chunks) => {
            for (const params of [NO_TAKEOVER, TAKEOVER]) {
              assert.deepEqual((await play(setting, role, params, ...chunks)).messages(), ['Hello']);
            }
          });
        });
      }

      itOverAll('reads §7.2.3.2 a message that shares the window of the one before', async (setting) => {
        const both = frames(role, [FIN | RSV1 | TEXT, HELLO], [FIN | RSV1 | TEXT, hex('f2 00 11 00 00')]);
        await setting.eachChunking(both, async (chunks) => {
          assert.deepEqual((await play(setting, role, TAKEOVER, ...chunks)).messages(), ['Hello', 'Hello']);
        });
        const endpoint = await play(setting, role, NO_TAKEOVER, both);
        assert.deepEqual([endpoint.messages(), endpoint.error()?.code], [['Hello'], 'WS_ERR_INFLATE_FAILED']);
      });

      itOverAll(
        'refuses a message that was cut short for itself, §7.2.2, and takes nothing of the next for its rest',
        async (setting) => {
          for (let length = 1; length < HELLO.length; length++) {
            const both = frames(role, [FIN | RSV1 | TEXT, HELLO.subarray(0, length)], [FIN | RSV1 | TEXT, HELLO]);
            for (const params of [TAKEOVER, NO_TAKEOVER]) {
              const endpoint = await play(setting, role, params, both);
              assert.deepEqual(
                [endpoint.messages(), endpoint.error()?.code],
                [[], 'WS_ERR_INFLATE_FAILED'],
                `${length} bytes`,
              );
              assertSentClose(endpoint, 1007);
            }
          }
        },
      );

      itOverAll('reads §7.2.3.6 an empty message', async (setting) => {
        const bytes = frames(role, [FIN | RSV1 | TEXT, hex('00')], [FIN | RSV1 | BINARY, hex('00')]);
        for (const params of [NO_TAKEOVER, TAKEOVER]) {
          assert.deepEqual((await play(setting, role, params, bytes)).messages(), ['', hex('')]);
        }
      });
    });

    describe(`§6 Framing (${role})`, () => {
      itOverAll('lets control frames stand between the fragments of a compressed message', async (setting) => {
        const list = Array.from(HELLO, (byte, i): [number, Buffer][] => [
          [(i === 0 ? RSV1 | TEXT : 0) | (i === HELLO.length - 1 ? FIN : 0), Buffer.of(byte)],
          [FIN | PING, Buffer.from(`${i}`)],
        ]).flat();
        const endpoint = await play(setting, role, NO_TAKEOVER, frames(role, ...list));
        assert.deepEqual(endpoint.messages(), ['Hello']);
        assertSent(
          endpoint,
          Array.from(HELLO, (_, i): [number, string] => [PONG, `${i}`]),
        );
      });

      itOverAll('reads compressed messages and others by turns', async (setting) => {
        const bytes = frames(
          role,
          [FIN | TEXT, 'plain'],
          [FIN | RSV1 | TEXT, HELLO],
          [TEXT, 'pl'],
          [FIN, 'ain'],
          [RSV1 | BINARY, HELLO],
          [FIN, ''],
        );
        await setting.eachChunking(bytes, async (chunks) => {
          const endpoint = await play(setting, role, TAKEOVER, ...chunks);
          assert.deepEqual(endpoint.messages(), ['plain', 'Hello', 'plain', Buffer.from('Hello')]);
        });
      });

      itOverAll(
        'refuses RSV1 on a continuation, on a control frame, and where nothing was agreed on',
        async (setting) => {
          const wrong: Buffer[] = [
            frames(role, [RSV1 | TEXT, HELLO.subarray(0, 2)], [FIN | RSV1, HELLO.subarray(2)]),
            frames(role, [TEXT, 'a'], [FIN | RSV1, HELLO]),
            frames(role, [FIN | RSV1 | PING, '']),
            frames(role, [FIN | RSV1 | PONG, '']),
            frames(role, [FIN | RSV1 | CLOSE, closePayload(1000)]),
          ];
          for (const bytes of wrong) {
            const endpoint = await play(setting, role, NO_TAKEOVER, bytes);
            assert.deepEqual([endpoint.messages(), endpoint.error()?.code], [[], 'WS_ERR_UNEXPECTED_RSV_1']);
            assertCloses(endpoint, 1002);
          }
          const without = await (await setting.open(role)).receive(frames(role, [FIN | RSV1 | TEXT, HELLO]));
          assertCloses(without, 1002);
        },
      );
    });

    describe(`§7.2.2 Decompression (${role})`, () => {
      const faults: [title: string, payload: Buffer, code: ErrorCode, closeCode: number][] = [
        ['nothing, not even an empty block', hex(''), 'WS_ERR_INFLATE_FAILED', 1007],
        ['a block type that does not exist', hex('ff'), 'WS_ERR_INFLATE_FAILED', 1007],
        ['a reference before the start', hex('f2 00 11 00 00'), 'WS_ERR_INFLATE_FAILED', 1007],
        // zlib ends its stream at BFINAL, and forgets.
        [
          'a reference to what lies before a block with BFINAL',
          hex('01 05 00 fa ff 48 65 6c 6c 6f f2 00 11 00 00'),
          'WS_ERR_INFLATE_FAILED',
          1007,
        ],
        ['text that is not UTF-8', hex('00 01 00 fe ff ff 00'), 'WS_ERR_INVALID_UTF8', 1007],
      ];
      for (const [title, payload, code, closeCode] of faults) {
        itOverAll(`refuses ${title}`, async (setting) => {
          for (const params of [NO_TAKEOVER, TAKEOVER]) {
            for (const cut of [[], [0], [payload.length]]) {
              const pieces = cutAt(payload, ...cut);
              const list = pieces.map((piece, i): [number, Buffer] => [
                (i === 0 ? RSV1 | TEXT : 0) | (i === pieces.length - 1 ? FIN : 0),
                piece,
              ]);
              const endpoint = await play(setting, role, params, frames(role, ...list, [FIN | TEXT, 'never']));
              assert.deepEqual([endpoint.messages(), endpoint.error()?.code], [[], code]);
              assertCloses(endpoint, closeCode);
            }
          }
        });
      }

      itOverAll('stops a bomb at the limit, also a fragmented one', async (setting) => {
        const bomb = peerMessage(role, Buffer.alloc(8 << 20));
        for (const cut of [[], [1], [100, 200, 200, 4000]]) {
          for (const params of [NO_TAKEOVER, TAKEOVER]) {
            const pieces = cutAt(bomb, ...cut);
            const list = pieces.map((piece, i): [number, Buffer] => [
              (i === 0 ? RSV1 | BINARY : 0) | (i === pieces.length - 1 ? FIN : 0),
              piece,
            ]);
            const endpoint = await open(setting, role, params, { maxMessageBytes: 1 << 18 });
            await endpoint.receive(frames(role, ...list));
            assert.equal(endpoint.error()?.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
            assert.deepEqual(endpoint.messages(), []);
            assertCloses(endpoint, 1009);
          }
        }
      });

      itOverAll('names the option that bounds the ratio', async (setting) => {
        const bytes = frames(role, [FIN | RSV1 | BINARY, peerMessage(role, Buffer.alloc(100_000))]);
        const endpoint = await (await open(setting, role, NO_TAKEOVER, { maxRatio: 20 })).receive(bytes);
        assert.equal(endpoint.error()?.code, 'WS_ERR_COMPRESSION_RATIO');
        assert.match(assertSentClose(endpoint, 1009), /maxRatio/);
      });
    });
  }

  describe('§7 both roles together', () => {
    const sizes = [0, 1, 16, 125, 126, 1000, 4096, 16_384, 65_535, 65_536, 65_537, 131_072];
    const messages = sizes.flatMap((size) => {
      const text = `{"size":${size}},`.repeat(size / 10 + 1).slice(0, size);
      return [text, Buffer.from(text).reverse(), bytesOf(size, size)];
    });

    for (const [name, makePair] of TRANSPORTS) {
      for (const noTakeover of [true, false]) {
        it(`carries messages of 0 bytes to 128 KiB with every window, ${noTakeover ? 'without' : 'with'} takeover, over ${name}`, async () => {
          for (let bits = 8; bits <= 15; bits++) {
            const params = {
              serverNoContextTakeover: noTakeover,
              clientNoContextTakeover: noTakeover,
              serverMaxWindowBits: bits,
              clientMaxWindowBits: 23 - bits,
            };
            const [here, there] = await makePair();
            const server = talk(here, 'server', params);
            const client = talk(there, 'client', params);
            for (const [i, data] of messages.entries()) {
              void server.connection.send(data, i % 5 === 0 ? false : undefined);
              void client.connection.send(data, i % 7 === 0 ? true : undefined);
              if (i % 4 === 0) server.connection.ping(Buffer.from(`between ${i}`)).catch(() => {});
            }
            for (const { received } of [server, client]) {
              await until('all messages', () => received.length === messages.length);
              for (const [i, data] of received.entries()) {
                assert.ok(Buffer.from(data as Buffer).equals(Buffer.from(messages[i] as Buffer)), `message ${i}`);
                assert.equal(typeof data, typeof messages[i]);
              }
            }
            client.connection.close(1000, 'done');
            assert.equal((await server.connection.closed).code, 1000);
            assert.equal((await client.connection.closed).code, 1000);
          }
        });
      }
    }

    itOverAll('§7.2.3.6 sends an empty message as it is', async (setting) => {
      const server = await open(setting, 'server', TAKEOVER);
      await server.send('', true);
      await server.flush();
      assert.deepEqual(server.sent(), [{ fin: true, rsv1: false, opcode: TEXT, payload: hex('') }]);
    });
  });
});

/** The payload of a compressed message that a peer of this role sends. */
function peerMessage(role: Role, data: Buffer): Buffer {
  const peer = new PerMessageDeflate(
    role === 'server' ? 'client' : 'server',
    NO_TAKEOVER,
    resolveDeflateOptions(true)!,
  );
  const pieces: Buffer[] = [];
  // In pieces that are compressed at once: each is a number of whole blocks, and so are all of them together, when each
  // but the last gets back what it left out.
  for (let at = 0; at < data.length; at += 65_536) {
    pieces.push(peer.compress(data.subarray(at, at + 65_536), true) as Buffer, hex('0000ffff'));
  }
  return Buffer.concat(pieces.slice(0, -1));
}

/** A connection that has agreed on compression, and what it receives. */
function talk(
  socket: Duplex,
  role: Role,
  params: DeflateParams,
): { connection: Connection; received: (string | Buffer)[] } {
  const compression = new PerMessageDeflate(role, params, resolveDeflateOptions({ thresholdBytes: 0 })!);
  const connection = new Connection(socket, role, CONNECTION_LIMITS, '', compression);
  const received: (string | Buffer)[] = [];
  const owner = new TestOwner();
  owner.take = (data) => {
    received.push(data);
    return true;
  };
  connection.start(owner);
  onCleanUp(() => connection.destroy());
  return { connection, received };
}
