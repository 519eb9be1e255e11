import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { assertSent, itOverAll } from '../support/endpoints.ts';
import { describeFaults, describeLegal } from '../support/faults.ts';
import { hex } from '../support/hex.ts';
import { peerFrame } from '../support/protocol-recorder.ts';

describe('RFC 6455 §5.4 Fragmentation', () => {
  describeLegal([
    { title: 'text in one frame', role: 'client', bytes: '8101 41', messages: ['A'] },
    { title: 'text in two fragments', role: 'client', bytes: '0101 41 8001 42', messages: ['AB'] },
    { title: 'text in three fragments', role: 'client', bytes: '0101 41 0001 42 8001 43', messages: ['ABC'] },
    { title: 'binary in two fragments', role: 'client', bytes: '0201 ff 8001 fe', messages: [hex('fffe')] },
    {
      title: 'masked fragments with keys of their own',
      role: 'server',
      bytes: '0181 01000000 40 8081 00000002 42',
      messages: ['AB'],
    },
    { title: 'an empty first fragment', role: 'client', bytes: '0100 8001 41', messages: ['A'] },
    { title: 'an empty last fragment', role: 'client', bytes: '0101 41 8000', messages: ['A'] },
    { title: 'empty fragments only', role: 'client', bytes: '0100 0000 0000 8000', messages: [''] },
    { title: 'empty fragments of binary', role: 'client', bytes: '0200 8000', messages: [hex('')] },
    {
      title: 'two fragmented messages',
      role: 'client',
      bytes: '0101 41 8001 42 0201 01 8001 02',
      messages: ['AB', hex('0102')],
    },
    { title: 'a ping between fragments', role: 'client', bytes: '0101 41 8901 70 8001 42', messages: ['AB'] },
    { title: 'a pong between fragments', role: 'client', bytes: '0101 41 8a00 0000 8a00 8001 42', messages: ['AB'] },
    { title: 'a character cut by a fragment', role: 'client', bytes: '0102 e282 8001 ac', messages: ['€'] },
    {
      title: 'a character cut by fragments and a ping',
      role: 'client',
      bytes: '0101 f0 0001 9f 8900 0001 98 8001 80',
      messages: ['😀'],
    },
    { title: 'a character cut by an empty fragment', role: 'client', bytes: '0101 c3 0000 8001 a9', messages: ['é'] },
    { title: 'a message that is not finished', role: 'client', bytes: '0101 41 0001 42', messages: [] },
  ]);

  describeFaults([
    {
      title: 'a long continuation with no message',
      role: 'client',
      bytes: '8003 414243',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'faulty text inside binary',
      role: 'client',
      bytes: '0201 41 8103 ff4142',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'a continuation with no message',
      role: 'client',
      bytes: '8001 41',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'a continuation without FIN with no message',
      role: 'client',
      bytes: '0001 41',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'an empty continuation with no message',
      role: 'server',
      bytes: '8080 00000000',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'a continuation behind a whole message',
      role: 'client',
      bytes: '8101 41 8001 42',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
      before: 1,
    },
    {
      title: 'a continuation behind a finished message',
      role: 'client',
      bytes: '0101 41 8001 42 8001 43',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
      before: 1,
    },
    {
      title: 'a continuation behind a ping only',
      role: 'client',
      bytes: '8900 8001 41',
      error: 'WS_ERR_UNEXPECTED_CONTINUATION',
      closeCode: 1002,
      before: 1,
    },
    {
      title: 'text inside text',
      role: 'client',
      bytes: '0101 41 8101 42',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'a first fragment inside text',
      role: 'server',
      bytes: '0181 00000000 41 0181 00000000 42',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'binary inside text',
      role: 'client',
      bytes: '0101 41 8201 42',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'text inside binary',
      role: 'client',
      bytes: '0201 41 0001 42 8101 43',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'empty text inside empty text',
      role: 'client',
      bytes: '0100 8100',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
    },
    {
      title: 'text inside text, behind a ping',
      role: 'client',
      bytes: '0101 41 8900 8101 42',
      error: 'WS_ERR_EXPECTED_CONTINUATION',
      closeCode: 1002,
      before: 1,
    },
    {
      title: 'a character cut by the end of the fragments',
      role: 'client',
      bytes: '0102 e282 8000',
      error: 'WS_ERR_INVALID_UTF8',
      closeCode: 1007,
    },
    {
      title: 'a character that the next fragment does not continue',
      role: 'client',
      bytes: '0102 e282 0001 41',
      error: 'WS_ERR_INVALID_UTF8',
      closeCode: 1007,
    },
  ]);

  itOverAll('does not let a control frame change the message around it', async ({ open }) => {
    for (const role of ['client', 'server'] as const) {
      const endpoint = await open(role);
      await endpoint.receive(peerFrame(role, 0x02, hex('01')));
      for (let i = 0; i < 10; i++) {
        await endpoint.receive(peerFrame(role, 0x89, `${i}`), peerFrame(role, 0x00, hex('02')));
      }
      await endpoint.receive(peerFrame(role, 0x80));
      assert.deepEqual(endpoint.messages(), [Buffer.concat([hex('01'), Buffer.alloc(10, 2)])]);
      assertSent(
        endpoint,
        Array.from({ length: 10 }, (_, i): [number, string] => [10, `${i}`]),
      );
    }
  });

  itOverAll('delivers nothing of a message that a Close frame cuts off', async ({ open }) => {
    const endpoint = await (await open('client')).receive(hex('0101 41 8800 8001 42'));
    assert.deepEqual(endpoint.messages(), []);
    assert.equal(endpoint.end()!.wasClean, true);
  });
});
