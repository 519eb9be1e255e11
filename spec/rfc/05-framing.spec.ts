import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { ErrorCode } from '../../lib/errors.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { assertSame } from '../support/assert-same.ts';
import { itOverAll } from '../support/endpoints.ts';
import { describeFaults, describeLegal, type Fault } from '../support/faults.ts';
import { hex } from '../support/hex.ts';
import { peerFrame } from '../support/protocol-recorder.ts';

/** The same first byte sent to both ends; to a server with the mask it expects. */
function fromBothEnds(title: string, first: string, error: ErrorCode): Fault[] {
  return [
    { title, role: 'client', bytes: `${first} 00`, error, closeCode: 1002 },
    { title, role: 'server', bytes: `${first} 80 00000000`, error, closeCode: 1002 },
  ];
}

describe('RFC 6455 §5.1 Masking by direction', () => {
  describeFaults([
    {
      title: 'a text frame without a mask',
      role: 'server',
      bytes: '8105 48656c6c6f',
      error: 'WS_ERR_EXPECTED_MASK',
      closeCode: 1002,
    },
    {
      title: 'an empty frame without a mask',
      role: 'server',
      bytes: '8200',
      error: 'WS_ERR_EXPECTED_MASK',
      closeCode: 1002,
    },
    { title: 'a ping without a mask', role: 'server', bytes: '8900', error: 'WS_ERR_EXPECTED_MASK', closeCode: 1002 },
    {
      title: 'a Close frame without a mask',
      role: 'server',
      bytes: '8802 03e8',
      error: 'WS_ERR_EXPECTED_MASK',
      closeCode: 1002,
    },
    {
      title: 'a fragment without a mask',
      role: 'server',
      bytes: '0180 00000000 8000',
      error: 'WS_ERR_EXPECTED_MASK',
      closeCode: 1002,
    },
    {
      title: 'a text frame with a mask',
      role: 'client',
      bytes: '8185 37fa213d 7f9f4d5158',
      error: 'WS_ERR_UNEXPECTED_MASK',
      closeCode: 1002,
    },
    {
      title: 'an empty frame with a mask',
      role: 'client',
      bytes: '8280 00000000',
      error: 'WS_ERR_UNEXPECTED_MASK',
      closeCode: 1002,
    },
    {
      title: 'a pong with a mask',
      role: 'client',
      bytes: '8a80 00000000',
      error: 'WS_ERR_UNEXPECTED_MASK',
      closeCode: 1002,
    },
  ]);

  itOverAll('masks all that a client sends, and nothing that a server sends', async ({ open }) => {
    for (const role of ['client', 'server'] as const) {
      const endpoint = await open(role);
      endpoint.send('text');
      endpoint.send(bytesOf(70_000, 1));
      endpoint.ping();
      await endpoint.receive(peerFrame(role, 0x89, 'ping'));
      endpoint.close();
      await endpoint.flush();
      // It is read as the peer reads it, with the rules of its role.
      assert.deepEqual(
        endpoint.sent().map(({ opcode }) => opcode),
        [1, 2, 9, 10, 8],
      );
    }
  });
});

describe('RFC 6455 §5.2 Reserved bits', () => {
  describeFaults(
    ['RSV1 c1', 'RSV2 a1', 'RSV3 91', 'all f1', 'RSV1 ca', 'RSV2 a9', 'RSV3 98', 'RSV1 c0', 'RSV3 12'].flatMap(
      (row) => {
        const [bits, first] = row.split(' ');
        const error = bits === 'RSV1' ? 'WS_ERR_UNEXPECTED_RSV_1' : 'WS_ERR_UNEXPECTED_RSV_2_3';
        return fromBothEnds(`${bits} on opcode ${first![1]}`, first!, error);
      },
    ),
  );
});

describe('RFC 6455 §5.2 Opcodes', () => {
  describeFaults(
    ['83', '84', '85', '86', '87', '8b', '8c', '8d', '8e', '8f', '03', '0b'].flatMap((first) =>
      fromBothEnds(
        `reserved opcode ${first[1]}${first[0] === '0' ? ' without FIN' : ''}`,
        first,
        'WS_ERR_INVALID_OPCODE',
      ),
    ),
  );
});

