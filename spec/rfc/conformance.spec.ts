import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Role } from '../../lib/protocol/events.ts';
import { assertSame } from '../support/assert-same.ts';
import { cleanUp } from '../support/clean-up.ts';
import {
  assertCloses,
  assertIgnoresInput,
  assertSentClose,
  ProtocolRecorder,
  peerFrame,
} from '../support/protocol-recorder.ts';
import { referenceIsUtf8Prefix } from '../support/reference-codec.ts';
import { makeServer } from '../support/running-server.ts';
import { SERVINGS } from '../support/servings.ts';
import { type Case, GROUPS, MAX_MESSAGE_BYTES, type Reply, WRONG_TEXTS } from './conformance-cases.ts';

const ROLES: readonly Role[] = ['server', 'client'];
const CHOPS = [Number.POSITIVE_INFINITY, 1];
/** Over a socket no more chunks than this are sent one by one: the rest is sent at once. */
const MAX_SOCKET_CHUNKS = 20;
const LIMITS = { maxMessageBytes: MAX_MESSAGE_BYTES, maxFrameBytes: Number.POSITIVE_INFINITY };

const isMessage = ([opcode]: Reply): boolean => opcode === 1 || opcode === 2;
const messageOf = ([opcode, payload]: Reply): string | Buffer => (opcode === 1 ? payload.toString() : payload);

/** The bytes of a case as the peer of `role` sends them. */
function bytesOf({ send }: Case, role: Role): Buffer {
  return Buffer.concat(send.map(({ bits, payload }) => rawFrame(role, bits, payload)));
}

/** Also with RSV2 and RSV3, which the reference encoder does not know. */
function rawFrame(role: Role, bits: number, payload: Buffer): Buffer {
  const bytes = peerFrame(role, bits, payload);
  bytes[0] = bits;
  return bytes;
}

/** Feeds an endpoint that echoes, and checks all that it tells and sends. */
function playOnProtocol(example: Case, role: Role, chop: number): void {
  const recorder = new ProtocolRecorder(role, LIMITS);
  recorder.on = (event) => {
    if (event.type === 'message') recorder.protocol.sendMessage(event.data);
  };
  const bytes = bytesOf(example, role);
  for (let at = 0; at < bytes.length; at += chop) {
    const chunk = bytes.subarray(at, Math.min(bytes.length, at + chop));
    // A fresh buffer each time, since it is written to; with guards around it only where that is affordable.
    if (chunk.length === bytes.length && bytes.length < 100_000) recorder.receive(chunk);
    else recorder.protocol.receiveData(Buffer.from(chunk));
    // Pings that come one by one are answered one by one.
    if (chop < Number.POSITIVE_INFINITY) recorder.sentBytes();
  }
  assertSame(recorder.messages(), example.expect.filter(isMessage).map(messageOf));

  const { closes, clean = false } = example;
  if (closes === undefined) {
    assert.equal(recorder.protocol.state, 'open');
    assert.deepEqual(recorder.errors, []);
    recorder.receive(recorder.peerFrame(0x88, Buffer.of(0x03, 0xe8)));
    assertSentClose(recorder, 1000);
  } else if (clean) {
    assert.deepEqual(recorder.errors, []);
    assert.equal(recorder.protocol.close?.wasClean, true);
    assertSentClose(recorder, closes);
    assertIgnoresInput(recorder);
  } else {
    assertCloses(recorder, closes);
  }
  const replies = recorder.sent().slice(0, -1);
  assertSame(
    replies.map(({ opcode, payload }) => [opcode, payload]),
    example.expect,
  );
}

