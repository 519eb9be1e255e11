import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Role } from '../../lib/protocol/events.ts';
import { eachChunking } from '../support/chunking.ts';
import { describeFaults, type Fault } from '../support/faults.ts';
import { hex } from '../support/hex.ts';
import {
  assertIgnoresInput,
  assertSent,
  assertSentClose,
  closePayload,
  ProtocolRecorder,
  peerFrame,
} from '../support/protocol-recorder.ts';

const ROLES: readonly Role[] = ['client', 'server'];

describe('RFC 6455 §7.1.2, §7.1.3 The closing handshake', () => {
  it('is the same whoever begins it', () => {
    for (const first of ROLES) {
      const ends = { client: new ProtocolRecorder('client'), server: new ProtocolRecorder('server') };
      const [begins, answers] = first === 'client' ? [ends.client, ends.server] : [ends.server, ends.client];
      begins.protocol.sendClose(1001, 'away');
      answers.receive(begins.sentBytes());
      assert.deepEqual(answers.protocol.close, { code: 1001, reason: 'away', wasClean: true });
      begins.receive(answers.sentBytes());
      assert.deepEqual(begins.protocol.close, { code: 1001, reason: '', wasClean: true });
      for (const recorder of [begins, answers]) {
        assert.equal(recorder.count('finished'), 1);
        assertSentClose(recorder, 1001);
        assertIgnoresInput(recorder);
      }
    }
  });

  it('ends also when both begin it', () => {
    const client = new ProtocolRecorder('client');
    const server = new ProtocolRecorder('server');
    client.protocol.sendClose(3001);
    server.protocol.sendClose(3002);
    const [fromClient, fromServer] = [client.sentBytes(), server.sentBytes()];
    client.receive(fromServer);
    server.receive(fromClient);
    assert.equal(client.protocol.close!.code, 3002);
    assert.equal(server.protocol.close!.code, 3001);
    assertSent(client, [[8, closePayload(3001)]]);
    assertSent(server, [[8, closePayload(3002)]]);
  });

  it('ignores all bytes behind a Close frame, good or bad', () => {
    for (const role of ROLES) {
      for (const behind of [
        peerFrame(role, 0x81, 'late'),
        peerFrame(role, 0x89),
        hex('ff ff ff'),
        peerFrame(role, 0x88),
      ]) {
        eachChunking(Buffer.concat([peerFrame(role, 0x88, closePayload(1000)), behind]), (chunks) => {
          const recorder = new ProtocolRecorder(role).receive(...chunks);
          assert.deepEqual(recorder.events, [{ type: 'output' }, { type: 'finished' }]);
          assertSent(recorder, [[8, closePayload(1000)]]);
        });
      }
    }
  });

  it('delivers what the peer sent before its Close frame', () => {
    for (const role of ROLES) {
      const recorder = new ProtocolRecorder(role);
      recorder.protocol.sendClose();
      recorder.receive(peerFrame(role, 0x01, 'in '), peerFrame(role, 0x80, 'flight'), peerFrame(role, 0x88));
      assert.deepEqual(recorder.messages(), ['in flight']);
      assertSent(recorder, [[8, closePayload(1000)]]);
    }
  });

  it('sends no data once a Close frame was sent or received, §5.5.1', () => {
    for (const received of [false, true]) {
      const recorder = new ProtocolRecorder('server');
      if (received) recorder.receive(peerFrame('server', 0x88, closePayload(1000)));
      else recorder.protocol.sendClose();
      assert.throws(() => recorder.protocol.sendMessage('late'), { name: 'ConnectionClosedError' });
      assert.throws(() => recorder.protocol.sendPing(), { name: 'ConnectionClosedError' });
      assertSent(recorder, [[8, closePayload(1000)]]);
    }
  });
});

describe('RFC 6455 §7.1.5, §7.1.6 Code and reason of the connection', () => {
  it('is 1005 for a Close frame without one', () => {
    const recorder = new ProtocolRecorder('server').receive(peerFrame('server', 0x88));
    assert.deepEqual(recorder.protocol.close, { code: 1005, reason: '', wasClean: true });
    assertSent(recorder, [[8, '']]);
  });

  it('is 1006 when no Close frame came', () => {
    for (const role of ROLES) {
      for (const before of ['nothing', 'message', 'close'] as const) {
        const recorder = new ProtocolRecorder(role);
        if (before === 'message') recorder.receive(peerFrame(role, 0x01, 'unfinished'));
        if (before === 'close') recorder.protocol.sendClose();
        recorder.protocol.receiveEnd();
        assert.deepEqual(recorder.protocol.close, { code: 1006, reason: '', wasClean: false });
        assert.equal(recorder.protocol.state, 'closed');
        assertIgnoresInput(recorder);
      }
    }
  });
});

describe('RFC 6455 §7.1.7 Failing the connection', () => {
  it('says why, and hides what is not the peer’s business', () => {
    for (const role of ROLES) {
      const recorder = new ProtocolRecorder(role);
      recorder.protocol.fail(new Error('secret'));
      assert.equal(assertSentClose(recorder, 1011), '');
      assertIgnoresInput(recorder);
    }
  });
});

describe('RFC 6455 §7.4 Status codes', () => {
  const legal = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  const illegal = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535];

  it('takes the codes that may be sent, and answers with them', () => {
    for (const role of ROLES) {
      for (const code of legal) {
        const recorder = new ProtocolRecorder(role).receive(peerFrame(role, 0x88, closePayload(code)));
        assert.equal(recorder.protocol.close!.code, code);
        assertSent(recorder, [[8, closePayload(code)]]);
      }
    }
  });

  it('sends the codes that may be sent, and no others', () => {
    for (const code of legal) {
      const recorder = new ProtocolRecorder('server');
      recorder.protocol.sendClose(code);
      assertSent(recorder, [[8, closePayload(code)]]);
    }
    for (const code of illegal) {
      const recorder = new ProtocolRecorder('server');
      if (code === 1005) continue;
      assert.throws(() => recorder.protocol.sendClose(code), RangeError);
      assertSent(recorder, []);
    }
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