describe('RFC 6455 §5.2 Payload length', () => {
  describeFaults([
    {
      title: '0 bytes in 16 bits',
      role: 'client',
      bytes: '827e 0000',
      error: 'WS_ERR_NON_MINIMAL_LENGTH',
      closeCode: 1002,
    },
    {
      title: '125 bytes in 16 bits',
      role: 'server',
      bytes: '82fe 007d 00000000',
      error: 'WS_ERR_NON_MINIMAL_LENGTH',
      closeCode: 1002,
    },
    {
      title: '126 bytes in 64 bits',
      role: 'client',
      bytes: '827f 000000000000007e',
      error: 'WS_ERR_NON_MINIMAL_LENGTH',
      closeCode: 1002,
    },
    {
      title: '65535 bytes in 64 bits',
      role: 'server',
      bytes: '82ff 000000000000ffff 00000000',
      error: 'WS_ERR_NON_MINIMAL_LENGTH',
      closeCode: 1002,
    },
    {
      title: 'the top bit set',
      role: 'client',
      bytes: '827f 8000000000000000',
      error: 'WS_ERR_INVALID_PAYLOAD_LENGTH',
      closeCode: 1002,
    },
    {
      title: 'all bits set',
      role: 'server',
      bytes: '82ff ffffffffffffffff 00000000',
      error: 'WS_ERR_INVALID_PAYLOAD_LENGTH',
      closeCode: 1002,
    },
    {
      title: '2^63 - 1 bytes',
      role: 'client',
      bytes: '827f 7fffffffffffffff',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
    {
      title: '2^53 bytes',
      role: 'server',
      bytes: '82ff 0020000000000000 00000000',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
    {
      title: '2^53 - 1 bytes',
      role: 'client',
      bytes: '827f 001fffffffffffff',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
    {
      title: '2^32 bytes',
      role: 'server',
      bytes: '82ff 0000000100000000 00000000',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
    {
      title: '2^32 + 5 bytes, whose lower half is small',
      role: 'client',
      bytes: '827f 0000000100000005',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
    {
      title: '2^31 - 1 bytes',
      role: 'client',
      bytes: '827f 000000007fffffff',
      error: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      closeCode: 1009,
    },
  ]);

  itOverAll('takes every boundary length in its shortest form', async ({ open, eachChunking }) => {
    for (const role of ['client', 'server'] as const) {
      for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) {
        const payload = bytesOf(length, length);
        await eachChunking(peerFrame(role, 0x82, payload), async (chunks) => {
          assertSame((await (await open(role)).receive(...chunks)).messages(), [payload]);
        });
      }
    }
  });
});

describe('RFC 6455 §5.3 Masking', () => {
  itOverAll('takes any key, also one of zeros', async ({ open, eachChunking }) => {
    for (const key of ['00000000', 'ffffffff', '00000001', '80000000', '37fa213d']) {
      const masked = Array.from(Buffer.from('Hello'), (byte, i) => byte ^ hex(key)[i % 4]!);
      const bytes = Buffer.concat([hex(`8185 ${key}`), Buffer.from(masked)]);
      await eachChunking(bytes, async (chunks) => {
        assert.deepEqual((await (await open('server')).receive(...chunks)).messages(), ['Hello']);
      });
    }
  });
});

describe('RFC 6455 §5.7 Examples', () => {
  describeLegal([
    { title: 'an unmasked text message', role: 'client', bytes: '8105 48656c6c6f', messages: ['Hello'] },
    { title: 'a masked text message', role: 'server', bytes: '8185 37fa213d 7f9f4d5158', messages: ['Hello'] },
    { title: 'a fragmented text message', role: 'client', bytes: '0103 48656c 8002 6c6f', messages: ['Hello'] },
    { title: 'an unmasked ping and a text message', role: 'client', bytes: '8905 48656c6c6f 8100', messages: [''] },
    { title: 'a masked pong', role: 'server', bytes: '8a85 37fa213d 7f9f4d5158', messages: [] },
    {
      title: '256 bytes of binary',
      role: 'client',
      bytes: `827e 0100 ${'5a'.repeat(256)}`,
      messages: [Buffer.alloc(256, 0x5a)],
    },
  ]);
});

describe('RFC 6455 §5.6, §8.1 Text is UTF-8', () => {
  const invalid = [
    ['an overlong character of two bytes', 'c0af'],
    ['an overlong character of three bytes', 'e08080'],
    ['an overlong character of four bytes', 'f0808080'],
    ['a surrogate', 'eda080'],
    ['a character beyond U+10FFFF', 'f4908080'],
    ['a byte that begins no character', 'f8'],
    ['a continuation byte alone', '80'],
    ['a character cut by the end of the message', 'f09f98'],
    ['FF', 'ff'],
  ] as const;
  describeFaults(
    invalid.flatMap(([title, text]): Fault[] => {
      const length = text.length / 2;
      const fault = { error: 'WS_ERR_INVALID_UTF8', closeCode: 1007 } as const;
      return [
        { title, role: 'client', bytes: `81 0${length + 1} 61 ${text}`, ...fault },
        { title: `${title}, masked`, role: 'server', bytes: `81 8${length} 00000000 ${text}`, ...fault },
        {
          title: `${title}, in the last of two fragments`,
          role: 'client',
          bytes: `0101 61 80 0${length} ${text}`,
          ...fault,
        },
      ];
    }),
  );
  describeLegal([
    { title: 'the last character, U+10FFFF', role: 'client', bytes: '8104 f48fbfbf', messages: ['\u{10ffff}'] },
    { title: 'a noncharacter, U+FFFF', role: 'client', bytes: '8103 efbfbf', messages: ['\uffff'] },
    { title: 'NUL', role: 'client', bytes: '8101 00', messages: ['\0'] },
    { title: 'a byte order mark', role: 'client', bytes: '8103 efbbbf', messages: ['\ufeff'] },
    { title: 'what is no UTF-8, as binary', role: 'client', bytes: '8202 c0af', messages: [hex('c0af')] },
  ]);
});

describe('RFC 6455 §7.1.7 The first fault counts', () => {
  describeFaults([
    {
      title: 'a fault behind two messages',
      role: 'client',
      bytes: '8101 41 8201 42 83',
      error: 'WS_ERR_INVALID_OPCODE',
      closeCode: 1002,
      before: 2,
    },
    {
      title: 'a fault inside a message',
      role: 'client',
      bytes: '0101 41 f0',
      error: 'WS_ERR_UNEXPECTED_RSV_2_3',
      closeCode: 1002,
    },
    {
      title: 'two faults in one header',
      role: 'client',
      bytes: 'c9 ff',
      error: 'WS_ERR_UNEXPECTED_RSV_1',
      closeCode: 1002,
    },
  ]);
});