for (const role of ROLES) {
  describe(`conformance of a ${role}`, () => {
    for (const [title, cases] of GROUPS) {
      describe(title, () => {
        for (const example of cases) {
          it(`${example.id} ${example.title}${example.closes === undefined ? '' : ` → ${example.closes}`}`, () => {
            for (const chop of example.chops ?? CHOPS) playOnProtocol(example, role, chop);
          });
        }
      });
    }

    describe('6.4 UTF-8 that fails fast', () => {
      for (const bytes of WRONG_TEXTS) {
        const at = bytes.findIndex((_, i) => !referenceIsUtf8Prefix(bytes.subarray(0, i + 1)));
        const title = bytes.toString('hex', 0, 12);
        // What ends inside a character is not wrong before its message ends.
        if (at === -1) continue;

        it(`${title}: closes with 1007 with byte ${at}, in the middle of a frame`, () => {
          const before = Buffer.from('valid é ');
          const whole = peerFrame(role, 0x81, Buffer.concat([before, bytes, Buffer.alloc(200, 'x')]));
          const fault = whole.length - 200 - bytes.length + at;
          for (const chop of [1, 3, fault]) {
            const recorder = new ProtocolRecorder(role);
            for (let i = 0; i < fault; i += chop) recorder.receive(whole.subarray(i, Math.min(fault, i + chop)));
            assert.equal(recorder.protocol.state, 'open', 'nothing is wrong before the fault');
            assert.deepEqual(recorder.sent(), []);
            recorder.receive(whole.subarray(fault, fault + 1));
            assertCloses(recorder, 1007);
            assert.deepEqual(recorder.messages(), []);
          }
        });

        it(`${title}: closes with 1007 with byte ${at}, in a fragment of its own`, () => {
          const recorder = new ProtocolRecorder(role);
          recorder.receive(peerFrame(role, 0x01, 'valid é '));
          for (const byte of bytes.subarray(0, at)) recorder.receive(peerFrame(role, 0x00, Buffer.of(byte)));
          recorder.receive(peerFrame(role, 0x89, 'ping'));
          assert.equal(recorder.protocol.state, 'open');
          recorder.receive(peerFrame(role, 0x00, bytes.subarray(at, at + 1)));
          assertCloses(recorder, 1007);
        });
      }
    });
  });
}

for (const { name, serve } of SERVINGS) {
  describe(`conformance of a server over ${name}`, () => {
    /** What the handler was given. */
    let delivered: (string | Buffer)[] = [];
    const { server, errors } = makeServer({ maxMessageBytes: MAX_MESSAGE_BYTES });
    server.route('/', (ctx) => {
      const body = ctx.getRequestBody();
      delivered.push(typeof body === 'string' ? body : Buffer.from(body));
      return ctx.sendResponseBody(body);
    });
    let served: Awaited<ReturnType<typeof serve>>;
    before(async () => {
      served = await serve(server);
    });
    after(() => served.stop());
    afterEach(cleanUp);

    async function playOnSocket(example: Case, chop: number): Promise<void> {
      delivered = [];
      const client = await served.connect();
      await client.upgrade();
      if (client.socket instanceof Socket) client.socket.setNoDelay(true);
      const bytes = bytesOf(example, 'server');
      let at = 0;
      for (let i = 0; i < MAX_SOCKET_CHUNKS && at + chop < bytes.length; i++, at += chop) {
        client.write(bytes.subarray(at, at + chop));
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.write(bytes.subarray(at));

      const replies: Reply[] = [];
      for (const _ of example.expect) {
        const { fin, rsv1, opcode, payload } = (await client.readFrame()) ?? assert.fail('the connection ended early');
        assert.deepEqual([fin, rsv1], [true, false]);
        replies.push([opcode, payload]);
      }
      assertSame(replies, example.expect);
      const { closes, clean = false } = example;
      if (closes === undefined) client.close(1000);
      // Of a peer that began to close no second Close frame is expected.
      const close = await client.receiveClose(closes !== undefined && !clean);
      assert.equal(close.code, closes ?? 1000);
      assertSame(delivered, example.expect.filter(isMessage).map(messageOf));
      assert.deepEqual(errors, []);
    }

    for (const [title, cases] of GROUPS) {
      describe(title, () => {
        for (const example of cases) {
          it(`${example.id} ${example.title}${example.closes === undefined ? '' : ` → ${example.closes}`}`, async () => {
            // What is below cuts as it likes: the first ways to cut will do, and one alone where cases are many.
            const chops = (example.chops ?? CHOPS).slice(0, cases.length > 300 || name !== 'TCP' ? 1 : 2);
            for (const chop of chops) await playOnSocket(example, chop);
          });
        }
      });
    }
  });
}
