import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { leftBytesOf } from '../../lib/net/left-bytes.ts';

function left(socket: object, writtenBytes?: number): number {
  return leftBytesOf(socket as Duplex, writtenBytes);
}

describe('leftBytesOf', () => {
  it('counts what the system has taken of a plain socket, also of a write that has not left as a whole', () => {
    const _handle = { bytesWritten: 100, writeQueueSize: 30 };
    assert.equal(left({ _handle, bytesWritten: 1000, writableLength: 1 }, 10_000), 70);
  });

  it('counts what was written and has left where the handle does not say both, or there is none', () => {
    for (const _handle of [undefined, null, {}, { bytesWritten: 100 }, { writeQueueSize: 30 }]) {
      assert.equal(left({ _handle, bytesWritten: 1000, writableLength: 1 }, 10_000), 999);
    }
  });

  it('counts by what it is told of a stream that does not count', () => {
    assert.equal(left({ writableLength: 1 }, 10), 9);
    assert.equal(left({ writableLength: 0 }), 0);
  });
});
