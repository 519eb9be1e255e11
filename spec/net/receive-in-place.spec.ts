import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { receiveBuffer } from '../../lib/codec/mask-simd.ts';
import { receiveInPlace } from '../../lib/net/receive-in-place.ts';
import { cleanUp } from '../support/clean-up.ts';
import { tcpPair } from '../support/connections.ts';
import { until } from '../support/watchdog.ts';

/** The key by which a socket knows the buffer that it reads into. */
function keyOf(socket: Socket, description: string): symbol {
  return Object.getOwnPropertySymbols(socket).find((key) => key.description === description)!;
}

describe('receiveInPlace', () => {
  afterEach(cleanUp);

  it('has a socket read into the receive buffer, and tells how much', async () => {
    const [socket, there] = await tcpPair();
    const read: string[] = [];
    const told = receiveInPlace(socket, function (length) {
      assert.equal(this, socket);
      read.push(receiveBuffer.toString('latin1', 0, length));
      return true;
    });
    assert.equal(told, true);
    socket.on('data', () => assert.fail('is told of nothing'));
    there.write('bytes');
    await until('the bytes', () => read.length > 0);
    assert.deepEqual(read, ['bytes']);
  });

  it('tells the latest who asked, and sets the buffer once', async (t) => {
    const [socket, there] = await tcpPair();
    const { _handle } = socket as unknown as { _handle: { useUserBuffer(buffer: Uint8Array): void } };
    const use = t.mock.method(_handle, 'useUserBuffer');
    let read = 0;
    assert.equal(
      receiveInPlace(socket, () => assert.fail('is the one before')),
      true,
    );
    assert.equal(
      receiveInPlace(socket, (length) => {
        read += length;
        return true;
      }),
      true,
    );
    assert.deepEqual([use.mock.callCount(), use.mock.calls[0]!.arguments[0]], [1, receiveBuffer]);
    socket.resume();
    there.write('bytes');
    await until('the bytes', () => read === 5);
  });

  it('leaves alone what is not as it expects', async () => {
    const never = (): boolean => assert.fail('is never called');
    assert.equal(receiveInPlace(new Duplex(), never), false);
    const [unknown] = await tcpPair();
    const key = keyOf(unknown, 'kBufferGen');
    Object.assign(unknown, { [key]: () => receiveBuffer });
    assert.equal(receiveInPlace(unknown, never), false);
    const [old] = await tcpPair();
    (old as unknown as { _handle: { useUserBuffer: undefined } })._handle.useUserBuffer = undefined;
    assert.equal(receiveInPlace(old, never), false);
    const [closed] = await tcpPair();
    closed.destroy();
    assert.equal(receiveInPlace(closed, never), false);
  });
});
