import { subscribe } from 'node:diagnostics_channel';
import { Duplex } from 'node:stream';
import type { ConnectionLimits } from '../../lib/net/limits.ts';
import { TEXT } from '../e2e/frames.ts';
import type { CodecCase, Env, Work } from './case.ts';
import { makeStream } from './stream.ts';

type ConnectionModule = typeof import('../../lib/net/connection.ts');
type Owner = Parameters<InstanceType<ConnectionModule['Connection']>['start']>[0];
type MaskSimd = typeof import('../../lib/codec/mask-simd.ts');

const LIMITS: ConnectionLimits = {
  maxMessageBytes: 1024 * 1024,
  maxFrameBytes: Number.POSITIVE_INFINITY,
  maxQueuedMessages: 64,
  maxQueuedBytes: 1024 * 1024,
  highWaterMarkBytes: 1024 * 1024,
  maxBackpressureBytes: Number.POSITIVE_INFINITY,
  backpressurePolicy: 'wait',
  closeTimeoutMs: 60_000,
  heartbeatIntervalMs: 0,
  idleTimeoutMs: 0,
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  messageBurst: undefined,
  rateLimitPolicy: 'wait',
};

/** A stream whose bytes have left when they are written. */
class Sink extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  override _writev(_chunks: unknown, done: () => void): void {
    done();
  }
}

/** Messages in and out of one connection, without the system below and the handlers above: 32 of 20 bytes of text a read. */
async function echo({ lib }: Env): Promise<Work> {
  const { Connection } = await lib<ConnectionModule>('net/connection.js');
  const { receiveBuffer } = await lib<MaskSimd>('codec/mask-simd.js');
  const { bytes } = makeStream(TEXT, 20, '64k');
  const read = bytes.subarray(0, 32 * 26);
  const connection = new Connection(new Sink({ emitClose: false }), 'server', LIMITS);
  let sum = 0;
  const owner = {
    shown: {},
    isBusy: false,
    isHandling: false,
    takeMessage: (data: string | Buffer) => {
      sum += data.length;
      void connection.send(data);
      return true;
    },
    onDestroyed: () => {},
    onConnectionClosed: () => {},
  };
  connection.start(owner as unknown as Owner);
  return async (count) => {
    for (let left = count; left > 0; left -= 32) {
      read.copy(receiveBuffer);
      connection.onData(receiveBuffer, 0, read.length);
      // A stream takes note of what has left at the end of the turn.
      await undefined;
    }
    return sum;
  };
}

let observed = 0;

function observe(): void {
  for (const name of ['hyperlane-ws:message.in', 'hyperlane-ws:message.out']) {
    subscribe(name, (message) => {
      observed += (message as { readonly data: string | Uint8Array }).data.length;
    });
  }
}

export const connectionCases: readonly CodecCase[] = [
  {
    name: 'connection',
    title: 'a text in and out of a connection, 20 B',
    bytes: 0,
    subjects: [
      { name: 'hyperlane', prepare: echo },
      {
        name: 'with somebody who counts them',
        prepare: (env) => {
          observe();
          return echo(env);
        },
      },
    ],
  },
];
process.on('exit', () => {
  // Reading the counter keeps it from being optimised away.
  if (observed < 0) process.exitCode = 1;
});
