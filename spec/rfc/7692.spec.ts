import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { ErrorCode } from '../../lib/errors.ts';
import { type PerMessageDeflateOptions, resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import type { DeflateParams } from '../../lib/extensions/deflate-params.ts';
import { PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cutAt, eachChunking } from '../support/chunking.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { hex } from '../support/hex.ts';
import {
  assertCloses,
  assertSentClose,
  closePayload,
  ProtocolRecorder,
  peerFrame,
} from '../support/protocol-recorder.ts';

const ROLES: readonly Role[] = ['server', 'client'];
const [FIN, RSV1, TEXT, BINARY, CLOSE, PING] = [0x80, 0x40, 0x1, 0x2, 0x8, 0x9];

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

/** An endpoint that has agreed on compression. */
function open(role: Role, params: DeflateParams = NO_TAKEOVER, options: OpenOptions = {}): ProtocolRecorder {
  const { maxMessageBytes = 1 << 20, ...deflate } = options;
  const compression = new PerMessageDeflate(role, params, resolveDeflateOptions({ thresholdBytes: 0, ...deflate })!);
  const recorder = new ProtocolRecorder(role, { maxMessageBytes }, compression);
  onCleanUp(() => recorder.protocol.receiveEnd());
  return recorder;
}

/** Frames of the peer, in the notation of the RFC: as an example of it, and not masked. */
function frames(role: Role, ...list: readonly [bits: number, payload: Buffer | string][]): Buffer {
  return Buffer.concat(list.map(([bits, payload]) => peerFrame(role, bits, payload)));
}

function received(recorder: ProtocolRecorder): unknown[] {
  return recorder.received().map((event) => (event.type === 'error' ? event.code : event));
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
        it(`reads ${section}`, () => {
          eachChunking(frames(role, ...list), (chunks) => {
            assert.deepEqual(
              open(role)
                .receive(...chunks)
                .messages(),
              ['Hello'],
            );
            assert.deepEqual(
              open(role, TAKEOVER)
                .receive(...chunks)
                .messages(),
              ['Hello'],
            );
          });
        });
      }

      it('reads §7.2.3.2 a message that shares the window of the one before', () => {
        const both = frames(role, [FIN | RSV1 | TEXT, HELLO], [FIN | RSV1 | TEXT, hex('f2 00 11 00 00')]);
        eachChunking(both, (chunks) => {
          assert.deepEqual(
            open(role, TAKEOVER)
              .receive(...chunks)
              .messages(),
            ['Hello', 'Hello'],
          );
        });
        const recorder = open(role).receive(both);
        assert.deepEqual(received(recorder), [{ type: 'message', data: 'Hello' }, 'WS_ERR_INFLATE_FAILED']);
      });

      it('refuses a message that was cut short for itself, §7.2.2, and takes nothing of the next for its rest', () => {
        for (let length = 1; length < HELLO.length; length++) {
          const both = frames(role, [FIN | RSV1 | TEXT, HELLO.subarray(0, length)], [FIN | RSV1 | TEXT, HELLO]);
          for (const params of [TAKEOVER, NO_TAKEOVER]) {
            const recorder = open(role, params).receive(both);
            assert.deepEqual(received(recorder), ['WS_ERR_INFLATE_FAILED'], `${length} bytes`);
            assertSentClose(recorder, 1007);
          }
        }
      });

      it('reads §7.2.3.6 an empty message', () => {
        const bytes = frames(role, [FIN | RSV1 | TEXT, hex('00')], [FIN | RSV1 | BINARY, hex('00')]);
        assert.deepEqual(open(role).receive(bytes).messages(), ['', hex('')]);
        assert.deepEqual(open(role, TAKEOVER).receive(bytes).messages(), ['', hex('')]);
      });
    });

    describe(`§6 Framing (${role})`, () => {
      it('lets control frames stand between the fragments of a compressed message', () => {
        const list = Array.from(HELLO, (byte, i): [number, Buffer][] => [
          [(i === 0 ? RSV1 | TEXT : 0) | (i === HELLO.length - 1 ? FIN : 0), Buffer.of(byte)],
          [FIN | PING, Buffer.from(`${i}`)],
        ]).flat();
        const recorder = open(role).receive(frames(role, ...list));
        assert.deepEqual(recorder.messages(), ['Hello']);
        assert.equal(recorder.count('ping'), HELLO.length);
      });

      it('reads compressed messages and others by turns', () => {
        const bytes = frames(
          role,
          [FIN | TEXT, 'plain'],
          [FIN | RSV1 | TEXT, HELLO],
          [TEXT, 'pl'],
          [FIN, 'ain'],
          [RSV1 | BINARY, HELLO],
          [FIN, ''],
        );
        eachChunking(bytes, (chunks) => {
          const { messages } = {
            messages: open(role, TAKEOVER)
              .receive(...chunks)
              .messages(),
          };
          assert.deepEqual(messages, ['plain', 'Hello', 'plain', Buffer.from('Hello')]);
        });
      });

      it('refuses RSV1 on a continuation, on a control frame, and where nothing was agreed on', () => {
        const wrong: Buffer[] = [
          frames(role, [RSV1 | TEXT, HELLO.subarray(0, 2)], [FIN | RSV1, HELLO.subarray(2)]),
          frames(role, [TEXT, 'a'], [FIN | RSV1, HELLO]),
          frames(role, [FIN | RSV1 | PING, '']),
          frames(role, [FIN | RSV1 | CLOSE, closePayload(1000)]),
        ];
        for (const bytes of wrong) {
          const recorder = open(role).receive(bytes);
          assert.deepEqual(received(recorder), ['WS_ERR_UNEXPECTED_RSV_1']);
          assertCloses(recorder, 1002);
        }
        const without = new ProtocolRecorder(role).receive(frames(role, [FIN | RSV1 | TEXT, HELLO]));
        assertCloses(without, 1002);
      });
    });

    describe(`§7.2.2 Decompression (${role})`, () => {
      const faults: [title: string, payload: Buffer, code: ErrorCode, closeCode: number][] = [
        ['nothing, not even an empty block', hex(''), 'WS_ERR_INFLATE_FAILED', 1007],
        ['a block type that does not exist', hex('ff'), 'WS_ERR_INFLATE_FAILED', 1007],
        ['a reference before the start', hex('f2 00 11 00 00'), 'WS_ERR_INFLATE_FAILED', 1007],
        ['text that is not UTF-8', hex('00 01 00 fe ff ff 00'), 'WS_ERR_INVALID_UTF8', 1007],
      ];
      for (const [title, payload, code, closeCode] of faults) {
        it(`refuses ${title}`, () => {
          for (const params of [NO_TAKEOVER, TAKEOVER]) {
            for (const cut of [[], [0], [payload.length]]) {
              const pieces = cutAt(payload, ...cut);
              const list = pieces.map((piece, i): [number, Buffer] => [
                (i === 0 ? RSV1 | TEXT : 0) | (i === pieces.length - 1 ? FIN : 0),
                piece,
              ]);
              const recorder = open(role, params).receive(frames(role, ...list, [FIN | TEXT, 'never']));
              assert.deepEqual(received(recorder), [code]);
              assertCloses(recorder, closeCode);
            }
          }
        });
      }

      it('stops a bomb at the limit, also a fragmented one', async () => {
        const bomb = peerMessage(role, Buffer.alloc(8 << 20));
        for (const cut of [[], [1], [100, 200, 200, 4000]]) {
          for (const params of [NO_TAKEOVER, TAKEOVER]) {
            const pieces = cutAt(bomb, ...cut);
            const list = pieces.map((piece, i): [number, Buffer] => [
              (i === 0 ? RSV1 | BINARY : 0) | (i === pieces.length - 1 ? FIN : 0),
              piece,
            ]);
            const recorder = open(role, params, { maxMessageBytes: 1 << 18 }).receive(frames(role, ...list));
            await recorder.settle();
            assert.deepEqual(received(recorder), ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH']);
            assertCloses(recorder, 1009);
          }
        }
      });

      it('names the option that bounds the ratio', async () => {
        const bytes = frames(role, [FIN | RSV1 | BINARY, peerMessage(role, Buffer.alloc(100_000))]);
        const recorder = open(role, NO_TAKEOVER, { maxRatio: 20 }).receive(bytes);
        await recorder.settle();
        assert.deepEqual(received(recorder), ['WS_ERR_COMPRESSION_RATIO']);
        assert.match(assertSentClose(recorder, 1009), /maxRatio/);
      });
    });
  }

  describe('§7 both roles together', () => {
    const sizes = [0, 1, 16, 125, 126, 1000, 4096, 16_384, 65_535, 65_536, 65_537, 131_072];
    const messages = sizes.flatMap((size) => {
      const text = `{"size":${size}},`.repeat(size / 10 + 1).slice(0, size);
      return [text, Buffer.from(text).reverse(), bytesOf(size, size)];
    });

    /** Carries over all that each side sends to the other, until both are silent. */
    async function exchange(server: ProtocolRecorder, client: ProtocolRecorder): Promise<void> {
      const seen = { server: 0, client: 0 };
      for (;;) {
        await server.settle();
        await client.settle();
        const toClient = server.sentBytes().subarray(seen.server);
        const toServer = client.sentBytes().subarray(seen.client);
        if (toClient.length + toServer.length === 0) return;
        seen.server += toClient.length;
        seen.client += toServer.length;
        for (const chunk of cutAt(toClient, ...[1448, 60_000, 100_000].filter((at) => at < toClient.length))) {
          client.receive(Buffer.from(chunk));
        }
        server.receive(Buffer.from(toServer));
      }
    }

    for (const noTakeover of [true, false]) {
      it(`carries messages of 0 bytes to 128 KiB with every window, ${noTakeover ? 'without' : 'with'} takeover`, async () => {
        for (let bits = 8; bits <= 15; bits++) {
          const params = {
            serverNoContextTakeover: noTakeover,
            clientNoContextTakeover: noTakeover,
            serverMaxWindowBits: bits,
            clientMaxWindowBits: 23 - bits,
          };
          const server = open('server', params);
          const client = open('client', params);
          for (const [i, data] of messages.entries()) {
            server.protocol.sendMessage(data, i % 5 === 0 ? false : undefined);
            client.protocol.sendMessage(data, i % 7 === 0 ? true : undefined);
            if (i % 4 === 0) server.protocol.sendPing(Buffer.from('between'));
          }
          client.protocol.sendClose(1000, 'done');
          await exchange(server, client);
          for (const recorder of [server, client]) {
            assert.equal(recorder.messages().length, messages.length);
            for (const [i, data] of recorder.messages().entries()) {
              assert.ok(Buffer.from(data as Buffer).equals(Buffer.from(messages[i] as Buffer)), `message ${i}`);
              assert.equal(typeof data, typeof messages[i]);
            }
            assert.equal(recorder.protocol.close?.code, 1000);
          }
          const bytes = server.sentBytes().length;
          assert.ok(bytes < messages.reduce((sum, data) => sum + data.length, 0) * 0.8, `${bytes} bytes`);
        }
      });
    }

    it('§7.2.3.6 sends an empty message as it is', () => {
      const server = open('server', TAKEOVER);
      server.protocol.sendMessage('', true);
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
