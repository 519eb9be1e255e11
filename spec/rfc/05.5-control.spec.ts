import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { bytesOf } from '../support/arbitraries.ts';
import { assertSent, itOverAll } from '../support/endpoints.ts';
import { describeFaults, type Fault } from '../support/faults.ts';
import { hex } from '../support/hex.ts';
import { closePayload, peerFrame } from '../support/protocol-recorder.ts';

const CONTROL = [
  ['Close', '8'],
  ['Ping', '9'],
  ['Pong', 'a'],
] as const;

describe('RFC 6455 §5.5 Control frames', () => {
  describeFaults(
    CONTROL.flatMap(([name, opcode]): Fault[] => {
      const fragmented = { error: 'WS_ERR_EXPECTED_FIN', closeCode: 1002 } as const;
      const large = { error: 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', closeCode: 1002 } as const;
      return [
        { title: `a fragmented ${name}`, role: 'client', bytes: `0${opcode}00`, ...fragmented },
        { title: `a fragmented ${name}`, role: 'server', bytes: `0${opcode}80 00000000`, ...fragmented },
        {
          title: `a fragmented ${name} inside a message`,
          role: 'client',
          bytes: `0101 41 0${opcode}00`,
          ...fragmented,
        },
        { title: `a ${name} of 126 bytes`, role: 'client', bytes: `8${opcode}7e 007e ${'00'.repeat(126)}`, ...large },
        { title: `a ${name} of 126 bytes`, role: 'server', bytes: `8${opcode}fe 007e 00000000`, ...large },
        { title: `a ${name} of 65536 bytes`, role: 'client', bytes: `8${opcode}7f 0000000000010000`, ...large },
        { title: `a short ${name} with a long length`, role: 'client', bytes: `8${opcode}7e 0001 00`, ...large },
      ];
    }),
  );

  itOverAll('takes control frames of 125 bytes', async ({ open, eachChunking }) => {
    for (const role of ['client', 'server'] as const) {
      const [ping, pong] = [bytesOf(125, 1), bytesOf(125, 2)];
      const bytes = Buffer.concat([peerFrame(role, 0x89, ping), peerFrame(role, 0x8a, pong)]);
      await eachChunking(bytes, async (chunks) => {
        const endpoint = await (await open(role)).receive(...chunks);
        assertSent(endpoint, [[10, ping]]);
        assert.equal(endpoint.end(), undefined);
      });
    }
  });
});

describe('RFC 6455 §5.5.1 Close', () => {
  describeFaults([
    {
      title: 'a payload of one byte',
      role: 'client',
      bytes: '8801 03',
      error: 'WS_ERR_INVALID_CLOSE_PAYLOAD',
      closeCode: 1002,
    },
    {
      title: 'a payload of one byte',
      role: 'server',
      bytes: '8881 00000000 03',
      error: 'WS_ERR_INVALID_CLOSE_PAYLOAD',
      closeCode: 1002,
    },
    {
      title: 'a reason that is not UTF-8',
      role: 'client',
      bytes: '8803 03e8 ff',
      error: 'WS_ERR_INVALID_UTF8',
      closeCode: 1007,
    },
    {
      title: 'a reason that ends inside a character',
      role: 'server',
      bytes: '8884 00000000 03e8 e282',
      error: 'WS_ERR_INVALID_UTF8',
      closeCode: 1007,
    },
  ]);

  itOverAll('is answered once, with the same code', async ({ open, eachChunking }) => {
    for (const role of ['client', 'server'] as const) {
      for (const code of [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999]) {
        const bytes = Buffer.concat([peerFrame(role, 0x88, closePayload(code, 'why')), peerFrame(role, 0x88)]);
        await eachChunking(bytes, async (chunks) => {
          const endpoint = await (await open(role)).receive(...chunks);
          assertSent(endpoint, [[8, closePayload(code)]]);
          assert.deepEqual(endpoint.end(), { code, reason: 'why', wasClean: true });
        });
      }
    }
  });

  itOverAll('takes a reason of 123 bytes', async ({ open }) => {
    const reason = '€'.repeat(41);
    const endpoint = await (await open('client')).receive(peerFrame('client', 0x88, closePayload(1000, reason)));
    assert.deepEqual(endpoint.end(), { code: 1000, reason, wasClean: true });
  });
});

describe('RFC 6455 §5.5.2 Ping, §5.5.3 Pong', () => {
  itOverAll('answers a ping with the same payload', async ({ open, eachChunking }) => {
    for (const role of ['client', 'server'] as const) {
      for (const payload of [hex(''), hex('00'), bytesOf(125, 3), Buffer.from('__proto__')]) {
        await eachChunking(peerFrame(role, 0x89, payload), async (chunks) => {
          assertSent(await (await open(role)).receive(...chunks), [[10, payload]]);
        });
      }
    }
  });

  itOverAll('answers no pong, asked for or not', async ({ open }) => {
    const endpoint = await (await open('client')).receive(hex('8a00 8a02 6f6b'));
    assertSent(endpoint, []);
    assert.equal(endpoint.end(), undefined);
  });

  itOverAll('answers a ping that came before a Close frame, and none behind it', async ({ open }) => {
    const endpoint = await (await open('client')).receive(hex('8901 61 8800 8901 62'));
    assertSent(endpoint, [
      [10, 'a'],
      [8, ''],
    ]);
  });
});
