import { constants, deflateRawSync } from 'node:zlib';
import { hex } from '../support/hex.ts';

/** A difference from ws over compressed messages. Each is a row of docs/reference/differences-from-ws.md. */
export interface CompressionRow {
  readonly name: string;
  /** What a client sends. */
  readonly frames: readonly (readonly [bits: number, payload: Buffer])[];
  /** What is told, and the outcome; see receivers.ts. */
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  readonly maxBytes?: number;
}

const [FIN, RSV1, TEXT, BINARY, PING] = [0x80, 0x40, 0x1, 0x2, 0x9];
/** 100 bytes, in less than 20. */
const LONG = deflateRawSync(Buffer.alloc(100, 'a'), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const HELLO = hex('f248cdc9c90700');

export const COMPRESSION_ROWS: readonly CompressionRow[] = [
  {
    name: 'a compressed message without a byte',
    frames: [
      [FIN | RSV1 | TEXT, hex('')],
      [FIN | PING, Buffer.from('behind')],
    ],
    ours: ['failed 1007'],
    theirs: ['text ', 'ping behind', 'open'],
  },
  {
    name: 'a compressed message that was cut short',
    frames: [
      [FIN | RSV1 | TEXT, HELLO.subarray(0, 4)],
      [FIN | PING, Buffer.from('behind')],
    ],
    ours: ['failed 1007'],
    // What the tail makes of it.
    theirs: ['text Helh', 'ping behind', 'open'],
  },
  {
    name: 'blocks behind one with BFINAL',
    // "Hello" in a block with BFINAL, padded, and " again" in another.
    frames: [
      [
        FIN | RSV1 | TEXT,
        Buffer.concat([hex('01 05 00 fa ff 48 65 6c 6c 6f'), hex('00 06 00 f9 ff'), Buffer.from(' again'), hex('00')]),
      ],
    ],
    ours: ['text Hello again', 'open'],
    theirs: ['text Hello', 'open'],
  },
  {
    name: 'fragments that cannot be decompressed, before the last',
    frames: [
      [RSV1 | BINARY, hex('ff')],
      [FIN | PING, Buffer.from('between')],
      [FIN, hex('00')],
    ],
    ours: ['ping between', 'failed 1007'],
    theirs: ['failed 1007'],
  },
  {
    name: 'fragments that are too long when decompressed, before the last',
    frames: [
      [RSV1 | BINARY, LONG.subarray(0, -1)],
      [FIN | PING, Buffer.from('between')],
      [FIN, LONG.subarray(-1)],
    ],
    maxBytes: 20,
    ours: ['ping between', 'failed 1009'],
    theirs: ['failed 1009'],
  },
];
