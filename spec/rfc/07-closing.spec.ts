import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { Role } from '../../lib/protocol/events.ts';
import { assertSent, assertSentClose, itOverAll } from '../support/endpoints.ts';
import { describeFaults, type Fault } from '../support/faults.ts';
import { hex } from '../support/hex.ts';
import { closePayload, peerFrame } from '../support/protocol-recorder.ts';
import { referenceEncode } from '../support/reference-codec.ts';

const ROLES: readonly Role[] = ['client', 'server'];

describe('RFC 6455 §7.1.2, §7.1.3 The closing handshake', () => {
  itOverAll('is the same whoever begins it', async ({ open }) => {
    for (const first of ROLES) {
      const ends = { client: await open('client'), server: await open('server') };
      const [begins, answers] = first === 'client' ? [ends.client, ends.server] : [ends.server, ends.client];
      begins.close(1001, 'away');
      await begins.flush();
      await answers.receive(frameBytes(first === 'client', begins.sent().at(-1)!.payload));
      assert.deepEqual(answers.end(), { code: 1001, reason: 'away', wasClean: true });
      await begins.receive(frameBytes(first === 'server', answers.sent().at(-1)!.payload));
      assert.deepEqual(begins.end(), { code: 1001, reason: '', wasClean: true });
      for (const endpoint of [begins, answers]) assertSentClose(endpoint, 1001);
    }
  });

  itOverAll('ends also when both begin it', async ({ open }) => {
    for (const role of ROLES) {
      const endpoint = await open(role);
      endpoint.close(3001);
      await endpoint.receive(peerFrame(role, 0x88, closePayload(3002)));
      assert.equal(endpoint.end()!.code, 3002);
      assertSent(endpoint, [[8, closePayload(3001)]]);
    }
  });

  itOverAll('ignores all bytes behind a Close frame, good or bad', async ({ open, eachChunking }) => {
    for (const role of ROLES) {
      for (const behind of [
        peerFrame(role, 0x81, 'late'),
        peerFrame(role, 0x89),
        hex('ff ff ff'),
        peerFrame(role, 0x88),
      ]) {
        await eachChunking(Buffer.concat([peerFrame(role, 0x88, closePayload(1000)), behind]), async (chunks) => {
          const endpoint = await (await open(role)).receive(...chunks);
          assert.deepEqual(endpoint.messages(), []);
          assert.equal(endpoint.error(), undefined);
          assertSent(endpoint, [[8, closePayload(1000)]]);
        });
      }
    }
  });

  itOverAll('delivers what the peer sent before its Close frame', async ({ open }) => {
    for (const role of ROLES) {
      const endpoint = await open(role);
      endpoint.close();
      await endpoint.receive(peerFrame(role, 0x01, 'in '), peerFrame(role, 0x80, 'flight'), peerFrame(role, 0x88));
      assert.deepEqual(endpoint.messages(), ['in flight']);
      assertSent(endpoint, [[8, closePayload(1000)]]);
    }
  });

  itOverAll('sends no data once a Close frame was sent or received, §5.5.1', async ({ open }) => {
    for (const received of [false, true]) {
      const endpoint = await open('server');
      if (received) await endpoint.receive(peerFrame('server', 0x88, closePayload(1000)));
      else endpoint.close();
      await assert.rejects(endpoint.send('late'), { name: 'ConnectionClosedError' });
      await assert.rejects(endpoint.ping(), { name: 'ConnectionClosedError' });
      await endpoint.flush();
      assertSent(endpoint, [[8, closePayload(1000)]]);
    }
  });
});

describe('RFC 6455 §7.1.5, §7.1.6 Code and reason of the connection', () => {
  itOverAll('is 1005 for a Close frame without one', async ({ open }) => {
    const endpoint = await (await open('server')).receive(peerFrame('server', 0x88));
    assert.deepEqual(endpoint.end(), { code: 1005, reason: '', wasClean: true });
    assertSent(endpoint, [[8, '']]);
  });

  itOverAll('is 1006 when no Close frame came', async ({ open }) => {
    for (const role of ROLES) {
      for (const before of ['nothing', 'message', 'close'] as const) {
        const endpoint = await open(role);
        if (before === 'message') await endpoint.receive(peerFrame(role, 0x01, 'unfinished'));
        if (before === 'close') endpoint.close();
        await endpoint.leave();
        assert.deepEqual(endpoint.end(), { code: 1006, reason: '', wasClean: false });
        assert.deepEqual(endpoint.messages(), []);
      }
    }
  });
});

describe('RFC 6455 §7.1.7 Failing the connection', () => {
  itOverAll('says why, and hides what is not the peer’s business', async ({ open }) => {
    for (const role of ROLES) {
      const endpoint = await open(role);
      endpoint.fail(new Error('secret'));
      await endpoint.receive(peerFrame(role, 0x81, 'late'), peerFrame(role, 0x89), peerFrame(role, 0x88));
      assert.equal(assertSentClose(endpoint, 1011), '');
      assert.deepEqual(endpoint.messages(), []);
      assert.equal(endpoint.end()!.code, 1006);
    }
  });
});

describe('RFC 6455 §7.4 Status codes', () => {
  const legal = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  const illegal = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535];

  itOverAll('takes the codes that may be sent, and answers with them', async ({ open }) => {
    for (const role of ROLES) {
      for (const code of legal) {
        const endpoint = await (await open(role)).receive(peerFrame(role, 0x88, closePayload(code)));
        assert.equal(endpoint.end()!.code, code);
        assertSent(endpoint, [[8, closePayload(code)]]);
      }
    }
  });

  itOverAll('sends the codes that may be sent, and no others', async ({ open }) => {
    for (const code of legal) {
      const endpoint = await open('server');
      endpoint.close(code);
      await endpoint.flush();
      assertSent(endpoint, [[8, closePayload(code)]]);
    }
    const endpoint = await open('server');
    for (const code of illegal) {
      if (code !== 1005) assert.throws(() => endpoint.close(code), RangeError);
    }
    await endpoint.flush();
    assertSent(endpoint, []);
  });

  describeFaults(
    illegal.flatMap((code): Fault[] => {
      const fault = { error: 'WS_ERR_INVALID_CLOSE_CODE', closeCode: 1002 } as const;
      const payload = closePayload(code).toString('hex');
      return [
        { title: `code ${code}`, role: 'client', bytes: `8802 ${payload}`, ...fault },
        { title: `code ${code} with a reason`, role: 'server', bytes: `8884 00000000 ${payload} 6869`, ...fault },
      ];
    }),
  );
});

/** The bytes of a Close frame that a client or a server sends. */
function frameBytes(fromClient: boolean, payload: Buffer): Buffer {
  const maskKey = fromClient ? hex('37fa213d') : undefined;
  return referenceEncode({ fin: true, rsv1: false, opcode: 8, payload, maskKey });
}
