import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { closeCodeOf, describeError } from '../../lib/errors.ts';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { maskKeys, texts } from '../support/arbitraries.ts';
import { cutByChance, type FuzzTarget } from '../support/fuzzing.ts';
import { hex } from '../support/hex.ts';
import { ProtocolRecorder } from '../support/protocol-recorder.ts';
import { referenceEncode } from '../support/reference-codec.ts';

/** Above this many bytes a message is inflated beside the event loop. Messages of an input are smaller, some results not. */
const LIMITS = [1, 100, 5000, 70_000, 1 << 20];

/** An endpoint that has agreed on compression: what comes out is bounded, what is wrong closes as documented. */
export const target: FuzzTarget = {
  name: 'compressed',
  inputs: fc.tuple(fc.option(maskKeys()), fc.array(texts(60), { maxLength: 5 })).map(([key, list]) =>
    Buffer.concat(
      list.map((text) => {
        const payload = deflateRawSync(Buffer.from(text), { finishFlush: 2 }).subarray(0, -4);
        return referenceEncode({ fin: true, rsv1: true, opcode: 1, payload, maskKey: key ?? undefined });
      }),
    ),
  ),
  async run(input, random) {
    const role: Role = input.length > 1 && input[1]! >= 0x80 ? 'server' : 'client';
    const maxMessageBytes = random.pick(LIMITS);
    const options = resolveDeflateOptions({
      serverNoContextTakeover: random.oneIn(2),
      clientNoContextTakeover: random.oneIn(2),
      serverMaxWindowBits: 8 + random.below(8),
      clientMaxWindowBits: 8 + random.below(8),
      ...(random.oneIn(4) ? { maxRatio: 2 } : {}),
    })!;
    const compression = new PerMessageDeflate(role, options, options);
    const recorder = new ProtocolRecorder(role, { maxMessageBytes, maxFrameBytes: maxMessageBytes }, compression);
    // An owner that echoes, so that what is compressed can be read again.
    recorder.on = (event) => {
      if (event.type !== 'message') return;
      assert.ok(Buffer.byteLength(event.data) <= maxMessageBytes, 'no message is larger than the limit');
      if (recorder.protocol.state === 'open') recorder.protocol.sendMessage(event.data, random.oneIn(2));
    };
    for (const chunk of cutByChance(input, random)) recorder.receive(chunk);
    await recorder.settle();

    const { protocol, errors } = recorder;
    assert.ok(errors.length <= 1);
    for (const { code } of errors) assert.ok([1002, 1007, 1009].includes(describeError(code).closeCode ?? 0), code);
    const sent = recorder.sent();
    const closes = sent.filter(({ opcode }) => opcode === 8);
    assert.ok(closes.length <= 1);
    if (closes.length === 1) assert.equal(sent.at(-1), closes[0], 'nothing is sent behind a Close frame');
    if (errors.length === 1) assert.equal(closes[0]!.payload.readUInt16BE(), closeCodeOf(errors[0]));
    protocol.receiveEnd();
    assert.equal(protocol.receivedBytes, 0);

    // What is shared among connections still works.
    const fresh = new ProtocolRecorder(role, {}, new PerMessageDeflate(role, options, options));
    await fresh.receive(fresh.peerFrame(0xc1, hex('f248cdc9c90700'))).settle();
    assert.deepEqual(fresh.messages(), ['Hello']);
    fresh.protocol.receiveEnd();
    return `${role} ${errors[0]?.code} ${Math.min(recorder.messages().length, 5)} ${protocol.close?.code}`;
  },
};
